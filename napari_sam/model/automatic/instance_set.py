"""The maps of an image and the masks of clicks into its objects, for any settings to choose from.

Source: micro-sam's documentation of automatic prompt generation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
from skimage.measure import label

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.instance_settings import PUBLISHED, InstanceSettings
from napari_sam.engine.instances import InstanceMaps
from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.methods import Method
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.protocols import MaskDecoder
from napari_sam.engine.spec import Size
from napari_sam.model.automatic.generate import PointFilter
from napari_sam.model.automatic.instances import instances, point_prompts, segmented
from napari_sam.model.automatic.mask_ops import box_of, stable_mask
from napari_sam.model.automatic.mask_set import MaskRecord
from napari_sam.model.runtime.parallel import map_on_cores

_OFFSET: Final = 1.0
"""How far the logit threshold is shifted to measure the stability of a mask."""

_LARGER: Final = 0.01
"""How much larger a box is than the mask that it lies around, at each side."""

Point = tuple[float, float]
"""(x, y) in pixels of the maps."""


@dataclass(frozen=True)
class PromptedMask:
    """The mask of a click, or of a box.

    Attributes
    ----------
    crop : MaskCrop
        In pixels of the maps; it may be empty.
    predicted_iou, stability_score : float
        As of other automatic masks.
    """

    crop: MaskCrop
    predicted_iou: float
    stability_score: float


DecodePrompts = Callable[
    [npt.NDArray[np.float64], npt.NDArray[np.float64] | None], list[PromptedMask]
]
"""Decodes points (N, 2), x and y in pixels of the maps, to one mask each; or boxes (N, 4) there."""


def decode_prompts(
    decoder: MaskDecoder,
    embedding: ImageEmbedding,
    points_xy: npt.NDArray[np.float64],
    size: Size,
    boxes_xyxy: npt.NDArray[np.float64] | None = None,
) -> list[PromptedMask]:
    """Decode each point to a single mask, or each box.

    Parameters
    ----------
    decoder : MaskDecoder
        Of the model.
    embedding : ImageEmbedding
        Of the image.
    points_xy : ndarray
        (N, 2), (x, y) in pixels of an image of this size.
    size : tuple of int
        (H, W) to which the image is scaled.
    boxes_xyxy : ndarray, optional
        (N, 4), x0, y0, x1, y1, the prompts in place of the points.

    Returns
    -------
    list of PromptedMask
        In pixels of that size.
    """
    height, width = embedding.original_size
    factors = np.array([width / size[1], height / size[0]])
    if boxes_xyxy is None:
        points = _scaled(points_xy, factors)[:, None]
        labels = np.ones((len(points), 1))
        predictions = decoder.decode_batch(embedding, points, labels, multimask_output=False)
    else:
        boxes = _scaled(boxes_xyxy.reshape(-1, 2), factors).reshape(-1, 4)
        predictions = decoder.decode_batch(embedding, boxes_xyxy=boxes, multimask_output=False)

    def measured(prediction: MaskPrediction) -> PromptedMask:
        crop, stability = stable_mask(prediction.scaled_logits(0, size), _OFFSET)
        return PromptedMask(crop, float(prediction.iou_predictions[0]), stability)

    return map_on_cores(measured, predictions)


def _scaled(
    points_xy: npt.NDArray[np.float64], factors: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return (points_xy + 0.5) * factors - 0.5 if (factors != 1).any() else points_xy


@dataclass(frozen=True, eq=False)
class InstanceSet:
    """All that is known of the objects of an image, for any settings to choose from.

    Attributes
    ----------
    method : Method
        AIS or APG.
    maps : InstanceMaps
        Of the image.
    decode : callable, optional
        Decodes the prompts of APG; None: clicks that are not `known` are left out.
    is_wanted : callable, optional
        Called with points (N, 2) x, y in pixels of the maps; returns (N,) bool, which objects to
        keep by a point in each.
    known : dict
        The masks of clicks that have been decoded.
    boxed : dict
        The masks of the boxes around these, by the same clicks.
    """

    method: Method
    maps: InstanceMaps
    decode: DecodePrompts | None = None
    is_wanted: PointFilter | None = None
    known: dict[Point, PromptedMask] = field(default_factory=dict)
    boxed: dict[Point, PromptedMask] = field(default_factory=dict)

    @property
    def original_size(self) -> Size:
        """(H, W) of the maps."""
        return self.maps.size

    def select(self, settings: InstanceSettings | None = None) -> list[MaskRecord]:
        """Return masks that do not overlap, the best first; the image is not encoded again."""
        settings = PUBLISHED[self.method] if settings is None else settings
        if self.method is Method.AIS:
            records = segmented(self.maps, settings)
            wanted = self._wanted(np.array([record.point_xy for record in records]))
            records = [
                record for record, is_wanted in zip(records, wanted, strict=True) if is_wanted
            ]
        else:
            records = self._prompted(settings)
        return sorted(records, key=lambda record: -record.predicted_iou)

    def _wanted(self, points_xy: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        if self.is_wanted is None or not len(points_xy):
            return np.ones(len(points_xy), bool)
        return self.is_wanted(points_xy)

    def points(self, settings: InstanceSettings) -> npt.NDArray[np.float64]:
        """Return the clicks of APG that are wanted, (N, 2)."""
        points = point_prompts(self.maps, settings)
        return points[self._wanted(points)]

    def add(self, points_xy: npt.NDArray[np.float64]) -> None:
        """Decode those of the clicks that are not known yet, if there is a decoder."""
        unknown = [point for point in _keys(points_xy) if point not in self.known]
        if unknown and self.decode is not None:
            decoded = self.decode(np.array(unknown), None)
            self.known.update(zip(unknown, decoded, strict=True))

    def add_boxes(self, points_xy: npt.NDArray[np.float64]) -> None:
        """Decode the boxes around the masks of clicks, as `add` does."""
        unknown = [
            point
            for point in _keys(points_xy)
            if point in self.known and point not in self.boxed and self.known[point].crop.mask.any()
        ]
        if unknown and self.decode is not None:
            boxes = [_box_around(self.known[point].crop, self.maps.size) for point in unknown]
            decoded = self.decode(np.array(unknown), np.array(boxes))
            self.boxed.update(zip(unknown, decoded, strict=True))

    def _prompted(self, settings: InstanceSettings) -> list[MaskRecord]:
        points = self.points(settings)
        self.add(points)
        masks = self.known
        if settings.box_rounds:
            self.add_boxes(points)
            masks = self.boxed
        known = [(point, masks[point]) for point in _keys(points) if point in masks]
        large = [pair for pair in known if np.count_nonzero(pair[1].crop.mask) > settings.min_size]
        kept = _without_similar([mask for _, mask in large], settings.nms_threshold)
        return _apart([large[index] for index in kept], self.maps.size, settings.min_size)


def _box_around(crop: MaskCrop, size: Size) -> tuple[float, float, float, float]:
    """Return a box that is a little larger than a mask."""
    x0, y0, x1, y1 = box_of(crop)
    more_x, more_y = _LARGER * (x1 - x0), _LARGER * (y1 - y0)
    height, width = size
    return (
        *(max(0.0, x0 - more_x), max(0.0, y0 - more_y)),
        *(min(width - 1.0, x1 + more_x), min(height - 1.0, y1 + more_y)),
    )


def _keys(points_xy: npt.NDArray[np.float64]) -> list[Point]:
    return [(float(x), float(y)) for x, y in points_xy]


def _without_similar(masks: Sequence[PromptedMask], iou_thresh: float) -> list[int]:
    """Return the indices of masks that are not similar to a better one, the best first."""
    scores = np.array([mask.predicted_iou * mask.stability_score for mask in masks])
    edges = np.array([mask.crop.edges_xyxy for mask in masks]).reshape(-1, 4)
    areas = np.array([np.count_nonzero(mask.crop.mask) for mask in masks])
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        others = np.array(kept, int)
        low = np.maximum(edges[index, :2], edges[others, :2])
        high = np.minimum(edges[index, 2:], edges[others, 2:])
        meeting = others[(low < high).all(axis=1)]
        if all(
            _iou(masks[index].crop, masks[other].crop, areas[index] + areas[other]) <= iou_thresh
            for other in meeting
        ):
            kept.append(int(index))
    return kept


def _iou(crop: MaskCrop, other: MaskCrop, total_px: int) -> float:
    below = other.within(crop.top, crop.left, (crop.mask.shape[0], crop.mask.shape[1]))
    common = int(np.count_nonzero(crop.mask & below))
    return common / (total_px - common)


def _apart(
    masks: Sequence[tuple[Point, PromptedMask]], size: Size, min_size: int
) -> list[MaskRecord]:
    """Give each pixel to the largest mask that has it, and each piece that is left a record."""
    labels = np.zeros(size, np.int32)
    areas = [np.count_nonzero(mask.crop.mask) for _, mask in masks]
    for index in np.argsort([-area for area in areas], kind="stable"):
        crop = masks[index][1].crop
        height, width = crop.mask.shape
        below = labels[crop.top : crop.top + height, crop.left : crop.left + width]
        below[crop.mask & (below == 0)] = index + 1
    pieces = label(labels, connectivity=1)
    return [
        _record_of_piece(crop, *masks[_first_of(labels, crop) - 1], size)
        for crop in instances(pieces, max(1, min_size))
    ]


def _first_of(labels: npt.NDArray[np.int32], crop: MaskCrop) -> int:
    """Return the label of a piece, all of whose pixels have the same."""
    height, width = crop.mask.shape
    below = labels[crop.top : crop.top + height, crop.left : crop.left + width]
    return int(below[crop.mask][0])


def _record_of_piece(crop: MaskCrop, point: Point, mask: PromptedMask, size: Size) -> MaskRecord:
    """Return what remains of a mask; its point is that of the click if it lies inside."""
    (height, width), (x, y) = crop.mask.shape, (int(place) for place in point)
    row, column = y - crop.top, x - crop.left
    if not (0 <= row < height and 0 <= column < width and crop.mask[row, column]):
        row, column = divmod(int(crop.mask.argmax()), width)
        point = float(crop.left + column), float(crop.top + row)
    return MaskRecord(
        crop,
        box_of(crop),
        int(np.count_nonzero(crop.mask)),
        mask.predicted_iou,
        mask.stability_score,
        point,
        (0, 0, size[1], size[0]),
        candidate=None,
    )
