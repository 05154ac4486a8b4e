"""Object proposals and edges from the masks of an image, without any training.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix D.2,
"Zero-shot edge detection", and D.3, "Zero-shot object proposals".
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from skimage.feature import hessian_matrix
from skimage.filters import sobel
from skimage.morphology import dilation
from skimage.transform import warp

from napari_sam.engine.upscaling import Region
from napari_sam.model.automatic.mask_set import GeneratedMask, MaskRecord, MaskSet
from napari_sam.model.prediction import upscale_strips

_REACH_PX = 2  # to the outer boundary one pixel, and one more for the filter there
_RIDGE_SIGMA_PX = 2.0


class Proposals(NamedTuple):
    """Boxes that may hold an object, the most likely first.

    Attributes
    ----------
    boxes_xyxy : ndarray
        (N, 4) int64, x0, y0, x1, y1 of the first and last pixel.
    scores : ndarray
        (N,) float64, descending.
    """

    boxes_xyxy: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]


def object_proposals(records: Iterable[MaskRecord], limit: int = 1000) -> Proposals:
    """Rank the boxes of masks by how likely they hold an object.

    Parameters
    ----------
    records : iterable of MaskRecord
        From `MaskSet.select`; in the paper those of `PROPOSAL_SETTINGS`.
    limit : int
        Maximum number of boxes.

    Returns
    -------
    Proposals
        Ranked by the mean of predicted IoU and stability score.
    """
    records = list(records)
    scores = np.array(
        [(record.predicted_iou + record.stability_score) / 2 for record in records], np.float64
    )
    boxes = np.array([record.box_xyxy for record in records], np.int64).reshape(-1, 4)
    order = np.argsort(-scores, kind="stable")[:limit]
    return Proposals(boxes[order], scores[order])


def detect_edges(masks: MaskSet) -> npt.NDArray[np.float32]:
    """Return the outlines of masks, stronger where the mask ends more sharply.

    Parameters
    ----------
    masks : MaskSet
        From `generate_masks` with ``keep_logits=True``; in the paper with `EDGE_SETTINGS`.

    Returns
    -------
    ndarray
        (H, W) float32 from 0 to 1, thin lines.

    Raises
    ------
    ValueError
        If the masks were generated without their logits.
    """
    edges = np.zeros(masks.original_size, np.float32)
    for mask in masks.survivors():
        region, outline = _outline(mask)
        part = edges[region.top : region.bottom, region.left : region.right]
        np.maximum(part, outline, out=part)
    low, high = float(edges.min()), float(edges.max())
    if high > low:
        edges = (edges - low) / (high - low)
    return _thinned(edges)


def _outline(mask: GeneratedMask) -> tuple[Region, npt.NDArray[np.float32]]:
    """Return how steeply the probability of a mask falls just outside it, and the region."""
    if mask.logits is None:
        raise ValueError("The masks have no logits; generate them with keep_logits=True.")
    left, top, right, bottom = mask.crop_box_xyxy
    x0, y0, x1, y1 = mask.box_xyxy
    region = Region(
        max(y0 - _REACH_PX, top),
        min(y1 + 1 + _REACH_PX, bottom),
        max(x0 - _REACH_PX, left),
        min(x1 + 1 + _REACH_PX, right),
    )
    in_crop = Region(region.top - top, region.bottom - top, region.left - left, region.right - left)
    probabilities = np.empty(region.shape, np.float32)
    for strip, values in upscale_strips(mask.logits, in_crop):
        probabilities[:, strip] = values.sigmoid().numpy()
    pixels = mask.run_lengths.mask((region.left, region.top, region.right - 1, region.bottom - 1))
    outer_boundary = dilation(pixels, np.ones((3, 3), bool)) & ~pixels
    return region, np.where(outer_boundary, sobel(probabilities), 0).astype(np.float32)


def _thinned(edges: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Keep the pixels of (H, W) edges that are no weaker than both neighbors across the edge."""
    rr, rc, cc = hessian_matrix(edges, sigma=_RIDGE_SIGMA_PX, use_gaussian_derivatives=True)
    # Along an edge, smoothed, it is least curved; across is at right angles.
    along = 0.5 * np.arctan2(2 * rc, rr - cc)
    across = np.stack([-np.sin(along), np.cos(along)])
    indices = np.indices(edges.shape)
    previous, following = (
        warp(edges, indices + step * across, order=1, mode="constant") for step in (-1, 1)
    )
    return np.where((edges >= previous) & (edges >= following), edges, 0).astype(np.float32)
