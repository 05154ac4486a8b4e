"""The appearance of each image layer to the model: its values and channels."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.components import Dims
from napari.layers import Image
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.layers.plane_view import PlaneView, axis_name, levels
from napari_sam.session.image.image_plane import ImageError, ImagePlane
from napari_sam.session.image.intensity import Appearance, ChannelAxis, ImageRange, Intensities


class ImageAppearances:
    """Keeps the appearance that the user chose for each image, and makes image planes of it."""

    changed = Signal(object, tuple)
    """`Appearance` of the current image (None without one), and its possible `ChannelAxis`es."""

    def __init__(self) -> None:
        self._appearances: WeakKeyDictionary[Image, Appearance] = WeakKeyDictionary()
        # The contrast limits and gamma that the model sees, which the layer may have left.
        self._applied = WeakKeyDictionary[Image, tuple[tuple[float, float], float]]()
        self._ranges = WeakKeyDictionary[Image, dict[tuple[Intensities, int | None], ImageRange]]()
        self.shown: tuple[Appearance | None, tuple[ChannelAxis, ...]] = (None, ())
        """What `changed` was emitted with last."""

    def of(self, image: Image) -> Appearance:
        """Return the appearance of an image, as far as it fits its data."""
        appearance = self._appearances.get(image, Appearance())
        axis, shape = appearance.channel_axis, _shape(image)
        if axis is None:
            return appearance
        if axis >= len(shape) or not ChannelAxis.can_have(shape[axis]):
            return replace(appearance, channel_axis=None)
        red, green, blue = (
            channel if channel is not None and channel < shape[axis] else None
            for channel in appearance.colors
        )
        return replace(appearance, colors=(red, green, blue))

    def choose(self, image: Image, appearance: Appearance) -> bool:
        """Store the user's choice; return whether it changes what the model sees."""
        previous = self.of(image)
        self._appearances[image] = appearance
        previous = replace(previous, is_pinned=appearance.is_pinned)
        return self.is_outdated(image) or previous != appearance

    def show(self, image: Image | None, dims: Dims) -> None:
        """Emit the appearance of an image and its possible channel axes, if they are new."""
        shown = (None, ()) if image is None else (self.of(image), self._axes(image, dims))
        if shown != self.shown:
            self.shown = shown
            self.changed.emit(*shown)

    def is_outdated(self, image: Image) -> bool:
        """Whether the model should see the image as it is displayed now, and does not."""
        appearance = self.of(image)
        if appearance.is_pinned or appearance.intensities is not Intensities.AS_SHOWN or image.rgb:
            return False
        return self._applied.get(image) not in (None, _as_shown(image))

    def apply(self, image: Image) -> None:
        """Take the contrast limits and gamma of the layer, unless they are pinned.

        Contrast limits change many times in a drag. The caller embeds the image again if it
        `is_outdated`, so that all planes embedded meanwhile look alike.
        """
        appearance = self.of(image)
        is_kept = appearance.is_pinned and image in self._applied
        if appearance.intensities is Intensities.AS_SHOWN and not image.rgb and not is_kept:
            self._applied[image] = _as_shown(image)

    def depends_on_others(self, image: Image) -> bool:
        """Whether the values of other planes decide what the model sees of one."""
        return self.of(image).intensities is not Intensities.AS_SHOWN

    def forget_values(self, image: Image) -> None:
        """Handle that the image has other data."""
        self._ranges.pop(image, None)

    def image_plane(self, image: Image, view: PlaneView) -> ImagePlane:
        """Describe a plane for the session, without reading its pixels."""
        return self.planes(image, view)(view)

    def planes(self, image: Image, view: PlaneView) -> Callable[[PlaneView], ImagePlane]:
        """Return what describes all planes along the sliders, on any thread, as they look now."""
        appearance = self.of(image)
        channels = () if view.channel_axis is None else appearance.channels
        if view.channel_axis is not None and not channels:
            msg = f"Choose a channel of '{image.name}' under 'Image appearance for SAM'."
            raise ImageError(msg)
        looks: dict[str, Any] = {"is_rgb": image.rgb, "name": image.name, "channels": channels}
        if appearance.intensities is not Intensities.AS_SHOWN:
            looks["image_range"] = self._range(image, appearance)
        elif not image.rgb:
            limits, gamma = self._applied.get(image, _as_shown(image))
            looks |= {"contrast_limits": limits, "gamma": gamma}
        arrays, ndim, colors = levels(image), image.ndim, appearance.colors

        def plane_at(view: PlaneView) -> ImagePlane:
            finest, *coarser = (_Region(view, array, ndim, channels) for array in arrays)
            return ImagePlane(finest, coarser=tuple(coarser), colors=colors, **looks)

        return plane_at

    def _range(self, image: Image, appearance: Appearance) -> ImageRange:
        """Return the range of all planes of an image; it is kept as long as the data."""
        intensities, axis = appearance.intensities, appearance.channel_axis
        new_range = ImageRange(intensities, levels(image)[-1], axis, is_rgb=image.rgb)
        return self._ranges.setdefault(image, {}).setdefault((intensities, axis), new_range)

    def _axes(self, image: Image, dims: Dims) -> tuple[ChannelAxis, ...]:
        """Return the axes that may hold channels: those with a slider, and the last one."""
        shape = _shape(image)
        if image.rgb or len(shape) < 3:
            return ()
        displayed = {axis - dims.ndim + image.ndim for axis in dims.displayed}
        displayed -= {len(shape) - 1, self.of(image).channel_axis}
        return tuple(
            ChannelAxis(axis, count, axis_name(image, axis))
            for axis, count in enumerate(shape)
            if ChannelAxis.can_have(count) and axis not in displayed
        )


def _shape(image: Image) -> tuple[int, ...]:
    return tuple(int(length) for length in levels(image)[0].shape[: image.ndim])


def _as_shown(image: Image) -> tuple[tuple[float, float], float]:
    low, high = image.contrast_limits
    return (float(low), float(high)), float(image.gamma)


class _Region:
    """The pixels of a plane, read on demand on the encode thread."""

    def __init__(self, view: PlaneView, data: Any, ndim: int, channels: Sequence[int]) -> None:
        self._view, self._data, self._channels = view, data, channels
        shape = tuple(int(length) for length in data.shape)
        # A coarser level may have fewer slices, too.
        self._index = [
            min(index * length // full, length - 1)
            for index, length, full in zip(view.index, shape, view.shape_nd, strict=False)
        ]
        colors = (len(channels),) if channels else shape[ndim:]
        self.shape = (shape[view.row_axis], shape[view.column_axis], *colors)
        self.dtype = data.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """How many rows and columns are stored together; None without chunks."""
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
        # One by one: not every array supports a list as an index.
        return np.stack(
            [
                self._read([*index[:axis], channel, *index[axis + 1 :]])
                for channel in self._channels
            ],
            axis=-1,
        )

    def _read(self, index: list[int | slice]) -> NDArray[Any]:
        pixels = np.asarray(self._data[tuple(index)])
        return np.swapaxes(pixels, 0, 1) if self._view.is_transposed else pixels
