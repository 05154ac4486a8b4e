"""Choose the preselected candidate by score, place, edges, and the objects accepted before.

The likelihood that a mask is meant, given those accepted and those passed over, is estimated by
kernels around each of them (E. Parzen, "On Estimation of a Probability Density Function and Mode",
1962): accepted objects may be of several kinds. All numbers were chosen with
benchmarks/annotator.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.decoding.features import MaskFeatures
from napari_sam.session.decoding.learnt import Learnt
from napari_sam.session.image.tiles import Box

HIGHEST_SCORE: Final = "highest score"
"""Why a mask is preselected, as a rule."""
MAX_EXAMPLES: Final = 32
"""The number of accepted objects that count: the newest."""
_STABILITY_WEIGHT: Final = 0.02
"""Separates masks with nearly equal scores; a larger one makes first objects worse."""
_EDGE_WEIGHT: Final = 0.1
"""The predicted IoU that e times as strong edges along the border are worth..."""
_EDGES: Final = (0.3, 5.0)
"""...within these limits, in medians of the tile: a mask ends at something that is seen."""
_FILLS_SHARE, _FILLS_BORDER = 0.75, 0.3
"""Shares of the tile and of its border above which a mask is the whole field..."""
_FILLS_COST: Final = 0.25
"""...and the lead in score with which it is preselected nevertheless."""
_ALL_SIDES: Final = 4
_VIEW_SLACK: Final = 0.01
"""How far a mask may exceed the view, as a share of its longer side."""
_BEYOND_VIEW_COST: Final = 0.15
"""Lead in score with which a mask is preselected that leaves the view on one side more..."""
_CLEAR: Final = 0.97
"""...unless it is as stable as this and leaves it on one side only: an object at the edge."""
_FLOOD_COST: Final = 10.0
"""More than any lead: a mask that leaves the view on all sides is not preselected beside others."""
_GREW: Final = 1.25
"""Ratio of areas from which on a mask is larger than the one before..."""
_GREW_COST: Final = 0.5
"""...and the lead in score with which it is preselected although the user excluded something."""
_FAR_LARGER: Final = 8.0
"""The same ratio where the user added something: beyond it, another object is meant."""
_SIMILARITY_WEIGHT: Final = 0.1
"""The predicted IoU that e times the similarity is worth."""
_UNKNOWN: Final = 0.5
"""Similarity of a mask that resembles no example: a few examples have little influence."""
_SCALES: Final = {
    "size": (0.65,),
    "brightness": (26.0, 20.0),
    "shape": (0.45, 0.2),
}
"""Differences at which masks are half dissimilar: of the logarithm of the area; of brightness
and contrast; of elongation and fullness."""
_NAMES: Final = [name for name, scales in _SCALES.items() for _ in scales]
_SCALE: Final = np.array([scale for scales in _SCALES.values() for scale in scales])
_LEAST_GAIN: Final = 0.15
"""The gain in similarity of a feature, 0 to 1, from which on it is named as a reason."""


@dataclass(frozen=True, eq=False)
class Example:
    """An accepted object."""

    features: MaskFeatures  # of the candidates
    accepted: int  # index of the accepted one; the others were passed over


AcceptedExamples = tuple[Example, ...]
"""The objects accepted before, the oldest first; not more than `MAX_EXAMPLES`."""


class MaskBefore(NamedTuple):
    """The mask that was shown before a correction."""

    area_px: float
    box_xyxy: Box
    is_excluding: bool = True  # rather than one that adds something

    def grew(self, areas_px: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which masks with these areas are larger than the correction can mean."""
        return areas_px > (_GREW if self.is_excluding else _FAR_LARGER) * self.area_px


@dataclass(frozen=True, eq=False)
class DecodeContext:
    """What candidates are ranked by, beside their own features, and how they are cleaned."""

    examples: AcceptedExamples = ()
    view: Box | None = None  # the part of the plane in sight; None: all of it
    clean_strength: float = 0.0  # 0 shows masks as published; see `cleaned`
    corrected_from: MaskBefore | None = None  # what the last clicks correct
    learnt: Learnt | None = None  # what accepted objects tell of first clicks

    def sides_beyond_view(self, bounds: Sequence[Box | None]) -> NDArray[np.intp]:
        """Return on how many sides boxes leave the view, 0 to 4; (K,).

        Where the view ends with the plane, a box that ends there too leaves it if it leaves all
        other sides.
        """
        if self.view is None:
            return np.zeros(len(bounds), np.intp)
        view = np.array(self.view)
        slack = _VIEW_SLACK * max(view[2:] - view[:2])
        boxes = np.array([(np.nan,) * 4 if box is None else box for box in bounds])
        outward = (boxes - view) * (-1, -1, 1, 1)
        count = np.count_nonzero(outward > slack, axis=1)
        return np.where((outward >= -slack).all(axis=1), _ALL_SIDES, count)


NO_CONTEXT: Final = DecodeContext()


@dataclass(frozen=True, eq=False)
class Ranking:
    """An order of candidates."""

    order: tuple[int, ...]  # indices of the candidates, the preselected one first
    reason: str  # why that is preselected, in a few words
    features: MaskFeatures  # those that the order is built on

    def example(self, accepted: int) -> Example:
        """Return the example to keep when a candidate is accepted."""
        return Example(self.features, accepted)


def rank(
    features: MaskFeatures,
    examples: AcceptedExamples,
    sides_beyond_view: NDArray[np.intp] | None = None,
    corrected_from: MaskBefore | None = None,
) -> Ranking:
    """Rank candidates; the first one is preselected by widget, script, batches and commands."""
    scores = np.minimum(features.iou_predictions, 1)
    fills = fills_field(features)
    # A box tells the extent of the object, and a user who accepted a whole field may mean one.
    if features.has_box or any(fills_field(e.features)[e.accepted] for e in examples):
        fills[:] = False
    clearness, stability = _clearness(features), features.stability_score
    at_first = scores + clearness + _STABILITY_WEIGHT * stability - _FILLS_COST * fills
    if sides_beyond_view is not None and not features.has_box:
        is_cut = (sides_beyond_view == 1) & (features.stability_score >= _CLEAR)
        at_first -= _BEYOND_VIEW_COST * np.where(is_cut, 0, sides_beyond_view)
        at_first -= _FLOOD_COST * (sides_beyond_view == _ALL_SIDES)
    grew = np.zeros(len(features), bool)
    if corrected_from is not None:
        grew = corrected_from.grew(features.area_px)
        at_first -= _GREW_COST * grew
    worth, likeness = at_first, None
    if examples:
        likeness = _likeness(features, examples)
        worth = at_first + _SIMILARITY_WEIGHT * likeness.difference
    order = tuple(int(index) for index in np.argsort(-worth, kind="stable"))
    first, without_examples = order[0], int(np.argmax(at_first))
    # Of equally good masks, another one: that a score was highest decided nothing.
    highest = max(order, key=lambda index: (scores[index], index != first))
    if first == highest:
        reason = HIGHEST_SCORE
    elif likeness is not None and first != without_examples:
        reason = _reason_of_examples(features, examples, likeness, first, without_examples)
    elif grew[highest]:
        reason = f"preferred to mask {highest + 1}, which grew too much"
    elif fills[highest]:
        reason = f"preferred to mask {highest + 1}, which fills the field"
    elif sides_beyond_view is not None and sides_beyond_view[highest]:
        reason = f"preferred to mask {highest + 1}, which leaves the view"
    elif int(np.argmax(at_first - clearness)) != first:
        reason = f"ends at clearer edges than mask {highest + 1}"
    elif stability[first] <= stability[highest]:
        reason = HIGHEST_SCORE
    else:
        reason = f"as good as mask {highest + 1}, and more stable"
    return Ranking(order, reason, features)


def _clearness(features: MaskFeatures) -> NDArray[np.float64]:
    """Return what it is worth how strong the edges are that masks end at; 0 if unknown.

    A box tells where the object ends.
    """
    if features.has_box:
        return np.zeros(len(features))
    return np.nan_to_num(_EDGE_WEIGHT * np.log(np.clip(features.edge, *_EDGES)))


def fills_field(features: MaskFeatures) -> NDArray[np.bool_]:
    """Return which candidates are nearly the whole tile."""
    return (features.tile_share > _FILLS_SHARE) & (features.border_share > _FILLS_BORDER)


def _feature_vectors(features: MaskFeatures) -> NDArray[np.float64]:
    """Return the features of each candidate (K, D) in units of `_SCALE`."""
    columns: tuple[NDArray[np.float64], ...] = (
        np.log(np.maximum(features.area_px, 0.5)),
        features.brightness,
        features.contrast,
        features.elongation,
        features.fullness,
    )
    return np.asarray(np.stack(columns, axis=1) / _SCALE)


class _Likeness(NamedTuple):
    """The logarithms of how much each candidate resembles former masks; (K,)."""

    accepted: NDArray[np.float64]
    passed_over: NDArray[np.float64]

    @property
    def difference(self) -> NDArray[np.float64]:
        """How much more each candidate resembles the accepted ones."""
        return self.accepted - self.passed_over


def _likeness(features: MaskFeatures, examples: AcceptedExamples) -> _Likeness:
    """Compare each candidate with the accepted masks and with the others there were.

    The position of a mask among the model's candidates would be a hint too, but with several
    clicks on an object it is misleading.
    """
    shown = [(_feature_vectors(example.features), example.accepted) for example in examples]
    taken = np.array([places[accepted] for places, accepted in shown])
    passed_over = np.concatenate([np.delete(places, accepted, 0) for places, accepted in shown])
    # After some clicks all candidates are the object: only dissimilar ones were passed over.
    unlike = np.concatenate(
        [1 - np.delete(_kernels(places, places[[n]])[:, 0], n) for places, n in shown]
    )
    vectors = _feature_vectors(features)
    accepted = _kernels(vectors, taken).sum(axis=1)
    # For each accepted mask, all other candidates are passed over.
    refused = _kernels(vectors, passed_over) @ unlike * len(taken) / max(1, len(passed_over))
    return _Likeness(np.log(accepted + _UNKNOWN), np.log(refused + _UNKNOWN))


def _kernels(vectors: NDArray[np.float64], around: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (K, N): the similarity, 0 to 1, of vectors (K, D) to others (N, D)."""
    return np.asarray(np.exp(-_squared_differences(vectors, around).sum(axis=2) / 2))


def _squared_differences(
    vectors: NDArray[np.float64], around: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (K, N, D); an unknown feature of either makes no difference."""
    return np.nan_to_num(vectors[:, None] - around[None]) ** 2


def _reason_of_examples(
    features: MaskFeatures,
    examples: AcceptedExamples,
    likeness: _Likeness,
    first: int,
    other: int,
) -> str:
    """Return why accepted objects make one mask the first, and not another one."""
    gain_of_accepted = likeness.accepted[first] - likeness.accepted[other]
    if gain_of_accepted < likeness.passed_over[other] - likeness.passed_over[first]:
        return f"preferred to mask {other + 1}: you skipped similar ones"
    vectors = _feature_vectors(features)
    accepted = np.array(
        [_feature_vectors(example.features)[example.accepted] for example in examples]
    )
    alike = np.exp(-_squared_differences(vectors, accepted) / 2).mean(axis=1)
    gains: dict[str, float] = {}
    for name, gain in zip(_NAMES, alike[first] - alike[other], strict=True):
        gains[name] = max(gains.get(name, 0), float(gain))
    names = [name for name in sorted(gains, key=lambda n: -gains[n]) if gains[name] > _LEAST_GAIN]
    if not names:
        return "more like your objects"
    return f"like your objects: {' and '.join(names[:2])}"
