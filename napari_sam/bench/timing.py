"""Timing several subjects in turns, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Subject:
    """Something to time."""

    call: Callable[[], Any]  # does it once, and returns when it is done
    repeats: int = 1  # how often it is done in each round; more for what takes milliseconds
    count: int = 1  # how many things one call does; the time is that of one of them


def median_times(
    subjects: Mapping[Key, Subject],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    on_round: Callable[[int, int], None] | None = None,
) -> dict[Key, float]:
    """Time all subjects in turns."""
    times_s: dict[Key, list[float]] = {key: [] for key in subjects}
    for number in range(rounds + 1):
        if on_round is not None:
            on_round(number, rounds)
        for key, subject in subjects.items():
            for _ in range(subject.repeats):
                start_s = clock()
                subject.call()
                if number:
                    times_s[key].append((clock() - start_s) / subject.count)
    return {key: median(values) for key, values in times_s.items()}
