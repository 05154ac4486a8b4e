"""What the model sees of each image layer: which values, which channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.components import Dims
from napari.layers import Image
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.layers.plane_view import PlaneView, levels
from napari_sam.session.image.image_plane import ImageError, ImagePlane
from napari_sam.session.image.intensity import (
    MAX_CHANNELS,
    MIN_CHANNELS,
    Appearance,
    ChannelAxis,
    ImageRange,
    Intensities,
)


class ImageAppearances:
    """Knows what a user has chosen for each image, and makes image planes accordingly."""

    changed = Signal(object, tuple)
    """`Appearance` of the current image (None without one), and its possible `ChannelAxis`es."""

    def __init__(self) -> None:
        self._looks: WeakKeyDictionary[Image, Appearance] = WeakKeyDictionary()
        # Contrast limits and gamma that the model sees, whatever the layer has by now.
        self._in_force: WeakKeyDictionary[Image, tuple[tuple[float, float], float]] = (
            WeakKeyDictionary()
        )
        self._ranges: WeakKeyDictionary[Image, dict[tuple[Intensities, int | None], ImageRange]] = (
            WeakKeyDictionary()
        )
        self._shown: tuple[Appearance | None, tuple[ChannelAxis, ...]] = (None, ())

    def of(self, image: Image) -> Appearance:
        """Return what was chosen for an image, as far as its data still has it."""
        look = self._looks.get(image, Appearance())
        axis, shape = look.channel_axis, _shape(image)
        if axis is None:
            return look
        if axis >= len(shape) or not MIN_CHANNELS <= shape[axis] <= MAX_CHANNELS:
            return replace(look, channel_axis=None)
        red, green, blue = (
            one if one is not None and one < shape[axis] else None for one in look.colours
        )
        return replace(look, colours=(red, green, blue))

    def choose(self, image: Image, look: Appearance) -> bool:
        """Note what a user has chosen; return whether the model sees something else by that."""
        before = self.of(image)
        self._looks[image] = look
        return self.is_outdated(image) or replace(before, is_pinned=look.is_pinned) != look

    def show(self, image: Image | None, dims: Dims) -> None:
        """Tell what was chosen for an image and what there is to choose from, if that is new."""
        shown = (None, ()) if image is None else (self.of(image), self._axes(image, dims))
        if shown != self._shown:
            self._shown = shown
            self.changed.emit(*shown)

    def is_outdated(self, image: Image) -> bool:
        """Whether the image is shown otherwise than the model sees it, and should not be."""
        look = self.of(image)
        if look.is_pinned or look.intensities is not Intensities.AS_SHOWN or image.rgb:
            return False
        return self._in_force.get(image) not in (None, _as_shown(image))

    def put_in_force(self, image: Image) -> None:
        """Have the model see the image as it is shown now, unless it is pinned.

        Contrast limits change many times in a drag: whoever calls this embeds the image again if
        it `is_outdated`, so that all planes that are embedded meanwhile look alike.
        """
        look = self.of(image)
        is_kept = look.is_pinned and image in self._in_force
        if look.intensities is Intensities.AS_SHOWN and not image.rgb and not is_kept:
            self._in_force[image] = _as_shown(image)

    def forget_values(self, image: Image) -> None:
        """Hear that the image has other data."""
        self._ranges.pop(image, None)

    def image_plane(self, image: Image, view: PlaneView) -> ImagePlane:
        """Describe the pixels of a plane for the session, without reading them."""
        look = self.of(image)
        channels = () if view.channel_axis is None else look.channels
        if view.channel_axis is not None and not channels:
            msg = f"No channel of '{image.name}' is chosen: choose one under 'What SAM sees'."
            raise ImageError(msg)
        regions = [_Region(view, level, image.ndim, channels) for level in levels(image)]
        limits, gamma, image_range = None, 1.0, None
        if look.intensities is not Intensities.AS_SHOWN:
            image_range = self._range(image, look)
        elif not image.rgb:
            limits, gamma = self._in_force.get(image, _as_shown(image))
        return ImagePlane(
            regions[0],
            image.rgb,
            limits,
            image.name,
            tuple(regions[1:]),
            gamma,
            image_range,
            channels,
            look.colours,
        )

    def _range(self, image: Image, look: Appearance) -> ImageRange:
        """Return the range that all planes of an image share, and keep it as long as the data."""
        ranges = self._ranges.setdefault(image, {})
        key = look.intensities, look.channel_axis
        if key not in ranges:
            ranges[key] = ImageRange(
                look.intensities, levels(image)[-1], look.channel_axis, is_rgb=image.rgb
            )
        return ranges[key]

    def _axes(self, image: Image, dims: Dims) -> tuple[ChannelAxis, ...]:
        """Return the axes with a slider that may be channels; and the last, which often is."""
        shape = _shape(image)
        if image.rgb or len(shape) < 3:
            return ()
        displayed = {axis - dims.ndim + image.ndim for axis in dims.displayed}
        displayed -= {len(shape) - 1, self.of(image).channel_axis}
        return tuple(
            ChannelAxis(axis, count, _name(image, axis))
            for axis, count in enumerate(shape)
            if MIN_CHANNELS <= count <= MAX_CHANNELS and axis not in displayed
        )


def _shape(image: Image) -> tuple[int, ...]:
    return tuple(int(length) for length in levels(image)[0].shape[: image.ndim])


def _as_shown(image: Image) -> tuple[tuple[float, float], float]:
    low, high = image.contrast_limits
    return (float(low), float(high)), float(image.gamma)


def _name(image: Image, axis: int) -> str:
    name = str(image.axis_labels[axis])
    # What napari calls it when nobody else does.
    return "" if name in (str(axis - image.ndim), f"axis {axis - image.ndim}") else name


class _Region:
    """The pixels of a plane, read where they are asked for: on the encode thread."""

    def __init__(self, view: PlaneView, data: Any, ndim: int, channels: Sequence[int]) -> None:
        self._view, self._data, self._channels = view, data, channels
        shape = tuple(int(length) for length in data.shape)
        # A coarser level may have fewer slices, too.
        self._index = [
            min(place * length // full, length - 1)
            for place, length, full in zip(view.index, shape, view.shape_nd, strict=False)
        ]
        colours = (len(channels),) if channels else shape[ndim:]
        self.shape = (shape[view.row_axis], shape[view.column_axis], *colours)
        self.dtype = data.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """How many rows and columns are read together; None where that does not matter."""
        chunks = getattr(self._data, "chunks", None)
        if not chunks:
            return None
        axes = self._view.row_axis, self._view.column_axis
        return tuple(int(np.max(chunks[axis])) for axis in axes)  # dask has a tuple for each axis

    def __getitem__(self, region: tuple[slice, slice]) -> NDArray[Any]:
        index: list[int | slice] = list(self._index)
        index[self._view.row_axis], index[self._view.column_axis] = region
        axis = self._view.channel_axis
        if axis is None:
            return self._read(index)
        # One by one: not every array can be asked for some places of an axis.
        return np.stack(
            [self._read([*index[:axis], one, *index[axis + 1 :]]) for one in self._channels],
            axis=-1,
        )

    def _read(self, index: list[int | slice]) -> NDArray[Any]:
        pixels = np.asarray(self._data[tuple(index)])
        return np.swapaxes(pixels, 0, 1) if self._view.is_transposed else pixels
