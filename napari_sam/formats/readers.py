"""Read the objects of each kind of file, for one image or for several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.classes import ObjectClass
from napari_sam.formats.details import annotations_with_details
from napari_sam.formats.image import ImageInfo, stack_stem
from napari_sam.formats.imagej_rois import read_imagej_rois
from napari_sam.formats.label_images import objects_from_labels
from napari_sam.formats.numpy_files import read_label_npy, read_npz
from napari_sam.formats.png import read_label_png, read_png_details, read_png_palette
from napari_sam.formats.semantic import (
    SEMANTIC_MARK,
    legend_path,
    objects_of_classes,
    palette_of,
    read_legend,
)
from napari_sam.formats.tiff import read_label_tiff, read_tiff_details
from napari_sam.formats.yolo import read_yolo, read_yolo_classes

Reader = Callable[[Path, ImageInfo], Sequence[Annotations]]
"""Reads a file that was given for an image."""


def read_tiff_objects(path: Path, _: ImageInfo) -> list[Annotations]:
    """Read a label image or a semantic image, with what the file says of its objects."""
    labels, image = read_label_tiff(path)
    return [_with_details_or_legend(image, labels, read_tiff_details(path), path)]


def read_png_objects(path: Path, image: ImageInfo) -> list[Annotations]:
    """Read a label image or a semantic image, with what the file says of its objects."""
    labels, details = read_label_png(path), read_png_details(path)
    image = _image_of(labels, path, image)
    return [_with_details_or_legend(image, labels, details, path, read_png_palette(path))]


def read_npy_objects(path: Path, image: ImageInfo) -> list[Annotations]:
    """Read a label image or stack."""
    labels = read_label_npy(path)
    return [Annotations(_image_of(labels, path, image), objects_from_labels(labels))]


def read_npz_objects(path: Path, _: ImageInfo) -> list[Annotations]:
    """Read objects with all that is known of them."""
    return [read_npz(path)]


def read_roi_objects(path: Path, image: ImageInfo) -> list[Annotations]:
    """Read ImageJ's ROIs."""
    return [read_imagej_rois(path, image)]


def read_yolo_objects(path: Path, image: ImageInfo) -> list[Annotations]:
    """Read the polygons of a plane, with the names of their classes if these lie beside them."""
    files = (path.with_suffix(".yaml"), path.with_name(f"{stack_stem(path.stem)}.yaml"))
    classes = next((read_yolo_classes(file) for file in files if file.exists()), ())
    return [read_yolo(path, ImageInfo(image.plane_shape, image.name), classes)]


def _image_of(labels: NDArray[Any], path: Path, image: ImageInfo) -> ImageInfo:
    return image if labels.shape == image.shape else ImageInfo(labels.shape, path.name)


def _with_details_or_legend(
    image: ImageInfo,
    labels: NDArray[Any],
    details: str,
    path: Path,
    palette: Sequence[int] = (),
) -> Annotations:
    legend = _legend_of(details, path, palette)
    # The legend of another image in the folder does not name all values of this one.
    if legend and labels.max(initial=0) <= len(legend):
        return objects_of_classes(image, labels, legend)
    return annotations_with_details(image, objects_from_labels(labels), details)


def _legend_of(details: str, path: Path, palette: Sequence[int]) -> tuple[ObjectClass, ...]:
    """Return the legend of a semantic image; nothing for a label image, whatever lies beside it.

    PNGs of earlier versions are recognised by the colours of their legend, which no label image
    has. TIFFs of earlier versions cannot be told from label images, and are read as such.
    """
    is_marked = details == SEMANTIC_MARK
    legend = read_legend(legend_path(path)) if is_marked or palette else ()
    colors = palette_of(legend)
    return legend if is_marked or palette[: len(colors)] == colors else ()
