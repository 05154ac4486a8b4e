"""The images of a file and their planes; the caller provides the function that opens files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam.formats.image import ImageInfo
    from napari_sam.session.image.image_plane import ImagePlane


class OpenError(ValueError):
    """A file cannot be opened as an image; the message says why."""


@dataclass(frozen=True, eq=False)
class OpenedPlane:
    """One plane of an image."""

    slice_index: tuple[int, ...]  # where it is in the stack; empty for a single plane
    name: str  # for messages
    plane: ImagePlane  # its pixels, which are read when they are needed


@dataclass(frozen=True, eq=False)
class OpenedImage:
    """An image of a file, which may hold several."""

    name: str  # of its layer in napari
    planes: list[OpenedPlane]  # all of them; axes of length one are left out
    shape: tuple[int, ...]  # lengths of the axes of the stack, then height and width
    scale: tuple[float, ...]  # step along each of these axes
    units: tuple[Any, ...]  # one for each of these axes, as in napari
    axis_labels: tuple[str, ...]  # one for each of these axes, as in napari

    def info(self, name: str, first_axis: int = 0) -> ImageInfo:
        """Describe the image, or with -2 one of its planes, under this name."""
        from napari_sam.session.annotations import image_info

        along: tuple[Any, ...] = (self.shape, self.scale, self.units, self.axis_labels)
        return image_info(name, *(values[first_axis:] for values in along))


ImageOpener = Callable[[str], list[OpenedImage]]
"""Opens a file, or raises `OpenError`. On a cluster it is pickled and sent to the workers."""
