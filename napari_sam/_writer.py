"""Write Labels layers in the formats that napari's own dialog offers."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.details import details_from
from napari_sam.formats.label_images import objects_from_labels
from napari_sam.formats.registry import find_format
from napari_sam.layers.image_references import IMAGE_KEY
from napari_sam.layers.target_features import classes_in, features_of
from napari_sam.session.annotations import axes_in_files, image_of_labels


class NotSavedError(RuntimeError):
    """A layer cannot be saved; the message says what to do.

    napari shows it. A ValueError it would take for "no plugin was found", whatever it says.
    """


def annotations_of_layer(data: Any, meta: dict[str, Any]) -> Annotations:
    """Return the objects of a Labels layer as napari hands it to a writer."""
    labels = data[0] if meta.get("multiscale") else data
    features = features_of(pd.DataFrame(meta.get("features")))
    metadata = meta.get("metadata", {})
    image = image_of_labels(
        str(metadata.get(IMAGE_KEY) or meta.get("name", "labels")),
        labels.shape,
        meta.get("scale", (1,) * labels.ndim),
        meta.get("units") or ("pixel",) * labels.ndim,
        meta.get("axis_labels") or (),
    )
    shape = tuple(labels.shape[axis] for axis in axes_in_files(labels.shape))
    planes = labels if shape == tuple(labels.shape) else np.asarray(labels).reshape(shape)
    objects = [
        replace(obj, **details_from(features.get(obj.label_id, {})))
        for obj in objects_from_labels(planes)
    ]
    return Annotations(image, objects, classes_in(metadata))


def _write(key: str, path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    try:
        files = find_format(key).write(Path(path), annotations_of_layer(data, meta))
    except ValueError as error:
        raise NotSavedError(str(error)) from error
    return [str(file) for file in files]


# napari.yaml names them; a test compares them with the list of formats.
write_ome_tiff: Final = partial(_write, "ome-tiff")
write_npz: Final = partial(_write, "npz")
write_coco: Final = partial(_write, "coco")
write_geojson: Final = partial(_write, "geojson")
write_rois: Final = partial(_write, "rois")
write_yolo: Final = partial(_write, "yolo")
write_csv: Final = partial(_write, "csv")
