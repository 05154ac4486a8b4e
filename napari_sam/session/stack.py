"""A stack of image planes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, Protocol, overload

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
