"""Features of candidates to rank them by, measured at low resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.prediction import MaskPrediction

_OFFSET: Final = 1.0
"""How far the threshold of the logits is shifted for the stability score, as published."""
_RING: Final = 0.3
"""Width of the ring around a mask that its brightness is compared with: a share of its radius."""
_EVERY: Final = 2
"""The step between the low-res rows and columns that are compared with the image."""


@dataclass(frozen=True, eq=False)
class MaskFeatures:
    """The features of K candidates; each field but the last is (K,) float64."""

    # the predicted IoU of each mask with the object
    iou_predictions: NDArray[np.float64]
    area_px: NDArray[np.float64]  # in pixels of the plane
    # 0 to 1: how little the mask depends on the threshold of the logits
    stability_score: NDArray[np.float64]
    tile_share: NDArray[np.float64]  # share of the tile that is inside the mask
    border_share: NDArray[np.float64]  # share of the tile's border that is inside the mask
    # mean gray inside the mask, 0 to 255; nan if unknown
    brightness: NDArray[np.float64]
    # how much brighter it is inside than in a ring around the mask; nan likewise
    contrast: NDArray[np.float64]
    # logarithm of the ratio of the axes of an ellipse with the same moments
    elongation: NDArray[np.float64]
    # area over that of the ellipse: 1 for an ellipse, less for a ragged or fragmented mask
    fullness: NDArray[np.float64]
    # how strong the edges of the image along its border are; in medians of the tile, nan likewise
    edge: NDArray[np.float64]
    # whether a box gave the extent of the object
    has_box: bool = field(default=False, kw_only=True)

    def __len__(self) -> int:
        return len(self.iou_predictions)

    def take(self, indices: Sequence[int]) -> MaskFeatures:
        """Return those of some of the candidates."""
        values = {name: getattr(self, name)[np.array(indices, np.intp)] for name in _NAMES}
        return MaskFeatures(**values, has_box=self.has_box)


def joined(parts: Sequence[MaskFeatures]) -> MaskFeatures:
    """Return the features of candidates of several predictions, one after the other."""
    values = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _NAMES}
    return MaskFeatures(**values, has_box=any(part.has_box for part in parts))


_NAMES: Final = tuple(field.name for field in fields(MaskFeatures) if field.name != "has_box")


def measure_features(
    prediction: MaskPrediction,
    thumbnail: NDArray[np.uint8] | None,
    tile_area_px: int,
    *,
    edges: NDArray[np.float16] | None = None,
    has_box: bool = False,
) -> MaskFeatures:
    """Measure all candidates of a prediction; takes about a millisecond."""
    logits = inside(prediction)
    height, width = logits.shape[1:]
    gray = None if thumbnail is None else _resampled(thumbnail, (height, width))
    measures = [_measure(mask_logits, gray, edges) for mask_logits in logits]
    measured = np.array(measures, np.float64).T
    iou_predictions = np.asarray(prediction.iou_predictions, np.float64)
    return MaskFeatures(iou_predictions, measured[1] * tile_area_px, *measured, has_box=has_box)


def inside(prediction: MaskPrediction) -> NDArray[np.float32]:
    """Return the low-res logits of the image: beyond it the model's square input is padding."""
    low_res = prediction.low_res_logits.shape[-1]
    height, width = (-(-n * low_res // prediction.input_side) for n in prediction.input_size)
    logits: NDArray[np.float32] = prediction.low_res_logits[:, :height, :width]
    return logits


def _resampled(thumbnail: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the gray of a thumbnail at every `_EVERY`-th row and column of a grid."""
    places = (
        (np.arange(0, length, _EVERY) + 0.5) * small / length
        for length, small in zip(shape, thumbnail.shape, strict=False)
    )
    rows, columns = (place.astype(np.intp) for place in places)
    return np.asarray(thumbnail.mean(axis=2, dtype=np.float32)[np.ix_(rows, columns)])


def _measure(
    logits: NDArray[np.float32],
    gray: NDArray[np.float32] | None,
    gradients: NDArray[np.float16] | None,
) -> tuple[float, ...]:
    """Measure one mask by its (h, w) logits and every `_EVERY`-th pixel of the image.

    In the order of `MaskFeatures`, from `stability_score` on.
    """
    mask = logits > 0
    area = int(np.count_nonzero(mask))
    if not area:
        return 0, 0, 0, np.nan, np.nan, 0, 0, np.nan
    outer = np.count_nonzero(logits > -_OFFSET)
    edges = np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    return (
        np.count_nonzero(logits > _OFFSET) / outer,
        area / mask.size,
        np.count_nonzero(edges) / edges.size,
        *((np.nan, np.nan) if gray is None else light_of(mask[::_EVERY, ::_EVERY], gray)),
        *shape_of(mask, area),
        np.nan if gradients is None else _edge_of(mask, gradients),
    )


def _edge_of(mask: NDArray[np.bool_], gradients: NDArray[np.float16]) -> float:
    """Return the mean gradient along the border of a mask on a coarser or finer grid."""
    (rows, columns), (rows_below, columns_below) = (
        np.nonzero(np.diff(mask, axis=axis)) for axis in (1, 0)
    )
    y = np.concatenate((rows + 0.5, rows_below + 1)) * gradients.shape[0] / mask.shape[0]
    x = np.concatenate((columns + 1, columns_below + 0.5)) * gradients.shape[1] / mask.shape[1]
    along = gradients[y.astype(np.intp), x.astype(np.intp)]
    return float(along.mean(dtype=np.float64)) if along.size else np.nan


def light_of(mask: NDArray[np.bool_], gray: NDArray[np.float32]) -> tuple[float, float]:
    """Return the mean gray inside a mask, and the difference to that around it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:  # thinner than the step
        return np.nan, np.nan
    width = max(1, round(_RING * (np.count_nonzero(mask) / np.pi) ** 0.5))
    region = tuple(slice(max(0, i[0] - width), i[-1] + width + 1) for i in (rows, columns))
    mask, gray = mask[region], gray[region]
    ring = _spread(_spread(mask, width).T, width).T & ~mask
    inside = float(gray[mask].mean())
    return inside, inside - float(gray[ring].mean()) if ring.any() else 0


def _spread(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return the pixels at most `reach` rows away from a mask."""
    counts = np.cumsum(np.pad(mask, ((reach + 1, reach), (0, 0))), axis=0, dtype=np.int32)
    return np.asarray(counts[2 * reach + 1 :] > counts[: -2 * reach - 1])


def shape_of(mask: NDArray[np.bool_], area: int) -> tuple[float, float]:
    """Return elongation and fullness of a mask, from its second moments."""
    weights = mask.astype(np.float32)
    y, x = (np.arange(length, dtype=np.float32) for length in mask.shape)
    per_row, per_column = weights.sum(1) / area, weights.sum(0) / area
    y, x = y - per_row @ y, x - per_column @ x
    # A pixel is not a point: it has a second moment itself.
    yy, xx = per_row @ y**2 + 1 / 12, per_column @ x**2 + 1 / 12
    xy = y @ weights @ x / area
    determinant = max(float(yy * xx - xy**2), 1 / 144)
    half_trace = float(yy + xx) / 2
    longest = half_trace + max(half_trace**2 - determinant, 0) ** 0.5
    return float(np.log(longest**2 / determinant) / 2), area / (4 * np.pi * determinant**0.5)
