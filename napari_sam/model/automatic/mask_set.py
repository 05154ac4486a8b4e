"""The generated masks of an image, and the choice of good and different ones among them.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix B,
"Filtering" and "Postprocessing".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_sam.engine.automatic_settings import OUTPUT_MODES, AutomaticSettings
from napari_sam.engine.masks import MaskCrop, PixelBox
from napari_sam.engine.spec import Size
from napari_sam.engine.upscaling import ScaledLogits
from napari_sam.model.automatic.mask_ops import (
    RunLengths,
    box_areas,
    box_of,
    non_maximum_suppression,
    remove_small_regions,
    run_lengths,
)


@dataclass(frozen=True, eq=False)
class GeneratedMask:
    """A decoded mask; a few kilobytes.

    Attributes
    ----------
    run_lengths : RunLengths
        The mask, not empty.
    box_xyxy : tuple of int
        x0, y0, x1, y1 of its first and last pixel.
    predicted_iou, stability_score : float
        The estimate of the model, and how little the mask depends on the threshold.
    point_xy : tuple of float
        (x, y) of its point, in pixels of the image.
    crop_box_xyxy : tuple of int
        The crop of the image that it was decoded in, the last pixel excluded.
    logits : ScaledLogits or None
        In float16, for the size of the crop; if they were asked for.
    candidate : int
        Which of the point's masks it is.
    """

    run_lengths: RunLengths
    box_xyxy: PixelBox
    predicted_iou: float
    stability_score: float
    point_xy: tuple[float, float]
    crop_box_xyxy: PixelBox
    logits: ScaledLogits | None = None
    candidate: int = 0


@dataclass(frozen=True, eq=False)
class MaskRecord:
    """A mask that was chosen.

    Attributes
    ----------
    crop : MaskCrop
        The mask within its bounding box.
    box_xyxy : tuple of int
        x0, y0, x1, y1 of its first and last pixel.
    area : int
        Its pixels.
    predicted_iou, stability_score, point_xy, crop_box_xyxy
        As in `GeneratedMask`; also if small regions were removed from the mask since.
    candidate : int or None
        Which of the point's masks it is; None if it is none of them.
    """

    crop: MaskCrop
    box_xyxy: PixelBox
    area: int
    predicted_iou: float
    stability_score: float
    point_xy: tuple[float, float]
    crop_box_xyxy: PixelBox
    candidate: int | None = 0


Boxed = TypeVar("Boxed", GeneratedMask, MaskRecord)


@dataclass(frozen=True, eq=False)
class MaskSet:
    """All generated masks, for any settings to choose from.

    Attributes
    ----------
    settings : AutomaticSettings
        With which they were generated.
    lowest_pred_iou : float
        Masks of no better predicted IoU were dropped; 0 if none were.
    original_size : tuple of int
        (H, W) of the image.
    masks : tuple of GeneratedMask
        Crop after crop.
    """

    settings: AutomaticSettings
    lowest_pred_iou: float
    original_size: Size
    masks: tuple[GeneratedMask, ...] = ()

    def __add__(self, later: MaskSet) -> MaskSet:
        """Add later masks of the same run."""
        return replace(self, masks=self.masks + later.masks)

    def survivors(self, settings: AutomaticSettings | None = None) -> list[GeneratedMask]:
        """Return the masks that pass all thresholds and are not similar to a better one.

        Parameters
        ----------
        settings : AutomaticSettings, optional
            Other thresholds than those of the run.

        Returns
        -------
        list of GeneratedMask
            The highest predicted IoU first; those of small crops before those of large ones.

        Raises
        ------
        ValueError
            If masks would have to be decoded to tell.
        """
        settings = self._checked(settings)
        survivors: list[GeneratedMask] = []
        passing = (mask for mask in self.masks if _passes(mask, settings))
        for _, of_crop in groupby(passing, key=lambda mask: mask.crop_box_xyxy):
            masks = list(of_crop)
            survivors += _without_similar(
                masks, [mask.predicted_iou for mask in masks], settings.box_nms_thresh
            )
        if settings.crop_n_layers > 0 and survivors:
            crop_areas = box_areas(np.array([mask.crop_box_xyxy for mask in survivors]))
            survivors = _without_similar(survivors, -crop_areas, settings.crop_nms_thresh)
        return survivors

    def select(self, settings: AutomaticSettings | None = None) -> list[MaskRecord]:
        """Choose masks: `survivors`, their small holes and islands removed.

        Parameters
        ----------
        settings : AutomaticSettings, optional
            Other thresholds than those of the run.

        Returns
        -------
        list of MaskRecord
            In the order of `survivors`, those that small regions were removed from last.

        Raises
        ------
        ValueError
            If masks would have to be decoded to tell.
        """
        settings = self._checked(settings)
        survivors = self.survivors(settings)
        if settings.min_mask_region_area == 0:
            return [_record(mask, _crop(mask)) for mask in survivors]
        results = [
            remove_small_regions(_crop(mask), self.original_size, settings.min_mask_region_area)
            for mask in survivors
        ]
        records = [_record(mask, crop) for mask, (crop, _) in zip(survivors, results, strict=True)]
        # Masks may have become similar; untouched ones are better.
        untouched = [float(not changed) for _, changed in results]
        return _without_similar(
            records, untouched, max(settings.box_nms_thresh, settings.crop_nms_thresh)
        )

    def _checked(self, settings: AutomaticSettings | None) -> AutomaticSettings:
        if settings is None:
            return self.settings
        if names := self.settings.needing_another_run(settings):
            raise ValueError(
                f"The masks were generated with another {names[0]}; generate new ones."
            )
        if self.lowest_pred_iou > max(settings.pred_iou_thresh, 0):
            raise ValueError(
                f"Masks of a predicted IoU of {self.lowest_pred_iou} or less were dropped, so "
                f"pred_iou_thresh cannot be {settings.pred_iou_thresh}; generate the masks again."
            )
        return settings


def _passes(mask: GeneratedMask, settings: AutomaticSettings) -> bool:
    return passes_pred_iou(mask.predicted_iou, settings.pred_iou_thresh) and (
        settings.stability_score_thresh <= 0
        or mask.stability_score >= settings.stability_score_thresh
    )


def passes_pred_iou(predicted_iou: float, thresh: float) -> bool:
    """Tell whether a mask is good enough; a predicted IoU may be negative."""
    return thresh <= 0 or predicted_iou > thresh


def _without_similar(
    masks: Sequence[Boxed], scores: npt.ArrayLike, iou_thresh: float
) -> list[Boxed]:
    if not masks:
        return []
    boxes = np.array([mask.box_xyxy for mask in masks])
    kept = non_maximum_suppression(boxes, np.asarray(scores, np.float64), iou_thresh)
    return [masks[index] for index in kept]


def _crop(mask: GeneratedMask) -> MaskCrop:
    x0, y0, _, _ = mask.box_xyxy
    return MaskCrop(mask.run_lengths.mask(mask.box_xyxy), y0, x0)


def _record(mask: GeneratedMask, crop: MaskCrop) -> MaskRecord:
    return MaskRecord(
        crop,
        box_of(crop),
        int(np.count_nonzero(crop.mask)),
        mask.predicted_iou,
        mask.stability_score,
        mask.point_xy,
        mask.crop_box_xyxy,
        mask.candidate,
    )


def published_form(
    records: Iterable[MaskRecord], original_size: Size, output_mode: str = "binary_mask"
) -> list[dict[str, Any]]:
    """Turn records into the dictionaries that published SAM returns.

    Parameters
    ----------
    records : iterable of MaskRecord
        From `MaskSet.select`.
    original_size : tuple of int
        (H, W) of the image.
    output_mode : str
        What ``segmentation`` is: "binary_mask" for an (H, W) bool array, "uncompressed_rle" for
        COCO's run lengths in a list, "coco_rle" for those as text.

    Returns
    -------
    list of dict
        With ``segmentation``, ``area``, ``bbox``, ``predicted_iou``, ``point_coords``,
        ``stability_score`` and ``crop_box``; boxes are [x, y, width, height], where the width of
        ``bbox`` is from its first to its last pixel.

    Raises
    ------
    ValueError
        If there is no such mode.
    """
    if output_mode not in OUTPUT_MODES:
        raise ValueError(
            f"There is no output_mode {output_mode!r}; choose one of {', '.join(OUTPUT_MODES)}."
        )
    return [
        {
            "segmentation": _segmentation(record.crop, original_size, output_mode),
            "area": record.area,
            "bbox": _xywh(record.box_xyxy),
            "predicted_iou": record.predicted_iou,
            "point_coords": [list(record.point_xy)],
            "stability_score": record.stability_score,
            "crop_box": _xywh(record.crop_box_xyxy),
        }
        for record in records
    ]


def _segmentation(
    crop: MaskCrop, size: Size, output_mode: str
) -> npt.NDArray[np.bool_] | dict[str, Any]:
    encoded = run_lengths(crop, size)
    if output_mode == "binary_mask":
        return encoded.mask()
    return encoded.as_dict(compressed=output_mode == "coco_rle")


def _xywh(box_xyxy: PixelBox) -> list[int]:
    x0, y0, x1, y1 = box_xyxy
    return [x0, y0, x1 - x0, y1 - y0]
