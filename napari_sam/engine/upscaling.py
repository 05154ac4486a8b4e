"""How low-resolution logits are brought to the size of an image.

Published SAM does it in two bilinear steps: to the square input, whose padding is cut off, then
to the image. Both steps act on rows and columns separately, so together they are one short filter
per axis. Published SAM 2 does it in one step. A bilinear value is positive only where one of its
neighbors is, so only the surroundings of the positive logits are ever computed.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_sam.engine.masks import extent
from napari_sam.engine.spec import Size

TAPS = 3  # low-resolution neighbors that both steps together can reach along one axis
BLOCK = 32  # low-resolution columns upscaled at a time: few enough to waste little on zeros


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
    """Return the lower neighbors and the weights of the upper ones for `count` pixels."""
    position = np.maximum((np.arange(count) + 0.5) * (n_in / n_out) - 0.5, 0.0)
    lower = np.minimum(position.astype(np.int64), int(n_in) - 1)
    return lower, position - lower


@lru_cache(maxsize=16)
def axis_filter(low_res: int, input_side: int, input_length: int, length: int) -> AxisFilter:
    """Compose the two bilinear steps along one axis.

    Parameters
    ----------
    low_res : int
        Side of the low-resolution logits.
    input_side : int
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
    low, low_weight = _bilinear(low_res, input_side, input_length)
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


@lru_cache(maxsize=16)
def one_step_filter(low_res: int, share: float, length: int) -> AxisFilter:
    """Return a single bilinear step along one axis.

    Parameters
    ----------
    low_res : int
        Side of the low-resolution logits.
    share : float
        Part of them that the image covers.
    length : int
        Extent of the image.

    Returns
    -------
    AxisFilter
        For the `length` pixels.
    """
    # Unlike the two steps, it knows no border of the image where the square goes on beyond it.
    position = np.maximum((np.arange(length) + 0.5) * (low_res * share / length) - 0.5, 0.0)
    low = np.minimum(position.astype(np.int64), low_res - 1)
    weight = position - low
    starts = np.minimum(low, max(low_res - TAPS, 0))
    weights = np.zeros((length, TAPS))
    rows = np.arange(length)
    np.add.at(weights, (rows, low - starts), 1 - weight)
    np.add.at(weights, (rows, np.minimum(low + 1, low_res - 1) - starts), weight)
    return AxisFilter(starts, weights.astype(np.float32))


class ScaledLogits(NamedTuple):
    """The low-resolution logits of a mask, and what upscales them to its image.

    Attributes
    ----------
    low_res_logits : ndarray
        (low_res, low_res) float.
    rows, columns : AxisFilter
        For the height and the width of the image.
    """

    low_res_logits: npt.NDArray[np.floating]
    rows: AxisFilter
    columns: AxisFilter

    def region_above(self, threshold: float) -> Region | None:
        """Find where in the image the upscaled logits can exceed a threshold; None if nowhere."""
        above = self.low_res_logits > threshold
        if not above.any():
            return None
        (y0, y1), (x0, x1) = extent(above, 0), extent(above, 1)
        top, bottom = self.rows.reach(y0, y1 - 1)
        left, right = self.columns.reach(x0, x1 - 1)
        if top == bottom or left == right:
            return None
        return Region(top, bottom, left, right)

    def products(
        self, region: Region
    ) -> Iterator[tuple[slice, npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
        """Cut the upscaling of a region into products of two matrices.

        The filter is a narrow band, so it is applied block by block rather than as one matrix that
        is nearly all zeros.

        Parameters
        ----------
        region : Region
            Not empty.

        Yields
        ------
        tuple of slice, ndarray and ndarray
            Some columns, counted from the left of the region, and two factors, (height, n) and
            (columns, n): the values are the first times the second transposed.
        """
        starts = self.columns.starts
        place, last = int(starts[region.left]), int(starts[region.right - 1]) + TAPS
        values = self.low_res_logits[:, place:last].astype(np.float32, copy=False)
        tall = self.rows.apply(values, region.top, region.bottom)
        begin = region.left
        while begin < region.right:
            limit = int(starts[begin]) + BLOCK
            end = min(int(np.searchsorted(starts, limit)), region.right)
            block, first = self.columns.matrix(begin, end)
            within = slice(first - place, first - place + block.shape[1])
            yield slice(begin - region.left, end - region.left), tall[:, within], block
            begin = end
