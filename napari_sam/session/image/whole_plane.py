"""Read an image plane at full resolution, for headless work."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile

_BLOCK_PX: Final = 1024
"""Side of the blocks that are read at a time."""


def read_whole(plane: ImagePlane, check: Callable[[], None] = lambda: None) -> NDArray[np.uint8]:
    """Read all pixels of a plane, three bytes each.

    `ImagePlane.read` reduces a large plane to what the model can see at once. Automatic masks with
    crops need all pixels.
    """
    height, width = plane.shape
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _BLOCK_PX):
        for left in range(0, width, _BLOCK_PX):
            rows, columns = min(_BLOCK_PX, height - top), min(_BLOCK_PX, width - left)
            part = plane.read(_BLOCK_PX, Tile(0, top, left, rows, columns), check)
            pixels[top : top + rows, left : left + columns] = part
    return pixels
