"""JSON files of objects: which format one has is told by its content, wherever its keys stand."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Final

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.coco import coco_in, is_coco
from napari_sam.formats.files import ExportError, read_json, unreadable
from napari_sam.formats.geojson import geojson_in, knows_its_image
from napari_sam.formats.image import ImageInfo

_KEYS: Final = (
    (b'"images"', b'"annotations"', b'"categories"'),
    (b'"FeatureCollection"', b'"image"', b'"shape"'),
)
"""What is in each file of COCO, and in GeoJSON that says how large its image is."""


def read_json_objects(path: str | Path, image: ImageInfo) -> list[Annotations]:
    """Read COCO or GeoJSON.

    Parameters
    ----------
    path : str or Path
        A ``.json`` or ``.geojson`` file.
    image : ImageInfo
        The image of GeoJSON that does not say how large it is.

    Returns
    -------
    list of Annotations
        One for each image.

    Raises
    ------
    ExportError
        If the file is neither of them, or cannot be read.
    """
    content, name = read_json(path), Path(path).name
    if is_coco(content):
        return coco_in(content, name)
    return [geojson_in(content, name, None if knows_its_image(content) else image)]


def json_reader(path: str | Path) -> Callable[[], list[Annotations]] | None:
    """Find what reads COCO, or GeoJSON that says how large its image is.

    Parameters
    ----------
    path : str or Path
        Any file.

    Returns
    -------
    callable
        Returns the objects of each image, or raises an ExportError. None instead if the file is
        something else, which takes no more than a look at its bytes for most files.

    Raises
    ------
    ExportError
        If there is no such file.
    """
    if not _may_know_images(path):
        return None
    name = Path(path).name
    try:
        content = read_json(path)
    except ExportError:
        # Why it cannot be read is told where it is opened, and not that nobody knows the format.
        return lambda: coco_in(read_json(path), name)
    if is_coco(content):
        return lambda: coco_in(content, name)
    return (lambda: [geojson_in(content, name)]) if knows_its_image(content) else None


def _may_know_images(path: str | Path) -> bool:
    try:
        with Path(path).open("rb") as file:
            if not file.seek(0, 2):
                return False
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return any(all(content.find(key) >= 0 for key in keys) for keys in _KEYS)
    except OSError as error:
        raise unreadable(path, error) from error
