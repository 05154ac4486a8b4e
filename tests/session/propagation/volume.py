"""A volume in memory with labels, as a stack of a session, without any viewer."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_sam.session import ArrayLabels, ImagePlane
from napari_sam.session.plane_request import PlaneRequest


@dataclass
class VolumePlane:
    """One slice along the first axis of labels."""

    labels: ArrayLabels
    index: int
    slice_axis: int | None = 0

    @property
    def shape(self):
        return self.labels.shape[1:]

    def read(self, rows, columns):
        return self.labels.read((slice(self.index, self.index + 1), rows, columns))[0]

    def to_nd(self, mask, top, left):
        return mask[None], (self.index, top, left)

    def to_2d(self, array):
        return array[0]

    def at_slice(self, slice_index):
        return VolumePlane(self.labels, slice_index)

    def to_plane(self, start, stop):
        if not start[0] <= self.index < stop[0]:
            return None
        return slice(start[1], stop[1]), slice(start[2], stop[2])


class Volume:
    """The image and its labels."""

    axis_name, slice_distance_px = "z", 1.0

    def __init__(self, image: Any, dtype: Any = np.uint16) -> None:
        self.image = image
        self.labels = ArrayLabels(np.zeros(image.shape, dtype))

    def __len__(self):
        return len(self.image)

    def image_plane(self, slice_index):
        return ImagePlane(self.image[slice_index])

    def request(self, slice_index):
        """Show a slice."""
        plane = self.image_plane(slice_index)
        target = VolumePlane(self.labels, slice_index)
        return PlaneRequest(
            plane, key=slice_index, slice_index=slice_index, target=target, stack=self
        )


def moving_discs(n_slices=9, side=96):
    """Two discs: one through slices 1 to 7 that grows, shrinks and moves, another in 3 to 8."""
    rng = np.random.default_rng(1)
    image = np.full((n_slices, side, side), 60.0)
    rows, columns = np.mgrid[:side, :side]
    for index in range(n_slices):
        if 1 <= index <= 7:
            radius = 14 - 2 * abs(index - 4)
            image[index][np.hypot(rows - 30 - index, columns - 30) <= radius] = 190
        if 3 <= index <= 8:
            image[index][np.hypot(rows - 66, columns - 66 - index) <= 10] = 190
    return (image + rng.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)
