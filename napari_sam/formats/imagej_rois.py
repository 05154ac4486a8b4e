"""Zip files of ROIs, as written and opened by ImageJ's ROI Manager.

Sources of the format: ImageJ's ``RoiEncoder.java`` and ``RoiDecoder.java``, through roifile.
Coordinates are (x, y) in pixels from the outer corner of the first pixel.
"""

import re
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from roifile import ROI_COLOR_NONE, ROI_TYPE, ImagejRoi, roiread, roiwrite

from napari_sam.formats.annotations import Annotations, ExportObject, with_unique_ids
from napari_sam.formats.classes import ObjectClass, classes_of
from napari_sam.formats.files import ExportError, export_file, file_reader
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.outlines import fill_rings, trace_outlines
from napari_sam.storage.text import single_line

_MAX_COORDINATE: Final = 60535
_MAX_BYTES: Final = 2**29
"""Of all ROIs in a zip, which may be a thousandth of that; it takes seconds."""
_AREAS: Final = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED, ROI_TYPE.RECT)

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
        ROIs. Class, label_id and score are properties of the ROI, and the class's colour is its
        stroke colour.

    Raises
    ------
    ExportError
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
        raise ExportError(msg)
    if not set(image.axes[:-2]) <= set("ZTC"):
        raise ExportError(
            f"ImageJ has stacks along Z, T and C, not along all of {image.axes[:-2]}."
        )
    colors = {entry.name: entry.color_rgb for entry in annotations.classes}
    names = _unique(_name(obj) for obj in annotations.objects)
    rois = []
    for name, obj in zip(names, annotations.objects, strict=True):
        roi = _shape(obj)
        roi.name = _Utf16Text(name)
        roi.props = _properties(obj)
        if obj.class_name is not None:
            roi.stroke_color = bytes([255, *colors[obj.class_name]])
        _set_position(roi, image, obj.slice_index)
        rois.append(roi)
    # Names inside the zip are file names.
    entries = _unique(re.sub(r'[\\/:*?"<>|]', "_", name) for name in names)
    with export_file(path) as partial:
        roiwrite(partial, rois, name=entries, mode="w")


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
    values: dict[str, Any] = {"label_id": obj.label_id}
    if obj.score is not None:
        values["score"] = obj.score
    if obj.class_name is not None:
        values["class"] = _escaped(obj.class_name)
    if obj.reviewed:
        values["reviewed"] = "true"
    if obj.note:
        values["note"] = _escaped(obj.note)
    return "".join(f"{key}: {value}\n" for key, value in values.items())


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
    """Read area ROIs as the pixels whose centres they contain.

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
        clipped to the image; those without a pixel are left out.

    Raises
    ------
    ExportError
        If the file cannot be read, or has lines, points or curves.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size_bytes = sum(entry.file_size for entry in archive.infolist())
        if size_bytes > _MAX_BYTES:
            msg = f"it has ROIs of {size_bytes >> 20:,} MiB; {_MAX_BYTES >> 20} are the most"
            raise ValueError(msg)
    rois = roiread(path)
    classes: dict[str, ObjectClass] = {}
    objects: list[ExportObject] = []
    label_ids: dict[int, int] = {}
    for number, roi in enumerate(rois if isinstance(rois, list) else [rois], start=1):
        mask = fill_rings(_rings(roi), image.plane_shape)
        if mask is None:
            continue
        values = _values(roi.props)
        class_name = single_line(values.get("class", "")) or None
        if class_name is not None and class_name not in classes:
            default = classes_of([class_name], classes.values())[-1]
            has_color = roi.stroke_color != ROI_COLOR_NONE
            color_rgb = roi.stroke_color[1:] if has_color else default.color_rgb
            classes[class_name] = ObjectClass.from_rgb(class_name, color_rgb)
        try:
            if "label_id" in values:
                label_ids[number] = int(values["label_id"])
            score = float(values["score"]) if "score" in values else None
        except ValueError as error:
            raise ExportError(f"The ROI {roi.name} has invalid properties ({error}).") from error
        reviewed, note = values.get("reviewed") == "true", values.get("note", "")
        slice_index = _slice_index(roi, image)
        objects.append(ExportObject(number, *mask, slice_index, class_name, score, reviewed, note))
    return Annotations(image, with_unique_ids(objects, label_ids), tuple(classes.values()))


def _rings(roi: ImagejRoi) -> list[NDArray[Any]]:
    if roi.roitype == ROI_TYPE.OVAL:
        # Enough corners that no pixel centre lies between them and the ellipse.
        angles = np.linspace(0, 2 * np.pi, 64 + 4 * (roi.right - roi.left + roi.bottom - roi.top))
        center = np.array([roi.left + roi.right, roi.top + roi.bottom]) / 2
        radii = np.array([roi.right - roi.left, roi.bottom - roi.top]) / 2
        return [center + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)]
    if roi.roitype not in _AREAS:
        msg = f"The ROI {roi.name} is a {roi.roitype.name.lower()}, not an area; remove it."
        raise ExportError(msg)
    try:
        rings = roi.coordinates(multi=True)
    except (NotImplementedError, RuntimeError) as error:
        msg = f"The ROI {roi.name} has curves ({error}); make it a polygon in ImageJ."
        raise ExportError(msg) from error
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
    if len(axes) == 1 and roi.position > 0:
        return (roi.position - 1,)
    return tuple(max(positions.get(axis, 0) - 1, 0) for axis in axes)
