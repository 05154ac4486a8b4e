"""Which 2-D plane of an image layer is on display, and where things lie on it.

This is the one place where napari's data order (rows, columns: `_rc`) meets SAM's (`_xy`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.components import Dims
from napari.layers import Image, Layer
from napari.utils.transforms import Affine
from numpy.typing import ArrayLike, NDArray

from napari_sam.session.image.image_plane import ImageError
from napari_sam.session.image.intensity import MAX_CHANNELS


@dataclass(frozen=True)
class PlaneView:
    """A 2-D plane of an n-D array: two displayed axes, and an index along each other axis.

    An axis of channels is none of these: all of them belong to the plane. Labels have one pixel
    along it, which is as long as all channels together, so that napari shows them at each; and
    prompts have coordinates of their own along it, which do not matter.
    """

    # the array's shape, without a colour axis; 1 along the axis of channels
    shape_nd: tuple[int, ...]
    row_axis: int  # the displayed axes, in the order in which they are displayed
    column_axis: int  # the displayed axes, in the order in which they are displayed
    # position along every axis; without meaning along the displayed ones and that of the
    # channels, where it is 0
    index: tuple[int, ...]
    channel_axis: int | None = None  # the axis of channels
    channel_count: int = 1  # how many there are

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the plane in pixels."""
        return self.shape_nd[self.row_axis], self.shape_nd[self.column_axis]

    @property
    def is_transposed(self) -> bool:
        """Whether the plane shows the array's axes in reverse order."""
        return self.row_axis > self.column_axis

    def spread(self, rows: Any, columns: Any, elsewhere: Any) -> list[Any]:
        """Return one value for each axis: that of the rows, of the columns, or of all others."""
        values = [elsewhere] * len(self.shape_nd)
        values[self.row_axis], values[self.column_axis] = rows, columns
        return values

    @property
    def _sliced_axes(self) -> list[int]:
        others = (self.row_axis, self.column_axis, self.channel_axis)
        return [axis for axis in range(len(self.shape_nd)) if axis not in others]

    @property
    def axes_of_planes(self) -> list[int]:
        """The axes along which there are other planes; the last is next to the plane."""
        return [axis for axis in self._sliced_axes if self.shape_nd[axis] > 1]

    @property
    def slice_index(self) -> int:
        """Position along the axis next to the plane; 0 where there is none."""
        axes = self.axes_of_planes
        return self.index[axes[-1]] if axes else 0

    @property
    def offset(self) -> NDArray[np.float64]:
        """Where the plane's first pixel lies in the n-D array."""
        return np.array(self.index, float) + self.labels_offset

    @property
    def labels_offset(self) -> NDArray[np.float64]:
        """Where the first pixel of labels for the whole n-D array lies in it."""
        offset = np.zeros(len(self.shape_nd))
        if self.channel_axis is not None:
            offset[self.channel_axis] = (self.channel_count - 1) / 2
        return offset

    def pixel(self, height: float = 1, width: float = 1) -> list[float]:
        """Return the size of a pixel of labels along each axis, in pixels of the array."""
        size: list[float] = self.spread(height, width, 1)
        if self.channel_axis is not None:
            size[self.channel_axis] = self.channel_count
        return size

    @property
    def prompt_pixel(self) -> list[float]:
        """The unit of prompts along each axis, in pixels of the array.

        Wherever in the channels a prompt lies, and whichever is shown, it is less than half a
        unit away: so napari shows it.
        """
        size = self.pixel()
        if self.channel_axis is not None:
            size[self.channel_axis] *= 2
        return size

    def for_labels(self, ndim: int) -> PlaneView:
        """Return where the plane lies in labels with so many axes.

        Where the channels come first, labels may also do without that axis: napari shows them at
        all channels just so.
        """
        if self.channel_axis != 0 or ndim != len(self.shape_nd) - 1:
            return self
        row_axis, column_axis = self.row_axis - 1, self.column_axis - 1
        return PlaneView(self.shape_nd[1:], row_axis, column_axis, self.index[1:])

    def holds(self, points_rc: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which of (N, ndim) points lie on the plane's slice; outside its frame counts."""
        sliced = self._sliced_axes
        on_slice: NDArray[np.bool_] = (
            np.abs(points_rc[:, sliced] - np.array(self.index)[sliced]) <= 0.5
        ).all(axis=1)
        return on_slice

    def to_xy(self, points_rc: NDArray[Any]) -> NDArray[np.float64]:
        """Return the (N, 2) x, y in the plane of (N, ndim) positions in the array."""
        return np.asarray(points_rc, float)[:, [self.column_axis, self.row_axis]]

    def to_rc(self, points_xy: ArrayLike) -> NDArray[np.float64]:
        """Return the (N, ndim) positions of prompts at (N, 2) x, y in the plane."""
        points_xy = np.asarray(points_xy, float).reshape(-1, 2)
        points_rc = np.tile(np.array(self.index, float), (len(points_xy), 1))
        points_rc[:, self.column_axis], points_rc[:, self.row_axis] = points_xy.T
        return points_rc

    def following(self, before: PlaneView | None) -> list[PlaneView]:
        """Return the planes that will probably be shown next, the likeliest first."""
        steps = [] if before is None else self._steps_from(before)
        if len(steps) == 1:
            axis, step = steps[0]
            places = [self.index[axis] + step, self.index[axis] + 2 * step]
        elif self.axes_of_planes:  # the slider next to the plane is the one that is moved most
            axis = self.axes_of_planes[-1]
            places = [self.index[axis] + 1, self.index[axis] - 1]
        else:
            return []
        return [
            replace(self, index=(*self.index[:axis], place, *self.index[axis + 1 :]))
            for place in places
            if 0 <= place < self.shape_nd[axis]
        ]

    def _steps_from(self, before: PlaneView) -> list[tuple[int, int]]:
        """Return by how much each axis has moved, of those that have; [] for another kind."""
        if replace(self, index=before.index) != before:
            return []
        pairs = enumerate(zip(before.index, self.index, strict=True))
        return [(axis, new - old) for axis, (old, new) in pairs if new != old]


def levels(layer: Layer) -> list[Any]:
    """Return the arrays of a layer, the highest resolution first."""
    return list(layer.data) if layer.multiscale else [layer.data]


def displayed_plane(layer: Image, dims: Dims, channel_axis: int | None = None) -> PlaneView:
    """Return the plane of `layer` that a viewer with these `dims` shows."""
    name, shape = layer.name, tuple(int(length) for length in levels(layer)[0].shape)
    if dims.ndisplay != 2:
        msg = "Annotating pauses in 3-D display: switch to 2-D (Ctrl-Y) to go on."
        raise ImageError(msg)
    shape = shape[: layer.ndim]
    row_axis, column_axis = (axis - dims.ndim + layer.ndim for axis in dims.displayed)
    if min(row_axis, column_axis) < 0:
        msg = f"'{name}' has no such axes: roll the axes (Ctrl-E) until the whole image shows."
        raise ImageError(msg)
    if channel_axis in (row_axis, column_axis):
        msg = (
            f"Axis {channel_axis} of '{name}' holds its channels: roll the axes (Ctrl-E) until it "
            "has a slider, or choose another channel axis."
        )
        raise ImageError(msg)
    _check_channels(layer, shape, row_axis, column_axis)
    position = np.round(layer.world_to_data(dims.point)).astype(int)
    index = [int(place) for place in position]
    index[row_axis] = index[column_axis] = 0
    if not all(0 <= place < max(length, 1) for place, length in zip(index, shape, strict=True)):
        msg = f"'{name}' has nothing at this slider position: move the slider back to the image."
        raise ImageError(msg)
    if 0 in shape:
        msg = f"'{name}' is empty (shape {shape}): choose an image with pixels."
        raise ImageError(msg)
    if channel_axis is None:
        return PlaneView(shape, row_axis, column_axis, tuple(index))
    count, index[channel_axis] = shape[channel_axis], 0
    shape = (*shape[:channel_axis], 1, *shape[channel_axis + 1 :])
    return PlaneView(shape, row_axis, column_axis, tuple(index), channel_axis, count)


def _check_channels(layer: Image, shape: tuple[int, ...], row_axis: int, column_axis: int) -> None:
    """Refuse a stack that is far more likely one image with its channels in the last axis."""
    last = len(shape) - 1
    if layer.rgb or last < 2 or last not in (row_axis, column_axis):
        return
    if shape[-1] > MAX_CHANNELS or min(shape[-3:-1]) < 4 * shape[-1]:
        return
    cure = (
        "If the last axis is colour, add the image with rgb=True"
        if shape[-1] in (3, 4)
        else "If the last axis is channels, add the image with channel_axis=-1"
    )
    msg = (
        f"'{layer.name}' has shape {shape}, so napari shows slices of {shape[-2]} x {shape[-1]} "
        f"pixels. {cure}, or roll the axes (Ctrl-E) until the whole image shows and choose its "
        "channels under 'Image appearance for SAM'."
    )
    raise ImageError(msg)


def placement(
    layer: Layer, offset: ArrayLike | None = None, pixel: ArrayLike = 1
) -> dict[str, Any]:
    """Return the keyword arguments that put a new layer exactly where `layer` lies."""
    before_affine = Affine(
        scale=layer.scale, translate=layer.translate, rotate=layer.rotate, shear=layer.shear
    )
    translate = layer.translate if offset is None else before_affine(np.asarray(offset, float))
    return {
        "scale": layer.scale * np.asarray(pixel, float),
        "translate": translate,
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine,
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }


def lies_on(layer: Layer, image: Image, view: PlaneView | None = None) -> bool:
    """Return whether a layer lies where its data coordinates say.

    These are the image's; with a view of it, those of its labels, which may lack the first axis.
    """
    corners = np.vstack([np.zeros(image.ndim), np.diag(levels(image)[0].shape[: image.ndim])])
    on_image = corners if view is None else view.labels_offset + corners * view.pixel()
    return all(
        np.allclose(
            layer.data_to_world(corner[-layer.ndim :]), image.data_to_world(place)[-layer.ndim :]
        )
        for corner, place in zip(corners, on_image, strict=True)
    )


def set_transform(layer: Layer, where: dict[str, Any]) -> None:
    """Move an existing layer to where `placement` says."""
    for name, value in where.items():
        if not np.array_equal(np.asarray(getattr(layer, name)), np.asarray(value)):
            setattr(layer, name, value)
