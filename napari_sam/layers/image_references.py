"""References by which journals and session files recognize images, and labels for them."""

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import DTypeLike

from napari_sam.formats.image_names import stem_of
from napari_sam.layers.plane_view import PlaneView, levels
from napari_sam.layers.target import new_target_layer
from napari_sam.session.annotations import axes_in_files
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.session_file import image_fingerprint

IMAGE_KEY: Final = "napari-sam-live image"
"""The key of the image's name in the metadata of a layer with its objects."""


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
        fingerprint=image_fingerprint(finest) if isinstance(finest, np.ndarray) else None,
    )


def name_in_files(image: Image) -> str:
    """Return the name of an image in files of annotations: that of its file, else of its layer."""
    path = str(image.source.path or "")
    if "://" in path:
        path = urlsplit(path).path
    return Path(path).name or str(image.name)


def names_in_files(image: Image) -> tuple[str, ...]:
    """Return all names by which files of annotations may mean an image, its path among them."""
    return (str(image.source.path or ""), str(image.name))


def slice_in_files(view: PlaneView, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the index that a plane has in files; None if it is none of theirs."""
    axes = axes_in_files(shape)
    is_theirs = (view.row_axis, view.column_axis) == axes[-2:]
    return tuple(view.index[axis] for axis in axes[:-2]) if is_theirs else None


def stem_for(image: Image) -> str:
    """Return the name of files about an image, without a suffix."""
    return stem_of(name_in_files(image)) if image.source.path else str(image.name)


def is_file_of(image: Image | None, path: Path) -> bool:
    """Return whether a path is that of the image itself, which must not be replaced."""
    source = "" if image is None else str(image.source.path or "")
    return bool(source) and "://" not in source and Path(source).resolve() == path.resolve()


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
