"""Read the objects of a stack from files of which each has one slice, as its name says."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.classes import ObjectClass
from napari_sam.formats.files import FileError, require_memory
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.png import read_label_png, read_png_details
from napari_sam.formats.semantic import SEMANTIC_MARK, objects_in
from napari_sam.storage.pacing import paced

SliceIndex = tuple[int, ...]
_NUMBER: Final = r"_([a-z])(\d{4,9})"


def slice_files(path: Path, image: ImageInfo) -> dict[SliceIndex, Path]:
    """Return the files of a stack's slices, of which one is given, as `plane_name` names them.

    There are none if the name of the file tells no slice of the image.
    """
    prefix, _ = _parsed(path, image)
    if prefix is None:
        return {}
    files = {}
    for file in sorted(path.parent.iterdir()):
        is_alike = file.suffix.lower() == path.suffix.lower() and file.is_file()
        file_prefix, index = _parsed(file, image)
        if is_alike and file_prefix == prefix:
            files[index] = file
    return files


def _parsed(path: Path, image: ImageInfo) -> tuple[str | None, SliceIndex]:
    """Return the name of the stack in a file's name, None if it is of no slice, and the slice."""
    letters = image.axes[:-2].lower()
    match = re.fullmatch(rf"(.+?)((?:{_NUMBER}){{{len(letters)}}})", path.stem)
    if not letters or match is None:
        return None, ()
    numbers = re.findall(_NUMBER, match[2])
    index = tuple(int(number) for _, number in numbers)
    # Files often do not tell time from depth.
    is_of_axes = len(letters) == 1 or letters == "".join(letter for letter, _ in numbers)
    is_inside = all(n < length for n, length in zip(index, image.stack_shape, strict=True))
    return (match[1], index) if is_of_axes and is_inside else (None, ())


def plane_of(image: ImageInfo) -> ImageInfo:
    """Return a slice of a stack as an image."""
    return ImageInfo(image.plane_shape, image.name)


def read_png_slices(files: Mapping[SliceIndex, Path], image: ImageInfo) -> Annotations:
    """Read label images of slices, or semantic ones, as one stack.

    An object has the same number on all its slices.
    """
    labels_bytes = prod(image.shape) * np.dtype(np.uint16).itemsize
    require_memory(labels_bytes, f"The label images of {image.name}")
    labels, left_out = np.zeros(image.shape, np.uint16), LeftOut()
    details: dict[SliceIndex, str] = {}
    palette: list[int] = []
    for index, file in paced(files.items()):
        with left_out.unreadable(file.name):
            plane = read_label_png(file, image.plane_shape)
            if plane.shape != image.plane_shape:
                raise FileError(f"it has the size {plane.shape}, not {image.plane_shape}")
            details[index], palette = read_png_details(file)
            labels[index] = plane
    path = next(iter(files.values()))
    left_out.require(details, "No slice can be read", path.name)
    if set(details.values()) <= {"", SEMANTIC_MARK}:
        mark = max(details.values())
        annotations = objects_in(image, labels, mark, path, palette)
        annotations.left_out.include(left_out)
        return annotations
    planes = {
        index: objects_in(plane_of(image), labels[index], text, path)
        for index, text in paced(details.items())
    }
    return _stacked(planes, image, left_out)


def read_slices(
    files: Mapping[SliceIndex, Path],
    image: ImageInfo,
    read: Callable[[Path, ImageInfo], Any],
) -> Annotations:
    """Read files of slices with `read`, which do not tell which objects of them are the same."""
    left_out, numbers = LeftOut(), count(1)
    planes: dict[SliceIndex, Annotations] = {}
    for index, file in paced(files.items()):
        with left_out.unreadable(file.name):
            plane = read(file, plane_of(image))
            objects = [replace(obj, label_id=next(numbers)) for obj in plane.objects]
            planes[index] = replace(plane, objects=objects)
    left_out.require(planes, "No slice can be read", next(iter(files.values())).name)
    return _stacked(planes, image, left_out)


def _stacked(
    planes: Mapping[SliceIndex, Annotations], image: ImageInfo, left_out: LeftOut
) -> Annotations:
    """Return the objects of slices as those of their stack."""
    objects: list[ExportObject] = []
    classes: dict[str, ObjectClass] = {}
    for index, plane in paced(planes.items()):
        objects += [replace(obj, slice_index=index) for obj in plane.objects]
        for entry in plane.classes:
            classes.setdefault(entry.name, entry)
        left_out.include(plane.left_out)
    return Annotations(image, objects, tuple(classes.values()), left_out)
