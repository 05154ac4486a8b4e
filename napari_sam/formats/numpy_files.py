"""NumPy files: ``.npy`` for a label image, ``.npz`` for objects that may overlap.

Source of the format: numpy.lib.format. Nothing is ever pickled.
"""

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations, ExportObject, annotations_read
from napari_sam.formats.classes import classes_from_metadata, classes_to_metadata
from napari_sam.formats.details import details_from, slice_details_from
from napari_sam.formats.files import export_file, file_reader, require_memory
from napari_sam.formats.image import image_from_json
from napari_sam.formats.label_images import LabelPlanes, as_small_labels, check_size
from napari_sam.formats.left_out import LeftOut
from napari_sam.storage.json_text import json_text
from napari_sam.storage.pacing import paced

_TABLES: Final = (
    *("label_ids", "boxes_rc", "slice_indices", "class_indices", "scores"),
    "metadata",
)
_LATER_TABLES: Final = ("reviewed", "parent_ids", "origins", "confidences")
"""Files of earlier versions do not have all of these."""
_MAX_TABLE_BYTES: Final = 2**28
"""Of what there is of each object beside its mask; millions have less."""
_NPY_HEADER_BYTES: Final = 2**12


def write_label_npy(path: str | Path, labels: NDArray[Any] | LabelPlanes) -> None:
    """Write a label image or stack.

    Parameters
    ----------
    path : str or Path
        A ``.npy`` file.
    labels : (..., H, W) integer ndarray, or LabelPlanes
        0 is background. Written as the smallest of uint8, uint16 and uint32 that is enough; slice
        by slice.

    Raises
    ------
    FileError
        If label_ids need more than 32 bits or are negative, or the file cannot be written.
    """
    labels = labels if isinstance(labels, LabelPlanes) else as_small_labels(labels)
    with export_file(path) as partial, partial.open("wb") as file:
        if not isinstance(labels, LabelPlanes):
            np.save(file, labels, allow_pickle=False)
            return
        header = {"descr": labels.dtype.str, "fortran_order": False, "shape": labels.shape}
        np.lib.format.write_array_header_1_0(file, header)
        for slice_index in np.ndindex(*labels.shape[:-2]):
            file.write(labels[slice_index].data)


@file_reader(".npy")
def read_label_npy(path: str | Path, shape: Sequence[int] | None = None) -> NDArray[Any]:
    """Read a label image or stack.

    Parameters
    ----------
    path : str or Path
        A ``.npy`` file of integers.
    shape : tuple of int, optional
        That of the image that the labels belong to; larger labels are refused unread.

    Returns
    -------
    (..., H, W) unsigned integer ndarray
        0 is background.

    Raises
    ------
    FileError
        If the file cannot be read, is too large, or does not hold label_ids.
    """
    with Path(path).open("rb") as file:
        size_bytes = Path(path).stat().st_size
        declared_shape, dtype = npy_header(file, size_bytes)
        check_size(path, declared_shape, dtype.itemsize, shape)
        file.seek(0)
        labels = np.lib.format.read_array(file, allow_pickle=False)
    return as_small_labels(labels)


def npy_header(file: IO[bytes], size_bytes: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and the type of the array in an open ``.npy`` file of that size.

    Raise a ValueError if the file is shorter than the array: NumPy would take the memory first.
    """
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0}
    shape, _, dtype = read_header.get(version, np.lib.format.read_array_header_2_0)(file)
    if dtype.hasobject:
        raise ValueError(
            "Python objects in it could run code; in Cellpose, save _seg.npy as PNG or TIFF"
        )
    if min(shape, default=0) < 0 or prod(shape) * dtype.itemsize > size_bytes:
        raise ValueError(f"it is too short for an array of shape {shape}")
    return shape, dtype


def write_npz(path: str | Path, annotations: Annotations) -> None:
    """Write objects without any loss.

    Parameters
    ----------
    path : str or Path
        A ``.npz`` file.
    annotations : Annotations
        The objects.

    Raises
    ------
    FileError
        If the file cannot be written.

    Notes
    -----
    With N objects and k axes before height and width, the arrays are ``label_ids`` (N,) int64,
    ``boxes_rc`` (N, 4) int64 (top, left, height, width), ``slice_indices`` (N, k) int64,
    ``class_indices`` (N,) int64 (-1 for none), ``scores`` (N,) float64 (NaN for none),
    ``reviewed`` (N,) bool, ``parent_ids`` (N,) int64 (0 for none), ``origins`` (N,) str and
    ``confidences`` (N,) float64 of the slices ("" and NaN for none), ``masks`` uint8 (the bits of
    all masks, row by row and mask after mask, as `numpy.packbits` packs them), and ``metadata``,
    JSON with image, classes, and notes by the index of their object.
    """
    objects = annotations.objects
    n_axes = len(annotations.image.stack_shape)
    class_indices = {entry.name: index for index, entry in enumerate(annotations.classes)}
    metadata = {
        "image": asdict(annotations.image),
        "classes": classes_to_metadata(annotations.classes),
        "notes": {index: obj.note for index, obj in enumerate(objects) if obj.note},
    }
    indices = [class_indices.get(obj.class_name or "", -1) for obj in objects]
    scores = [np.nan if obj.score is None else obj.score for obj in objects]
    confidences = [np.nan if obj.confidence is None else obj.confidence for obj in objects]
    boxes = [(obj.top, obj.left, *obj.mask.shape) for obj in objects]
    slice_indices = [obj.slice_index for obj in objects]
    masks = [obj.mask.ravel() for obj in objects]
    arrays: dict[str, Any] = {
        "label_ids": np.array([obj.label_id for obj in objects], np.int64),
        "class_indices": np.array(indices, np.int64),
        "scores": np.array(scores, np.float64),
        "reviewed": np.array([obj.reviewed for obj in objects], np.bool_),
        "parent_ids": np.array([obj.parent_id for obj in objects], np.int64),
        "origins": np.array([obj.origin for obj in objects], np.str_),
        "confidences": np.array(confidences, np.float64),
        "boxes_rc": np.array(boxes, np.int64).reshape(-1, 4),
        "slice_indices": np.array(slice_indices, np.int64).reshape(len(objects), n_axes),
        "masks": np.packbits(np.concatenate([np.zeros(0, np.bool_), *masks])),
        "metadata": np.array(json_text(metadata, ensure_ascii=False)),
    }
    with export_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


@file_reader("an NPZ file of objects")
def read_npz(path: str | Path, shape: Sequence[int] | None = None) -> Annotations:
    """Read a file written by `write_npz`.

    Parameters
    ----------
    path : str or Path
        A ``.npz`` file.
    shape : tuple of int, optional
        That of the image that the objects belong to; masks of larger images are refused unread.

    Returns
    -------
    Annotations
        As they were written.

    Raises
    ------
    FileError
        If the file cannot be read, is too large, or holds something else.
    """
    with zipfile.ZipFile(path) as archive:
        tables = {name: _member(archive, name, _MAX_TABLE_BYTES) for name in _TABLES}
        for name in _LATER_TABLES:
            if f"{name}.npy" in archive.namelist():
                tables[name] = _member(archive, name, _MAX_TABLE_BYTES)
        metadata = json.loads(str(tables["metadata"]))
        image = image_from_json(metadata["image"])
        boxes, (height, width) = tables["boxes_rc"].tolist(), image.plane_shape
        if not all(0 <= y < y + h <= height and 0 <= x < x + w <= width for y, x, h, w in boxes):
            raise ValueError("an object is outside the image")
        areas = [h * w for *_, h, w in boxes]
        check_size(path, image.shape, 0, shape)
        require_memory(sum(areas), f"The masks in {Path(path).name}")
        masks = _member(archive, "masks", sum(areas) // 8 + _NPY_HEADER_BYTES)
    bits = np.unpackbits(masks, count=sum(areas)).view(np.bool_)
    left_out = LeftOut()
    objects = list(_objects(tables, bits, metadata, left_out))
    left_out.require(objects, "No object can be read", Path(path).name)
    classes = classes_from_metadata(metadata["classes"])
    return annotations_read(image, objects, classes, left_out)


def _member(archive: zipfile.ZipFile, name: str, max_bytes: int) -> NDArray[Any]:
    """Return an array of an archive, unless it expands to more than it may."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.file_size > max_bytes:
        raise ValueError(f"{name} has {entry.file_size:,} bytes; at most {max_bytes:,} are allowed")
    with archive.open(entry) as file:
        npy_header(file, entry.file_size)
    with archive.open(entry) as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _objects(
    tables: dict[str, NDArray[Any]],
    bits: NDArray[np.bool_],
    metadata: dict[str, Any],
    left_out: LeftOut,
) -> Iterator[ExportObject]:
    names = ("label_ids", "slice_indices", "class_indices", "scores", "boxes_rc")
    columns = [tables[name].tolist() for name in names]
    nothing = np.full(len(tables["boxes_rc"]), None)
    columns += [tables.get(name, nothing).tolist() for name in _LATER_TABLES]
    notes = metadata.get("notes", {})  # files of earlier versions have none
    end = 0
    for number, row in enumerate(paced(zip(*columns, strict=True))):
        label_id, slice_index, class_index, score, (top, left, height, width), *later = row
        begin, end = end, end + height * width
        with left_out.unreadable(f"object {number + 1}"):
            entry = metadata["classes"][class_index] if class_index >= 0 else {}
            reviewed, parent_id, origin, confidence = later
            details = {"class": entry.get("name"), "score": score, "reviewed": reviewed}
            details |= {"parent_id": parent_id, "note": notes.get(str(number))}
            yield ExportObject(
                label_id,
                bits[begin:end].reshape(height, width),
                top,
                left,
                tuple(slice_index),
                **details_from(details),
                **slice_details_from({"origin": origin, "confidence": confidence}),
            )
