"""Images with labels of their objects: pairs of files, read plane by plane."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import xxhash

from napari_sam.batch.images import ImageFile, find_images
from napari_sam.batch.open_images import ImageOpener, OpenedImage
from napari_sam.engine.masks import MaskCrop
from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import FileError
from napari_sam.formats.reading import READ_SUFFIXES, read_objects
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.storage.digests import digest

_ENDINGS: Final = tuple(
    f"_{word}" for word in ("labels", "label", "cp_masks", "masks", "mask", "objects", "seg")
)
"""What may follow the name of an image in the name of its labels."""
_MIN_AREA_PX: Final = 4
"""Smaller objects are left out."""


class LabelsError(ValueError):
    """Images and labels do not fit; the message says what to do."""


@dataclass(frozen=True, eq=False)
class LabeledPlane:
    """A plane of an image with its objects, at least one."""

    plane: ImagePlane
    objects: tuple[MaskCrop, ...]
    class_names: tuple[str | None, ...]


@dataclass(frozen=True, eq=False)
class LabeledImage:
    """An image file with its objects."""

    name: str  # for messages
    planes: tuple[LabeledPlane, ...]

    @property
    def object_count(self) -> int:
        """How many objects there are on all planes."""
        return sum(len(plane.objects) for plane in self.planes)


def find_pairs(images: str, labels: str) -> list[tuple[ImageFile, Path]]:
    """Return each image that has labels, and the file of these.

    Both are files, folders or patterns, and may be the same folder. A single file of labels is that
    of all images; otherwise labels are called like their image, with one of a few words after it
    or, in a place of their own, without.

    Raises
    ------
    LabelsError
        If no image has labels.
    """
    is_together = Path(images).absolute() == Path(labels).absolute()
    found = find_images([images], None if is_together else Path(labels))
    if Path(labels).is_file():
        return [(image, Path(labels).absolute()) for image in found]
    paths = {image.path for image in found}
    by_name: dict[str, Path] = {}
    for file in find_images([labels], None if is_together else Path(images)):
        name = _name_of_image(file.name)
        is_image = file.path in paths and name == file.name
        if not is_image and Path(file.path).suffix.lower() in READ_SUFFIXES:
            by_name.setdefault(name, Path(file.path))
    pairs = [(image, by_name[image.name]) for image in found if image.name in by_name]
    if not pairs:
        name = Path(_name_of_image(found[0].name)).name if found else "cell"
        raise LabelsError(
            f"No image in {images} has labels in {labels}: call those of {name} {name}_labels.tif, "
            "or give a single file with the labels of all images. After the name of the image, "
            f"{', '.join(_ENDINGS)} are understood, or nothing if the labels have a folder of "
            "their own."
        )
    return pairs


def _name_of_image(name: str) -> str:
    """Return the name of a file without what tells that it holds labels."""
    endings = (ending for ending in _ENDINGS if name.lower().endswith(ending))
    length = len(next(endings, ""))
    return name[:-length] if 0 < length < len(name) else name


def data_digest(pairs: Sequence[tuple[ImageFile, Path]], how: Sequence[object] = ()) -> str:
    """Return what identifies images, their labels, and how these are read."""
    hasher = xxhash.xxh128(repr(how).encode())
    for image, labels in pairs:
        hasher.update(f"{image.name} {digest(image.path)} {digest(labels)}".encode())
    return hasher.hexdigest()


def read_pairs(
    pairs: Sequence[tuple[ImageFile, Path]], open_images: ImageOpener
) -> list[LabeledImage]:
    """Read the objects of all images; pixels are read when they are needed.

    Raises
    ------
    LabelsError
        If a file cannot be read, labels are of another shape than their image, or an image has no
        objects.
    """
    return [
        labeled
        for image, labels in pairs
        for opened in open_images(image.path)
        for labeled in [_labeled(image, opened, labels)]
    ]


def read_labels(image: ImageFile, opened: OpenedImage, labels: Path) -> Annotations:
    """Read the objects of an image of a file; raise LabelsError if that cannot be done."""
    name = Path(image.path).name
    try:
        return read_objects(labels, opened.info(name), (image.path, opened.name))
    except FileError as error:
        raise LabelsError(f"The labels of {name} cannot be used: {error}") from error


def _labeled(image: ImageFile, opened: OpenedImage, labels: Path) -> LabeledImage:
    name = Path(image.path).name
    annotations = read_labels(image, opened, labels)
    by_slice: dict[tuple[int, ...], list[ExportObject]] = defaultdict(list)
    for obj in annotations.objects:
        if np.count_nonzero(obj.mask) >= _MIN_AREA_PX:
            by_slice[obj.slice_index].append(obj)
    planes = tuple(
        _labeled_plane(part.plane, by_slice[part.slice_index])
        for part in opened.planes
        if part.slice_index in by_slice
    )
    if not planes:
        raise LabelsError(
            f"There are no objects in the labels of {name}: label some, or take the image out "
            f"({labels.name})."
        )
    return LabeledImage(name, planes)


def _labeled_plane(plane: ImagePlane, objects: Sequence[ExportObject]) -> LabeledPlane:
    crops = tuple(MaskCrop(obj.mask, obj.top, obj.left) for obj in objects)
    return LabeledPlane(plane, crops, tuple(obj.class_name for obj in objects))
