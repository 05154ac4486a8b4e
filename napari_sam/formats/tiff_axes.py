"""The axes of the image in a TIFF file, by the metadata of ImageJ or OME, and their steps."""

from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import tifffile

from napari_sam.formats.files import FileError, file_reader
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.tiff import imagej_details

_SUFFIXES: Final = (".tif", ".tiff")
_IMAGEJ_KEYS: Final = {"T": "frames", "Z": "slices", "C": "channels"}
"""In the order of the axes in its files."""


@file_reader("TIFF")
def read_tiff_axes(path: str | Path) -> dict[str, int]:
    """Return the axes of the first image of a file before rows and columns, without its pixels.

    Parameters
    ----------
    path : str or Path
        A TIFF file.

    Returns
    -------
    dict of str to int
        The length of each axis, T, Z or C, in their order; empty without metadata.

    Raises
    ------
    FileError
        If the file cannot be read.
    """
    with tifffile.TiffFile(path) as tiff:
        metadata = tiff.imagej_metadata
        if metadata:
            return {axis: int(metadata.get(key, 1)) for axis, key in _IMAGEJ_KEYS.items()}
        return _ome_axes(tiff.ome_metadata or "")


def _ome_axes(xml: str) -> dict[str, int]:
    """Return the axes that OME-XML names; only its beginning is parsed, as it may be long."""
    if xml:
        for _, element in ElementTree.iterparse(StringIO(xml), ("start",)):
            if element.tag.rpartition("}")[2] == "Pixels":
                axes = reversed(element.get("DimensionOrder", "").removeprefix("XY"))
                return {axis: int(element.get(f"Size{axis}", "1")) for axis in axes}
    return {}


def calibrated(image: ImageInfo, path: str | Path) -> ImageInfo:
    """Return an image with the sizes of pixels in its ImageJ file, if it has none of its own.

    Parameters
    ----------
    image : ImageInfo
        The image as a viewer knows it.
    path : str or Path
        Its file, of whatever kind.

    Returns
    -------
    ImageInfo
        With the sizes and units of those axes that the file knows.
    """
    is_known = set(image.pixel_size) != {1.0} or set(image.units) != {"pixel"}
    if is_known or not str(path).lower().endswith(_SUFFIXES) or not Path(path).is_file():
        return image
    with suppress(FileError):
        in_file = _read_details(path)
        steps = [in_file.get(axis, (0.0, "")) for axis in image.axes]
        sizes = tuple(size if size > 0 else 1.0 for size, _ in steps)
        units = tuple(unit if size > 0 else "pixel" for size, unit in steps)
        return replace(image, pixel_size=sizes, units=units)
    return image


@file_reader("TIFF")
def _read_details(path: str | Path) -> dict[str, Any]:
    with tifffile.TiffFile(path) as tiff:
        return imagej_details(tiff)
