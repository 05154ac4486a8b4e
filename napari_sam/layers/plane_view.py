"""Which 2-D plane of an image layer is displayed, and the position of layers on it.

Only here does napari's data order (rows, columns: `_rc`) meet SAM's (`_xy`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
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

    A channel axis is neither: all channels belong to the plane. Labels have one pixel along it,
    as long as all channels together, so that napari shows them at each channel. The coordinate
    of prompts along it does not matter.
    """

    # the array's shape, without a color axis; 1 along the channel axis
    shape_nd: tuple[int, ...]
    row_axis: int  # the axis that is displayed from top to bottom
    column_axis: int  # the axis that is displayed from left to right
    # position along every axis; 0 along the displayed axes and the channel axis
    index: tuple[int, ...]
    channel_axis: int | None = None  # None without one
    channel_count: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the plane in pixels."""
        return self.shape_nd[self.row_axis], self.shape_nd[self.column_axis]

    @property
    def unsized(self) -> PlaneView:
        """The plane, however many others there are: a stack grows while it is acquired."""
        return replace(self, shape_nd=tuple(self.spread(*self.shape, 1)))

    @property
    def is_transposed(self) -> bool:
        """Whether the plane shows the array's axes in reverse order."""
        return self.row_axis > self.column_axis

    def spread(self, rows: Any, columns: Any, elsewhere: Any) -> list[Any]:
        """Return a value for each axis: for the rows, for the columns, and for all other axes."""
        values = [elsewhere] * len(self.shape_nd)
        values[self.row_axis], values[self.column_axis] = rows, columns
        return values

    def index_at(self, rows: Any, columns: Any) -> list[Any]:
        """Return the index of rows and columns of the plane in the array."""
        index: list[Any] = list(self.index)
        index[self.row_axis], index[self.column_axis] = rows, columns
        return index

    def region_at(self, rows: slice, columns: slice) -> list[slice]:
        """Return the region of rows and columns of the plane in the array."""
        index = self.index_at(rows, columns)
        return [span if isinstance(span, slice) else slice(span, span + 1) for span in index]

    def to_nd(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Bring (h, w) pixels of the plane to the axes of the array."""
        height, width = pixels.shape
        shape = self.spread(height, width, 1)
        return (pixels.T if self.is_transposed else pixels).reshape(shape)

    @property
    def sliced_axes(self) -> list[int]:
        """The axes that are neither displayed nor hold channels."""
        others = (self.row_axis, self.column_axis, self.channel_axis)
        return [axis for axis in range(len(self.shape_nd)) if axis not in others]

    @property
    def axes_of_planes(self) -> list[int]:
        """The axes along which there are other planes; the last one is next to the plane."""
        return [axis for axis in self.sliced_axes if self.shape_nd[axis] > 1]

    @property
    def slice_index(self) -> int:
        """Position along the axis next to the plane; 0 where there is none."""
        axes = self.axes_of_planes
        return self.index[axes[-1]] if axes else 0

    @property
    def offset(self) -> NDArray[np.float64]:
        """Position of the plane's first pixel in the n-D array."""
        return np.array(self.index, float) + self.labels_offset

    @property
    def labels_offset(self) -> NDArray[np.float64]:
        """Position of the first pixel of labels for the whole n-D array."""
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

        A prompt at any channel is less than half a unit away from every other channel, so napari
        shows it at each.
        """
        size = self.pixel()
        if self.channel_axis is not None:
            size[self.channel_axis] *= 2
        return size

    def for_labels(self, ndim: int) -> PlaneView:
        """Return the plane in labels with this number of axes.

        Labels may lack a channel axis that comes first: napari shows them at all channels.
        """
        if self.channel_axis != 0 or ndim != len(self.shape_nd) - 1:
            return self
        row_axis, column_axis = self.row_axis - 1, self.column_axis - 1
        return PlaneView(self.shape_nd[1:], row_axis, column_axis, self.index[1:])

    def holds(self, points_rc: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which of (N, ndim) points lie on the plane's slice, inside the image or not."""
        sliced = self.sliced_axes
        on_slice: NDArray[np.bool_] = (
            np.abs(points_rc[:, sliced] - np.array(self.index)[sliced]) <= 0.5
        ).all(axis=1)
        return on_slice

    def slices_of(self, points_rc: NDArray[Any]) -> NDArray[np.int_]:
        """Return on which slice of the stack each of (N, ndim) points lies; -1: on none."""
        axis = self.axes_of_planes[-1]
        indices = np.floor(points_rc[:, axis] + 0.5)
        flat = points_rc.copy()
        flat[:, axis] = self.index[axis]
        is_on_slice = self.holds(flat) & (indices >= 0) & (indices < self.stack_size)
        return np.where(is_on_slice, indices, -1).astype(int)

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
            indices = [self.index[axis] + step, self.index[axis] + 2 * step]
        elif self.axes_of_planes:  # the slider next to the plane is the one that is moved most
            axis = self.axes_of_planes[-1]
            indices = [self.index[axis] + 1, self.index[axis] - 1]
        else:
            return []
        return [self.at(axis, index) for index in indices if 0 <= index < self.shape_nd[axis]]

    def at(self, axis: int, index: int) -> PlaneView:
        """Return the plane at another position along an axis."""
        return replace(self, index=(*self.index[:axis], index, *self.index[axis + 1 :]))

    def at_slice(self, slice_index: int) -> PlaneView:
        """Return the plane at another position of the slider next to it, if there is one."""
        axes = self.axes_of_planes
        return self.at(axes[-1], slice_index) if axes else self

    @property
    def stack_size(self) -> int:
        """The number of planes in `stack_around`."""
        axes = self.axes_of_planes
        return self.shape_nd[axes[-1]] if axes else 1

    def stack_around(self) -> dict[str, PlaneView]:
        """Return the planes at all positions of the slider next to the plane, by name.

        The plane itself comes first, then those after it, then those before it, the nearest first.
        """
        axes = self.axes_of_planes
        if not axes:
            return {"the plane": self}
        current = self.index[axes[-1]]
        indices = [*range(current, self.stack_size), *reversed(range(current))]
        return {f"slice {index}": self.at_slice(index) for index in indices}

    def _steps_from(self, before: PlaneView) -> list[tuple[int, int]]:
        """Return each axis that has moved, and by how much; [] for a plane of another stack."""
        if replace(self, index=before.index) != before:
            return []
        pairs = enumerate(zip(before.index, self.index, strict=True))
        return [(axis, new - old) for axis, (old, new) in pairs if new != old]


def levels(layer: Layer) -> list[Any]:
    """Return the arrays of a layer, the highest resolution first."""
    return list(layer.data) if layer.multiscale else [layer.data]


def axis_name(layer: Layer, axis: int) -> str:
    """Return the name of an axis of a layer; empty for napari's default name."""
    name = str(layer.axis_labels[axis])
    return "" if name in (str(axis - layer.ndim), f"axis {axis - layer.ndim}") else name


def displayed_plane(layer: Image, dims: Dims, channel_axis: int | None = None) -> PlaneView:
    """Return the plane of `layer` that a viewer with these `dims` shows."""
    name, shape = layer.name, tuple(int(length) for length in levels(layer)[0].shape)
    if dims.ndisplay != 2:
        raise ImageError("Paused while the viewer shows 3-D. Switch to 2-D (Ctrl+Y) to continue.")
    shape = shape[: layer.ndim]
    row_axis, column_axis = (axis - dims.ndim + layer.ndim for axis in dims.displayed)
    if min(row_axis, column_axis) < 0:
        msg = f"'{name}' lacks a displayed axis. Roll the axes (Ctrl+E) until all of it shows."
        raise ImageError(msg)
    if channel_axis in (row_axis, column_axis):
        raise ImageError(
            f"Axis {channel_axis} of '{name}' holds channels: roll the axes (Ctrl+E) until it has "
            "a slider."
        )
    _check_channels(layer, shape, row_axis, column_axis)
    position = np.round(layer.world_to_data(dims.point)).astype(int)
    index = [int(coordinate) for coordinate in position]
    index[row_axis] = index[column_axis] = 0
    lengths = zip(index, shape, strict=True)
    if not all(0 <= coordinate < max(length, 1) for coordinate, length in lengths):
        raise ImageError(f"'{name}' does not extend to this slider position. Move the slider back.")
    if 0 in shape:
        raise ImageError(f"'{name}' is empty (shape {shape}). Choose an image with pixels.")
    if channel_axis is None:
        return PlaneView(shape, row_axis, column_axis, tuple(index))
    count, index[channel_axis] = shape[channel_axis], 0
    shape = (*shape[:channel_axis], 1, *shape[channel_axis + 1 :])
    return PlaneView(shape, row_axis, column_axis, tuple(index), channel_axis, count)


def is_gray_with_alpha(layer: Layer) -> bool:
    """Whether a layer holds a gray PNG file, whose last axis is gray and alpha."""
    path, data = layer.source.path, layer.data
    is_png = path is not None and Path(path).suffix.lower() == ".png"
    return isinstance(layer, Image) and is_png and data.ndim == 3 and data.shape[-1] == 2


def _check_channels(layer: Image, shape: tuple[int, ...], row_axis: int, column_axis: int) -> None:
    """Refuse a stack that is more likely one image with its channels in the last axis."""
    if is_gray_with_alpha(layer):
        raise ImageError(
            f"'{layer.name}' is gray with transparency, not slices: press Convert to an image."
        )
    last = len(shape) - 1
    if layer.rgb or last < 2 or last not in (row_axis, column_axis):
        return
    if shape[-1] > MAX_CHANNELS or min(shape[-3:-1]) < 4 * shape[-1]:
        return
    cure = (
        "add the image with rgb=True if the last axis holds colors"
        if shape[-1] in (3, 4)
        else "add the image with channel_axis=-1 if the last axis holds channels (on the command "
        "line, --channels=-1)"
    )
    raise ImageError(
        f"Shown as slices of {shape[-2]} x {shape[-1]} pixels: {cure}. Or roll the axes (Ctrl+E) "
        f"until all of '{layer.name}' shows, and choose its channels under 'Image appearance for "
        "SAM'."
    )


def placement(
    layer: Layer, offset: ArrayLike | None = None, pixel: ArrayLike = 1
) -> dict[str, Any]:
    """Return keyword arguments that give a new layer the transform of `layer`."""
    before_affine = Affine(
        scale=layer.scale, translate=layer.translate, rotate=layer.rotate, shear=layer.shear
    )
    translate = layer.translate if offset is None else before_affine(np.asarray(offset, float))
    unchanged = ("rotate", "shear", "affine", "units", "axis_labels")
    return {
        "scale": layer.scale * np.asarray(pixel, float),
        "translate": translate,
        **{name: getattr(layer, name) for name in unchanged},
    }


@dataclass(frozen=True, eq=False)
class ShownPlane:
    """A plane of an image layer; the same one when its stack has grown."""

    image: Image
    view: PlaneView

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShownPlane) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[int, PlaneView]:
        return id(self.image), self.view.unsized

    @property
    def is_possible(self) -> bool:
        """Whether the image still has as many axes: its data may be replaced by any others."""
        return len(self.view.shape_nd) == int(self.image.ndim)

    def layer_placement(
        self, pixel_size: tuple[float, float] = (1, 1), top: float = 0, left: float = 0
    ) -> dict[str, Any]:
        """Return keyword arguments for a layer on the plane with pixels of another size."""
        (height, width), view = pixel_size, self.view
        # The center of a large pixel lies between those of the plane's.
        offset = view.offset + view.spread(top + (height - 1) / 2, left + (width - 1) / 2, 0)
        return placement(self.image, offset, view.pixel(height, width))


def lies_on(layer: Layer, image: Image, view: PlaneView | None = None) -> bool:
    """Whether a layer has the same transform as an image.

    With a view, as the labels of the image, which may lack its first axis.
    """
    corners = np.vstack([np.zeros(image.ndim), np.diag(levels(image)[0].shape[: image.ndim])])
    on_image = corners if view is None else view.labels_offset + corners * view.pixel()
    return all(
        np.allclose(
            layer.data_to_world(corner[-layer.ndim :]), image.data_to_world(point)[-layer.ndim :]
        )
        for corner, point in zip(corners, on_image, strict=True)
    )


def transform_events(image: Image) -> tuple[Any, ...]:
    """Return the events of a moved image."""
    events = image.events
    return events.scale, events.translate, events.rotate, events.shear, events.affine


def set_transform(layer: Layer, transform: dict[str, Any]) -> None:
    """Give an existing layer what `placement` returns."""
    for name, value in transform.items():
        if not np.array_equal(np.asarray(getattr(layer, name)), np.asarray(value)):
            setattr(layer, name, value)


def every_plane(view: PlaneView) -> dict[str, PlaneView]:
    """Return the planes at all positions of all sliders, by name."""
    axes = view.axes_of_planes
    if not axes:
        return {"the plane": view}
    planes = {}
    for position in itertools.product(*(range(view.shape_nd[axis]) for axis in axes)):
        for axis, index in zip(axes, position, strict=True):
            view = view.at(axis, index)
        planes["slice " + ", ".join(map(str, position))] = view
    return planes
