"""What napari's own dialogs save Labels layers with, and open files of objects with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from napari.utils.notifications import show_warning

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import ExportError
from napari_sam.formats.json_files import json_reader
from napari_sam.formats.label_images import labels_from_objects, objects_from_labels
from napari_sam.formats.registry import format_named
from napari_sam.layers.target_features import CLASSES_KEY, classes_in, features_of
from napari_sam.session.annotations import (
    axes_in_files,
    classes_of,
    export_classes,
    image_of_labels,
)
from napari_sam.session.classes.classes import classes_to_json
from napari_sam.session.journal.replaying import replay
from napari_sam.session.journal.session_file import SESSION_SUFFIX, read_session
from napari_sam.session.objects.labels import ArrayLabels
from napari_sam.session.objects.records import ObjectRecord, counted

_FullLayerData = tuple[Any, dict[str, Any], str]


class NotSavedError(RuntimeError):
    """A layer cannot be saved; the message says what to do.

    napari shows it. A ValueError it would take for "no plugin was found", whatever it says.
    """


def annotations_of_layer(data: Any, meta: dict[str, Any]) -> Annotations:
    """Return the objects of a Labels layer as napari hands it to a writer."""
    labels = data[0] if meta.get("multiscale") else data
    known = features_of(pd.DataFrame(meta.get("features")))
    ones = (1,) * labels.ndim
    image = image_of_labels(
        meta.get("name", "labels"),
        labels.shape,
        meta.get("scale", ones),
        meta.get("units") or ("pixel",) * labels.ndim,
        meta.get("axis_labels") or (),
    )
    shape = tuple(labels.shape[axis] for axis in axes_in_files(labels.shape))
    planes = labels if shape == tuple(labels.shape) else np.asarray(labels).reshape(shape)
    objects = [
        _with_features(thing, known.get(thing.label_id, {}))
        for thing in objects_from_labels(planes)
    ]
    return Annotations(image, objects, export_classes(classes_in(meta.get("metadata", {}))))


def _with_features(thing: ExportObject, known: dict[str, Any]) -> ExportObject:
    return replace(
        thing,
        class_name=known.get("class"),
        score=known.get("score"),
        reviewed=known.get("reviewed", False),
        note=known.get("note", ""),
    )


def _write(path: str, data: Any, meta: dict[str, Any], title: str) -> list[str]:
    try:
        written = format_named(title).write(Path(path), annotations_of_layer(data, meta))
    except ValueError as error:
        raise NotSavedError(str(error)) from error
    return [str(one) for one in written]


def write_ome_tiff(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer as OME-TIFF."""
    return _write(path, data, meta, "OME-TIFF")


def write_npz(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer as NumPy's archive of masks."""
    return _write(path, data, meta, "NPZ")


def write_coco(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer as COCO with run-length encoded masks."""
    return _write(path, data, meta, "COCO RLE")


def write_geojson(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer as GeoJSON."""
    return _write(path, data, meta, "GeoJSON")


def write_imagej_rois(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer as a zip file of ImageJ's ROIs."""
    return _write(path, data, meta, "ImageJ ROIs")


def write_yolo(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer as YOLO's text, one file for each slice."""
    return _write(path, data, meta, "YOLO")


def write_measurements(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a table of measurements of a Labels layer."""
    return _write(path, data, meta, "CSV measurements")


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[_FullLayerData]] | None:
    """Return what opens a file of objects, or None for one that is not ours to open.

    Those are COCO files, and GeoJSON that says how large its image is: for others, import them
    into the labels of their image. Of a session file, the labels are opened; the widget's *Open
    session* goes on with all of it.
    """
    if not isinstance(path, str):
        return None
    if path.lower().endswith(SESSION_SUFFIX):
        return lambda name: [_layer_of_session(Path(name))]
    try:
        if path.lower().endswith((".json", ".geojson")):
            read = json_reader(path)
            return None if read is None else lambda _: [_layer(one) for one in read()]
    except ExportError:
        return None
    return None


def _layer_of_session(path: Path) -> _FullLayerData:
    saved = read_session(path)
    labels = ArrayLabels(np.zeros(saved.shape, saved.dtype))
    replay(saved.content.entries, labels)
    scale = saved.info.image.scale
    meta = {
        "name": saved.info.labels_name,
        "features": _features({record.label_id: record for record in labels.book}),
        "metadata": {CLASSES_KEY: classes_to_json(saved.info.classes)},
    }
    if len(scale) == len(saved.shape):
        meta["scale"] = scale
    return labels.array, meta, "labels"


def _layer(annotations: Annotations) -> _FullLayerData:
    try:
        labels = labels_from_objects(annotations)
    except ExportError:
        labels = labels_from_objects(annotations, overlap="last_wins")
        show_warning(
            f"Objects of {annotations.image.name} overlap, which a Labels layer cannot show: the "
            "last one has the pixels."
        )
    image = annotations.image
    if annotations.n_without_mask:
        show_warning(
            f"{counted(annotations.n_without_mask)} of {image.name} left out, without a mask."
        )
    meta = {
        "name": image.name,
        "scale": image.pixel_size,
        "units": image.units,
        "axis_labels": tuple(image.axes.lower()),
        "features": _features({thing.label_id: thing for thing in annotations.objects}),
        "metadata": {CLASSES_KEY: classes_to_json(classes_of(annotations))},
    }
    return labels, meta, "labels"


def _features(known: Mapping[int, ExportObject | ObjectRecord]) -> pd.DataFrame:
    """Return the features of a layer with these objects, by label_id."""
    return pd.DataFrame(
        {
            "index": list(known),
            "class": [one.class_name for one in known.values()],
            "score": [one.score for one in known.values()],
            "reviewed": [one.reviewed for one in known.values()],
            "note": [one.note for one in known.values()],
        }
    )
