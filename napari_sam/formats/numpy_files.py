"""NumPy files: ``.npy`` for a label image, ``.npz`` for objects that may overlap.

Source of the format: numpy.lib.format. Nothing is ever pickled.
"""

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.classes import ObjectClass, classes_from_metadata, classes_to_metadata
from napari_sam.formats.files import ExportError, export_file, reading
from napari_sam.formats.image import image_from_json
from napari_sam.formats.label_images import as_small_labels


def write_label_npy(path: str | Path, labels: NDArray[Any]) -> None:
    """Write a label image or stack.

    Parameters
    ----------
    path : str or Path
        A ``.npy`` file.
    labels : (..., H, W) integer ndarray
        0 is background. Written as the smallest of uint8, uint16 and uint32 that is enough.

    Raises
    ------
    ExportError
        If label_ids need more than 32 bits or are negative, or the file cannot be written.
    """
    labels = as_small_labels(labels)
    with export_file(path) as partial, partial.open("wb") as file:
        np.save(file, labels, allow_pickle=False)


def read_label_npy(path: str | Path) -> NDArray[Any]:
    """Read a label image or stack.

    Parameters
    ----------
    path : str or Path
        A ``.npy`` file of integers.

    Returns
    -------
    (..., H, W) unsigned integer ndarray
        0 is background.

    Raises
    ------
    ExportError
        If the file cannot be read or does not hold label_ids.
    """
    with reading(path, ".npy", ValueError, EOFError), Path(path).open("rb") as file:
        labels = np.lib.format.read_array(file, allow_pickle=False)
    return as_small_labels(labels)


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
    ExportError
        If the file cannot be written.

    Notes
    -----
    With N objects and k axes before height and width, the arrays are ``label_ids`` (N,) int64,
    ``boxes_rc`` (N, 4) int64 (top, left, height, width), ``slice_indices`` (N, k) int64,
    ``class_indices`` (N,) int64 (-1 for none), ``scores`` (N,) float64 (NaN for none),
    ``reviewed`` (N,) bool, ``masks`` uint8 (the bits of all masks, row by row and mask after mask,
    as `numpy.packbits` packs them), and ``metadata``, JSON with image, classes, and notes by the
    index of their object.
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
    boxes = [(obj.top, obj.left, *obj.mask.shape) for obj in objects]
    slice_indices = [obj.slice_index for obj in objects]
    masks = [obj.mask.ravel() for obj in objects]
    arrays: dict[str, Any] = {
        "label_ids": np.array([obj.label_id for obj in objects], np.int64),
        "class_indices": np.array(indices, np.int64),
        "scores": np.array(scores, np.float64),
        "reviewed": np.array([obj.reviewed for obj in objects], np.bool_),
        "boxes_rc": np.array(boxes, np.int64).reshape(-1, 4),
        "slice_indices": np.array(slice_indices, np.int64).reshape(len(objects), n_axes),
        "masks": np.packbits(np.concatenate([np.zeros(0, np.bool_), *masks])),
        "metadata": np.array(json.dumps(metadata, ensure_ascii=False)),
    }
    with export_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_npz(path: str | Path) -> Annotations:
    """Read a file of `write_npz`.

    Parameters
    ----------
    path : str or Path
        A ``.npz`` file.

    Returns
    -------
    Annotations
        As they were written.

    Raises
    ------
    ExportError
        If the file cannot be read or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        metadata = json.loads(str(arrays["metadata"]))
        image = image_from_json(metadata["image"])
        classes = classes_from_metadata(metadata["classes"])
        objects = _objects(arrays, classes, metadata.get("notes", {}))
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        msg = f"The file does not hold annotations from write_npz: {Path(path).name}"
        raise ExportError(msg) from error
    return Annotations(image, objects, classes)


def _objects(
    arrays: dict[str, NDArray[Any]], classes: list[ObjectClass], notes: dict[str, str]
) -> list[ExportObject]:
    boxes = arrays["boxes_rc"]
    ends = np.cumsum(boxes[:, 2] * boxes[:, 3])
    bits = np.unpackbits(arrays["masks"], count=int(ends[-1]) if len(ends) else 0).view(np.bool_)
    # Files of earlier versions have neither this nor notes.
    reviewed = arrays.get("reviewed", np.zeros(len(ends), np.bool_))
    columns = [arrays[name] for name in ("label_ids", "slice_indices", "class_indices", "scores")]
    rows = zip(*(column.tolist() for column in (*columns, reviewed, boxes)), strict=True)
    masks = np.split(bits, ends[:-1]) if len(ends) else []
    return [
        ExportObject(
            label_id,
            pixels.reshape(height, width),
            top,
            left,
            tuple(slice_index),
            classes[class_index].name if class_index >= 0 else None,
            None if np.isnan(score) else score,
            is_reviewed,
            notes.get(str(number), ""),
        )
        for number, (
            (label_id, slice_index, class_index, score, is_reviewed, (top, left, height, width)),
            pixels,
        ) in enumerate(zip(rows, masks, strict=True))
    ]
