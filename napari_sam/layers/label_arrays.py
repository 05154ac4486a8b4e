"""Write into the arrays of a Labels layer while the user may paint in them."""

import sys
from collections.abc import Sequence
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

CHUNK_PX: Final = 512
"""Longest side of a chunk of labels that are not held in memory as a whole."""


def is_zarr(array: Any) -> bool:
    """Whether an array is one of zarr, which need not be imported to know: that takes long."""
    zarr = sys.modules.get("zarr")
    return zarr is not None and isinstance(array, zarr.Array)


def write_levels(
    arrays: Sequence[Any],
    region: tuple[slice, ...],
    labels: NDArray[Any],
    where: NDArray[np.bool_] | None = None,
) -> None:
    """Replace a region, or some pixels of it, at every resolution; may be called on any thread."""
    finest, *coarser = arrays
    _write(finest, region, labels, where)
    for data in coarser:
        factors = [round(n / m) for n, m in zip(finest.shape, data.shape, strict=True)]
        spans = [_sampled(span, factor) for span, factor in zip(region, factors, strict=True)]
        sampled = tuple(source for _, source in spans)
        if labels[sampled].size:
            mask = None if where is None else where[sampled]
            _write(data, tuple(destination for destination, _ in spans), labels[sampled], mask)


def _sampled(span: slice, factor: int) -> tuple[slice, slice]:
    """Return the span of every n-th pixel at the coarser level, and their positions in the span."""
    first, end = -(-span.start // factor), -(-span.stop // factor)
    return slice(first, end), slice(first * factor - span.start, None, factor)


def _write(
    data: Any, region: tuple[slice, ...], labels: NDArray[Any], where: NDArray[np.bool_] | None
) -> None:
    if where is None:
        data[region] = labels
    elif isinstance(data, np.ndarray):
        np.copyto(data[region], labels, where=where)
    else:
        # A chunk is written as a whole: one at a time, so that a stroke rarely comes in between.
        spans = [
            [
                slice(max(span.start, at), min(span.stop, at + CHUNK_PX))
                for at in range(span.start // CHUNK_PX * CHUNK_PX, span.stop, CHUNK_PX)
            ]
            for span in region
        ]
        for parts in product(*spans):
            inside = tuple(
                slice(part.start - span.start, part.stop - span.start)
                for part, span in zip(parts, region, strict=True)
            )
            if where[inside].any():
                pixels = np.array(data[parts])
                np.copyto(pixels, labels[inside], where=where[inside])
                data[parts] = pixels
