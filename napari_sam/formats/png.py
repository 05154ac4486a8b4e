"""Label images as PNG with 8 or 16 bits of gray (https://www.w3.org/TR/png-3/).

``PngImageFile`` opens them, because ``Image.open`` refuses more than 179 million pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from napari_sam.formats.details import DETAILS_KEY
from napari_sam.formats.files import FileError, export_file, file_reader
from napari_sam.formats.label_images import as_small_labels, check_size, labels_of_colors

_MAX_PIXEL_BYTES: Final = 9
"""Four that Pillow reads, a copy of these, and the label."""


def write_label_png(
    path: str | Path,
    labels: NDArray[Any],
    details: str = "",
    dtype: np.dtype[Any] | None = None,
) -> None:
    """Write a label image, with label_ids as gray values.

    Parameters
    ----------
    path : str or Path
        A ``.png`` file.
    labels : (H, W) integer ndarray
        0 is background. Written with 8 bits if they are enough, else 16.
    details : str
        ASCII text from `details_to_text` for the file's metadata.
    dtype : numpy dtype, optional
        The smallest type to write, uint8 or uint16, so that all slices of a stack have the same.

    Raises
    ------
    FileError
        If the labels are not 2-D, there are label_ids above 65535, or the file cannot be written.
    """
    if labels.ndim != 2:
        msg = f"PNG holds one 2-D image, not {labels.shape}; write TIFF, or one PNG per slice."
        raise FileError(msg)
    labels = as_small_labels(labels)
    if dtype is not None:
        labels = labels.astype(np.promote_types(dtype, labels.dtype))
    if labels.dtype == np.uint32:
        raise FileError(
            f"PNG holds labels up to 65535, not {labels.max()}; write OME-TIFF, or renumber the "
            "objects."
        )
    save_png(path, Image.fromarray(labels), details)


def save_png(path: str | Path, image: Image.Image, details: str) -> None:
    """Write a PNG with details, if there are any, in its metadata."""
    metadata = PngInfo()
    if details:
        metadata.add_text(DETAILS_KEY, details)
    with export_file(path) as partial:
        image.save(partial, format="PNG", pnginfo=metadata)


@file_reader("PNG")
def read_label_png(path: str | Path, shape: Sequence[int] | None = None) -> NDArray[Any]:
    """Read a label image from gray values, palette indices, or a color for each class.

    Parameters
    ----------
    path : str or Path
        A ``.png`` file.
    shape : tuple of int, optional
        That of the image that the labels belong to; larger labels are refused unread.

    Returns
    -------
    (H, W) uint8 or uint16 ndarray
        0 is background: black, or transparent.

    Raises
    ------
    FileError
        If the file cannot be read, is too large, or has more than 255 colors.
    """
    with PngImageFile(path) as image:
        check_size(path, image.size[::-1], _MAX_PIXEL_BYTES, shape)
        pixels = np.asarray(image)
    return as_small_labels(pixels if pixels.ndim == 2 else labels_of_colors(pixels, path))


@file_reader("PNG")
def read_png_details(path: str | Path) -> tuple[str, list[int]]:
    """Return the details that `write_label_png` was given, or "", and the colors of a palette.

    These are red, green and blue of each entry in turn; there are none without a palette.
    """
    with PngImageFile(path) as image:
        return str(image.info.get(DETAILS_KEY, "")), image.getpalette() or []
