"""A part of a slice around an object: gray values and mask on one grid of moderate size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile

_SIDE: Final = 384
"""Parts from twice as long on are reduced: outlines of large objects need no more detail."""
_MAX_BYTES: Final = 2**26
"""Planes that are larger are read in parts."""


def in_memory(plane: ImagePlane) -> ImagePlane:
    """Return a plane whose pixels are read, unless it is large: its parts are wanted repeatedly."""
    nbytes = prod(plane.data.shape) * np.dtype(plane.data.dtype).itemsize
    if isinstance(plane.data, np.ndarray) or nbytes > _MAX_BYTES:
        return plane
    height, width = plane.shape
    return replace(plane, data=np.asarray(plane.data[:height, :width]))


@dataclass(frozen=True)
class Window:
    """A rectangle of the plane, in whole pixels."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def around(cls, crop: MaskCrop, margin: float, shape: tuple[int, int]) -> Window:
        """Return the box of a mask and a margin in pixels, as far as they are in the plane."""
        margin_px = int(np.ceil(margin))
        height, width = crop.mask.shape
        top, left = max(0, crop.top - margin_px), max(0, crop.left - margin_px)
        bottom = min(shape[0], crop.top + height + margin_px)
        right = min(shape[1], crop.left + width + margin_px)
        return cls(top, left, max(1, bottom - top), max(1, right - left))

    @property
    def step(self) -> int:
        """How many pixels of the plane a pixel of the grid covers along each axis."""
        return max(1, max(self.height, self.width) // _SIDE)


@dataclass(frozen=True, eq=False)
class Patch:
    """Gray values of a window of a slice; `gray` is (h, w) float32, 0 to 255."""

    window: Window
    gray: NDArray[np.float32]

    @classmethod
    def read(cls, plane: ImagePlane, window: Window) -> Patch:
        """Read the pixels as the model sees them."""
        tile = Tile(0, window.top, window.left, window.height, window.width)
        pixels = plane.read(_SIDE, tile)
        return cls(window, pixels.mean(axis=2, dtype=np.float32))

    @classmethod
    def in_detail(cls, crop: MaskCrop, margin: float, plane: ImagePlane) -> Patch | None:
        """Read what is around a mask; None if it is empty, or so large that the grid is coarser."""
        window = Window.around(crop, margin, plane.shape)
        return cls.read(plane, window) if crop.mask.size and window.step == 1 else None

    def mask(self, crop: MaskCrop) -> NDArray[np.bool_]:
        """Return a mask of the plane on the grid of the patch."""
        window = self.window
        full = crop.within(window.top, window.left, (window.height, window.width))
        step, (h, w) = window.step, self.gray.shape
        return full[step // 2 :: step, step // 2 :: step][:h, :w]
