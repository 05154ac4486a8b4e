"""Automatic masks in pixels of the plane: which of them are offered, and as objects."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.session.automatic.request import TileMasks
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.automatic.similarity import SimilarityLimits, mean_inside
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.image.tiles import Box, Tile, TilePyramid
from napari_sam.session.objects.labels import LabelsPlane, parts
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord, score_of
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts

if TYPE_CHECKING:
    from napari_sam.engine.automatic_settings import AutomaticSettings
    from napari_sam.model.automatic.mask_set import MaskRecord, MaskSet

_MAX_LABELLED_SHARE: Final = 0.5
"""A mask that lies on labels by this share or more is not a remaining object."""

_BACKGROUND_SHARE: Final = 0.5
"""Of the plane; what covers more of it and touches all its borders lies behind the objects."""
SAME_OBJECT_IOU: Final = 0.6
"""Masks of at least this intersection over union are of one object, which tiles of another size
show more or less coarsely. A cell and a clump of it and another one have about 0.5."""
_SAMPLES: Final = 64
"""Pixels along an axis that are compared, at least, of two masks."""

MaskKey = tuple[Any, ...]
"""Tells an automatic mask from all others of a run."""
PictureRegion = tuple[int, slice, slice]
"""Slice of the stack, rows and columns; the slice is 0 where only one plane is shown."""


@dataclass(frozen=True, eq=False)
class AutomaticMask:
    """A mask of an automatic run, in pixels of the plane."""

    record: MaskRecord  # in pixels of the tile as they were read
    tile: Tile  # where it was decoded
    size: tuple[int, int]  # height and width of the tile as it was read
    brightness: float  # mean of what the model saw inside, 0 to 255
    likeness: float | None = field(default=None, kw_only=True)  # to examples, 0 to 1

    @property
    def key(self) -> MaskKey:
        """The same for the same mask, however it is filtered."""
        record = self.record
        return self.tile, record.crop_box_xyxy, record.point_xy, record.candidate

    @property
    def keys(self) -> tuple[MaskKey, ...]:
        """By which it is known to be done."""
        return (self.key,)

    @property
    def slice_index(self) -> int | None:
        """The slice that it lies on, in a run through several."""
        return None

    @property
    def columns(self) -> dict[str, Any]:
        """What the table of masks has of it besides scores, areas and boxes."""
        return {} if self.likeness is None else {"likeness": round(self.likeness, 4)}

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
        """The point that it was decoded from."""
        x, y = self.record.point_xy
        height, width = self._factor
        return (
            self.tile.left + x * width + (width - 1) / 2,
            self.tile.top + y * height + (height - 1) / 2,
        )

    def is_background(self, shape: tuple[int, int]) -> bool:
        """Whether it touches all four borders of a plane, and covers more than half of it."""
        height, width = shape
        if self.area_px <= _BACKGROUND_SHARE * height * width:
            return False
        rows, columns = self.span
        return (rows.start, rows.stop, columns.start, columns.stop) == (0, height, 0, width)

    @property
    def quality(self) -> float:
        """The mean of the predicted IoU and the stability score, by which masks are ranked."""
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

    @property
    def plane_crop(self) -> MaskCrop:
        """Its pixels of the plane."""
        rows, columns = self.span
        pixels = self.at(*(np.arange(span.start, span.stop) for span in (rows, columns)))
        return tight_crop(pixels, rows.start, columns.start)

    @property
    def plane_record(self) -> MaskRecord:
        """Its record in pixels of the plane."""
        from napari_sam.model.automatic.mask_ops import box_of

        crop, tile = self.plane_crop, self.tile
        tile_box = tile.left, tile.top, tile.left + tile.width, tile.top + tile.height
        return replace(
            self.record,
            crop=crop,
            box_xyxy=box_of(crop),
            area=int(np.count_nonzero(crop.mask)),
            point_xy=self.point_xy,
            crop_box_xyxy=tile_box,
        )

    def on_picture(self, step: int) -> Iterator[tuple[PictureRegion, NDArray[np.bool_]]]:
        """Yield where it lies in a picture of every `step`-th pixel, and its pixels there."""
        rows, columns = (slice(span.start // step, -(-span.stop // step)) for span in self.span)
        places = (np.arange(s.start, s.stop) * step + step // 2 for s in (rows, columns))
        yield (0, rows, columns), self.at(*places)

    @property
    def edges_xyxy(self) -> Box:
        """x0, y0, x1, y1 of its bounding box, in the plane."""
        rows, columns = self.span
        return columns.start - 0.5, rows.start - 0.5, columns.stop - 0.5, rows.stop - 0.5

    def iou(self, other: AutomaticMask) -> float:
        """Return the intersection over union with another mask, from a sample of their pixels."""
        rows, columns = (
            np.arange(start, stop, max(1, (stop - start) // _SAMPLES))
            for start, stop in (
                (min(a.start, b.start), max(a.stop, b.stop))
                for a, b in zip(self.span, other.span, strict=True)
            )
        )
        mine, others = self.at(rows, columns), other.at(rows, columns)
        union = np.count_nonzero(mine | others)
        return float(np.count_nonzero(mine & others) / union) if union else 0.0

    def overlaps(self, other: AutomaticMask) -> bool:
        """Whether it has pixels in common with another one."""
        rows, columns = (
            np.arange(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(self.span, other.span, strict=True)
        )
        return bool((self.at(rows, columns) & other.at(rows, columns)).any())

    def labels_below(self, plane: LabelsPlane) -> Iterator[NDArray[Any]]:
        """Yield the labels of the pixels of a plane that it covers, part by part."""
        for mask, top, left in self.blocks():
            height, width = mask.shape
            yield plane.read(slice(top, top + height), slice(left, left + width))[mask]

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
        """Return it as an object to be written on a plane."""
        blocks = (plane.to_nd(*block) for block in self.blocks())
        return ObjectRecord(
            score=score_of(self.record.predicted_iou),
            stability=self.record.stability_score,
            likeness=self.likeness,
            class_name=class_name,
            state=state,
            masks=tuple(PackedMask(start, mask) for mask, start in blocks if mask.any()),
        )

    def object_state(self) -> ObjectState:
        """Return the click that it was decoded from, so that it can be re-edited like others."""
        if self.record.candidate is None:
            return ObjectState()
        prompts = Prompts(points_xy=(self.point_xy,), point_labels=(FOREGROUND,))
        height, width = self.size
        if self.record.crop_box_xyxy != (0, 0, width, height):
            return ObjectState(prompts)  # a crop is not a tile of the plane
        return ObjectState(prompts, choice=self.record.candidate, tile=self.tile)


def choose_masks(
    tiles: Sequence[TileMasks],
    pyramid: TilePyramid,
    settings: AutomaticRunSettings,
    limits: SimilarityLimits | None = None,
    target: LabelsPlane | None = None,
    excluded: Collection[MaskKey] = (),
) -> list[AutomaticMask]:
    """Choose among the masks of all tiles; decodes nothing. For a background thread.

    With a target, masks that lie on its labels are left out. The best come first, or those that are
    most like the examples.
    """
    height, width = pyramid.shape
    most_px = min(settings.max_area_px, settings.max_share * height * width)
    masks = [
        mask
        for tile_masks in tiles
        for mask in _masks_of_tile(tile_masks, settings)
        if tile_masks.tile == pyramid.whole or not pyramid.cuts(tile_masks.tile, mask.edges_xyxy)
    ]
    if len(tiles) > 1:
        masks = _without_similar(masks, settings.published.crop_nms_thresh)
    chosen = [
        mask
        for mask in masks
        if settings.min_area_px <= mask.area_px <= most_px
        and (limits is None or limits.admit(mask.area_px, mask.brightness))
        and mask.key not in excluded
        and (target is None or _labeled_share(mask, target) < _MAX_LABELLED_SHARE)
    ]
    if limits is not None and limits.likeness is not None:
        return limits.likeness.ranked(chosen, settings.least_likeness)
    return sorted(chosen, key=lambda mask: -mask.record.predicted_iou)


def boxes_of(masks: Sequence[AutomaticMask]) -> NDArray[np.float64]:
    """Return the edges of masks, (N, 4)."""
    return np.array([mask.edges_xyxy for mask in masks], np.float64).reshape(-1, 4)


def like_boxes(
    mask: AutomaticMask, boxes_xyxy: NDArray[np.float64], areas_px: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Return the indices of masks with such boxes and areas that may be of the same object."""
    box = np.array(mask.edges_xyxy)
    low = np.maximum(box[:2], boxes_xyxy[:, :2])
    high = np.minimum(box[2:], boxes_xyxy[:, 2:])
    common_px = np.clip(high - low, 0, None).prod(axis=1)
    most_px = np.minimum(common_px, np.minimum(areas_px, mask.area_px))
    least_px = SAME_OBJECT_IOU * np.maximum(areas_px, mask.area_px)
    return np.flatnonzero(most_px >= least_px)


def doubles_of(masks: Sequence[AutomaticMask], others: Sequence[AutomaticMask]) -> set[MaskKey]:
    """Return the keys of masks that are of the same objects as some others."""
    if not others:
        return set()
    boxes, areas = boxes_of(masks), np.array([mask.area_px for mask in masks])
    return {
        masks[index].key
        for other in others
        for index in like_boxes(other, boxes, areas)
        if masks[index].iou(other) >= SAME_OBJECT_IOU
    }


def smaller_first(masks: Iterable[AutomaticMask]) -> list[AutomaticMask]:
    """Return masks in the order in which they get the pixels that several of them cover."""
    return sorted(masks, key=lambda mask: mask.area_px)


def _masks_of_tile(tile_masks: TileMasks, settings: AutomaticRunSettings) -> list[AutomaticMask]:
    """Return the masks of a tile; at once if the settings are those of the last call."""
    mask_set, instances = tile_masks.mask_set, tile_masks.instances
    if tile_masks.found is not None:
        return [mask for mask in tile_masks.found if mask.likeness >= settings.least_likeness]
    if instances is not None:
        wanted: Hashable = settings.instances
        select, size = partial(instances.select, settings.instances), instances.original_size
    elif mask_set is not None:
        wanted = published = _published(settings, mask_set)
        select, size = partial(mask_set.select, published), mask_set.original_size
    else:
        return []
    if wanted not in tile_masks.chosen:
        masks = []
        for record in select():
            brightness = mean_inside(tile_masks.gray, size, record.crop)
            masks.append(AutomaticMask(record, tile_masks.tile, size, brightness))
        tile_masks.chosen.clear()
        tile_masks.chosen[wanted] = masks
    return tile_masks.chosen[wanted]


def _published(settings: AutomaticRunSettings, mask_set: MaskSet) -> AutomaticSettings:
    """Return settings that do not ask for masks that were not decoded."""
    wanted = settings.published
    names = mask_set.settings.needing_another_run(wanted)
    decoded = {name: getattr(mask_set.settings, name) for name in names}
    return replace(
        wanted, **decoded, pred_iou_thresh=max(wanted.pred_iou_thresh, mask_set.lowest_pred_iou)
    )


def _without_similar(masks: list[AutomaticMask], iou_thresh: float) -> list[AutomaticMask]:
    """Of masks of one object keep that of the smallest tile.

    They are of one object if their boxes are similar, as published for crops, or if they are
    themselves: the box of a small object is another one in a tile that shows it coarsely.
    """
    from napari_sam.model.automatic.mask_ops import non_maximum_suppression

    if not masks:
        return []
    boxes = boxes_of(masks)
    # Between tiles of one size, the better mask stays: a predicted IoU is about 1 at most.
    scores = np.array([-mask.tile.height * mask.tile.width * 2 for mask in masks], float)
    scores += np.array([mask.record.predicted_iou for mask in masks])
    distinct = [masks[index] for index in non_maximum_suppression(boxes, scores, iou_thresh)]
    boxes, areas = boxes_of(distinct), np.array([mask.area_px for mask in distinct])
    stays = np.ones(len(distinct), bool)
    for rank, mask in enumerate(distinct):
        for index in like_boxes(mask, boxes, areas) if stays[rank] else ():
            other = distinct[index]
            if index <= rank or not stays[index] or other.tile == mask.tile:
                continue
            least_iou = iou_thresh if other.tile.side == mask.tile.side else SAME_OBJECT_IOU
            stays[index] = mask.iou(other) < least_iou
    return [mask for mask, is_distinct in zip(distinct, stays, strict=True) if is_distinct]


def _labeled_share(mask: AutomaticMask, plane: LabelsPlane) -> float:
    labeled = total = 0
    for labels in mask.labels_below(plane):
        labeled += int(np.count_nonzero(labels))
        total += labels.size
    return labeled / max(1, total)
