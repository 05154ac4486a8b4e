"""NumPy's files: ``.npy`` for a label image, ``.npz`` for objects that may overlap.

Source of the format: numpy.lib.format. Nothing is ever pickled.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.classes import (
    ObjectClass,
    classes_from_metadata,
    classes_to_metadata,
)
from napari_sam.formats.files import ExportError, unreadable, written_beside
from napari_sam.formats.image import image_from_json
from napari_sam.formats.label_images import as_small_labels


def write_label_npy(path: str | Path, labels: NDArray[Any]) -> None:
    """Write a label image or stack.

    Parameters
    ----------
    path : str or Path
        A ``.npy`` file.
    labels : (..., H, W) integer ndarray
        0 is background. Written as uint8, uint16 or uint32, whichever is enough.

    Raises
    ------
    ExportError
        If label_ids need more than 32 bits or are negative, or the file cannot be written.
    """
    labels = as_small_labels(labels)
    with written_beside(path) as partial, partial.open("wb") as file:
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
    try:
        with Path(path).open("rb") as file:
            labels = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise unreadable(path, error, ".npy") from error
    return as_small_labels(labels)


def write_npz(path: str | Path, annotations: Annotations) -> None:
    """Write everything that is known of the objects, losing nothing.

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
    ``reviewed`` (N,) bool, ``masks`` uint8 (the bits of all masks, row by row and one mask after
    the other, as `numpy.packbits` packs them), and ``metadata``, JSON with image, classes, and the
    notes by the place of their object.
    """
    objects = annotations.objects
    number_of = {one.name: number for number, one in enumerate(annotations.classes)}
    masks = [thing.mask.ravel() for thing in objects]
    metadata = {
        "image": asdict(annotations.image),
        "classes": classes_to_metadata(annotations.classes),
        "notes": {number: thing.note for number, thing in enumerate(objects) if thing.note},
    }
    boxes = [(thing.top, thing.left, *thing.mask.shape) for thing in objects]
    arrays: dict[str, Any] = {
        "label_ids": np.array([thing.label_id for thing in objects], np.int64),
        "boxes_rc": np.array(boxes, np.int64).reshape(-1, 4),
        "slice_indices": np.array([thing.slice_index for thing in objects], np.int64).reshape(
            len(objects), len(annotations.image.stack_shape)
        ),
        "class_indices": np.array(
            [number_of.get(thing.class_name or "", -1) for thing in objects], np.int64
        ),
        "scores": np.array(
            [np.nan if thing.score is None else thing.score for thing in objects], np.float64
        ),
        "reviewed": np.array([thing.reviewed for thing in objects], np.bool_),
        "masks": np.packbits(np.concatenate([np.zeros(0, np.bool_), *masks])),
        "metadata": np.array(json.dumps(metadata, ensure_ascii=False)),
    }
    with written_beside(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_npz(path: str | Path) -> Annotations:
    """Read what `write_npz` has written.

    Parameters
    ----------
    path : str or Path
        A ``.npz`` file.

    Returns
    -------
    Annotations
        As they were.

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
        msg = f"The file does not hold annotations as write_npz writes them: {Path(path).name}"
        raise ExportError(msg) from error
    return Annotations(image, objects, classes)


def _objects(
    arrays: dict[str, NDArray[Any]], classes: list[ObjectClass], notes: dict[str, str]
) -> list[ExportObject]:
    heights, widths = arrays["boxes_rc"][:, 2], arrays["boxes_rc"][:, 3]
    ends = np.cumsum(heights * widths)
    # Files of earlier versions have neither this nor notes.
    reviewed = arrays.get("reviewed", np.zeros(len(ends), np.bool_))
    bits = np.unpackbits(arrays["masks"], count=int(ends[-1]) if len(ends) else 0).view(np.bool_)
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
            label_id,
            (top, left, height, width),
            slice_index,
            class_index,
            score,
            is_reviewed,
            pixels,
        ) in enumerate(
            zip(
                arrays["label_ids"].tolist(),
                arrays["boxes_rc"].tolist(),
                arrays["slice_indices"].tolist(),
                arrays["class_indices"].tolist(),
                arrays["scores"].tolist(),
                reviewed.tolist(),
                np.split(bits, ends[:-1]) if len(ends) else [],
                strict=True,
            )
        )
    ]
