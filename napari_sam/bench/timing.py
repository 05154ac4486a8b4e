"""Time several subjects in alternation, so that other load on the machine affects all alike."""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

TimingKey = TypeVar("TimingKey", bound=Hashable)


@dataclass(frozen=True)
class Subject:
    """Something to time."""

    call: Callable[[], Any]  # returns when the work is done
    repeats: int = 1  # calls in each round; more for work of milliseconds
    count: int = 1  # items that a call works on; times are per item


def median_times(
    subjects: Mapping[TimingKey, Subject],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    on_round: Callable[[int, int], None] = lambda number, last: None,
    pause_s: float = 0,
) -> dict[TimingKey, float]:
    """Return the median time of each subject; the first round does not count.

    There is a pause before each subject, for threads of the one before to go to sleep.
    """
    times_s: dict[TimingKey, list[float]] = {key: [] for key in subjects}
    for number in range(rounds + 1):
        on_round(number, rounds)
        for key, subject in subjects.items():
            time.sleep(pause_s)
            for _ in range(subject.repeats):
                start_s = clock()
                subject.call()
                if number:
                    times_s[key].append((clock() - start_s) / subject.count)
    return {key: median(values) for key, values in times_s.items()}
