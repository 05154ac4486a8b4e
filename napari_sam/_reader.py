"""Open files of objects as Labels layers, and DICOM files, with napari's own dialogs."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from napari.utils.notifications import show_warning

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.details import details_of
from napari_sam.formats.dicom import DICOM_SUFFIX, read_dicom
from napari_sam.formats.files import FileError, file_reader, require_memory
from napari_sam.formats.label_images import labels_from_objects
from napari_sam.formats.reading import json_reader
from napari_sam.layers.target_features import CLASSES_KEY, FEATURES
from napari_sam.session.annotations import used_classes
from napari_sam.session.classes.classes import classes_to_json
from napari_sam.session.journal.replaying import replay
from napari_sam.session.journal.session_file import SESSION_SUFFIX, read_session
from napari_sam.session.objects.labels import ArrayLabels
from napari_sam.session.objects.records import ObjectRecord

_FullLayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[_FullLayerData]] | None:
    """Return the reader of COCO, SAM, labelme, session files, DICOM, or GeoJSON with a size.

    Other files can be imported into the labels of their image with the widget. The reader opens
    only the labels of a session file; the widget's *Open session* restores the whole session.
    """
    if not isinstance(path, str):
        return None
    if path.lower().endswith(DICOM_SUFFIX):
        return lambda name: [_image_of_dicom(Path(name))]
    if path.lower().endswith(SESSION_SUFFIX):
        return lambda name: [_layer_of_session(Path(name))]
    try:
        if path.lower().endswith((".json", ".geojson")):
            read = json_reader(path)
            return None if read is None else partial(_layers, read=read)
    except FileError:
        return None
    return None


def _image_of_dicom(path: Path) -> _FullLayerData:
    pixels, meta = read_dicom(path)
    return pixels, {"name": path.stem, **meta}, "image"


def _layer_of_session(path: Path) -> _FullLayerData:
    saved = read_session(path)
    require_memory(prod(saved.shape) * saved.dtype.itemsize, f"The label image {path.name}")
    labels = ArrayLabels(np.zeros(saved.shape, saved.dtype))
    replay(saved.content.entries(), labels)
    scale = saved.info.image.scale
    meta = {
        "name": saved.info.labels_name,
        "features": _features(labels.registry),
        "metadata": {CLASSES_KEY: classes_to_json(saved.info.classes)},
    }
    if len(scale) == len(saved.shape):
        meta["scale"] = scale
    return labels.array, meta, "labels"


@file_reader()
def _layers(path: str, read: Callable[[], list[Annotations]]) -> list[_FullLayerData]:
    return [_layer(annotations) for annotations in read()]


def _layer(annotations: Annotations) -> _FullLayerData:
    image = annotations.image
    try:
        labels = labels_from_objects(annotations)
    except FileError:
        labels = labels_from_objects(annotations, overlap="last_wins")
        show_warning(
            f"Objects in {image.name} overlap. A Labels layer cannot show that, so pixels that "
            "several objects share belong to the last of them."
        )
    if annotations.left_out:
        show_warning(f"{image.name}: {annotations.left_out}.")
    meta = {
        "name": image.name,
        "scale": image.pixel_size,
        "units": image.units,
        "axis_labels": tuple(image.axes.lower()),
        "features": _features(annotations.objects),
        "metadata": {CLASSES_KEY: classes_to_json(used_classes(annotations))},
    }
    return labels, meta, "labels"


def _features(objects: Iterable[ExportObject | ObjectRecord]) -> pd.DataFrame:
    """Return the features of a layer with these objects."""
    by_label_id = {obj.label_id: obj for obj in objects}  # objects in a stack have several parts
    rows = [{"index": label_id, **details_of(obj)} for label_id, obj in by_label_id.items()]
    return pd.DataFrame(rows, columns=list(FEATURES))
