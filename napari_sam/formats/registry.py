"""The one list of formats: their names, their files, and what writes them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.coco import write_coco
from napari_sam.formats.ctc import write_ctc
from napari_sam.formats.details import details_to_text
from napari_sam.formats.geff import write_geff
from napari_sam.formats.geojson import write_geojson
from napari_sam.formats.image import ImageInfo, plane_name
from napari_sam.formats.imagej_rois import write_imagej_rois
from napari_sam.formats.label_images import LabelPlanes, labels_from_objects
from napari_sam.formats.measurements import write_measurements
from napari_sam.formats.numpy_files import write_label_npy, write_npz
from napari_sam.formats.png import write_label_png
from napari_sam.formats.semantic import write_semantic_png_planes, write_semantic_tiff
from napari_sam.formats.stack_measurements import write_stack_measurements
from napari_sam.formats.tiff import write_imagej_tiff, write_ome_tiff
from napari_sam.formats.track_tables import write_tracks_csv
from napari_sam.formats.trackmate import write_trackmate
from napari_sam.formats.yolo import write_yolo, write_yolo_classes, yolo_class_numbers

_Writer = Callable[[Path, Annotations], list[Path]]


@dataclass(frozen=True)
class Format:
    """A file format.

    Parameters
    ----------
    key : str
        Its name on the command line.
    title : str
        Its name in the widget's dialogs.
    suffixes : tuple of str
        How its files end; new files get the first one.
    write : callable
        Writes annotations to a path, and returns all files that it has written.
    napari_name : str
        Its name in napari's own dialog; empty if that dialog does not offer it.
    distinction : str
        What batches put before the suffix, where another format has the same one.
    is_label_image : bool
        Whether the file holds one integer per pixel, so that objects cannot overlap.
    is_semantic : bool
        Whether these integers are classes instead of objects.
    """

    key: str
    title: str
    suffixes: tuple[str, ...]
    write: _Writer
    napari_name: str = ""
    distinction: str = ""
    is_label_image: bool = False
    is_semantic: bool = False


def _single_file(write: Callable[..., None]) -> _Writer:
    """Return the writer of a format that has one file for all objects."""

    def write_objects(path: Path, annotations: Annotations) -> list[Path]:
        write(path, annotations)
        return [path]

    return write_objects


def _label_image(write: Callable[[Path, LabelPlanes, ImageInfo, str], None]) -> _Writer:
    """Return the writer of a format that holds one label image or stack."""

    def write_labels(path: Path, annotations: Annotations) -> None:
        write(path, LabelPlanes(annotations), annotations.image, details_to_text(annotations))

    return _single_file(write_labels)


def _write_png_planes(path: Path, annotations: Annotations) -> list[Path]:
    """Write one PNG for each plane."""
    files = []
    labels = LabelPlanes(annotations)
    dtype = labels.dtype  # the same for all slices of a sequence
    if annotations.image.stack_shape:
        for slice_index in np.ndindex(annotations.image.stack_shape):
            _ = labels[slice_index]  # overlaps are refused before the first file is written
    for file, plane in _planes(path, annotations):
        write_label_png(file, labels_from_objects(plane), details_to_text(plane), dtype)
        files.append(file)
    return files


def _write_yolo_planes(path: Path, annotations: Annotations) -> list[Path]:
    """Write one text for each plane, and the names of the classes beside them."""
    files = []
    yolo_class_numbers(annotations)  # refused before the first file is written
    for file, plane in _planes(path, annotations):
        write_yolo(file, plane)
        files.append(file)
    names = path.with_suffix(".yaml")
    # An old file of names would give classes to objects without one.
    if annotations.classes or names.exists():
        write_yolo_classes(names, annotations.classes)
        return [*files, names]
    return files


def _write_measurements(path: Path, annotations: Annotations) -> list[Path]:
    """Write the measurements of each slice, and those of whole objects of a stack beside them."""
    write_measurements(path, annotations)
    if not annotations.image.stack_shape:
        return [path]
    of_objects = path.with_name(f"{path.stem}_objects.csv")
    write_stack_measurements(of_objects, annotations)
    return [path, of_objects]


def _planes(path: Path, annotations: Annotations) -> Iterator[tuple[Path, Annotations]]:
    """Yield each plane with its file: `path` itself if there is only one."""
    image = replace(annotations.image, name=path.name)
    for slice_index, plane in annotations.planes():
        yield path.with_name(plane_name(image, slice_index)), plane


_labels = partial(Format, is_label_image=True)
_semantic = partial(Format, is_label_image=True, is_semantic=True)
_write_npy = _label_image(lambda path, labels, *_: write_label_npy(path, labels))
_write_polygons = _single_file(partial(write_coco, segmentation="polygon"))
_OME: Final = (".ome.tif", ".ome.tiff")

FORMATS: Final = (
    _labels("tiff", "TIFF for ImageJ", (".tif", ".tiff"), _label_image(write_imagej_tiff)),
    _labels("ome-tiff", "OME-TIFF", _OME, _label_image(write_ome_tiff), "OME-TIFF"),
    _labels("png", "PNG", (".png",), _write_png_planes),
    _semantic("semantic-ome-tiff", "Semantic OME-TIFF", _OME, write_semantic_tiff),
    _semantic("semantic-png", "Semantic PNG", (".png",), write_semantic_png_planes),
    _labels("npy", "NumPy", (".npy",), _write_npy),
    Format("npz", "NPZ", (".npz",), _single_file(write_npz), "NumPy archive of objects"),
    Format("coco", "COCO RLE", (".json",), _single_file(write_coco), "COCO"),
    Format("coco-polygons", "COCO polygons", (".json",), _write_polygons, distinction="_polygons"),
    Format("geojson", "GeoJSON", (".geojson",), _single_file(write_geojson), "GeoJSON"),
    Format("rois", "ImageJ ROIs", (".zip",), _single_file(write_imagej_rois), "ImageJ ROIs"),
    Format("yolo", "YOLO", (".txt",), _write_yolo_planes, "YOLO"),
    Format("csv", "CSV measurements", (".csv",), _write_measurements, "Measurements"),
)
"""The formats of any image."""

TRACK_FORMATS: Final = (
    Format("ctc", "Cell Tracking Challenge", ("_RES",), write_ctc),
    Format("trackmate", "TrackMate", (".xml",), _single_file(write_trackmate)),
    Format("geff", "GEFF", (".geff",), write_geff),
    Format("tracks", "CSV of tracks", (".csv",), _single_file(write_tracks_csv)),
)
"""The formats of films, which hold who divided into whom."""

ALL_FORMATS: Final = (*FORMATS, *TRACK_FORMATS)
"""What the widget's dialog offers, in its order."""


def find_format(key: str) -> Format:
    """Return the format with a key of the command line.

    Parameters
    ----------
    key : str
        One of those in `FORMATS`.

    Returns
    -------
    Format
        The format.

    Raises
    ------
    KeyError
        If there is none.
    """
    return {file_format.key: file_format for file_format in FORMATS}[key]
