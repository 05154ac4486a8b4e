"""Read a DICOM file: its own pixels, and not the series that happens to lie in its folder."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.files import FileError, file_reader, require_memory

DICOM_SUFFIX: Final = ".dcm"


@file_reader("DICOM")
def read_dicom(path: Path) -> tuple[NDArray[Any], dict[str, Any]]:
    """Read the image of a DICOM file.

    Returns
    -------
    (H, W), (frames, H, W), (H, W, 3) or (frames, H, W, 3) ndarray
        The stored values, rescaled if the file says how (for CT, to Hounsfield units).
    dict
        How napari shows them: `rgb`, and `scale`, `units` and `axis_labels` along all axes but
        the one of colors. Pixels have their size in millimeters, if the file has it.

    Raises
    ------
    FileError
        If pydicom is not installed, or the file holds no image that it can decode.
    """
    try:
        import pydicom
        from pydicom.pixels import apply_rescale
    except ImportError as error:
        raise FileError(
            f"DICOM needs pydicom; run pip install 'napari-sam-live[dicom]': {path.name}"
        ) from error
    try:
        dataset = pydicom.dcmread(path)
        size_px = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames") or 1)
        is_rescaled = "RescaleSlope" in dataset and (
            (dataset.RescaleSlope, dataset.RescaleIntercept) != (1, 0)
        )
        # Single bits become bytes, rescaled values float64.
        value_bytes = 8 if is_rescaled else max(1, int(dataset.BitsAllocated) // 8)
        require_memory(size_px * int(dataset.SamplesPerPixel) * value_bytes, "The image")
        pixels = dataset.pixel_array
        if is_rescaled:
            pixels = apply_rescale(pixels, dataset)
        spacing = [float(size_mm) for size_mm in dataset.get("PixelSpacing") or ()]
        is_rgb = int(dataset.SamplesPerPixel) == 3
        is_inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
    except Exception as error:  # damaged files raise all kinds of errors
        msg = f"{path.name} cannot be read as DICOM ({error or type(error).__name__})."
        raise FileError(msg) from error
    ndim = pixels.ndim - is_rgb
    has_size = len(spacing) == 2 and bool(np.isfinite(spacing).all()) and min(spacing) > 0
    size, unit = (spacing, "millimeter") if has_size else ([1.0, 1.0], "pixel")
    return pixels, {
        "rgb": is_rgb,
        "scale": [*[1.0] * (ndim - 2), *size],
        "units": [*["pixel"] * (ndim - 2), unit, unit],
        "axis_labels": ["frame", "y", "x"][-ndim:],
        **({"colormap": "gray_r"} if is_inverted else {}),
    }
