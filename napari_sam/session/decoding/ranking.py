"""Which candidate is preselected: by its score, its place, and what the user has accepted.

How likely a mask is meant, given those that were accepted and those passed over, is estimated by
kernels around each of them (E. Parzen, "On Estimation of a Probability Density Function and Mode",
1962): accepted objects may be of several kinds. All numbers were chosen with
benchmarks/annotator.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.decoding.features import MaskFeatures

MAX_EXAMPLES: Final = 32
"""Accepted objects that count: the newest."""
_STABILITY_WEIGHT: Final = 0.02
"""Tells masks apart whose scores are all but equal; more makes first objects worse."""
_FILLS_SHARE, _FILLS_BORDER = 0.75, 0.3
"""Shares of the tile and of its border from which on a mask is the whole field..."""
_FILLS_COST: Final = 0.25
"""...and how much better another's score may be for it to be preselected nevertheless."""
_LIKENESS_WEIGHT: Final = 0.1
"""Predicted IoU that e times the likeness is worth."""
_UNKNOWN: Final = 0.5
"""SimilarityLimits of what is like nothing in memory: so many examples have little to say."""
_SCALES: Final = {
    "size": (0.65,),
    "brightness": (26.0, 20.0),
    "shape": (0.45, 0.2),
}
"""Differences that make masks half unlike: of the logarithm of the area; of brightness and
contrast; of elongation and fullness."""
_NAMES: Final = [name for name, scales in _SCALES.items() for _ in scales]
_SCALE: Final = np.array([scale for scales in _SCALES.values() for scale in scales])
_LEAST_GAIN: Final = 0.15
"""How much more alike in something, 0 to 1, a mask must be for that to be called a reason."""


@dataclass(frozen=True, eq=False)
class Example:
    """An accepted object."""

    traits: MaskFeatures  # of the candidates that there were
    accepted: int  # index of the one that was taken; the others were passed over


Memory = tuple[Example, ...]
"""What the user has accepted, the oldest first; not more than `MAX_EXAMPLES`."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """An order of candidates."""

    order: tuple[int, ...]  # indices of the candidates, that of the preselected one first
    reason: str  # why that is the first, in some words
    traits: MaskFeatures  # what the order is built on

    def example(self, accepted: int) -> Example:
        """Return what there is to remember when a candidate is accepted."""
        return Example(self.traits, accepted)


def rank(traits: MaskFeatures, memory: Memory) -> Ranking:
    """Put candidates in order; a pure function."""
    scores = np.minimum(traits.iou_predictions, 1)
    fills = _fills_field(traits)
    # A box says how far the object reaches, and who accepted a whole field may mean one again.
    if traits.has_box or any(_fills_field(e.traits)[e.accepted] for e in memory):
        fills[:] = False
    at_first = scores + _STABILITY_WEIGHT * traits.stability_score - _FILLS_COST * fills
    worth = at_first + _LIKENESS_WEIGHT * _likeness(traits, memory) if memory else at_first
    order = tuple(int(index) for index in np.argsort(-worth, kind="stable"))
    first, highest = order[0], int(np.argmax(traits.iou_predictions))
    if first == highest:
        reason = "highest predicted IoU"
    elif first != int(np.argmax(at_first)):
        reason = _reason_of_memory(traits, memory, first, highest)
    elif fills[highest]:
        reason = f"mask {highest + 1} fills the whole field"
    else:
        reason = f"as good as mask {highest + 1}, and more stable"
    return Ranking(order, reason, traits)


def _fills_field(traits: MaskFeatures) -> NDArray[np.bool_]:
    """Return which candidates are more or less the whole tile."""
    return (traits.tile_share > _FILLS_SHARE) & (traits.border_share > _FILLS_BORDER)


def _places(traits: MaskFeatures) -> NDArray[np.float64]:
    """Return each candidate as a point (K, D) in units of `_SCALE`."""
    columns: tuple[NDArray[np.float64], ...] = (
        np.log(np.maximum(traits.area_px, 0.5)),
        traits.brightness,
        traits.contrast,
        traits.elongation,
        traits.fullness,
    )
    return np.asarray(np.stack(columns, axis=1) / _SCALE)


def _likeness(traits: MaskFeatures, memory: Memory) -> NDArray[np.float64]:
    """Return, per candidate, the logarithm of how much more it is like what was accepted.

    Which of the model's three a mask is would be a hint too, but with several clicks on an object
    it says nothing, and misleads.
    """
    shown = [(_places(example.traits), example.accepted) for example in memory]
    taken = np.array([places[accepted] for places, accepted in shown])
    passed_over = np.concatenate([np.delete(places, accepted, 0) for places, accepted in shown])
    # After some clicks all three are the object: only what was unlike it was really passed over.
    unlike = np.concatenate(
        [1 - np.delete(_kernels(places, places[[n]])[:, 0], n) for places, n in shown]
    )
    places = _places(traits)
    accepted = _kernels(places, taken).sum(axis=1)
    # As many are passed over for one that is taken as there are others.
    refused = _kernels(places, passed_over) @ unlike * len(taken) / max(1, len(passed_over))
    return np.asarray(np.log(accepted + _UNKNOWN) - np.log(refused + _UNKNOWN))


def _kernels(places: NDArray[np.float64], around: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (K, N): how alike, 0 to 1, places (K, D) are to others (N, D)."""
    return np.asarray(np.exp(-_squared_differences(places, around).sum(axis=2) / 2))


def _squared_differences(
    places: NDArray[np.float64], around: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (K, N, D); what is not known of either makes no difference."""
    return np.nan_to_num(places[:, None] - around[None]) ** 2


def _reason_of_memory(traits: MaskFeatures, memory: Memory, first: int, highest: int) -> str:
    """Say in what a mask is more like the accepted ones than that with the highest score."""
    places = _places(traits)
    accepted = np.array([_places(example.traits)[example.accepted] for example in memory])
    alike = np.exp(-_squared_differences(places, accepted) / 2).mean(axis=1)
    gains: dict[str, float] = {}
    for name, gain in zip(_NAMES, alike[first] - alike[highest], strict=True):
        gains[name] = max(gains.get(name, 0), float(gain))
    names = [name for name in sorted(gains, key=lambda n: -gains[n]) if gains[name] > _LEAST_GAIN]
    if not names:
        return f"mask {highest + 1} is like those you passed over"
    return f"like the objects you accepted: {' and '.join(names[:2])}"
