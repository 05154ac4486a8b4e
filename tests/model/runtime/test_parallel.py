"""Computations side by side."""

import threading

import pytest
import torch

from napari_sam.model.runtime.parallel import map_on_cores


def test_results_are_in_order_and_the_caller_keeps_its_threads():
    before = torch.get_num_threads()
    seen = []

    def work(number):
        seen.append((threading.current_thread().name, torch.get_num_threads()))
        return torch.full((2,), number) * 2

    results = map_on_cores(work, list(range(10)))
    assert [int(result[0]) for result in results] == list(range(0, 20, 2))
    assert torch.get_num_threads() == before
    if before > 1:
        assert {count for _, count in seen} == {1}
        assert all(name.startswith("napari-sam-core") for name, _ in seen)


def test_one_item_and_none():
    assert map_on_cores(lambda item: item, [7]) == [7]
    assert map_on_cores(lambda item: item, []) == []


def test_errors_come_out():
    def fail(item):
        message = f"no {item}"
        raise ValueError(message)

    with pytest.raises(ValueError, match="no 1"):
        map_on_cores(fail, [1, 2, 3])
    assert map_on_cores(lambda item: -item, [1, 2]) == [-1, -2]
