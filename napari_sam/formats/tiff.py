"""Label images as TIFF: for ImageJ, and with OME metadata.

Sources of the formats: the ImageJ description and OME-XML as tifffile writes them;
https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/.
"""

import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from math import inf, prod
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam.formats.details import DETAILS_KEY
from napari_sam.formats.files import FileError, export_file, file_reader
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.label_images import (
    LabelPlanes,
    as_small_labels,
    check_size,
    labels_of_colors,
)
from napari_sam.formats.units import UNIT_SYMBOLS, converted, is_length, is_time, unit_name
from napari_sam.storage.named_files import is_beside, is_image

_OME_SIZES: Final = {**{axis: f"PhysicalSize{axis}" for axis in "XYZ"}, "T": "TimeIncrement"}
_IMAGEJ_AXES: Final = "TZCYX"

# TIFF has fractions of 32-bit integers.
_MAX_STEP: Final = 2**31

# Control characters, which XML cannot even escape.
_NOT_IN_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Compressions without a limit of their own to what they expand to, and the best that they reach.
_DECOMPRESSORS: Final[dict[int, Callable[[], Any]]] = {
    **dict.fromkeys((8, 32946, 50013), zlib.decompressobj),
    34925: lzma.LZMADecompressor,
}
_MAX_EXPANSION: Final = 10_000
_MAX_CLASSIC_BYTES: Final = 2**32
"""Of pixels; more need BigTIFF, if they cannot be compressed."""
_LITTLE_BYTES: Final = 2**26

# Both formats drop axes of length one, so this key of the metadata names all axes.
_AXES_KEY: Final = "label_axes"


def write_imagej_tiff(
    path: str | Path, labels: NDArray[Any] | LabelPlanes, image: ImageInfo, details: str = ""
) -> None:
    """Write a label image that ImageJ and Fiji open as a calibrated stack.

    Parameters
    ----------
    path : str or Path
        A ``.tif`` file.
    labels : (..., H, W) integer ndarray, or LabelPlanes
        0 is background. Written as uint8 if that is enough, else as uint16; slice by slice.
    image : ImageInfo
        Axes T, Z, C, Y and X in any order, with sizes and units. The file has them in ImageJ's
        order, and lengths in the unit of X as far as they can be converted.
    details : str
        ASCII text from `details_to_text`; ImageJ shows it as the image's info.

    Raises
    ------
    FileError
        If there are label_ids above 65535, which ImageJ cannot open as integers, or axes that it
        does not have, or if the file cannot be written.
    """
    labels = _checked(labels, image)
    if labels.dtype == np.uint32:
        raise FileError(
            f"ImageJ holds labels up to 65535, not {labels.max()}; write OME-TIFF or renumber them."
        )
    if not set(image.axes) <= set(_IMAGEJ_AXES):
        raise FileError(f"ImageJ has the axes T, Z, C, Y and X, not {image.axes}; rename them.")
    lengths = dict(zip(image.axes, image.shape, strict=True))
    steps = _imagej_steps(image)
    if not all(1 / _MAX_STEP <= steps[axis][0] <= _MAX_STEP for axis in "YX"):
        raise FileError(
            f"ImageJ's TIFF cannot hold pixels of {steps['Y'][0]:g} x {steps['X'][0]:g}; choose "
            "OME-TIFF, or other units."
        )
    metadata = _imagej_metadata(image.axes, steps) | {"max": max(int(labels.max()), 1)}
    order = [image.axes.index(axis) for axis in _IMAGEJ_AXES if axis in image.axes]
    if details:
        metadata["Info"] = details
    with export_file(path) as partial:
        tifffile.imwrite(
            partial,
            _planes(labels, order),
            # With an axis of one sample, so that a width of one is not taken for it.
            shape=(*(lengths.get(axis, 1) for axis in _IMAGEJ_AXES), 1),
            dtype=labels.dtype,
            imagej=True,
            photometric="minisblack",
            resolution=(1 / steps["X"][0], 1 / steps["Y"][0]),
            metadata=metadata,
        )


def _imagej_steps(image: ImageInfo) -> dict[str, tuple[float, str]]:
    """Return size and unit by axis: in the unit of X, and in seconds, where that can be."""
    steps = {}
    for axis, size, unit in zip(image.axes, image.pixel_size, image.units, strict=True):
        in_file = "second" if axis == "T" else image.units[-1]
        size_in_file = converted(size, unit, in_file)
        steps[axis] = (size, unit) if size_in_file is None else (size_in_file, in_file)
    return steps


def _imagej_metadata(axes: str, steps: dict[str, tuple[float, str]]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "axes": f"{_IMAGEJ_AXES}S",
        "unit": UNIT_SYMBOLS[steps["X"][1]].ascii,
        "min": 0,
        _AXES_KEY: axes,
    }
    for axis in "YZ":
        if axis in steps and steps[axis][1] != steps["X"][1]:
            metadata[f"{axis.lower()}unit"] = UNIT_SYMBOLS[steps[axis][1]].ascii
    if "Z" in steps:
        metadata["spacing"] = steps["Z"][0]
    if "T" in steps and is_time(steps["T"][1]):
        metadata["finterval"] = steps["T"][0]
    return metadata


def write_ome_tiff(
    path: str | Path, labels: NDArray[Any] | LabelPlanes, image: ImageInfo, details: str = ""
) -> None:
    """Write a label image with OME-XML, losslessly compressed.

    Parameters
    ----------
    path : str or Path
        A file, usually ``.ome.tif``.
    labels : (..., H, W) integer ndarray, or LabelPlanes
        0 is background. Written as the smallest of uint8, uint16 and uint32 that is enough; slice
        by slice.
    image : ImageInfo
        Name, axes, sizes and units.
    details : str
        ASCII text from `details_to_text`.

    Raises
    ------
    FileError
        If label_ids need more than 32 bits, OME has no such axes, or the file cannot be written.
    """
    labels = _checked(labels, image)
    if not set(image.axes) <= set("TZCYX"):
        raise FileError(f"OME-TIFF has the axes T, Z, C, Y and X, not {image.axes}; rename them.")
    metadata: dict[str, Any] = {
        "axes": image.axes,
        "Name": _NOT_IN_XML.sub("?", image.name),
        "MapAnnotation": {_AXES_KEY: image.axes},
    }
    if details:
        metadata["MapAnnotation"][DETAILS_KEY] = details
    for axis, size, unit in zip(image.axes, image.pixel_size, image.units, strict=True):
        # The schema has units of time for time steps, and of length for the other axes.
        if axis in _OME_SIZES and (is_time(unit) if axis == "T" else is_length(unit)):
            metadata[_OME_SIZES[axis]] = size
            metadata[f"{_OME_SIZES[axis]}Unit"] = UNIT_SYMBOLS[unit].ome
    with export_file(path) as partial:
        # An image three pixels wide would be taken for colors otherwise.
        tifffile.imwrite(
            partial,
            _planes(labels, range(len(image.shape))),
            shape=image.shape,
            dtype=labels.dtype,
            ome=True,
            bigtiff=prod(image.shape) * labels.dtype.itemsize > _MAX_CLASSIC_BYTES,
            photometric="minisblack",
            compression="zlib",
            metadata=metadata,
        )


@file_reader("TIFF")
def read_label_tiff(
    path: str | Path, shape: Sequence[int] | None = None
) -> tuple[NDArray[Any], ImageInfo]:
    """Read a label image, or one color for each class, and its metadata.

    Parameters
    ----------
    path : str or Path
        A TIFF file of one channel, with metadata of ImageJ or OME, or without.
    shape : tuple of int, optional
        That of the image that the labels belong to; larger labels are refused unread.

    Returns
    -------
    labels : (..., H, W) unsigned integer ndarray
        0 is background. The first image, if the file holds several.
    image : ImageInfo
        Sizes are 1 pixel if the file has none. Without a name in OME it is named like the file.

    Raises
    ------
    FileError
        If the file cannot be read, is too large, or does not hold integers.
    """
    path = Path(path)
    with tifffile.TiffFile(path) as tiff:
        _check_parts(tiff, path)
        series = tiff.series[0]
        is_colored = _is_colored(series)
        # Of a colored mask, the pixels and the labels are in memory together.
        itemsize = series.shape[-1] + 1 if is_colored else series.dtype.itemsize
        check_size(path, series.shape[: 2 if is_colored else None], itemsize, shape)
        check_segments(tiff, series)
        pixels = np.atleast_2d(series.asarray())
        labels = as_small_labels(labels_of_colors(pixels, path) if is_colored else pixels)
        details = _ome_details(tiff) or imagej_details(tiff)
        axes = series.axes.removesuffix("S") if is_colored else series.axes
        height, width = tiff.pages.first.imagelength, tiff.pages.first.imagewidth
    # From the page, because the series drops and mixes up axes of length one.
    lengths = dict(zip(axes, labels.shape, strict=False)) | {"Y": height, "X": width}
    all_axes = details.get(_AXES_KEY, axes)
    if set(axes) <= set(all_axes):
        # ImageJ has its own order of axes.
        labels = labels.transpose(sorted(range(len(axes)), key=lambda n: all_axes.index(axes[n])))
        axes = all_axes
        labels = labels.reshape([lengths.get(axis, 1) for axis in axes])
    if len(axes) != labels.ndim or axes[-2:] != "YX":
        raise FileError(f"A label image needs axes that end in YX, not {axes}: {path.name}")
    steps = [details.get(axis, (0.0, "pixel")) for axis in axes]
    # Some programs write 0 or NaN where they do not know the size.
    steps = [step if 0 < step[0] < inf else (1.0, "pixel") for step in steps]
    return labels, ImageInfo(
        labels.shape,
        details.get("name") or path.name,
        axes if axes.isalpha() else "",
        tuple(size for size, _ in steps),
        tuple(unit for _, unit in steps),
    )


def _is_colored(series: Any) -> bool:
    has_colors = series.axes == "YXS" and series.shape[-1] in (2, 3, 4)
    return bool(has_colors and series.dtype == np.uint8)


def check_segments(tiff: tifffile.TiffFile, series: Any) -> None:
    """Raise a ValueError for a strip or tile that expands to more than its part of the image.

    Without imagecodecs, tifffile takes the memory for whatever a segment expands to.
    """
    for page in series.pages:
        if page is None or page.keyframe.compression not in _DECOMPRESSORS:
            continue
        allowed_bytes = prod(page.keyframe.chunks) * page.keyframe.dtype.itemsize
        for offset, size_bytes in zip(page.dataoffsets, page.databytecounts, strict=True):
            if size_bytes * _MAX_EXPANSION <= allowed_bytes + _LITTLE_BYTES:
                continue
            tiff.filehandle.seek(offset)
            content = tiff.filehandle.read(size_bytes)
            decompressor = _DECOMPRESSORS[page.keyframe.compression]()
            if len(decompressor.decompress(content, allowed_bytes + 1)) > allowed_bytes:
                raise ValueError("a part of it is larger than declared")


def _check_parts(tiff: tifffile.TiffFile, path: Path) -> None:
    """Refuse a file that has tifffile open others for its pixels, unless these lie beside it."""
    root = ElementTree.fromstring(tiff.ome_metadata or "<OME/>")
    names = {element.get("FileName", "") for element in root.iterfind(".//{*}UUID")}
    for name in names - {"", path.name}:
        beside = path.with_name(name) if is_beside(name) else None
        if beside is None or (beside.exists() and not is_image(beside)):
            raise FileError(
                f"The pixels are in {name!r}, not an image beside the file; save one file: "
                f"{path.name}"
            )


@file_reader("TIFF")
def read_tiff_details(path: str | Path) -> str:
    """Return the details that the label image was written with; "" without them."""
    with tifffile.TiffFile(path) as tiff:
        metadata = _ome_details(tiff) or tiff.imagej_metadata or {}
        return str(metadata.get(DETAILS_KEY, metadata.get("Info", "")))


@file_reader("TIFF")
def read_overlay(path: str | Path) -> tuple[list[bytes], tuple[int, int]]:
    """Return the ROIs of ImageJ in a file, and the height and width of its image.

    Our own label images have none.
    """
    with tifffile.TiffFile(path) as tiff:
        first, metadata = tiff.pages.first, tiff.imagej_metadata or {}
        rois: list[bytes] = []
        for key in () if _AXES_KEY in metadata else ("Overlays", "ROI"):
            value = metadata.get(key, [])
            rois += [value] if isinstance(value, bytes) else value
        return list(dict.fromkeys(rois)), (first.imagelength, first.imagewidth)


def _checked(labels: NDArray[Any] | LabelPlanes, image: ImageInfo) -> NDArray[Any] | LabelPlanes:
    if labels.shape != image.shape:
        msg = f"The labels have the shape {labels.shape}, but the image has {image.shape}."
        raise FileError(msg)
    return labels if isinstance(labels, LabelPlanes) else as_small_labels(labels)


def _planes(labels: NDArray[Any] | LabelPlanes, order: Sequence[int]) -> Iterator[NDArray[Any]]:
    """Yield the slices of a label image whose axes are to have another order."""
    n_axes = len(order) - 2
    for index in np.ndindex(*(labels.shape[axis] for axis in order[:n_axes])):
        places = dict(zip(order, index, strict=False))
        yield labels[tuple(places[axis] for axis in range(n_axes))]


def _ome_details(tiff: tifffile.TiffFile) -> dict[str, Any]:
    """Return name, axes, and size and unit by axis; empty without OME metadata."""
    if not tiff.ome_metadata:
        return {}
    root = ElementTree.fromstring(tiff.ome_metadata)
    details: dict[str, Any] = {
        key: element.text
        for element in root.iterfind(".//{*}MapAnnotation//{*}M")
        if (key := element.get("K")) in (_AXES_KEY, DETAILS_KEY)
    }
    first, pixels = root.find("{*}Image"), root.find("{*}Image/{*}Pixels")
    if first is None or pixels is None:
        return details
    details["name"] = first.get("Name")
    for axis, key in _OME_SIZES.items():
        size = pixels.get(key)
        # Unexpected units, such as light years, are ignored.
        with suppress(FileError, ValueError):
            if size is not None:
                # The defaults of the schema.
                unit = pixels.get(f"{key}Unit", "s" if axis == "T" else "µm")
                details[axis] = (float(size), unit_name(unit))
    return details


def imagej_details(tiff: tifffile.TiffFile) -> dict[str, Any]:
    """Return axes, and size and unit by axis, of an open file; empty without ImageJ metadata."""
    metadata = tiff.imagej_metadata
    if not metadata:
        return {}
    details = {key: value for key, value in metadata.items() if key == _AXES_KEY}
    units = dict.fromkeys("XYZ", "pixel")
    for axis, keys in {"X": ["unit"], "Y": ["yunit", "unit"], "Z": ["zunit", "unit"]}.items():
        with suppress(FileError):
            unit = next((metadata[key] for key in keys if key in metadata), "pixel")
            units[axis] = unit_name(str(unit))
    tags = tiff.pages.first.tags
    for axis, tag in (("X", "XResolution"), ("Y", "YResolution")):
        if tag in tags and tags[tag].value[0]:
            count, steps = tags[tag].value
            details[axis] = (steps / count, units[axis])
    with suppress(TypeError, ValueError):
        details["Z"] = (float(metadata.get("spacing", 0)), units["Z"])
        details["T"] = (float(metadata.get("finterval", 0)), "second")
    return details
