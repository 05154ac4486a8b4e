"""Lessons of accepted objects, what follows from them for the next one, and whether it is better.

Every policy is judged by what it would have done on each object before it knew it (A. P. Dawid,
"Statistical Theory: The Prequential Approach", 1984).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import numpy as np

from napari_sam.session.decoding.border import Samples
from napari_sam.session.decoding.learnt import Learnt, Place
from napari_sam.session.decoding.ranking import MAX_EXAMPLES
from napari_sam.session.decoding.recipe import Policy, Recipe

LEAST_OBJECTS: Final = 5
"""Accepted objects from which on anything is learned..."""
_LEAST_SCORES: Final = 5
"""...and first clicks on an image that a policy changed before anything is preselected."""
SCORED: Final = 10
"""The last such clicks count, and the sizes of as many objects set the disc."""
_LEAD: Final = 0.02
"""How much better than what is preselected without learning a policy has to be."""
_FEW_SCORES: Final = 3
"""Such clicks that are enough if it is far better..."""
_FAR_LEAD: Final = 0.1
"""...by this or more, even two standard errors below the mean."""
_SAME: Final = 0.95
"""The IoU with an accepted mask from which on another one is as right: a user accepts what is good
enough, not what is exact."""
_OTHER: Final = 0.5
"""The IoU up to which a mask is one of another object."""
_DOUBT: Final = 2.0
"""Objects without any advantage that are imagined for each policy."""


class Kind(StrEnum):
    """Kinds of policies, which are judged by themselves."""

    TOKEN = "token"
    """The tile and the model's mask that have fitted accepted objects best."""
    DISC = "disc"
    """The same, with a disc as large as accepted objects."""

    CUT = "cut"
    """The same, with the mask cut at another logit than 0."""

    BORDER = "border"
    """What would be preselected without it, with its border where accepted objects have theirs."""

    def has(self, policy: Policy) -> bool:
        """Whether a policy is of this kind."""
        if self is Kind.BORDER:
            return False
        if policy.cut:
            return self is Kind.CUT
        return self is (Kind.DISC if policy.has_disc else Kind.TOKEN)


@dataclass(frozen=True, eq=False)
class Lesson:
    """What an accepted object tells of first clicks."""

    area_px: float  # of the object
    today: float  # the IoU of what is preselected without learning
    ious: Mapping[Policy, float]  # the IoU of each policy that could be tried
    places: Mapping[int, Place] = field(default_factory=dict, repr=False)  # by level of the tile
    samples: Samples | None = field(default=None, repr=False)  # of where it ends; None: unknown
    # the IoU of the mask whose border was moved by what was known before; None: nothing was
    moved: float | None = None
    today_px: float | None = None  # the area of what is preselected without learning, if known
    # what each kind of policies, as it was known before, would have gained in IoU
    gains: Mapping[Kind, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """How a kind of policies has done on the last objects where it made a difference."""

    kind: Kind
    n_scored: int
    gain: float  # mean IoU above that of what is preselected without learning
    doubt: float = 0.0  # the standard error of that
    # the mean without the object that it did best on
    gain_of_others: float = field(default=-1.0, repr=False)
    recent: float = 0.0  # the mean of the last objects, whether or not it made a difference

    @property
    def leads(self) -> bool:
        """Whether it has been better for long enough, and neither by chance nor by one object."""
        if self.n_scored < _LEAST_SCORES:
            is_far_better = self.gain - 2 * self.doubt >= _FAR_LEAD
            return self.n_scored >= _FEW_SCORES and is_far_better
        if self.gain < _LEAD:
            return False
        return self.gain - self.doubt >= _LEAD or self.gain_of_others >= 0


@dataclass(frozen=True)
class Knowledge:
    """What was learned; a snapshot."""

    n_objects: int = 0  # accepted objects of this image, and of those before
    n_here: int = 0  # of this image alone
    standings: tuple[Standing, ...] = ()  # the best on the last objects first
    learnt: Learnt | None = field(default=None, repr=False, compare=False)  # for first clicks
    # what is known of where objects end, whether or not that has been of use
    border: Learnt | None = field(default=None, repr=False, compare=False)

    @property
    def summary(self) -> str:
        """What is known, in words."""
        if not self.n_objects:
            return "Nothing learned yet: accept five objects."
        text = f"Learned from {self.n_objects} objects"
        best = self.leader
        if best is not None:
            return f"{text}: {best.gain:+.2f} IoU on the last {best.n_scored} where it differed"
        if any(standing.gain > 0 for standing in self.standings):
            return f"{text}: offered with a star"
        if self.n_here < LEAST_OBJECTS + _LEAST_SCORES:
            return f"{text}; tried on the next ones."
        return f"{text}: no gain here, so not used"

    @property
    def leader(self) -> Standing | None:
        """The kind of policies that is preselected; None if none is."""
        return next((standing for standing in self.standings if standing.leads), None)


def radius_of(areas_px: Iterable[float]) -> float:
    """Return the radius of a disc that is as large as the last objects."""
    return float(np.sqrt(np.median(list(areas_px)[-SCORED:]) / np.pi))


def best_policy(lessons: Sequence[Lesson], kind: Kind) -> Policy | None:
    """Return the policy of a kind that has done best; None if there are too few lessons."""
    advantages: dict[Policy, list[float]] = {}
    for lesson in lessons[-MAX_EXAMPLES:]:
        for policy, iou in lesson.ious.items():
            if kind.has(policy):
                advantages.setdefault(policy, []).append(_gain(lesson, iou))
    # One that could be tried on a few objects only has not proved as much.
    worth = {
        policy: sum(gains) / (len(gains) + _DOUBT)
        for policy, gains in advantages.items()
        if len(gains) >= LEAST_OBJECTS
    }
    return max(sorted(worth), key=lambda policy: worth[policy]) if worth else None


def _gain(lesson: Lesson, iou: float) -> float:
    """Return by how much a mask would have been better than what is preselected otherwise.

    Of two masks of another object, the one that is less wrong is no better.
    """
    iou, today = min(iou, _SAME), min(lesson.today, _SAME)
    return min(iou - today, max(iou, _OTHER) - max(today, _OTHER))


def scored(lesson: Lesson, known: Sequence[Lesson]) -> Lesson:
    """Return a lesson with what each kind of policies would have gained before it was known."""
    gains = {}
    for kind in Kind:
        policy = best_policy(known, kind) if len(known) >= LEAST_OBJECTS else None
        if policy is not None and policy in lesson.ious:
            gains[kind] = _gain(lesson, lesson.ious[policy])
    if lesson.moved is not None:
        gains[Kind.BORDER] = _gain(lesson, lesson.moved)
    return replace(lesson, gains=gains)


def knowledge_of(
    lessons: Sequence[Lesson],
    before: Sequence[Lesson] = (),
    refused_px: Sequence[float] = (),
) -> Knowledge:
    """Return what follows from lessons, in their order; `before` are those of other images.

    These tell what to do, but only lessons of this image tell whether that is better.
    """
    standings = [standing for kind in Kind if (standing := _standing(lessons, kind)).n_scored]
    standings.sort(key=lambda standing: -standing.recent)
    known = [*before, *lessons]
    better = (s for s in standings if s.gain > 0)
    offered = next((s for s in standings if s.leads), next(better, None))
    learnt = None if offered is None else _learnt(offered, standings, known, lessons)
    if learnt is not None:
        learnt = replace(learnt, refused_px=tuple(refused_px))
    border = learnt
    if offered is None or offered.kind is not Kind.BORDER:
        border = _learnt(Standing(Kind.BORDER, 0, 0.0), standings, known, lessons)
    return Knowledge(len(known), len(lessons), tuple(standings), learnt, border)


def samples_of(known: Sequence[Lesson]) -> tuple[Samples, ...]:
    """Return what objects told of where they end; empty if these are too few."""
    samples = [lesson.samples for lesson in known if lesson.samples is not None]
    return tuple(samples[-MAX_EXAMPLES:]) if len(samples) >= LEAST_OBJECTS else ()


def _learnt(
    offered: Standing,
    standings: Sequence[Standing],
    known: Sequence[Lesson],
    lessons: Sequence[Lesson],
) -> Learnt | None:
    """Return what is offered for first clicks."""
    has_border = offered.kind is Kind.BORDER
    chosen: Standing | None = offered
    if has_border:  # of the mask that would be preselected otherwise
        chosen = next((s for s in standings if s.leads and s.kind is not Kind.BORDER), None)
    policy = None if chosen is None else best_policy(known, chosen.kind)
    samples = samples_of(known) if has_border else ()
    if policy is None and not samples:
        return None
    has_disc = policy is not None and policy.has_disc
    radius_px = radius_of(lesson.area_px for lesson in known) if has_disc else 0.0
    levels = {level for lesson in lessons for level in lesson.places}
    newest = lessons[-MAX_EXAMPLES:]
    return Learnt(
        Recipe(policy, radius_px),
        len(known),
        is_preselected=offered.leads,
        areas_px=tuple(lesson.area_px for lesson in known[-MAX_EXAMPLES:]),
        places={
            level: tuple(lesson.places[level] for lesson in newest if level in lesson.places)
            for level in levels
        },
        samples=samples,
        token_policy=best_policy(known, Kind.TOKEN),
        size_pairs_px=tuple(
            (lesson.today_px, lesson.area_px) for lesson in newest if lesson.today_px
        ),
    )


def _standing(lessons: Sequence[Lesson], kind: Kind) -> Standing:
    """Return how a kind of policies has done.

    Where it was as right as what is preselected otherwise, it tells nothing.
    """
    all_gains = [lesson.gains[kind] for lesson in lessons if kind in lesson.gains]
    gains = [gain for gain in all_gains if gain][-SCORED:]
    if not gains:
        return Standing(kind, 0, 0.0)
    mean, recent = float(np.mean(gains)), float(np.mean(all_gains[-SCORED:]))
    if len(gains) == 1:
        return Standing(kind, 1, mean, recent=recent)
    doubt = float(np.std(gains, ddof=1)) / len(gains) ** 0.5
    return Standing(kind, len(gains), mean, doubt, float(np.mean(sorted(gains)[:-1])), recent)
