"""How like examples automatic masks are: candidates for everything of a kind.

The other masks count as negatives at first, though some are of the kind: among many of them, these
hardly matter for the order (C. Elkan and K. Noto, "Learning classifiers from only positive and
unlabeled data", 2008). Then only the half that is least like the examples does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.linking.pairs import SliceMasks, common_px
from napari_sam.session.objects.features import ObjectFeatures, SeenTile, comparable, features_of
from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.objects.slice_planning import crop_of

_EMBEDDING_WEIGHT: Final = 0.5
"""Of what the model sees, beside colors, size and shape."""
_RIDGE: Final = 0.1
_REJECTED_WEIGHT: Final = 0.1
"""Of a mask that the user has rejected; all others weigh 1 together, as do all examples."""
_SAME_SHARE: Final = 0.5
"""Of the smaller one of two masks that are of one object."""

_Array = NDArray[np.float64]
_Key = tuple[Any, ...]


class Rankable(Protocol):
    """An automatic mask."""

    @property
    def key(self) -> _Key:
        """Tells it from all others."""

    @property
    def plane_crop(self) -> MaskCrop:
        """Its pixels of the plane."""

    @property
    def likeness(self) -> float | None:
        """How much it is like examples, if they are compared."""


MaskT = TypeVar("MaskT", bound=Rankable)  # a dataclass


def likeness_of(
    examples: Sequence[ObjectFeatures],
    candidates: Sequence[ObjectFeatures],
    rejected: Sequence[ObjectFeatures] = (),
) -> NDArray[np.float64]:
    """Return how like examples candidates are, from 0 to 1; rejected ones are of another kind."""
    if not candidates:
        return np.zeros(0)
    features = comparable([*examples, *rejected, *candidates], _EMBEDDING_WEIGHT)
    n_examples, n_known = len(examples), len(examples) + len(rejected)
    positive, negative, unknown = np.split(features, [n_examples, n_known])
    values = _fitted(positive, negative, unknown, unknown)
    unlike = unknown[values <= np.median(values)]
    return np.asarray((_fitted(positive, negative, unlike, unknown) + 1) / 2).clip(0, 1)


def most_similar(
    values: NDArray[np.float64], least: float, crop_of: Callable[[int], MaskCrop]
) -> list[int]:
    """Return which masks are most like examples, one for each object, the most similar first.

    Of masks that have half of the smaller one in common, the most similar one stays: objects of
    a kind do not lie within each other. None has a lower value than the least one.
    """
    order = [int(index) for index in np.argsort(-values, kind="stable") if values[index] >= least]
    masks = SliceMasks.of([crop_of(index) for index in order])
    stays = np.ones(len(order), bool)
    for rank, crop in enumerate(masks.crops):
        for other in masks.near(masks.boxes[rank]) if stays[rank] else ():
            if other > rank and stays[other]:
                least_px = _SAME_SHARE * masks.areas_px[[rank, other]].min()
                stays[other] = common_px(crop, masks.crops[other]) < least_px
    return [index for index, is_one in zip(order, stays, strict=True) if is_one]


def _fitted(positive: _Array, negative: _Array, unknown: _Array, wanted: _Array) -> _Array:
    """Return what a ridge regression from the examples, 1, and the others, -1, tells of some."""
    rejected = min(1.0, _REJECTED_WEIGHT * len(negative))
    parts = (positive, 1.0, 1.0), (negative, -1.0, rejected), (unknown, -1.0, 1.0)
    known = np.concatenate([part for part, _, _ in parts])
    targets = np.concatenate([np.full(len(part), value) for part, value, _ in parts])
    weights = np.concatenate([np.full(len(p), total / max(1, len(p))) for p, _, total in parts])
    weights /= weights.sum()
    middle, offset = weights @ known, float(weights @ targets)
    scale = np.sqrt(weights)[:, None] * 2**0.5
    scaled = (known - middle) * scale
    square = scaled.T @ scaled + _RIDGE * np.eye(scaled.shape[1])
    slopes = np.linalg.solve(square, scaled.T @ (scale[:, 0] * (targets - offset)))
    return np.asarray((wanted - middle) @ slopes + offset)


class Examples(NamedTuple):
    """Objects of a kind, and others that are not of it."""

    like: tuple[ObjectFeatures, ...] = ()
    unlike: tuple[ObjectFeatures, ...] = ()


NO_EXAMPLES: Final = Examples()


class Likeness:
    """Ranks the automatic masks of a plane; each is measured once, on the thread that chooses.

    What the user decides is told on the owner's thread.
    """

    def __init__(self, seen: SeenTile, examples: Examples) -> None:
        self._seen, self._examples = seen, examples
        self._measured: dict[_Key, ObjectFeatures] = {}
        self._ranked: dict[_Key, Any] = {}
        self._accepted: frozenset[_Key] = frozenset()
        self._rejected: frozenset[_Key] = frozenset()

    def decide(self, accepted: Collection[_Key], rejected: Collection[_Key]) -> None:
        """Count accepted masks as examples, and rejected ones as of another kind."""
        self._accepted, self._rejected = frozenset(accepted), frozenset(rejected)

    @property
    def examples(self) -> Examples:
        """The examples, and what the user has decided about masks that were measured."""
        like, unlike = self._examples
        accepted, rejected = self._known(self._accepted), self._known(self._rejected)
        return Examples((*like, *accepted), (*unlike, *rejected))

    def ranked(self, masks: Sequence[MaskT], least: float) -> list[MaskT]:
        """Return the masks that are similar enough to the examples, the most similar first."""
        candidates = [self._features(mask) for mask in masks]
        like, unlike = self.examples
        values = likeness_of(like, candidates, unlike)
        kept = most_similar(values, least, lambda n: masks[n].plane_crop)
        return [self._with_likeness(masks[n], float(values[n])) for n in kept]

    def _with_likeness(self, mask: MaskT, value: float) -> MaskT:
        """Return a mask with its likeness; the same one as long as that is the same."""
        known = self._ranked.get(mask.key)
        if known is None or known.likeness != value:
            known = self._ranked[mask.key] = replace(mask, likeness=value)  # type: ignore[type-var]
        return cast("MaskT", known)

    def _known(self, keys: Collection[_Key]) -> list[ObjectFeatures]:
        return [self._measured[key] for key in sorted(keys, key=repr) if key in self._measured]

    def _features(self, mask: Rankable) -> ObjectFeatures:
        if mask.key not in self._measured:
            self._measured[mask.key] = features_of(mask.plane_crop, self._seen)
        return self._measured[mask.key]


def examples_on(
    records: Sequence[ObjectRecord], target: LabelsPlane, seen: SeenTile, others: Examples
) -> Examples:
    """Measure objects of a plane, and put those of others before them."""
    crops = [crop_of(record, target) for record in records]
    here = [features_of(crop, seen) for crop in crops if crop.mask.size]
    return others._replace(like=(*others.like, *here))


def joined(likenesses: Sequence[Likeness]) -> Examples:
    """Return the examples of several slices; those that all began with are there once."""
    parts = [likeness.examples for likeness in likenesses]
    like, unlike = (
        tuple({id(one): one for part in parts for one in part[kind]}.values()) for kind in (0, 1)
    )
    return Examples(like, unlike)
