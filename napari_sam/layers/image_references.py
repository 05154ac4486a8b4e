"""References by which journals and session files recognise images, and labels for them."""

import os
import re
from pathlib import Path

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import DTypeLike

from napari_sam.layers.plane_view import PlaneView, levels
from napari_sam.layers.target import new_target_layer
from napari_sam.session.journal.files import ImageReference
from napari_sam.session.journal.session_file import fingerprint_of


def reference_of(image: Image) -> ImageReference:
    """Return the reference of an image: its file, and a fingerprint of pixels in memory."""
    path = image.source.path
    finest = levels(image)[0]
    return ImageReference(
        name=image.name,
        source=None if path is None else path if "://" in path else str(Path(path).absolute()),
        shape=tuple(int(length) for length in finest.shape),
        dtype=str(finest.dtype),
        scale=tuple(float(size) for size in image.scale),
        axes=tuple(str(name) for name in image.axis_labels),
        fingerprint=fingerprint_of(finest) if isinstance(finest, np.ndarray) else None,
    )


def file_for(image: Image | None, name: str) -> str:
    """Suggest a path for a file, in the folder of an image if that is writable."""
    name = re.sub(r'[\\/:*?"<>|]', "_", name)
    path = None if image is None else image.source.path
    if path is None or "://" in path:
        return name
    folder = Path(path).absolute().parent
    return str(folder / name) if os.access(folder, os.W_OK) else name


def labels_for(
    image: Image, view: PlaneView | None, shape: tuple[int, ...], dtype: DTypeLike
) -> Labels:
    """Make an empty Labels layer for restored objects of an image."""
    if view is not None and view.shape_nd == shape:
        return new_target_layer(image, view, dtype)
    ndim = min(len(shape), image.ndim)
    missing = (1.0,) * (len(shape) - ndim)
    return Labels(
        np.zeros(shape, dtype),
        name=f"{image.name} labels",
        scale=(*missing, *image.scale[-ndim:]),
        translate=(*np.zeros(len(missing)), *image.translate[-ndim:]),
    )
