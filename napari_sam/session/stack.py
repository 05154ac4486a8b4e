"""A stack of image planes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.image.image_plane import ImageError, ImagePlane

_MAX_KEPT: Final = 64


class Stack(Protocol):
    """The planes at all positions of the slider next to the one that is shown."""

    @property
    def axis_name(self) -> str:
        """The name of the axis along which the slices follow; empty if unknown."""

    @property
    def slice_distance_px(self) -> float | None:
        """Distance of two slices, in pixels of the planes; None through time."""

    def __len__(self) -> int:
        """Return the number of slices."""

    def image_plane(self, slice_index: int) -> ImagePlane:
        """Return the image on a slice, without reading it; may be called on any thread."""


@dataclass(frozen=True, eq=False)
class SliceRange:
    """The slices of a stack that a run goes through."""

    stack: Stack
    indices: range


class LazyPlanes(Sequence[ImagePlane]):
    """The image planes of a stack, each made when it is asked for.

    The last ones are kept: embeddings in memory are found by their planes.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._plane = lru_cache(_MAX_KEPT)(stack.image_plane)

    def __len__(self) -> int:
        return len(self._stack)

    @overload
    def __getitem__(self, index: int) -> ImagePlane: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ImagePlane]: ...

    def __getitem__(self, index: int | slice) -> ImagePlane | Sequence[ImagePlane]:
        if isinstance(index, slice):
            return [self._plane(n) for n in range(*index.indices(len(self)))]
        return self._plane(index)

    def __iter__(self) -> Iterator[ImagePlane]:
        return (self._plane(index) for index in range(len(self)))


class ArrayStack:
    """An array as a `Stack` along one of its axes; pixels are read when they are needed.

    Parameters
    ----------
    array : array_like
        (Z, H, W) intensities, or (Z, H, W, 3 or 4) colors if `is_rgb`, with any number of axes
        before rows and columns; NumPy, dask, zarr, or anything else with a shape, a dtype and
        regions.
    axis : int
        The axis along which the slices follow.
    position : sequence of int
        Where the stack lies along the other axes before rows and columns, in their order; at their
        beginning by default.
    is_rgb : bool
        Whether the last axis holds colors.
    slice_distance_px : float, optional
        Distance of two slices, in pixels; None through time.
    axis_name : str
        The name of the axis.

    Raises
    ------
    ImageError
        If the array has no such axis, or the position does not fit.
    """

    def __init__(
        self,
        array: Any,
        *,
        axis: int = 0,
        position: Sequence[int] = (),
        is_rgb: bool = False,
        slice_distance_px: float | None = 1.0,
        axis_name: str = "z",
    ) -> None:
        shape = tuple(array.shape)
        n_axes = len(shape) - (3 if is_rgb else 2)
        others = [length for n, length in enumerate(shape[: max(n_axes, 0)]) if n != axis]
        if not 0 <= axis < n_axes:
            msg = f"An array of shape {shape} has no axis {axis} before its rows and columns."
            raise ImageError(msg)
        position = tuple(position) or (0,) * len(others)
        if len(position) != len(others) or not all(map(_is_within, position, others)):
            msg = f"{position} is no position along the other axes, which have {others} places."
            raise ImageError(msg)
        self._array, self._axis, self._position = array, axis, position
        self._is_rgb = is_rgb
        self.slice_distance_px, self.axis_name = slice_distance_px, axis_name

    def __len__(self) -> int:
        """Return the number of slices."""
        return int(self._array.shape[self._axis])

    def image_plane(self, slice_index: int) -> ImagePlane:
        """Return the image on a slice."""
        if not 0 <= slice_index < len(self):
            raise IndexError(f"The stack has the slices 0 to {len(self) - 1}.")
        index = (*self._position[: self._axis], slice_index, *self._position[self._axis :])
        is_read = isinstance(self._array, np.ndarray)
        data = self._array[index] if is_read else _Slice(self._array, index)
        return ImagePlane(data, is_rgb=self._is_rgb)


def stack_planes(
    array: Any, axis: int = 0, position: Sequence[int] = (), *, is_rgb: bool = False
) -> Sequence[ImagePlane]:
    """Return the planes of an array along an axis; their pixels are read when they are needed.

    Parameters
    ----------
    array : array_like
        Intensities, or colors if `is_rgb`, as for `ArrayStack`.
    axis : int
        The axis along which they follow.
    position : sequence of int
        Where they lie along the other axes before rows and columns; at their beginning by default.
    is_rgb : bool
        Whether the last axis holds colors.

    Returns
    -------
    sequence of ImagePlane
        Each is made when it is asked for.

    Raises
    ------
    ImageError
        If the array has no such axis, or the position does not fit.

    Examples
    --------
    >>> film = np.zeros((5, 3, 40, 50), np.uint8)  # time, depth, rows, columns
    >>> planes = stack_planes(film, position=(1,))
    >>> len(planes), planes[4].shape
    (5, (40, 50))
    """
    return LazyPlanes(ArrayStack(array, axis=axis, position=position, is_rgb=is_rgb))


def _is_within(index: int, length: int) -> bool:
    return 0 <= index < length


class _Slice:
    """A slice of an array that reads its pixels from wherever they are."""

    def __init__(self, array: Any, index: tuple[int, ...]) -> None:
        self._array, self._index = array, index
        self.shape, self.dtype = tuple(array.shape[len(index) :]), array.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """How many rows and columns are stored together; None without chunks."""
        chunks = getattr(self._array, "chunks", None)
        if not chunks:
            return None
        sizes = chunks[len(self._index) :][:2]
        return tuple(int(np.max(size)) for size in sizes)  # dask has a tuple for each axis

    def __getitem__(self, region: tuple[slice, slice]) -> NDArray[Any]:
        return np.asarray(self._array[(*self._index, *region)])
