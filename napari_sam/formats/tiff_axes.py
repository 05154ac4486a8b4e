"""The axes of the image in a TIFF file, by the metadata of ImageJ or OME."""

from io import StringIO
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import tifffile

from napari_sam.formats.files import file_reader

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
