"""Streams of a GPU; where there is none, a stand-in notes what would be asked of it."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from napari_sam.model.runtime.streams import Streams


@pytest.fixture
def calls(monkeypatch):
    calls = []

    class Stream:
        def __init__(self, device):
            calls.append(("made", str(device)))

        def synchronize(self):
            calls.append(("waited", self))

    @contextmanager
    def entered(stream):
        calls.append(("entered", stream))
        yield

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", entered)
    return calls


def test_one_stream_per_thread_is_waited_for_at_the_end(calls):
    streams = Streams("cuda:1")
    for _ in range(2):
        with streams.own():
            calls.append("work")
    kinds = [call if call == "work" else call[0] for call in calls]
    assert kinds == ["made", "entered", "work", "waited", "entered", "work", "waited"]
    assert calls[0] == ("made", "cuda:1")
    assert calls[1] == calls[4]

    def work():
        with streams.own():
            pass

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert calls[-2][1] is not calls[1][1]


def test_a_processor_has_none(calls):
    streams = Streams("cpu")
    with streams.own():
        array = streams.receive(streams.send(np.arange(3.0)))
    assert calls == []
    np.testing.assert_array_equal(array, np.arange(3.0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_what_is_sent_arrives_and_comes_back():
    streams = Streams("cuda")
    with streams.own():
        doubled = streams.receive(2 * streams.send(np.arange(1000.0)))
    np.testing.assert_array_equal(doubled, 2 * np.arange(1000.0))
