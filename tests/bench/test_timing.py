"""Median times of subjects that take turns."""

import pytest

from napari_sam.bench.timing import Subject, median_times

pytestmark = pytest.mark.slow


def test_medians_leave_the_first_round_out():
    now = [0.0]
    called = []

    def work(name, durations):
        remaining = iter(durations)

        def call():
            called.append(name)
            now[0] += next(remaining)

        return call

    subjects = {
        "one": Subject(work("one", [100, 1, 5, 2])),
        "two": Subject(work("two", [100, 100, 8, 8, 4, 4, 6, 6]), repeats=2, count=4),
    }
    medians = median_times(subjects, 3, clock=lambda: now[0])
    assert medians == {"one": 2, "two": 1.5}
    assert called == ["one", "two", "two"] * 4
