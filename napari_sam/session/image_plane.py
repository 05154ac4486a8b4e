"""From the data of an image to the (H, W, 3) uint8 plane that the model reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MAX_PIXELS: Final = 2**28
"""Beyond 16,384 x 16,384 the plane and its copies no longer fit a laptop's memory."""

_FLOAT32_LIMIT: Final = 1e30


class ImageError(ValueError):
    """The image cannot be segmented as it is; the message says what to do."""


@dataclass(frozen=True, eq=False)
class ImagePlane:
    """One 2-D view of an image: what to read, and how its values map to what the model sees.

    Building it is cheap and reads no pixels; `read` does the work and may run on any thread.

    Parameters
    ----------
    data : array_like
        (H, W) intensities, or (H, W, 3) / (H, W, 4) colours if `is_rgb`; NumPy or anything else
        that has a shape and a dtype and that `numpy.asarray` reads.
    is_rgb : bool
        Whether the last axis holds colours.
    contrast_limits : (float, float), optional
        The intensities shown as black and white; by default the smallest and the largest finite
        value (0 and 255 for uint8). Unused for colours.
    name : str
        What messages call the image.

    Raises
    ------
    ImageError
        If the shape or dtype cannot be segmented.
    """

    data: Any
    is_rgb: bool = False
    contrast_limits: tuple[float, float] | None = None
    name: str = "image"

    def __post_init__(self) -> None:
        shape, dtype = tuple(self.data.shape), np.dtype(self.data.dtype)
        if dtype.kind not in "buif":
            msg = (
                f"'{self.name}' has values of type {dtype}, which cannot be segmented: add a layer "
                "of real numbers, for example the magnitude (numpy.abs) of complex values."
            )
            raise ImageError(msg)
        if self.is_rgb and (len(shape) != 3 or shape[-1] not in (3, 4)):
            msg = f"'{self.name}' has shape {shape}: a colour plane is (H, W, 3) or (H, W, 4)."
            raise ImageError(msg)
        if not self.is_rgb and len(shape) != 2:
            msg = (
                f"'{self.name}' has shape {shape}: a gray plane is (H, W). Choose one slice, or "
                "give is_rgb=True for colours in the last axis."
            )
            raise ImageError(msg)
        if 0 in shape:
            msg = f"'{self.name}' is empty (shape {shape}): choose an image with pixels."
            raise ImageError(msg)
        if shape[0] * shape[1] > MAX_PIXELS:
            msg = (
                f"'{self.name}' shows {shape[0]:,} x {shape[1]:,} pixels at once, more than can "
                "be segmented for now: crop it or use a smaller copy."
            )
            raise ImageError(msg)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.data.shape[0]), int(self.data.shape[1])

    def read(self) -> NDArray[np.uint8]:
        """Read the pixels as the model wants them.

        Returns
        -------
        (H, W, 3) uint8 ndarray
            Red, green, blue. Gray values are mapped linearly from `contrast_limits` to 0..255 and
            repeated; NaN becomes black, infinities black or white. Alpha is dropped.
        """
        pixels = np.asarray(self.data)
        if self.is_rgb:
            return np.ascontiguousarray(_colours_to_uint8(pixels[..., :3]))
        gray = _gray_to_uint8(pixels, self.contrast_limits)
        return np.repeat(gray[..., np.newaxis], 3, axis=-1)


def _colours_to_uint8(colours: NDArray[Any]) -> NDArray[np.uint8]:
    if colours.dtype == np.uint8:
        return colours
    if colours.dtype.kind == "f":  # napari's convention: floats are 0..1
        return _scale(colours, 0, 1)
    top = 1 if colours.dtype.kind == "b" else np.iinfo(colours.dtype).max
    return _scale(colours, 0, float(top))


def _gray_to_uint8(
    gray: NDArray[Any], contrast_limits: tuple[float, float] | None
) -> NDArray[np.uint8]:
    if contrast_limits is None or not np.isfinite(contrast_limits).all():
        contrast_limits = (0, 255) if gray.dtype == np.uint8 else finite_range(gray)
    low, high = contrast_limits
    if gray.dtype == np.uint8 and (low, high) == (0, 255):
        return gray
    return _scale(gray, low, high)


def finite_range(values: NDArray[Any]) -> tuple[float, float]:
    """Return the smallest and the largest finite value, or (0, 1) if there is none."""
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def _scale(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    # float32 holds every 16-bit integer exactly; wider ones need float64.
    is_small = values.dtype.itemsize <= 2 and max(abs(low), abs(high)) < _FLOAT32_LIMIT
    # Halving both keeps the difference of two huge floats finite.
    span = high / 2 - low / 2
    if not span > 0:
        return np.zeros(values.shape, np.uint8)
    floats: NDArray[Any] = values.astype(np.float32 if is_small else np.float64)
    # Clipped first, and divided before it is multiplied, so that nothing can overflow.
    np.clip(floats, low, high, out=floats)
    shares = np.nan_to_num((floats / 2 - low / 2) / span, copy=False, nan=0)
    rounded: NDArray[np.uint8] = np.rint(255 * shares).astype(np.uint8)
    return rounded
