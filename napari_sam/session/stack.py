"""A stack of image planes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, overload

from napari_sam.session.image.image_plane import ImagePlane

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
    """An array as a `Stack` along its first axis; each slice is read when it is needed.

    Parameters
    ----------
    array : array_like
        (Z, H, W) intensities, or (Z, H, W, 3 or 4) colors if `is_rgb`; NumPy, dask, zarr, or
        anything else with a shape, a dtype and regions.
    is_rgb : bool
        Whether the last axis holds colors.
    slice_distance_px : float, optional
        Distance of two slices, in pixels; None through time.
    axis_name : str
        The name of the first axis.
    """

    def __init__(
        self,
        array: Any,
        *,
        is_rgb: bool = False,
        slice_distance_px: float | None = 1.0,
        axis_name: str = "z",
    ) -> None:
        self._array, self._is_rgb = array, is_rgb
        self.slice_distance_px, self.axis_name = slice_distance_px, axis_name

    def __len__(self) -> int:
        """Return the number of slices."""
        return int(self._array.shape[0])

    def image_plane(self, slice_index: int) -> ImagePlane:
        """Return the image on a slice."""
        return ImagePlane(self._array[slice_index], is_rgb=self._is_rgb)
