"""The formats by name: which files they have, and what writes and reads objects in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.classes import ExportClass
from napari_sam.formats.coco import write_coco
from napari_sam.formats.details import annotations_with_details, details_to_text
from napari_sam.formats.files import ExportError, unreadable
from napari_sam.formats.geojson import write_geojson
from napari_sam.formats.image import ImageInfo, plane_name, stack_stem
from napari_sam.formats.imagej_rois import read_imagej_rois, write_imagej_rois
from napari_sam.formats.json_files import read_json_objects
from napari_sam.formats.label_images import labels_from_objects, objects_from_labels
from napari_sam.formats.measurements import write_measurements
from napari_sam.formats.numpy_files import read_label_npy, read_npz, write_label_npy, write_npz
from napari_sam.formats.png import (
    read_label_png,
    read_png_details,
    read_png_palette,
    write_label_png,
)
from napari_sam.formats.semantic import (
    SEMANTIC_MARK,
    legend_path,
    objects_of_classes,
    palette_of,
    read_legend,
    semantic_labels,
    write_legend,
    write_semantic_png,
)
from napari_sam.formats.tiff import (
    read_label_tiff,
    read_tiff_details,
    write_imagej_tiff,
    write_ome_tiff,
)
from napari_sam.formats.yolo import (
    read_yolo,
    read_yolo_classes,
    write_yolo,
    write_yolo_classes,
)

READ_SUFFIXES: Final = (
    *(".tif", ".tiff", ".png", ".npy"),
    *(".npz", ".json", ".geojson", ".zip", ".roi", ".txt"),
)
"""How files end that `read_objects` reads."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Parameters
    ----------
    title : str
        What a dialog calls it.
    suffixes : tuple of str
        How its files end; the first one is what we give them.
    write : callable
        Writes annotations to a path; returns all files that it has written.
    """

    title: str
    suffixes: tuple[str, ...]
    write: Callable[[Path, Annotations], list[Path]]


def _alone(write: Callable[..., None]) -> Callable[[Path, Annotations], list[Path]]:
    """Make a `Format.write` of what writes objects to one file."""

    def write_objects(path: Path, annotations: Annotations) -> list[Path]:
        write(path, annotations)
        return [path]

    return write_objects


def _as_labels(
    write: Callable[[Path, NDArray[Any], ImageInfo, str], None],
) -> Callable[[Path, Annotations], list[Path]]:
    """Make a `Format.write` of what writes a label image to one file."""

    def write_labels(path: Path, one: Annotations) -> None:
        write(path, labels_from_objects(one), one.image, details_to_text(one))

    return _alone(write_labels)


def _by_plane(path: Path, annotations: Annotations) -> list[tuple[Path, Annotations]]:
    """Return a file for each slice; the one that was asked for, if there is but one plane."""
    named = replace(annotations.image, name=path.name)
    return [
        (path.with_name(plane_name(named, slice_index)), annotations.plane(slice_index))
        for slice_index in np.ndindex(named.stack_shape)
    ]


def _write_png(path: Path, annotations: Annotations) -> list[Path]:
    files = _by_plane(path, annotations)
    for file, plane in files:
        write_label_png(file, labels_from_objects(plane), details_to_text(plane))
    return [file for file, _ in files]


def _write_semantic_tiff(path: Path, annotations: Annotations) -> list[Path]:
    labels, legend = semantic_labels(annotations)
    write_ome_tiff(path, labels, annotations.image, SEMANTIC_MARK)
    return [path, _write_legend(path, legend)]


def _write_semantic_png(path: Path, annotations: Annotations) -> list[Path]:
    labels, legend = semantic_labels(annotations)
    named = replace(annotations.image, name=path.name)
    files = []
    for slice_index in np.ndindex(named.stack_shape):
        files.append(path.with_name(plane_name(named, slice_index)))
        write_semantic_png(files[-1], labels[slice_index], legend)
    return [*files, _write_legend(path, legend)]


def _write_legend(path: Path, legend: Sequence[ExportClass]) -> Path:
    file = legend_path(path)
    write_legend(file, legend)
    return file


def _write_yolo(path: Path, annotations: Annotations) -> list[Path]:
    files = _by_plane(path, annotations)
    for file, plane in files:
        write_yolo(file, plane)
    written = [file for file, _ in files]
    names = path.with_suffix(".yaml")
    # Names that are there already would give classes to objects without one.
    if annotations.classes or names.exists():
        write_yolo_classes(names, annotations.classes)
        written.append(names)
    return written


FORMATS: Final = (
    Format("TIFF for ImageJ", (".tif", ".tiff"), _as_labels(write_imagej_tiff)),
    Format("OME-TIFF", (".ome.tif", ".ome.tiff"), _as_labels(write_ome_tiff)),
    Format("PNG", (".png",), _write_png),
    Format("Semantic OME-TIFF", (".ome.tif", ".ome.tiff"), _write_semantic_tiff),
    Format("Semantic PNG", (".png",), _write_semantic_png),
    Format("NumPy", (".npy",), _as_labels(lambda path, labels, *_: write_label_npy(path, labels))),
    Format("NPZ", (".npz",), _alone(write_npz)),
    Format("COCO RLE", (".json",), _alone(write_coco)),
    Format("COCO polygons", (".json",), _alone(partial(write_coco, segmentation="polygon"))),
    Format("GeoJSON", (".geojson",), _alone(write_geojson)),
    Format("ImageJ ROIs", (".zip",), _alone(write_imagej_rois)),
    Format("YOLO", (".txt",), _write_yolo),
    Format("CSV measurements", (".csv",), _alone(write_measurements)),
)


def format_named(title: str) -> Format:
    """Return the format that dialogs call so."""
    return next(one for one in FORMATS if one.title == title)


def _read_npy(path: Path, image: ImageInfo) -> Annotations:
    labels = read_label_npy(path)
    return Annotations(_info_of(labels, path, image), objects_from_labels(labels))


def _read_png(path: Path, image: ImageInfo) -> Annotations:
    labels, details = read_label_png(path), read_png_details(path)
    info = _info_of(labels, path, image)
    return _with_details_or_legend(info, labels, details, path, read_png_palette(path))


def _read_tiff(path: Path) -> Annotations:
    labels, info = read_label_tiff(path)
    return _with_details_or_legend(info, labels, read_tiff_details(path), path)


def _info_of(labels: NDArray[Any], path: Path, image: ImageInfo) -> ImageInfo:
    return image if labels.shape == image.shape else ImageInfo(labels.shape, path.name)


def _with_details_or_legend(
    info: ImageInfo,
    labels: NDArray[Any],
    details: str,
    path: Path,
    palette: Sequence[int] = (),
) -> Annotations:
    legend = _legend_of(details, path, palette)
    # One that lies there from another image does not name all numbers of this one.
    if legend and labels.max(initial=0) <= len(legend):
        return objects_of_classes(info, labels, legend)
    return annotations_with_details(info, objects_from_labels(labels), details)


def _legend_of(details: str, path: Path, palette: Sequence[int]) -> tuple[ExportClass, ...]:
    """Return the legend of semantic labels; nothing for other labels, whatever lies beside them.

    PNGs of earlier versions are known by the colours of their legend, which no label image has.
    The TIFFs of earlier versions cannot be told from label images, and are taken for such.
    """
    is_marked = details == SEMANTIC_MARK
    legend = read_legend(legend_path(path)) if is_marked or palette else ()
    colors = palette_of(legend)
    return legend if is_marked or palette[: len(colors)] == colors else ()


def _read_yolo(path: Path, image: ImageInfo) -> Annotations:
    files = (path.with_suffix(".yaml"), path.with_name(f"{stack_stem(path.stem)}.yaml"))
    classes = next((read_yolo_classes(one) for one in files if one.exists()), ())
    plane = ImageInfo(image.plane_shape, image.name)
    return read_yolo(path, plane, classes)


def _read_all(path: Path, image: ImageInfo) -> Sequence[Annotations]:
    """Return what a file holds, for one image or for several."""
    suffix = path.suffix.lower()
    if suffix in (".json", ".geojson"):
        return read_json_objects(path, image)
    readers: dict[str, Callable[[], Annotations]] = {
        ".tif": lambda: _read_tiff(path),
        ".tiff": lambda: _read_tiff(path),
        ".png": lambda: _read_png(path, image),
        ".npy": lambda: _read_npy(path, image),
        ".npz": lambda: read_npz(path),
        ".zip": lambda: read_imagej_rois(path, image),
        ".roi": lambda: read_imagej_rois(path, image),
        ".txt": lambda: _read_yolo(path, image),
    }
    if suffix not in readers:
        msg = f"Choose a file that ends in {', '.join(READ_SUFFIXES)}, not {path.name}."
        raise ExportError(msg)
    try:
        return [readers[suffix]()]
    except (ExportError, ImportError, MemoryError):
        raise
    except Exception as error:  # whatever a decoder stumbles over in a damaged file
        raise unreadable(path, error) from error


def read_objects(path: str | Path, image: ImageInfo) -> Annotations:
    """Read the objects of one image from a file of any format that can be read.

    Parameters
    ----------
    path : str or Path
        The file; its ending says which format it has.
    image : ImageInfo
        The image that they are for.

    Returns
    -------
    Annotations
        Of `image`. Axes of length one before height and width may be more or fewer in the file.

    Raises
    ------
    ExportError
        If the file cannot be read, or is about an image of another size, or about several.
    """
    path = Path(path)
    found = _read_all(path, image)
    fitting = [one for one in found if _fits(one.image, image)]
    if not fitting:
        shapes = ", ".join(str(one.image.shape) for one in found)
        msg = (
            f"The file is about an image of shape {shapes}, not {image.shape}: choose its image "
            f"for {path.name}."
        )
        raise ExportError(msg)
    if len(fitting) > 1:
        fitting = [one for one in fitting if one.image.name == image.name]
    if len(fitting) != 1:
        msg = (
            f"The file is about {len(found)} images, several of them of the shape {image.shape}: "
            f"name the layer as one of them ({', '.join(one.image.name for one in found[:5])})."
        )
        raise ExportError(msg)
    return _moved_to(image, fitting[0])


def _fits(one: ImageInfo, image: ImageInfo) -> bool:
    if one.shape == image.shape:
        return True
    is_one_plane = prod(one.stack_shape) == prod(image.stack_shape) == 1
    return is_one_plane and one.plane_shape == image.plane_shape


def _moved_to(image: ImageInfo, annotations: Annotations) -> Annotations:
    objects = annotations.objects
    if annotations.image.shape != image.shape:
        only = (0,) * len(image.stack_shape)
        objects = [replace(thing, slice_index=only) for thing in objects]
    return replace(annotations, image=image, objects=objects)
