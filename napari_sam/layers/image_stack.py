"""The planes of an image layer along the slider next to the one that is shown."""

from collections.abc import Callable

import numpy as np
from napari.layers import Image

from napari_sam.layers.plane_view import PlaneView, axis_name
from napari_sam.layers.time_axes import is_time
from napari_sam.session.image.image_plane import ImagePlane


class ImageStack:
    """The planes of an image as a `Stack`: as they look now, whatever the viewer shows later."""

    def __init__(
        self, image: Image, view: PlaneView, plane_at: Callable[[PlaneView], ImagePlane]
    ) -> None:
        self._view, self._plane_at = view, plane_at
        axis = view.axes_of_planes[-1]
        self.axis_name = axis_name(image, axis)
        """The name of its axis; empty if unknown."""
        sides = [abs(float(image.scale[n])) for n in (view.row_axis, view.column_axis)]
        distance_px = abs(float(image.scale[axis])) / float(np.sqrt(np.prod(sides)))
        self.slice_distance_px = None if is_time(image, axis) else distance_px
        """Distance of two slices, in pixels of the planes; None through time."""

    def __len__(self) -> int:
        """Return the number of slices."""
        return self._view.stack_size

    def image_plane(self, slice_index: int) -> ImagePlane:
        """Return the image on a slice, without reading it; may be called on any thread."""
        return self._plane_at(self._view.at_slice(slice_index))
