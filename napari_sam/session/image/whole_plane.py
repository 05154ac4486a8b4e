"""Reading an image plane in its own resolution, for work that is done without a window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import MODEL_SIDE, Tile


def read_whole(plane: ImagePlane, check: Callable[[], None] = lambda: None) -> NDArray[np.uint8]:
    """Read all pixels of a plane as the model wants them; three bytes for each.

    `ImagePlane.read` gives of a large plane only as much as the model can see at once; masks that
    end at pixels of the plane, and crops that are looked at on their own, need them all.
    """
    height, width = plane.shape
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, MODEL_SIDE):
        for left in range(0, width, MODEL_SIDE):
            rows, columns = min(MODEL_SIDE, height - top), min(MODEL_SIDE, width - left)
            part = plane.read(Tile(0, top, left, rows, columns), check)
            pixels[top : top + rows, left : left + columns] = part
    return pixels
