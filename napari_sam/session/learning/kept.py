"""Lessons as JSON, for session files and for the next image of a folder.

`{"model": ..., "lessons": [[area_px, today, [[level, token, has_disc, cut, iou], ...], moved,
[sample, ...]], ...]}`, the oldest lesson first. `moved` is the IoU of the mask with its border
moved, or null; a sample is the list of its numbers in hundredths. What the model sees at a click is
not kept: that is of one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import isfinite
from typing import Any, Final

import numpy as np

from napari_sam.session.decoding.border import N_FEATURES, Samples
from napari_sam.session.decoding.learnt import Learnt
from napari_sam.session.decoding.recipe import Policy
from napari_sam.session.learning.lessons import Lesson, knowledge_of, scored

MAX_KEPT: Final = 24
"""Lessons that are kept: the newest."""
_MAX_POLICIES: Final = 400
_LARGEST: Final = 1e12
_DIGITS: Final = 3
_MAX_SAMPLES: Final = 96
_SAMPLE_STEPS: Final = 100
_LARGEST_SAMPLE: Final = 10**5


def lessons_to_json(lessons: Sequence[Lesson], model: str) -> dict[str, Any]:
    """Return lessons as JSON; empty without any."""
    kept = [
        [*_without_samples(lesson), _kept_samples(lesson.samples)] for lesson in lessons[-MAX_KEPT:]
    ]
    return {"model": model, "lessons": kept} if kept else {}


def not_among(lessons: Sequence[Lesson], others: Sequence[Lesson]) -> list[Lesson]:
    """Return the lessons, perhaps from JSON, of objects that none of the others is of."""
    known = [_without_samples(other) for other in others]
    return [lesson for lesson in lessons if _without_samples(lesson) not in known]


def lessons_from_json(content: Any, model: str) -> tuple[Lesson, ...]:
    """Return the lessons that JSON holds for a model; none if it is of another one, or invalid."""
    with suppress(TypeError, ValueError, KeyError, AttributeError, OverflowError):
        if content["model"] == model:
            return tuple(_lesson(*entry) for entry in content["lessons"][-MAX_KEPT:])
    return ()


def learnt_from_json(content: Any, model: str) -> Learnt | None:
    """Return what JSON holds for first clicks with a model; None unless it was the better."""
    lessons: list[Lesson] = []
    for lesson in lessons_from_json(content, model):
        lessons.append(scored(lesson, lessons))
    knowledge = knowledge_of(lessons)
    return None if knowledge.leader is None else knowledge.learnt


def _without_samples(lesson: Lesson) -> list[Any]:
    return [
        round(lesson.area_px, _DIGITS),
        round(lesson.today, _DIGITS),
        [
            [policy.level, policy.token, int(policy.has_disc), policy.cut, round(iou, _DIGITS)]
            for policy, iou in lesson.ious.items()
        ],
        None if lesson.moved is None else round(lesson.moved, _DIGITS),
    ]


def _kept_samples(samples: Samples | None) -> list[list[int]]:
    if samples is None:
        return []
    kept = samples[:: -(-len(samples) // _MAX_SAMPLES)]
    return [list(map(int, row)) for row in (kept * _SAMPLE_STEPS).round()]


def _samples(rows: Any) -> Samples | None:
    if not rows:
        return None
    values = np.array([[_signed(value) for value in row] for row in rows[:_MAX_SAMPLES]])
    if values.shape[1:] != (N_FEATURES + 1,):
        raise ValueError("a sample has as many numbers as features, and the share of the object")
    return np.asarray(values / _SAMPLE_STEPS, np.float32)


def _signed(value: Any) -> int:
    if type(value) is not int or abs(value) > _LARGEST_SAMPLE:
        raise ValueError(f"{value!r} is no number of a sample")
    return value


def _lesson(
    area_px: Any, today: Any, policies: Any, moved: Any = None, samples: Any = None
) -> Lesson:
    ious = {
        Policy(_whole(level), _whole(token), bool(_whole(has_disc)), _number(cut, 100)): _number(
            iou, 1
        )
        for level, token, has_disc, cut, iou in policies[:_MAX_POLICIES]
    }
    return Lesson(
        max(_number(area_px, _LARGEST), 1.0),
        _number(today, 1),
        ious,
        samples=_samples(samples),
        moved=None if moved is None else _number(moved, 1),
    )


def _number(value: Any, largest: float) -> float:
    if type(value) not in (int, float) or not isfinite(value) or not 0 <= value <= largest:
        raise ValueError(f"{value!r} is no number up to {largest}")
    return float(value)


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 100:
        raise ValueError(f"{value!r} is no small whole number")
    return value
