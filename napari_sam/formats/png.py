"""Label images as PNG, in gray of 8 or 16 bits (https://www.w3.org/TR/png-3/).

They are opened as PNG and not by ``Image.open``, which refuses images beyond 179 million pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from napari_sam.formats.details import DETAILS_KEY
from napari_sam.formats.files import ExportError, unreadable, written_beside
from napari_sam.formats.label_images import as_small_labels


def write_label_png(path: str | Path, labels: NDArray[Any], details: str = "") -> None:
    """Write a label image as gray values, which are the numbers of the objects.

    Parameters
    ----------
    path : str or Path
        A ``.png`` file.
    labels : (H, W) integer ndarray
        0 is background. Written with 8 bits or 16, whichever is enough.
    details : str
        ASCII text that goes into the file's metadata, as `details_to_text` makes it.

    Raises
    ------
    ExportError
        If the labels are not 2-D, there are label_ids above 65535, or the file cannot be written.
    """
    if labels.ndim != 2:
        msg = f"PNG holds one 2-D image, not the shape {labels.shape}: write TIFF, or each slice."
        raise ExportError(msg)
    labels = as_small_labels(labels)
    if labels.dtype == np.uint32:
        msg = (
            f"PNG holds numbers up to 65535, but there is object {labels.max()}: write OME-TIFF, "
            "which holds 32 bits, or number the objects again."
        )
        raise ExportError(msg)
    metadata = PngInfo()
    if details:
        metadata.add_text(DETAILS_KEY, details)
    with written_beside(path) as partial:
        Image.fromarray(labels).save(partial, format="PNG", pnginfo=metadata)


def read_label_png(path: str | Path) -> NDArray[Any]:
    """Read a label image from gray values or palette numbers.

    Parameters
    ----------
    path : str or Path
        A ``.png`` file.

    Returns
    -------
    (H, W) uint8 or uint16 ndarray
        0 is background.

    Raises
    ------
    ExportError
        If the file cannot be read, or has colours instead of numbers.
    """
    try:
        with PngImageFile(path) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError) as error:
        raise unreadable(path, error, "PNG") from error
    if pixels.ndim != 2:
        msg = (
            "The image has colours; a label image has gray values, which number the objects: "
            f"{Path(path).name}"
        )
        raise ExportError(msg)
    return as_small_labels(pixels)


def read_png_details(path: str | Path) -> str:
    """Return the text that `write_label_png` was given; "" without one.

    Raises
    ------
    ExportError
        If the file cannot be read.
    """
    try:
        with PngImageFile(path) as image:
            return str(image.info.get(DETAILS_KEY, ""))
    except (OSError, ValueError, SyntaxError) as error:
        raise unreadable(path, error, "PNG") from error


def read_png_palette(path: str | Path) -> list[int]:
    """Return red, green and blue of each number, in turn; none of an image without a palette.

    Raises
    ------
    ExportError
        If the file cannot be read.
    """
    try:
        with PngImageFile(path) as image:
            return image.getpalette() or []
    except (OSError, ValueError, SyntaxError) as error:
        raise unreadable(path, error, "PNG") from error
