"""Measurements of objects of several slices as CSV (RFC 4180), with a row for each object."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import write_table
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.measurements import DETAILS, details_of
from napari_sam.formats.units import UNIT_SYMBOLS, converted
from napari_sam.storage.pacing import paced

_DEPTH: Final = "Z"


def voxel_volume(image: ImageInfo) -> tuple[float, str] | None:
    """Return the volume of a voxel and its unit, such as "um^3".

    None if the image has no depth, or its axes have units that do not measure the same.
    """
    if _DEPTH not in image.axes[:-2]:
        return None
    volume, steps = 1.0, _steps_of(image)
    for axis in (_DEPTH, *"YX"):
        step = steps[axis]
        if step is None:
            return None
        volume *= step
    return volume, f"{UNIT_SYMBOLS[image.units[-1]].ascii}^3"


def _steps_of(image: ImageInfo) -> dict[str, float | None]:
    """Return the step along each axis in the unit of the columns; None where it is another."""
    steps = zip(image.axes, image.pixel_size, image.units, strict=True)
    return {axis: converted(size, unit, image.units[-1]) for axis, size, unit in steps}


def write_stack_measurements(path: str | Path, annotations: Annotations) -> None:
    """Write a table with one row for each object of a stack; at each time and in each channel.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` file.
    annotations : Annotations
        The objects. Without an axis of depth there is one row for each object, without volumes.

    Raises
    ------
    FileError
        If the file cannot be written.

    Notes
    -----
    ``volume_px`` counts voxels. Volumes and lengths are in the unit of the columns, which the
    heading names; fields are empty where units cannot be converted to it. An extent is from the
    first to the last slice, row or column that the object is on, both included. Centroids are
    relative to the center of the image's first pixel.
    """
    image = annotations.image
    spanned = _spanned_axes(image)
    parts: dict[tuple[int, ...], list[ExportObject]] = defaultdict(list)
    for part in paced(annotations.objects):
        pairs = zip(image.axes, part.slice_index, strict=False)
        elsewhere = [index for axis, index in pairs if axis not in spanned]
        parts[part.label_id, *elsewhere].append(part)
    rows = (_row(key, parts[key], image) for key in paced(sorted(parts)))
    write_table(path, [_heading(image), *rows])


def _spanned_axes(image: ImageInfo) -> str:
    """Return the axes along which a row goes: depth, or all of a stack without depth."""
    return _DEPTH if _DEPTH in image.axes[:-2] else image.axes[:-2]


def _heading(image: ImageInfo) -> list[str]:
    spanned = _spanned_axes(image)
    unit = UNIT_SYMBOLS[image.units[-1]].ascii
    lengths = [axis.lower() for axis in image.axes if axis in (_DEPTH, *"YX")]
    has_volume = spanned == _DEPTH
    return [
        "label_id",
        *(f"{axis.lower()}_index" for axis in image.axes[:-2] if axis not in spanned),
        *DETAILS,
        "parent_id",
        *(f"{end}_{axis.lower()}" for axis in spanned for end in ("first", "last")),
        "n_slices",
        *(("volume_px", f"volume [{unit}^3]", f"equivalent_diameter [{unit}]") * has_volume),
        *(f"extent_{axis} [{unit}]" for axis in lengths),
        *(f"centroid_{axis} [{unit}]" for axis in lengths),
    ]


def _row(key: tuple[int, ...], parts: Sequence[ExportObject], image: ImageInfo) -> list[Any]:
    first = parts[0]
    spanned = [image.axes.index(axis) for axis in _spanned_axes(image)]
    spans = [sorted({part.slice_index[axis] for part in parts}) for axis in spanned]
    return [
        *key,
        *details_of(first),
        first.parent_id or None,
        *(end for span in spans for end in (span[0], span[-1])),
        len({part.slice_index for part in parts}),
        *(_volumes(parts, image) if _spanned_axes(image) == _DEPTH else ()),
        *_extents(parts, image),
        *_centroid(parts, image),
    ]


def _volumes(parts: Sequence[ExportObject], image: ImageInfo) -> Iterator[float | None]:
    """Yield the volume in voxels, in units, and the diameter of a ball of that volume."""
    n_voxels, voxel = sum(part.area_px for part in parts), voxel_volume(image)
    volume = None if voxel is None else n_voxels * voxel[0]
    yield from (n_voxels, volume, None if volume is None else (6 * volume / np.pi) ** (1 / 3))


def _extents(parts: Sequence[ExportObject], image: ImageInfo) -> Iterator[float | None]:
    boxes = [part.cropped() for part in parts]
    spans = {
        "Y": (min(b.top for b in boxes), max(b.top + b.mask.shape[0] for b in boxes)),
        "X": (min(b.left for b in boxes), max(b.left + b.mask.shape[1] for b in boxes)),
    }
    if _DEPTH in image.axes:
        slices = [part.slice_index[image.axes.index(_DEPTH)] for part in parts]
        spans[_DEPTH] = min(slices), max(slices) + 1
    for axis, step in _steps_of(image).items():
        if axis in spans:
            low, high = spans[axis]
            yield None if step is None else (high - low) * step


def _centroid(parts: Sequence[ExportObject], image: ImageInfo) -> Iterator[float | None]:
    sums: dict[str, float] = defaultdict(float)
    for part in parts:
        rows, columns = np.nonzero(part.mask)
        sums["Y"] += float(rows.sum()) + part.top * len(rows)
        sums["X"] += float(columns.sum()) + part.left * len(rows)
        if _DEPTH in image.axes:
            sums[_DEPTH] += part.slice_index[image.axes.index(_DEPTH)] * len(rows)
    n_voxels = sum(part.area_px for part in parts)
    for axis, step in _steps_of(image).items():
        if axis in sums:
            yield None if step is None else sums[axis] / n_voxels * step
