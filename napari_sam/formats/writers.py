"""Write the objects of an image in each format: label images, one file per plane, legends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.classes import ObjectClass
from napari_sam.formats.details import details_to_text
from napari_sam.formats.image import ImageInfo, plane_name
from napari_sam.formats.label_images import labels_from_objects
from napari_sam.formats.png import write_label_png
from napari_sam.formats.semantic import (
    SEMANTIC_MARK,
    legend_path,
    semantic_labels,
    write_legend,
    write_semantic_png,
)
from napari_sam.formats.tiff import write_ome_tiff
from napari_sam.formats.yolo import write_yolo, write_yolo_classes

Writer = Callable[[Path, Annotations], list[Path]]
"""Writes annotations to a path, and returns all files that it has written."""


def single_file(write: Callable[..., None]) -> Writer:
    """Return the writer of a format that has one file for all objects."""

    def write_objects(path: Path, annotations: Annotations) -> list[Path]:
        write(path, annotations)
        return [path]

    return write_objects


def label_image(write: Callable[[Path, NDArray[Any], ImageInfo, str], None]) -> Writer:
    """Return the writer of a format that holds one label image or stack."""

    def write_labels(path: Path, annotations: Annotations) -> None:
        labels = labels_from_objects(annotations)
        write(path, labels, annotations.image, details_to_text(annotations))

    return single_file(write_labels)


def write_png_planes(path: Path, annotations: Annotations) -> list[Path]:
    """Write one PNG for each plane."""
    planes = _planes(path, annotations)
    for file, plane in planes:
        write_label_png(file, labels_from_objects(plane), details_to_text(plane))
    return [file for file, _ in planes]


def write_semantic_tiff(path: Path, annotations: Annotations) -> list[Path]:
    """Write class numbers as OME-TIFF, and their legend beside it."""
    labels, legend = semantic_labels(annotations)
    write_ome_tiff(path, labels, annotations.image, SEMANTIC_MARK)
    return [path, _write_legend(path, legend)]


def write_semantic_png_planes(path: Path, annotations: Annotations) -> list[Path]:
    """Write class numbers as one PNG for each plane, and their legend beside them."""
    labels, legend = semantic_labels(annotations)
    image = replace(annotations.image, name=path.name)
    files = []
    for slice_index in np.ndindex(image.stack_shape):
        files.append(path.with_name(plane_name(image, slice_index)))
        write_semantic_png(files[-1], labels[slice_index], legend)
    return [*files, _write_legend(path, legend)]


def write_yolo_planes(path: Path, annotations: Annotations) -> list[Path]:
    """Write one text for each plane, and the names of the classes beside them."""
    planes = _planes(path, annotations)
    for file, plane in planes:
        write_yolo(file, plane)
    files = [file for file, _ in planes]
    names = path.with_suffix(".yaml")
    # An old file of names would give classes to objects without one.
    if annotations.classes or names.exists():
        write_yolo_classes(names, annotations.classes)
        files.append(names)
    return files


def _planes(path: Path, annotations: Annotations) -> list[tuple[Path, Annotations]]:
    """Return a file for each plane: `path` itself if there is only one."""
    image = replace(annotations.image, name=path.name)
    return [
        (path.with_name(plane_name(image, slice_index)), annotations.plane(slice_index))
        for slice_index in np.ndindex(image.stack_shape)
    ]


def _write_legend(path: Path, legend: Sequence[ObjectClass]) -> Path:
    file = legend_path(path)
    write_legend(file, legend)
    return file
