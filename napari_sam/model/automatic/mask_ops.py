"""Masks as bounding boxes, as run lengths, by their stability, and without their specks.

A mask is never held at the size of the image: it is a `MaskCrop` while it is worked on, and run
lengths while it waits. Boxes are (x0, y0, x1, y1) of the first and the last pixel, as published,
so that a box of one pixel has no area.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix B,
"Filtering" and "Postprocessing"; run lengths as in COCO's format of annotations.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from skimage.measure import label

from napari_sam.engine.masks import MaskCrop, PixelBox, run_counts, run_text, tight_crop
from napari_sam.engine.spec import Size
from napari_sam.engine.upscaling import ScaledLogits
from napari_sam.model.prediction import upscale_strips


class StableMask(NamedTuple):
    """A mask and how little it depends on the threshold that makes it.

    Attributes
    ----------
    crop : MaskCrop
        Where the logits are positive.
    stability_score : float
        0 to 1.
    """

    crop: MaskCrop
    stability_score: float


@dataclass(frozen=True, eq=False)
class RunLengths:
    """A mask of the image's size as the lengths of its runs, column after column.

    Attributes
    ----------
    counts : ndarray
        (n,) integers; the first run is background and may be 0 long.
    size : tuple of int
        (H, W) of the image.
    """

    counts: npt.NDArray[np.integer[Any]]
    size: Size

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(self.counts[1::2].sum())

    def mask(self, box_xyxy: PixelBox | None = None) -> npt.NDArray[np.bool_]:
        """Return the mask.

        Parameters
        ----------
        box_xyxy : tuple of int, optional
            First and last column and row wanted; everything if missing.

        Returns
        -------
        ndarray
            (h, w) bool.
        """
        height, width = self.size
        x0, y0, x1, y1 = box_xyxy or (0, 0, width - 1, height - 1)
        ends = np.cumsum(self.counts, dtype=np.int64)
        # A pixel belongs to the mask where an odd number of runs has ended before it.
        begin, end = x0 * height, (x1 + 1) * height
        inside = ends[(ends > begin) & (ends < end)] - begin
        flips = np.zeros(end - begin, bool)
        flips[inside] = True
        flips[0] = np.count_nonzero(ends <= begin) % 2
        columns = np.logical_xor.accumulate(flips).reshape(-1, height)
        return np.ascontiguousarray(columns[:, y0 : y1 + 1].T)

    def as_dict(self, compressed: bool = False) -> dict[str, Any]:
        """Return ``{"size": [H, W], "counts": ...}`` as COCO has it.

        Parameters
        ----------
        compressed : bool
            ``counts`` as COCO's text instead of a list.
        """
        counts = run_text(self.counts) if compressed else self.counts.tolist()
        return {"size": list(self.size), "counts": counts}


def run_lengths(crop: MaskCrop, size: Size) -> RunLengths:
    """Encode a mask of an image of (H, W) pixels."""
    dtype = np.uint32 if size[0] * size[1] < 2**32 else np.int64
    return RunLengths(run_counts(crop, size).astype(dtype), size)


def box_of(crop: MaskCrop) -> PixelBox:
    """Return the box of a mask that is not empty."""
    height, width = crop.mask.shape
    return crop.left, crop.top, crop.left + width - 1, crop.top + height - 1


def box_areas(boxes_xyxy: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the areas of boxes (..., 4)."""
    sides = boxes_xyxy[..., 2:].astype(np.float64) - boxes_xyxy[..., :2]
    return np.asarray(sides.prod(axis=-1))


def non_maximum_suppression(
    boxes_xyxy: npt.NDArray[Any], scores: npt.NDArray[np.floating], iou_thresh: float
) -> npt.NDArray[np.int64]:
    """Keep the best of boxes that overlap.

    Parameters
    ----------
    boxes_xyxy : ndarray
        (N, 4).
    scores : ndarray
        (N,); of equal ones the first goes first.
    iou_thresh : float
        A box goes if its intersection over union with a better one that stays is larger.

    Returns
    -------
    ndarray
        Indices of those that stay, the best first.
    """
    areas = box_areas(boxes_xyxy)
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        low = np.maximum(boxes_xyxy[best, :2], boxes_xyxy[left, :2])
        high = np.minimum(boxes_xyxy[best, 2:], boxes_xyxy[left, 2:])
        common = np.clip(high - low, 0, None).astype(np.float64).prod(axis=1)
        left = left[common <= iou_thresh * (areas[best] + areas[left] - common)]
    return np.array(kept, np.int64)


def near_crop_edge(
    box_xyxy: PixelBox, crop_box_xyxy: PixelBox, size: Size, tolerance_px: int = 20
) -> bool:
    """Tell whether a box ends at an edge of a crop that is not an edge of the image as well.

    Parameters
    ----------
    box_xyxy, crop_box_xyxy : tuple of int
        Both in pixels of the image.
    size : tuple of int
        (H, W) of the image.
    tolerance_px : int
        How far away is still near.
    """
    image_box = (0, 0, size[1], size[0])
    return any(
        abs(place - crop_edge) <= tolerance_px < abs(place - image_edge)
        for place, crop_edge, image_edge in zip(box_xyxy, crop_box_xyxy, image_box, strict=True)
    )


def stable_mask(logits: ScaledLogits, offset: float) -> StableMask:
    """Upscale one mask and tell how stable it is.

    Parameters
    ----------
    logits : ScaledLogits
        Of the mask.
    offset : float
        How far the threshold is shifted up and down, at least 0.

    Returns
    -------
    StableMask
        Its score is the intersection over union of the masks at both thresholds, that is the
        ratio of their areas; 0 if both are empty.
    """
    region = logits.region_above(-offset)
    if region is None:
        return StableMask(tight_crop(np.zeros((0, 0), bool)), 0.0)
    mask = np.empty(region.shape, bool)
    inner = outer = 0
    for strip, values in upscale_strips(logits, region):
        strip_logits = values.numpy()
        np.greater(strip_logits, 0, out=mask[:, strip])
        inner += int(np.count_nonzero(strip_logits > offset))
        outer += int(np.count_nonzero(strip_logits > -offset))
    crop = tight_crop(mask, region.top, region.left)
    return StableMask(crop, inner / outer if outer else 0.0)


def remove_small_regions(crop: MaskCrop, size: Size, min_area: float) -> tuple[MaskCrop, bool]:
    """Fill small holes in a mask, then drop small islands.

    Parameters
    ----------
    crop : MaskCrop
        Not empty.
    size : tuple of int
        (H, W) of the image.
    min_area : float
        Regions of fewer pixels are small. Pixels that share a corner belong together.

    Returns
    -------
    tuple of MaskCrop and bool
        The mask, and whether there was any small region. If all islands are small, the largest
        stays.
    """
    mask, heights, widths = _with_margins(crop, size)
    pixels = np.outer(heights, widths)
    holes = label(~mask, connectivity=2)
    areas = np.bincount(holes.ravel(), weights=pixels.ravel())
    small_holes = areas < min_area
    small_holes[0] = False
    filled = mask | small_holes[holes]

    islands = label(filled, connectivity=2)
    areas = np.bincount(islands.ravel(), weights=pixels.ravel())
    areas[0] = 0
    large = areas >= min_area
    has_small_islands = not large[1:].all()
    if not large[1:].any():
        large[areas.argmax()] = True
    if not small_holes.any() and not has_small_islands:
        return crop, False

    large[0] = False
    kept = tight_crop(large[islands])
    rows, columns = (
        slice(start, start + length)
        for start, length in zip((kept.top, kept.left), kept.mask.shape, strict=True)
    )
    mask = np.repeat(np.repeat(kept.mask, heights[rows], axis=0), widths[columns], axis=1)
    top, left = int(heights[: kept.top].sum()), int(widths[: kept.left].sum())
    return MaskCrop(mask, top, left), True


def _with_margins(
    crop: MaskCrop, size: Size
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Put around a mask what the image of (H, W) pixels has around it, at next to no size.

    All that lies above the mask becomes a single row, and so on; nothing does where the mask ends
    with the image. What is connected in the image is so here.

    Returns the mask (h, w), and how many rows (h,) and columns (w,) of the image its own stand for.
    """
    height, width = crop.mask.shape
    margins = (
        (crop.top, size[0] - crop.top - height),
        (crop.left, size[1] - crop.left - width),
    )
    mask = np.pad(crop.mask, [(int(before > 0), int(after > 0)) for before, after in margins])
    heights, widths = (
        np.array([count for count in (before, *[1] * length, after) if count > 0])
        for (before, after), length in zip(margins, crop.mask.shape, strict=True)
    )
    return mask, heights, widths
