"""JSON files of objects, whose format is recognised by their content."""

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Final

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.coco import coco_in, is_coco
from napari_sam.formats.files import ExportError, read_json, reading
from napari_sam.formats.geojson import describes_its_image, geojson_in
from napari_sam.formats.image import ImageInfo

_KEYS: Final = (
    (b'"images"', b'"annotations"', b'"categories"'),
    (b'"FeatureCollection"', b'"image"', b'"shape"'),
)
"""Keys in every COCO file, and in GeoJSON that gives the size of its image."""


def read_json_objects(path: str | Path, image: ImageInfo) -> list[Annotations]:
    """Read COCO, or GeoJSON, which is about the given image unless it describes its own."""
    content, name = read_json(path), Path(path).name
    if is_coco(content):
        return coco_in(content, name)
    return [geojson_in(content, name, None if describes_its_image(content) else image)]


def json_reader(path: str | Path) -> Callable[[], list[Annotations]] | None:
    """Return the reader of a COCO file, or of GeoJSON that gives the size of its image.

    Parameters
    ----------
    path : str or Path
        Any file.

    Returns
    -------
    callable
        Returns the objects of each image, or raises an ExportError. None if the file is something
        else; most such files are not parsed for that.

    Raises
    ------
    ExportError
        If there is no such file.
    """
    if not _may_describe_images(path):
        return None
    name = Path(path).name
    try:
        content = read_json(path)
    except ExportError:
        # Let the reader raise the reason, so that napari does not show "no plugin was found".
        return lambda: coco_in(read_json(path), name)
    if is_coco(content):
        return lambda: coco_in(content, name)
    return (lambda: [geojson_in(content, name)]) if describes_its_image(content) else None


def _may_describe_images(path: str | Path) -> bool:
    with reading(path), Path(path).open("rb") as file:
        if not file.seek(0, 2):
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(all(content.find(key) >= 0 for key in keys) for keys in _KEYS)
