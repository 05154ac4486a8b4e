"""The one list of formats: their names, their files, and what writes and reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Final

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.coco import write_coco
from napari_sam.formats.files import ExportError, unreadable
from napari_sam.formats.geojson import write_geojson
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.imagej_rois import write_imagej_rois
from napari_sam.formats.json_files import read_json_objects
from napari_sam.formats.measurements import write_measurements
from napari_sam.formats.numpy_files import write_label_npy, write_npz
from napari_sam.formats.readers import (
    Reader,
    read_npy_objects,
    read_npz_objects,
    read_png_objects,
    read_roi_objects,
    read_tiff_objects,
    read_yolo_objects,
)
from napari_sam.formats.tiff import write_imagej_tiff, write_ome_tiff
from napari_sam.formats.writers import (
    Writer,
    label_image,
    single_file,
    write_png_planes,
    write_semantic_png_planes,
    write_semantic_tiff,
    write_yolo_planes,
)


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
    read : callable, optional
        Reads a file that was given for an image; None if the format is only written.
    read_suffixes : tuple of str
        How other files end that it reads.
    is_label_image : bool
        Whether the file holds one integer per pixel, so that objects cannot overlap.
    is_semantic : bool
        Whether the integers are classes instead of objects.
    napari_name : str
        Its name in napari's own dialog; empty if that dialog does not offer it.
    distinction : str
        What batches put before the suffix, where another format has the same one.
    """

    key: str
    title: str
    suffixes: tuple[str, ...]
    write: Writer
    read: Reader | None = None
    read_suffixes: tuple[str, ...] = ()
    is_label_image: bool = False
    is_semantic: bool = False
    napari_name: str = ""
    distinction: str = ""


_image = partial(Format, is_label_image=True)

FORMATS: Final = (
    _image(
        "tiff",
        "TIFF for ImageJ",
        (".tif", ".tiff"),
        label_image(write_imagej_tiff),
        read_tiff_objects,
    ),
    _image(
        "ome-tiff",
        "OME-TIFF",
        (".ome.tif", ".ome.tiff"),
        label_image(write_ome_tiff),
        read_tiff_objects,
        napari_name="OME-TIFF",
    ),
    _image("png", "PNG", (".png",), write_png_planes, read_png_objects),
    _image(
        "semantic-ome-tiff",
        "Semantic OME-TIFF",
        (".ome.tif", ".ome.tiff"),
        write_semantic_tiff,
        read_tiff_objects,
        is_semantic=True,
    ),
    _image(
        "semantic-png",
        "Semantic PNG",
        (".png",),
        write_semantic_png_planes,
        read_png_objects,
        is_semantic=True,
    ),
    _image(
        "npy",
        "NumPy",
        (".npy",),
        label_image(lambda path, labels, *_: write_label_npy(path, labels)),
        read_npy_objects,
    ),
    Format(
        "npz",
        "NPZ",
        (".npz",),
        single_file(write_npz),
        read_npz_objects,
        napari_name="NumPy archive of objects",
    ),
    Format(
        "coco",
        "COCO RLE",
        (".json",),
        single_file(write_coco),
        read_json_objects,
        napari_name="COCO",
    ),
    Format(
        "coco-polygons",
        "COCO polygons",
        (".json",),
        single_file(partial(write_coco, segmentation="polygon")),
        read_json_objects,
        distinction="_polygons",
    ),
    Format(
        "geojson",
        "GeoJSON",
        (".geojson",),
        single_file(write_geojson),
        read_json_objects,
        napari_name="GeoJSON",
    ),
    Format(
        "rois",
        "ImageJ ROIs",
        (".zip",),
        single_file(write_imagej_rois),
        read_roi_objects,
        read_suffixes=(".roi",),
        napari_name="ImageJ ROIs",
    ),
    Format("yolo", "YOLO", (".txt",), write_yolo_planes, read_yolo_objects, napari_name="YOLO"),
    Format(
        "csv",
        "CSV measurements",
        (".csv",),
        single_file(write_measurements),
        napari_name="Measurements",
    ),
)
"""All formats, in the order of the widget's dialog."""

_READERS: Final = {
    Path(f"name{suffix}").suffix: file_format.read
    for file_format in FORMATS
    if file_format.read is not None
    for suffix in (*file_format.suffixes, *file_format.read_suffixes)
}
READ_SUFFIXES: Final = tuple(_READERS)
"""How files end that `read_objects` reads."""


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


def read_objects(path: str | Path, image: ImageInfo) -> Annotations:
    """Read the objects of one image from a file of any format that can be read.

    Parameters
    ----------
    path : str or Path
        The file; its suffix tells the format.
    image : ImageInfo
        The image that the objects belong to.

    Returns
    -------
    Annotations
        Those of `image`. Axes of length one before height and width may be more or fewer in the
        file.

    Raises
    ------
    ExportError
        If the file cannot be read, is about an image of another size, or about several images.
    """
    path = Path(path)
    contents = _read(path, image)
    fitting = [annotations for annotations in contents if _fits(annotations.image, image)]
    if not fitting:
        shapes = ", ".join(str(annotations.image.shape) for annotations in contents)
        msg = (
            f"The file is about an image of shape {shapes}, not {image.shape}; choose the image "
            f"that it belongs to: {path.name}"
        )
        raise ExportError(msg)
    if len(fitting) > 1:
        fitting = [annotations for annotations in fitting if annotations.image.name == image.name]
    if len(fitting) != 1:
        names = ", ".join(annotations.image.name for annotations in contents[:5])
        msg = (
            f"The file is about {len(contents)} images, several of them of the shape "
            f"{image.shape}; rename the layer to one of their names ({names})."
        )
        raise ExportError(msg)
    return _moved_to(image, fitting[0])


def _read(path: Path, image: ImageInfo) -> Sequence[Annotations]:
    read = _READERS.get(path.suffix.lower())
    if read is None:
        msg = f"Choose a file that ends in {', '.join(READ_SUFFIXES)}, not {path.name}."
        raise ExportError(msg)
    try:
        return read(path, image)
    except (ExportError, ImportError, MemoryError):
        raise
    except Exception as error:  # decoders raise anything for a damaged file
        raise unreadable(path, error) from error


def _fits(file_image: ImageInfo, image: ImageInfo) -> bool:
    if file_image.shape == image.shape:
        return True
    is_one_plane = prod(file_image.stack_shape) == prod(image.stack_shape) == 1
    return is_one_plane and file_image.plane_shape == image.plane_shape


def _moved_to(image: ImageInfo, annotations: Annotations) -> Annotations:
    objects = annotations.objects
    if annotations.image.shape != image.shape:
        only_index = (0,) * len(image.stack_shape)
        objects = [replace(obj, slice_index=only_index) for obj in objects]
    return replace(annotations, image=image, objects=objects)
