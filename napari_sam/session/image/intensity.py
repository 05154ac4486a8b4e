"""The values of an image that the model sees as black and white."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Limits = tuple[float, float]
"""The values that become black and white."""
Colors = tuple[int | None, int | None, int | None]
"""The channels shown as red, green and blue; None leaves a color black."""

MIN_CHANNELS: Final = 2
MAX_CHANNELS: Final = 16
"""Lengths between which an axis may hold channels."""
_PERCENTILES: Final = (0.1, 99.9)
_MAX_SAMPLE: Final = 2**22
"""Values of a channel that are sampled."""
_MAX_SLICES: Final = 16
_WINDOWS: Final = 4
"""Windows read along each axis of a slice that is too large to be read at once."""
_MAX_AT_ONCE_PX: Final = 2**24


class Intensities(StrEnum):
    """How the values of an image map to what the model sees."""

    AS_SHOWN = "as shown"
    """The layer's contrast limits and gamma."""
    PERCENTILES = "robust percentiles"
    """The range without the darkest and the brightest thousandth of the image."""
    FULL_RANGE = "full range"
    """The range of the data type; for floats, of the image."""


@dataclass(frozen=True)
class Appearance:
    """How the user wants the model to see an image."""

    intensities: Intensities = Intensities.AS_SHOWN
    # whether `AS_SHOWN` ignores later changes of the contrast limits and gamma
    is_pinned: bool = False
    channel_axis: int | None = None
    colors: Colors = (0, None, None)

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels in use, each once."""
        return tuple(sorted({channel for channel in self.colors if channel is not None}))


@dataclass(frozen=True)
class ChannelAxis:
    """An axis of an image that may hold its channels."""

    axis: int
    count: int  # number of channels
    name: str = ""  # the axis label, if the user has given one

    @staticmethod
    def can_have(count: int) -> bool:
        """Whether an axis of this length may hold channels."""
        return MIN_CHANNELS <= count <= MAX_CHANNELS


def first_colors(count: int) -> Colors:
    """Return the default colors of an image with so many channels."""
    return (0, 1, 2) if count > MIN_CHANNELS else (0, 1, None)


class ImageRange:
    """The limits of a whole image: computed at the first read, the same for all planes.

    They are estimated from a few million values spread over the image.
    """

    def __init__(
        self,
        intensities: Intensities,
        data: Any,
        channel_axis: int | None = None,
        *,
        is_rgb: bool = False,
    ) -> None:
        self._intensities, self._data = intensities, data
        self._channel_axis, self._is_rgb = channel_axis, is_rgb
        self._found: dict[int, Limits] = {}

    def limits(self, channel: int = 0, check: Callable[[], None] = lambda: None) -> Limits:
        """Return the limits of a channel, on any thread; the first call reads the image."""
        # Without a lock: `check` may block the thread that holds it. Two threads at the same time
        # compute the same.
        if channel not in self._found:
            self._found[channel] = self._find(channel, check)
        return self._found[channel]

    def _find(self, channel: int, check: Callable[[], None]) -> Limits:
        dtype = np.dtype(self._data.dtype)
        is_full = self._intensities is Intensities.FULL_RANGE
        if dtype.kind == "b":
            return 0, 1
        if is_full and dtype.kind != "f":
            return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
        sample = self._sample(channel, check)
        if not sample.size:
            return 0, 1
        low, high = float(sample.min()), float(sample.max())
        if is_full:
            return low, high
        robust_low, robust_high = robust_range(sample)
        # Where nearly all values are the same, the few others are what matters.
        return (robust_low, robust_high) if robust_low < robust_high else (low, high)

    def _sample(self, channel: int, check: Callable[[], None]) -> NDArray[Any]:
        """Read values from slices spread over the image.

        Slices along the last two axes, whichever axes are displayed.
        """
        shape = tuple(int(length) for length in self._data.shape)
        shape = shape[:-1] if self._is_rgb else shape
        axes = [axis for axis in range(len(shape)) if axis != self._channel_axis]
        leading, plane = axes[:-2], axes[-2:]
        places = _places([shape[axis] for axis in leading])
        index: list[int | slice] = [channel] * len(shape)
        parts = []
        for place in places:
            for axis, position in zip(leading, place, strict=True):
                index[axis] = position
            budget = _MAX_SAMPLE // len(places)
            for rows, columns, step in _windows((shape[plane[0]], shape[plane[1]]), budget):
                check()
                index[plane[0]], index[plane[1]] = rows, columns
                values = np.asarray(self._data[tuple(index)])[::step, ::step]
                values = values[..., :3] if self._is_rgb else values  # without alpha
                parts.append(values[np.isfinite(values)])
        # Neither float16 nor the widest integers have exact percentiles.
        return np.concatenate(parts).astype(np.float64)


def robust_range(values: NDArray[np.float64]) -> Limits:
    """Return the range without the darkest and the brightest thousandth; (0, 0) of no values."""
    if not values.size:
        return 0, 0
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(high)


def _places(lengths: list[int]) -> list[tuple[int, ...]]:
    """Return positions, up to `_MAX_SLICES`, along the axes outside the plane."""
    flat = _spread(math.prod(lengths), _MAX_SLICES)
    return [
        tuple(int(n) for n in np.unravel_index(index, lengths)) if lengths else () for index in flat
    ]


def _windows(shape: tuple[int, int], budget_px: int) -> Iterator[tuple[slice, slice, int]]:
    """Yield rows, columns and step of the parts to read, for up to `budget_px` pixels.

    Most images can only be read slice by slice; of very large slices, parts are read.
    """
    if math.prod(shape) <= _MAX_AT_ONCE_PX:
        step = math.ceil(math.sqrt(math.prod(shape) / budget_px))
        yield slice(0, shape[0]), slice(0, shape[1]), step
        return
    side = int(math.sqrt(budget_px)) // _WINDOWS
    height, width = (min(length, side) for length in shape)
    for top, left in product(
        _spread(shape[0] - height + 1, _WINDOWS), _spread(shape[1] - width + 1, _WINDOWS)
    ):
        yield slice(top, top + height), slice(left, left + width), 1


def _spread(length: int, count: int) -> list[int]:
    """Return up to `count` of the positions 0 to length - 1, evenly spread."""
    count = min(length, count)
    return [(2 * index + 1) * length // (2 * count) for index in range(count)]


def finite_range(values: NDArray[Any]) -> Limits | None:
    """Return the smallest and the largest finite value, or None if there is none."""
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else None
