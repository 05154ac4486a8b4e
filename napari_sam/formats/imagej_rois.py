"""Zip files of ROIs, as written and opened by ImageJ's ROI Manager.

Sources of the format: ImageJ's ``RoiEncoder.java`` and ``RoiDecoder.java``, through roifile.
Coordinates are (x, y) in pixels from the outer corner of the first pixel.
"""

import re
import struct
import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from roifile import ROI_COLOR_NONE, ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from napari_sam.formats.annotations import Annotations, ExportObject, annotations_read
from napari_sam.formats.classes import ObjectClass, classes_of
from napari_sam.formats.details import (
    details_from,
    details_of,
    slice_details_from,
    slice_details_of,
    whole_number_in,
    with_value,
)
from napari_sam.formats.files import FileError, export_file, file_reader, reason
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.left_out import OUTSIDE, LeftOut
from napari_sam.formats.outlines import ellipse_ring, fill_rings, trace_outlines
from napari_sam.storage.pacing import paced

_MAX_COORDINATE: Final = 60535
_MAX_BYTES: Final = 2**29
"""Of all ROIs in a zip, which may be a thousandth of that; it takes seconds."""
_WITHOUT_AREA: Final = {
    ROI_TYPE.LINE: "line",
    ROI_TYPE.FREELINE: "line",
    ROI_TYPE.POLYLINE: "line",
    ROI_TYPE.ANGLE: "angle",
    ROI_TYPE.POINT: "point",
}
_RECTANGLES_WITHOUT_AREA: Final = {ROI_SUBTYPE.TEXT: "text", ROI_SUBTYPE.IMAGE: "image"}

# Segments of a java.awt.geom.PathIterator.
_MOVE_TO, _LINE_TO, _CLOSE = 0.0, 1.0, 4.0


class _Utf16Text(str):
    """Text whose length is that of the format: characters beyond 16 bits count twice."""

    def __len__(self) -> int:
        return len(self.encode("utf-16-be")) // 2


def write_imagej_rois(path: str | Path, annotations: Annotations) -> None:
    """Write objects as ROIs along the edges of their pixels.

    Parameters
    ----------
    path : str or Path
        A ``.zip`` file.
    annotations : Annotations
        The objects. A single piece without holes becomes a traced ROI, others become composite
        ROIs. Class, label_id and score are properties of the ROI, and the class's color is its
        stroke color.

    Raises
    ------
    FileError
        If the image is too large for ROIs or has other axes than ImageJ, or if the file cannot be
        written.

    Notes
    -----
    In a stack along one axis a ROI has a position; with more axes it has a slice, a frame and a
    channel, where 0 stands for any.
    """
    image = annotations.image
    if max(image.plane_shape) > _MAX_COORDINATE:
        msg = f"ImageJ's ROIs end at pixel {_MAX_COORDINATE}; choose COCO, GeoJSON or NPZ."
        raise FileError(msg)
    if not set(image.axes[:-2]) <= set("ZTC"):
        raise FileError(
            f"ImageJ stacks run along Z, T and C, not along all of {image.axes[:-2]}; choose COCO "
            "or NPZ."
        )
    colors = {entry.name: entry.color_rgb for entry in annotations.classes}
    names = _unique(_name(obj) for obj in paced(annotations.objects))
    rois = []
    for name, obj in zip(names, paced(annotations.objects), strict=True):
        roi = _shape(obj)
        roi.name = _Utf16Text(name)
        roi.props = _properties(obj)
        if obj.class_name is not None:
            roi.stroke_color = bytes([255, *colors[obj.class_name]])
        _set_position(roi, image, obj.slice_index)
        rois.append(roi)
    # Names inside the zip are file names.
    entries = _unique(re.sub(r'[\\/:*?"<>|]', "_", name) for name in paced(names))
    # roifile's `roiwrite` refuses names that do not end in .zip, as those of unfinished files.
    with export_file(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for entry, roi in zip(entries, paced(rois), strict=True):
            archive.writestr(f"{entry}.roi", roi.tobytes())


def _name(obj: ExportObject) -> str:
    numbers = [*(f"{index + 1:04d}" for index in obj.slice_index), f"{obj.label_id:04d}"]
    return "-".join([*numbers, obj.class_name] if obj.class_name else numbers)


def _unique(names: Iterable[str]) -> list[str]:
    counts: dict[str, int] = {}
    unique: list[str] = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        unique.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return unique


def _shape(obj: ExportObject) -> ImagejRoi:
    pieces = trace_outlines(obj.mask, obj.top, obj.left)
    shells = np.concatenate([piece.shell_xy for piece in pieces])
    (left, top), (right, bottom) = shells.min(axis=0).tolist(), shells.max(axis=0).tolist()
    roi = ImagejRoi(top=top, left=left, bottom=bottom, right=right)
    if len(pieces) == 1 and not pieces[0].holes_xy:
        roi.roitype = ROI_TYPE.TRACED
        roi.integer_coordinates = (shells - (left, top)).astype(np.int32)
        roi.n_coordinates = len(shells)
        return roi
    path: list[float] = []
    for ring in (ring for piece in pieces for ring in (piece.shell_xy, *piece.holes_xy)):
        steps = np.insert(ring.astype(np.float64), 0, _LINE_TO, axis=1)
        steps[0, 0] = _MOVE_TO
        path += [*steps.ravel().tolist(), _CLOSE]
    roi.roitype = ROI_TYPE.RECT  # which a composite ROI is, by its bounds
    roi.multi_coordinates = np.array(path, np.float32)
    roi.shape_roi_size = len(path)
    return roi


def _properties(obj: ExportObject) -> str:
    details = with_value(details_of(obj) | slice_details_of(obj))
    values: dict[str, Any] = {"label_id": obj.label_id, **details}
    if obj.reviewed:
        values["reviewed"] = "true"
    return "".join(f"{key}: {_escaped(str(value))}\n" for key, value in values.items())


def _escaped(text: str) -> str:
    """Escape text as Java does in properties, which is how ImageJ reads them."""
    escaped = text.replace("\\", "\\\\").encode("utf-16-be", "surrogatepass")
    units = struct.unpack(f">{len(escaped) // 2}H", escaped)
    return "".join(chr(unit) if 32 <= unit < 127 else f"\\u{unit:04x}" for unit in units)


def _set_position(roi: ImagejRoi, image: ImageInfo, slice_index: tuple[int, ...]) -> None:
    positions = dict(zip(image.axes, (index + 1 for index in slice_index), strict=False))
    if len(positions) == 1:
        roi.position = next(iter(positions.values()))
    else:
        roi.z_position, roi.t_position, roi.c_position = (positions.get(axis, 0) for axis in "ZTC")


@file_reader("ImageJ ROIs")
def read_imagej_rois(path: str | Path, image: ImageInfo) -> Annotations:
    """Read area ROIs as the pixels whose centers they contain.

    Parameters
    ----------
    path : str or Path
        A ``.zip`` or ``.roi`` file.
    image : ImageInfo
        The image that they belong to; the files do not describe it.

    Returns
    -------
    Annotations
        ROIs without a ``label_id``, and copies with the same one, get new label_ids. Objects are
        clipped to the image. Those without a pixel, lines, points, texts, and what cannot be read
        are left out and counted.

    Raises
    ------
    FileError
        If the file cannot be read, or no ROI in it can.
    """
    path = Path(path)
    if not zipfile.is_zipfile(path):
        return rois_in([(path.name, path.read_bytes)], image, path.name)
    with zipfile.ZipFile(path) as archive:
        members = [entry for entry in archive.infolist() if not _is_foreign(entry.filename)]
        size_bytes = sum(entry.file_size for entry in members)
        if size_bytes > _MAX_BYTES:
            msg = (
                f"it has ROIs of {size_bytes >> 20:,} MiB; at most {_MAX_BYTES >> 20} MiB are "
                "allowed"
            )
            raise ValueError(msg)
        rois = [(entry.filename, partial(archive.read, entry)) for entry in members]
        return rois_in(rois, image, path.name)


def _is_foreign(name: str) -> bool:
    """Return whether a file in a zip is a folder, or one that macOS has added."""
    return name.endswith("/") or PurePosixPath(name).name.startswith((".", "__MACOSX"))


def rois_in(
    rois: Iterable[tuple[str, Callable[[], bytes]]], image: ImageInfo, name: str
) -> Annotations:
    """Return ROIs as objects, as `read_imagej_rois` does; each has a name and a function."""
    left_out = LeftOut()
    classes: dict[str, ObjectClass] = {}
    objects: list[ExportObject] = []
    label_ids: dict[int, int] = {}
    for number, (file_name, read) in enumerate(paced(rois), start=1):
        with left_out.unreadable(f"the ROI {file_name}"):
            roi = _roi_in(read)
            type_name = roi.roitype.name.lower()
            kind = _RECTANGLES_WITHOUT_AREA.get(roi.subtype) or _WITHOUT_AREA.get(roi.roitype)
            if kind is not None:
                left_out.add(
                    kind, f"the ROI {roi.name or file_name} is a {type_name} and encloses no area"
                )
                continue
            mask = fill_rings(_rings(roi), image.plane_shape)
            if mask is None:
                left_out.add(OUTSIDE)
                continue
            values = _values(roi.props)
            details = details_from(values) | slice_details_from(values)
            _add_class(classes, details["class_name"], roi)
            label_id = whole_number_in(values.get("label_id"))
            if label_id is not None:
                label_ids[number] = label_id
            objects.append(ExportObject(number, *mask, _slice_index(roi, image), **details))
    left_out.require(objects, "No object can be read", name)
    return annotations_read(image, objects, tuple(classes.values()), left_out, label_ids)


def _roi_in(read: Callable[[], bytes]) -> ImagejRoi:
    try:
        return ImagejRoi.frombytes(read())
    except Exception as error:  # roifile and zipfile raise anything for a damaged file
        raise FileError(f"cannot be read ({reason(error)})") from error


def _add_class(classes: dict[str, ObjectClass], name: str | None, roi: ImagejRoi) -> None:
    if name is not None and name not in classes:
        default = classes_of([name], classes.values())[-1]
        has_color = roi.stroke_color != ROI_COLOR_NONE
        color_rgb = roi.stroke_color[1:] if has_color else default.color_rgb
        classes[name] = ObjectClass.from_rgb(name, color_rgb)


def _rings(roi: ImagejRoi) -> list[NDArray[Any]]:
    if roi.roitype == ROI_TYPE.OVAL:
        center = (roi.left + roi.right) / 2, (roi.top + roi.bottom) / 2
        return [ellipse_ring(center, ((roi.right - roi.left) / 2, (roi.bottom - roi.top) / 2))]
    try:
        rings = roi.coordinates(multi=True)
    except (NotImplementedError, RuntimeError) as error:
        raise FileError(f"it has curves ({error}); make it a polygon in ImageJ") from error
    return list(rings)


def _values(props: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in props.split("\n") if ":" in line)
    return {key.strip(): _unescaped(value.strip()) for key, _, value in pairs}


def _unescaped(text: str) -> str:
    """Undo Java's escapes, where characters beyond 16 bits are escaped as two halves."""
    halves = re.sub(
        r"\\(?:u([0-9a-fA-F]{4})|(.))",
        lambda match: chr(int(match[1], 16)) if match[1] else match[2],
        text,
    )
    return halves.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")


def _slice_index(roi: ImagejRoi, image: ImageInfo) -> tuple[int, ...]:
    """Return the index of the slice, 0 along axes for which the ROI has no position."""
    axes = image.axes[:-2]
    positions = {"Z": roi.z_position, "T": roi.t_position, "C": roi.c_position}
    if not axes or roi.position < 1 or any(position > 0 for position in positions.values()):
        return tuple(max(positions.get(axis, 0) - 1, 0) for axis in axes)
    if roi.position > prod(image.stack_shape):
        return image.stack_shape  # beyond its end as well
    # A position alone counts all slices of ImageJ's stack, in which channels come first.
    lengths = dict(zip(axes, image.stack_shape, strict=True))
    order = sorted(axes, key="TZC".find)
    index = np.unravel_index(roi.position - 1, [lengths[axis] for axis in order])
    return tuple(int(index[order.index(axis)]) for axis in axes)
