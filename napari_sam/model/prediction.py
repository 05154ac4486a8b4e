"""What a prompt yields: low-resolution logits, their scores, and masks of the image's size.

Published SAM brings logits to the image in two bilinear steps: to the square input, whose padding
is cut off, then to the image. Both steps act on rows and columns separately, so together they are
one short filter per axis. A bilinear value is positive only where one of its neighbours is, so
only the surroundings of the positive logits are ever computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_sam.model.transforms import Size

TAPS = 3  # low-resolution neighbours that both steps together can reach along one axis
MAX_BLOCK = 2048
"""Longest side, in pixels, of the parts in which a very large mask is computed."""
BLOCK = 32  # low-resolution columns upscaled at a time: few enough to waste little on zeros


class MaskCrop(NamedTuple):
    """A mask's bounding box.

    Attributes
    ----------
    mask : ndarray
        (h, w) bool; (0, 0) if the mask is empty.
    top, left : int
        Row and column of its first pixel in the image; 0 if the mask is empty.
    """

    mask: npt.NDArray[np.bool_]
    top: int
    left: int


class Region(NamedTuple):
    """Rows `top` to `bottom` and columns `left` to `right` of the image, the last excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> Size:
        """(h, w)."""
        return self.bottom - self.top, self.right - self.left


class AxisFilter(NamedTuple):
    """Both bilinear steps along one axis of the image.

    Attributes
    ----------
    starts : ndarray
        (n,) first of the `TAPS` consecutive low-resolution places that each pixel depends on.
    weights : ndarray
        (n, TAPS) float32.
    """

    starts: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]

    def reach(self, first: int, last: int) -> tuple[int, int]:
        """Return the half-open range of pixels that depend on places `first` to `last`."""
        begin = int(np.searchsorted(self.starts + TAPS - 1, first))
        return begin, int(np.searchsorted(self.starts, last, side="right"))

    def apply(
        self, values: npt.NDArray[np.float32], begin: int, end: int
    ) -> npt.NDArray[np.float32]:
        """Filter the rows of (low_res, n) values; return those of pixels `begin` to `end`."""
        starts, weights = self.starts[begin:end], self.weights[begin:end]
        filtered: npt.NDArray[np.float32] = values[starts] * weights[:, :1]
        for tap in range(1, TAPS):
            filtered += values[starts + tap] * weights[:, tap : tap + 1]
        return filtered

    def matrix(self, begin: int, end: int) -> tuple[npt.NDArray[np.float32], int]:
        """Return the filter of pixels `begin` to `end` as a matrix, and its first place.

        The matrix is (end - begin, places).
        """
        starts = self.starts[begin:end]
        first = int(starts[0])
        dense = np.zeros((len(starts), int(starts[-1]) + TAPS - first), np.float32)
        columns = starts[:, None] - first + np.arange(TAPS)
        np.put_along_axis(dense, columns, self.weights[begin:end], axis=1)
        return dense, first


def _bilinear(n_in: float, n_out: float, count: int) -> tuple[npt.NDArray[np.int64], ...]:
    """Return the lower neighbours and the weights of the upper ones for `count` pixels."""
    position = np.maximum((np.arange(count) + 0.5) * (n_in / n_out) - 0.5, 0.0)
    lower = np.minimum(position.astype(np.int64), int(n_in) - 1)
    return lower, position - lower


@lru_cache(maxsize=16)
def axis_filter(low_res: int, image_size: int, input_length: int, length: int) -> AxisFilter:
    """Compose the two bilinear steps along one axis.

    Parameters
    ----------
    low_res : int
        Side of the low-resolution logits.
    image_size : int
        Side of the square input.
    input_length : int
        Extent of the resized image in the square input.
    length : int
        Extent of the original image.

    Returns
    -------
    AxisFilter
        For the `length` pixels.
    """
    low, low_weight = _bilinear(low_res, image_size, input_length)
    mid, mid_weight = _bilinear(input_length, length, length)
    upper = np.minimum(mid + 1, input_length - 1)
    starts = np.minimum(low[mid], max(low_res - TAPS, 0))
    weights = np.zeros((length, TAPS))
    rows = np.arange(length)
    for middle, share in ((mid, 1 - mid_weight), (upper, mid_weight)):
        places = low[middle]
        above = np.minimum(places + 1, low_res - 1)
        np.add.at(weights, (rows, places - starts), share * (1 - low_weight[middle]))
        np.add.at(weights, (rows, above - starts), share * low_weight[middle])
    return AxisFilter(starts, weights.astype(np.float32))


def _extent(mask: npt.NDArray[np.bool_], axis: int) -> tuple[int, int]:
    """Return the half-open range along `axis` that holds every True; there is at least one."""
    flags = np.asarray(mask.any(axis=1 - axis))
    return int(flags.argmax()), len(flags) - int(flags[::-1].argmax())


def region_above(
    logits: npt.NDArray[np.float32], rows: AxisFilter, columns: AxisFilter, threshold: float
) -> Region | None:
    """Find where in the image logits can exceed a threshold once they are upscaled.

    Parameters
    ----------
    logits : ndarray
        (low_res, low_res) float32.
    rows, columns : AxisFilter
        For the height and the width of the image.
    threshold : float
        In units of the logits.

    Returns
    -------
    Region or None
        None if they exceed it nowhere.
    """
    above = logits > threshold
    if not above.any():
        return None
    (y0, y1), (x0, x1) = _extent(above, 0), _extent(above, 1)
    top, bottom = rows.reach(y0, y1 - 1)
    left, right = columns.reach(x0, x1 - 1)
    if top == bottom or left == right:
        return None
    return Region(top, bottom, left, right)


def upscale_strips(
    logits: npt.NDArray[np.float32], rows: AxisFilter, columns: AxisFilter, region: Region
) -> Iterator[tuple[slice, Tensor]]:
    """Upscale logits within a region, some columns at a time.

    Parameters
    ----------
    logits : ndarray
        (low_res, low_res) float32.
    rows, columns : AxisFilter
        For the height and the width of the image.
    region : Region
        Not empty.

    Yields
    ------
    tuple of slice and Tensor
        Some columns, counted from the left of the region, and their values (height, columns).
    """
    place = int(columns.starts[region.left])
    last = int(columns.starts[region.right - 1]) + TAPS
    tall = torch.from_numpy(rows.apply(logits[:, place:last], region.top, region.bottom))
    # The filter is a narrow band, so it is applied block by block rather than as one matrix that
    # is nearly all zeros.
    begin = region.left
    while begin < region.right:
        limit = int(columns.starts[begin]) + BLOCK
        end = min(int(np.searchsorted(columns.starts, limit)), region.right)
        block, first = columns.matrix(begin, end)
        within = slice(first - place, first - place + block.shape[1])
        values = tall[:, within] @ torch.from_numpy(block).T
        yield slice(begin - region.left, end - region.left), values
        begin = end


def tight_crop(mask: npt.NDArray[np.bool_], top: int = 0, left: int = 0) -> MaskCrop:
    """Cut a mask down to its bounding box.

    Parameters
    ----------
    mask : ndarray
        (h, w) bool, a part of the image.
    top, left : int
        Row and column of its first pixel in the image.

    Returns
    -------
    MaskCrop
        A copy.
    """
    if not mask.any():
        return MaskCrop(np.zeros((0, 0), bool), 0, 0)
    (y0, y1), (x0, x1) = _extent(mask, 0), _extent(mask, 1)
    return MaskCrop(np.array(mask[y0:y1, x0:x1]), top + y0, left + x0)


def upscale_crop(
    logits: npt.NDArray[np.float32], rows: AxisFilter, columns: AxisFilter
) -> MaskCrop:
    """Upscale one mask within its bounding box.

    Parameters
    ----------
    logits : ndarray
        (low_res, low_res) float32.
    rows, columns : AxisFilter
        For the height and the width of the image.

    Returns
    -------
    MaskCrop
        Where the upscaled logits are positive.
    """
    region = region_above(logits, rows, columns, 0)
    if region is None:
        return tight_crop(np.zeros((0, 0), bool))
    return tight_crop(_mask_within(logits, rows, columns, region), region.top, region.left)


def _mask_within(
    logits: npt.NDArray[np.float32], rows: AxisFilter, columns: AxisFilter, region: Region
) -> npt.NDArray[np.bool_]:
    """Tell where in a region upscaled logits are positive."""
    mask = np.empty(region.shape, bool)
    out = torch.from_numpy(mask)
    for strip, values in upscale_strips(logits, rows, columns, region):
        torch.gt(values, 0, out=out[:, strip])
    return mask


def _pieces(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a half-open range into pieces of at most `MAX_BLOCK`."""
    for first in range(begin, end, MAX_BLOCK):
        yield first, min(first + MAX_BLOCK, end)


@dataclass(frozen=True)
class MaskPrediction:
    """The candidate masks of one prompt.

    Attributes
    ----------
    low_res_logits : ndarray
        (K, 256, 256) float32; may be passed on as ``mask_input``.
    iou_predictions : ndarray
        (K,) float32, the predicted quality of each mask.
    original_size, input_size : tuple of int
        (H, W) of the image and of its resized version.
    image_size : int
        Side of the model's square input.
    """

    low_res_logits: npt.NDArray[np.float32]
    iou_predictions: npt.NDArray[np.float32]
    original_size: Size
    input_size: Size
    image_size: int
    _crops: dict[int, MaskCrop] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.low_res_logits)

    def mask_crop(self, k: int) -> MaskCrop:
        """Return the bounding box of mask `k`, computed at the first call.

        Raises
        ------
        IndexError
            If there is no mask `k`.
        """
        k = range(len(self))[k]
        if k not in self._crops:
            filters = self.axis_filters(self.original_size)
            self._crops[k] = upscale_crop(self.low_res_logits[k], *filters)
        return self._crops[k]

    def mask_blocks(self, k: int, size: Size) -> Iterator[MaskCrop]:
        """Yield mask `k` at another size, block by block, without ever holding it whole.

        Parameters
        ----------
        k : int
            Which mask.
        size : tuple of int
            (H, W) in pixels to which the image is scaled.

        Yields
        ------
        MaskCrop
            Blocks of at most `MAX_BLOCK` pixels a side that do not overlap and together hold the
            whole mask; in the image's own size one, which is `mask_crop`.

        Raises
        ------
        IndexError
            If there is no mask `k`.
        """
        crop = self.mask_crop(k)
        if size == self.original_size and max(crop.mask.shape) <= MAX_BLOCK:
            yield crop
            return
        logits = self.low_res_logits[k]
        filters = self.axis_filters(size)
        region = region_above(logits, *filters, 0)
        if region is None:
            return
        for top, bottom in _pieces(region.top, region.bottom):
            for left, right in _pieces(region.left, region.right):
                mask = _mask_within(logits, *filters, Region(top, bottom, left, right))
                if mask.any():
                    yield MaskCrop(mask, top, left)

    def axis_filters(self, size: Size) -> tuple[AxisFilter, AxisFilter]:
        """Return what upscales rows and columns of the logits to an image of (H, W) pixels."""
        low_res = self.low_res_logits.shape[-1]
        rows, columns = (
            axis_filter(low_res, self.image_size, inner, outer)
            for inner, outer in zip(self.input_size, size, strict=True)
        )
        return rows, columns

    @cached_property
    def masks(self) -> npt.NDArray[np.bool_]:
        """(K, H, W) bool, computed at the first access."""
        masks = np.zeros((len(self), *self.original_size), bool)
        for k, mask in enumerate(masks):
            crop = self.mask_crop(k)
            height, width = crop.mask.shape
            mask[crop.top : crop.top + height, crop.left : crop.left + width] = crop.mask
        return masks
