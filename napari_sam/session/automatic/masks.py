"""Found masks as proposals: which of them are offered, and what becomes of one that is kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.automatic.request import TileMasks
from napari_sam.session.automatic.settings import AutomaticRunSettings, OverlapOrder
from napari_sam.session.automatic.similarity import SimilarityLimits, mean_inside
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.objects.labels import LabelsPlane, parts
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord, score_of
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts

if TYPE_CHECKING:
    from napari_sam.engine.automatic_settings import AutomaticSettings
    from napari_sam.model.automatic.mask_set import MaskRecord, MaskSet

_MOSTLY: Final = 0.5
"""Share of a mask that lies on labels from which on it is not one of the rest."""

Key = tuple[Any, ...]
"""Tells a found mask from all others of a search."""


@dataclass(frozen=True, eq=False)
class AutomaticMask:
    """A mask that was found, in pixels of the plane."""

    record: MaskRecord  # in pixels of the tile as they were read
    tile: Tile  # where it was found
    size: tuple[int, int]  # height and width of the tile as it was read
    brightness: float  # mean of what the model saw inside, 0 to 255

    @property
    def key(self) -> Key:
        """The same for the same mask, however it is filtered."""
        one = self.record
        return self.tile, one.crop_box_xyxy, one.point_xy, one.candidate

    @property
    def _factor(self) -> tuple[float, float]:
        """Height and width of a pixel as read in pixels of the plane."""
        return self.tile.height / self.size[0], self.tile.width / self.size[1]

    @cached_property
    def span(self) -> tuple[slice, slice]:
        """Rows and columns of its bounding box."""
        crop = self.record.crop
        starts, lengths = (crop.top, crop.left), crop.mask.shape
        firsts = (self.tile.top, self.tile.left)
        rows, columns = (
            # At least a pixel, also of a plane that was read enlarged.
            slice(first + round(a * f), first + max(round(a * f) + 1, round((a + n) * f)))
            for first, a, n, f in zip(firsts, starts, lengths, self._factor, strict=True)
        )
        return rows, columns

    @property
    def area_px(self) -> float:
        """How many pixels of the plane it has, about."""
        height, width = self._factor
        return self.record.area * height * width

    @property
    def point_xy(self) -> tuple[float, float]:
        """The point that it was found with."""
        x, y = self.record.point_xy
        height, width = self._factor
        return (
            self.tile.left + x * width + (width - 1) / 2,
            self.tile.top + y * height + (height - 1) / 2,
        )

    @property
    def quality(self) -> float:
        """By which proposals are ranked: the mean of the predicted IoU and the stability score."""
        return (self.record.predicted_iou + self.record.stability_score) / 2

    def at(self, rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.bool_]:
        """Return (h, w) bool: the mask at these rows (h,) and columns (w,) of the plane."""
        crop = self.record.crop
        mask = np.pad(crop.mask, 1)  # what lies outside is background
        height, width = self._factor
        r = np.floor((rows - self.tile.top + 0.5) / height).astype(int) - crop.top + 1
        c = np.floor((columns - self.tile.left + 0.5) / width).astype(int) - crop.left + 1
        r, c = r.clip(0, mask.shape[0] - 1), c.clip(0, mask.shape[1] - 1)
        sampled: NDArray[np.bool_] = mask[r[:, None], c]
        return sampled

    def blocks(self) -> Iterator[tuple[NDArray[np.bool_], int, int]]:
        """Yield the mask in parts that do not overlap: (h, w) bool, first row, first column."""
        rows, columns = self.span
        size = rows.stop - rows.start, columns.stop - columns.start
        for (top, left), (height, width) in parts((rows.start, columns.start), size):
            mask = self.at(np.arange(top, top + height), np.arange(left, left + width))
            yield mask, top, left

    def object_record(
        self, plane: LabelsPlane, state: ObjectState, class_name: str | None = None
    ) -> ObjectRecord:
        """Return it as an object for `AnnotationSession.add`."""
        blocks = (plane.to_nd(*block) for block in self.blocks())
        return ObjectRecord(
            0,
            (),
            (),
            0,
            score=score_of(self.record.predicted_iou),
            stability=self.record.stability_score,
            class_name=class_name,
            state=state,
            masks=tuple(PackedMask(start, mask) for mask, start in blocks if mask.any()),
        )

    def object_state(self) -> ObjectState:
        """Return the click that it was found with, so that it can be reopened like any object."""
        prompts = Prompts(points_xy=(self.point_xy,), point_labels=(FOREGROUND,))
        height, width = self.size
        if self.record.crop_box_xyxy != (0, 0, width, height):
            return ObjectState(prompts)  # of a crop that nobody looks at otherwise
        return ObjectState(prompts, choice=self.record.candidate, tile=self.tile)


def choose_masks(
    tiles: Sequence[TileMasks],
    pyramid: TilePyramid,
    settings: AutomaticRunSettings,
    likeness: SimilarityLimits | None = None,
    rest_of: LabelsPlane | None = None,
    without: Collection[Key] = (),
) -> list[AutomaticMask]:
    """Choose among found masks; decodes nothing. For a background thread."""
    height, width = pyramid.shape
    most_px = min(settings.max_area_px, settings.max_share * height * width)
    proposals = [
        proposal
        for one in tiles
        for proposal in _proposals(one, settings)
        if one.tile == pyramid.whole or not pyramid.cuts(one.tile, _edges(proposal))
    ]
    if len(tiles) > 1:
        proposals = _without_similar(proposals, settings.crop_nms_thresh)
    chosen = [
        one
        for one in proposals
        if settings.min_area_px <= one.area_px <= most_px
        and (likeness is None or likeness.admits(one.area_px, one.brightness))
        and one.key not in without
        and (rest_of is None or _share_labelled(one, rest_of) < _MOSTLY)
    ]
    return sorted(chosen, key=lambda one: -one.record.predicted_iou)


def in_overlap_order(
    proposals: Iterable[AutomaticMask], layering: OverlapOrder
) -> list[AutomaticMask]:
    """Return proposals in the order in which they have the pixels that several of them cover."""
    if layering is OverlapOrder.SMALLER:
        return sorted(proposals, key=lambda one: one.area_px)
    if layering is OverlapOrder.BETTER:
        return sorted(proposals, key=lambda one: -one.quality)
    return sorted(proposals, key=lambda one: (-one.tile.side, one.point_xy[::-1]))


def _proposals(one: TileMasks, settings: AutomaticRunSettings) -> list[AutomaticMask]:
    """Return what a tile has; at once if the settings are those of the last time."""
    published, size = _published(settings, one.found), one.found.original_size
    if published not in one.chosen:
        proposals = []
        for record in one.found.select(published):
            crop = record.crop
            brightness = mean_inside(one.gray, size, crop.mask, crop.top, crop.left)
            proposals.append(AutomaticMask(record, one.tile, size, brightness))
        one.chosen.clear()
        one.chosen[published] = proposals
    return one.chosen[published]


def _published(settings: AutomaticRunSettings, found: MaskSet) -> AutomaticSettings:
    """Return settings that do not ask for what was not decoded."""
    wanted = settings.published()
    names = found.settings.needing_another_run(wanted)
    decoded = {name: getattr(found.settings, name) for name in names}
    return replace(
        wanted, **decoded, pred_iou_thresh=max(wanted.pred_iou_thresh, found.lowest_pred_iou)
    )


def _edges(proposal: AutomaticMask) -> tuple[float, float, float, float]:
    rows, columns = proposal.span
    return columns.start - 0.5, rows.start - 0.5, columns.stop - 0.5, rows.stop - 0.5


def _without_similar(proposals: list[AutomaticMask], iou_thresh: float) -> list[AutomaticMask]:
    """Keep of masks with like boxes that of the smallest tile, as published for crops."""
    from napari_sam.model.automatic.mask_ops import non_maximum_suppression

    if not proposals:
        return []
    boxes = np.array([_edges(one) for one in proposals])
    # Between tiles of one size, the better mask stays: a predicted IoU is about 1 at most.
    scores = np.array([-one.tile.height * one.tile.width * 2 for one in proposals], float)
    scores += np.array([one.record.predicted_iou for one in proposals])
    return [proposals[index] for index in non_maximum_suppression(boxes, scores, iou_thresh)]


def _share_labelled(proposal: AutomaticMask, plane: LabelsPlane) -> float:
    labelled = total = 0
    for mask, top, left in proposal.blocks():
        height, width = mask.shape
        labels = plane.read(slice(top, top + height), slice(left, left + width))
        labelled += int(np.count_nonzero(labels[mask]))
        total += int(np.count_nonzero(mask))
    return labelled / max(1, total)
