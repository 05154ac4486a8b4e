"""Which masks of two slices lie over each other, and which of them belong together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.storage.pacing import paced

_PART_SHARE: Final = 0.5
"""A mask with a larger share of its pixels inside a mask of the next slice is a part of that."""
_APART_SHARE: Final = 0.25
"""Parts of one mask have a smaller share of their pixels in common: they lie side by side."""

_T = TypeVar("_T", bound=Hashable)

Links = dict[tuple[int, int], float]
"""The overlap (IoU) of masks that belong together, by their positions in the two slices."""


@dataclass(frozen=True, eq=False)
class SliceMasks:
    """The masks of a slice, with what is compared first."""

    crops: Sequence[MaskCrop]
    areas_px: NDArray[np.int64]
    boxes: NDArray[np.int64]
    """(N, 4): first row and column, and the ones after the last."""

    @classmethod
    def of(cls, crops: Sequence[MaskCrop]) -> SliceMasks:
        """Measure masks."""
        areas_px = [np.count_nonzero(crop.mask) for crop in crops]
        boxes = [
            (top, left, top + mask.shape[0], left + mask.shape[1]) for mask, top, left in crops
        ]
        return cls(crops, np.array(areas_px, np.int64), np.array(boxes, np.int64).reshape(-1, 4))

    def subset(self, indices: Sequence[int]) -> SliceMasks:
        """Return some of the masks."""
        rows = np.array(indices, np.intp)
        return SliceMasks([self.crops[n] for n in indices], self.areas_px[rows], self.boxes[rows])

    @cached_property
    def _by_row(self) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]]:
        """The masks by first row: their positions, these rows, and how far down any has come."""
        order = np.argsort(self.boxes[:, 0], kind="stable")
        return order, self.boxes[order, 0], np.maximum.accumulate(self.boxes[order, 2])

    def near(self, box: NDArray[np.int64]) -> list[int]:
        """Return which boxes have pixels in common with another."""
        order, firsts, lowest = self._by_row
        start = int(np.searchsorted(lowest, box[0], side="right"))
        stop = int(np.searchsorted(firsts, box[2], side="left"))
        candidates = order[start:stop]
        boxes = self.boxes[candidates]
        meets = (boxes[:, :2] < box[2:]) & (box[:2] < boxes[:, 2:])
        return sorted(candidates[meets.all(axis=1)].tolist())


def common_px(crop: MaskCrop, other: MaskCrop) -> int:
    """Return how many pixels two masks have in common."""
    small, large = sorted((crop, other), key=lambda mask_crop: mask_crop.mask.size)
    return int(np.count_nonzero(small.mask & large.within(small.top, small.left, small.mask.shape)))


class Pairs:
    """The pairs of masks of two slices that have pixels in common; only these are compared."""

    def __init__(self, masks: SliceMasks, others: SliceMasks) -> None:
        self._masks, self._others = masks, others
        self._common_px = {
            (index, other): px
            for index, crop in enumerate(paced(masks.crops))
            for other in others.near(masks.boxes[index])
            if (px := common_px(crop, others.crops[other]))
        }

    def assigned(self, least_iou: float) -> Links:
        """Return at most one partner for each mask, so that all overlaps together are largest."""
        ious = {pair: iou for pair in self._common_px if (iou := self._iou(*pair)) >= least_iou}
        n_masks, n_others = len(self._masks.crops), len(self._others.crops)
        links: Links = {}
        # Masks that are far apart have nothing to do with each other: many small tables.
        pairs = [(index, n_masks + other) for index, other in ious]
        for group in groups_of(range(n_masks + n_others), pairs):
            indices = [number for number in group if number < n_masks]
            others = [number - n_masks for number in group if number >= n_masks]
            table = np.zeros((len(indices), len(others)))
            for row, column in np.ndindex(table.shape):
                table[row, column] = ious.get((indices[row], others[column]), 0)
            assigned = scipy.optimize.linear_sum_assignment(table, maximize=True)
            for row, column in zip(*assigned, strict=True):
                pair = indices[row], others[column]
                if pair in ious:
                    links[pair] = ious[pair]
        return links

    def parts(self, links: Links, least_iou: float) -> Links:
        """Return further links where a mask falls in parts on the other slice, largest part first.

        `links` are those that `assigned` returned. The parts lie side by side and together are
        like the mask.
        """
        forward = self._parts(links, self._masks, self._others, self._common_px, least_iou)
        taken = links | forward
        reverse = {(other, index): value for (index, other), value in taken.items()}
        common = {(other, index): px for (index, other), px in self._common_px.items()}
        backward = self._parts(reverse, self._others, self._masks, common, least_iou)
        return forward | {(index, other): iou for (other, index), iou in backward.items()}

    def _iou(self, index: int, other: int) -> float:
        px = self._common_px[index, other]
        return float(px / (self._masks.areas_px[index] + self._others.areas_px[other] - px))

    @staticmethod
    def _parts(
        links: Links,
        wholes: SliceMasks,
        masks: SliceMasks,
        common: Mapping[tuple[int, int], int],
        least_iou: float,
    ) -> Links:
        partners: defaultdict[int, list[int]] = defaultdict(list)
        for index, other in links:
            partners[index].append(other)
        free = set(range(len(masks.crops))) - {other for _, other in links}
        inside = defaultdict(list)
        for (index, other), px in common.items():
            if other in free and px > _PART_SHARE * masks.areas_px[other]:
                inside[index].append(other)
        further: Links = {}
        # A part of two masks, one inside the other, belongs to the inner one.
        for index in sorted(inside, key=lambda whole: (wholes.areas_px[whole], whole)):
            by_size = sorted(free & set(inside[index]), key=lambda n: (-masks.areas_px[n], n))
            parts = _apart([*partners[index], *by_size], masks)
            px = sum(common[index, part] for part in parts)
            iou = px / (wholes.areas_px[index] + masks.areas_px[parts].sum() - px)
            if len(parts) > 1 and iou >= least_iou:
                further |= {(index, part): float(iou) for part in parts if part in free}
                free -= set(parts)
        return further


def _apart(indices: Sequence[int], masks: SliceMasks) -> list[int]:
    """Return the masks that lie beside those before them."""
    parts: list[int] = []
    for index in indices:
        most_px = _APART_SHARE * masks.areas_px[index]
        crops = masks.crops
        if all(common_px(crops[index], crops[part]) < most_px for part in parts):
            parts.append(index)
    return parts


def groups_of(items: Sequence[_T], links: Sequence[tuple[_T, _T]]) -> list[list[_T]]:
    """Group items so that all that are linked are together, each group in the given order."""
    if not links:
        return [[item] for item in items]
    numbers = {item: number for number, item in enumerate(items)}
    ends = np.array([(numbers[item], numbers[other]) for item, other in links]).T
    graph = scipy.sparse.coo_array(
        (np.ones(len(links)), (ends[0], ends[1])), shape=(len(items), len(items))
    )
    _, group_numbers = scipy.sparse.csgraph.connected_components(graph, directed=False)
    groups: defaultdict[int, list[_T]] = defaultdict(list)
    for item, number in zip(items, group_numbers.tolist(), strict=True):
        groups[number].append(item)
    return list(groups.values())
