"""The objects of an image, which may overlap: what every format writes and reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import tight_crop
from napari_sam.formats.classes import ObjectClass, classes_of
from napari_sam.formats.files import FileError
from napari_sam.formats.image import ImageInfo, plane_name
from napari_sam.formats.left_out import OUTSIDE, LeftOut
from napari_sam.storage.pacing import paced

_LABEL_ID_BOUND: Final = 2**32
"""Label images have at most 32 bits."""


@dataclass(frozen=True, eq=False)
class ExportObject:
    """An object, or its part in one slice of a stack.

    Parameters
    ----------
    label_id : int
        The object's integer, 1 or more; the same for all parts of an object in a stack.
    mask : (h, w) bool ndarray
        The object's pixels within a box around it, at least one of them True.
    top, left : int
        Row and column of the mask's first pixel in the image plane.
    slice_index : tuple of int
        Index of the plane along the axes before the last two; empty for a 2-D image.
    class_name : str or None
        One of the classes of the `Annotations`; None if the object has no class.
    score : float or None
        Estimated quality of the mask; None if it is unknown.
    reviewed : bool
        Whether a user has reviewed the object.
    note : str
        The user's note about it, in any script.
    parent_id : int
        The label_id of the object that divided into it and others, in a film; 0 for none.
    origin : str
        Where the mask in this slice comes from, a value of the session's `Origin`; "" if unknown.
    confidence : float or None
        How surely the object is in this slice as the mask says, 0 to 1; None if it is unknown.
    class_confidence : float or None
        How sure its class is, 0 to 1, if that was predicted from examples; else None.
    likeness : float or None
        How much it is like examples, 0 to 1, if it was found by them; else None.
    """

    label_id: int
    mask: NDArray[np.bool_]
    top: int
    left: int
    slice_index: tuple[int, ...] = ()
    class_name: str | None = None
    score: float | None = None
    reviewed: bool = False
    note: str = ""
    parent_id: int = 0
    origin: str = ""
    confidence: float | None = None
    class_confidence: float | None = None
    likeness: float | None = None

    def __post_init__(self) -> None:
        numbers = (self.label_id, self.top, self.left, *self.slice_index)
        if not all(isinstance(number, int | np.integer) for number in numbers):
            msg = f"The label_id and position of an object must be whole numbers, not {numbers}."
            raise FileError(msg)
        if self.label_id < 1:
            raise FileError(f"A label_id must be 1 or more, not {self.label_id}.")
        if self.mask.ndim != 2 or self.mask.dtype != np.bool_ or not self.mask.any():
            raise FileError(
                f"The mask of object {self.label_id} must be a 2-D bool array with at least one "
                f"True, not {self.mask.dtype} of shape {self.mask.shape}."
            )
        is_number = isinstance(self.score, int | float | np.number)
        if self.score is not None and not (is_number and math.isfinite(self.score)):
            msg = f"The score of object {self.label_id} is {self.score!r}; give a number or None."
            raise FileError(msg)

    @property
    def area_px(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.mask))

    @property
    def region(self) -> tuple[slice, slice]:
        """Rows and columns of the mask in the image plane."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def cropped(self) -> ExportObject:
        """Return the same object with the smallest mask that holds it."""
        return replace(self, **tight_crop(self.mask, self.top, self.left)._asdict())


@dataclass(frozen=True, eq=False)
class Annotations:
    """All objects of one image.

    Parameters
    ----------
    image : ImageInfo
        The image.
    objects : sequence of ExportObject
        In any order; they may overlap.
    classes : sequence of ObjectClass
        In the order of their numbers in formats that number them. Other classes of objects are
        added at the end, with colors of the palette.
    left_out : LeftOut
        What the file also has, but a reader could not read.
    n_files : int
        How many files they were read from: formats of single planes have one for each slice.
    at_slice : tuple of int or None
        The slice of a stack that a reader has put them on, because the file does not tell it.

    Raises
    ------
    FileError
        If an object lies outside the image, or two classes share a name.
    """

    image: ImageInfo
    objects: Sequence[ExportObject]
    classes: Sequence[ObjectClass] = ()
    left_out: LeftOut = field(default_factory=LeftOut)
    n_files: int = 1
    at_slice: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "objects", tuple(self.objects))
        names = [obj.class_name for obj in self.objects if obj.class_name is not None]
        object.__setattr__(self, "classes", classes_of(names, self.classes))
        if len({object_class.name for object_class in self.classes}) < len(self.classes):
            raise FileError("Two classes have the same name; rename one of them.")
        for obj in paced(self.objects):
            if not _is_inside(obj, self.image):
                raise FileError(
                    f"Object {obj.label_id} at {(*obj.slice_index, obj.top, obj.left)}, "
                    f"{obj.mask.shape} pixels large, is outside the image of shape "
                    f"{self.image.shape}."
                )

    def plane(self, slice_index: tuple[int, ...]) -> Annotations:
        """Return one slice of a stack as the annotations of a 2-D image.

        Parameters
        ----------
        slice_index : tuple of int
            Index of the slice along the axes before the last two.

        Returns
        -------
        Annotations
            With all classes, so that their numbers are the same in all slices. The slice of a
            stack ``NAME.tif`` is named like ``NAME_z0003.tif``.
        """
        objects = [obj for obj in self.objects if obj.slice_index == slice_index]
        return self._plane_with(objects, slice_index)

    def planes(self) -> Iterator[tuple[tuple[int, ...], Annotations]]:
        """Yield the index of each slice with its annotations, as `plane` returns them."""
        slices: dict[tuple[int, ...], list[ExportObject]] = {}
        for obj in paced(self.objects):
            slices.setdefault(obj.slice_index, []).append(obj)
        for slice_index in np.ndindex(self.image.stack_shape):
            yield slice_index, self._plane_with(slices.get(slice_index, ()), slice_index)

    def _plane_with(
        self, objects: Iterable[ExportObject], slice_index: tuple[int, ...]
    ) -> Annotations:
        image = ImageInfo(
            self.image.plane_shape,
            plane_name(self.image, slice_index),
            pixel_size=self.image.pixel_size[-2:],
            units=self.image.units[-2:],
        )
        flat = [replace(obj, slice_index=()) for obj in paced(objects)]
        return Annotations(image, flat, self.classes)


def _is_inside(obj: ExportObject, image: ImageInfo) -> bool:
    start = (*obj.slice_index, obj.top, obj.left)
    extent = (*(1 for _ in obj.slice_index), *obj.mask.shape)
    return len(start) == len(image.shape) and all(
        first >= 0 and first + length <= size
        for first, length, size in zip(start, extent, image.shape, strict=True)
    )


def annotations_read(
    image: ImageInfo,
    objects: Iterable[ExportObject],
    classes: Sequence[ObjectClass],
    left_out: LeftOut,
    label_ids: Mapping[int, int] | None = None,
) -> Annotations:
    """Return what was read from a file; objects outside the image are left out.

    The mapping is that of `_with_unique_ids`; without it objects keep their label_ids.
    """
    inside = []
    for obj in paced(objects):
        if _is_inside(obj, image):
            inside.append(obj)
        else:
            left_out.add(OUTSIDE)
    numbered = inside if label_ids is None else _with_unique_ids(inside, label_ids)
    return Annotations(image, numbered, classes, left_out)


def _with_unique_ids(
    objects: Iterable[ExportObject], label_ids: Mapping[int, int]
) -> list[ExportObject]:
    """Return objects with the label_ids of their file, such that no two objects become one.

    Objects come with their position in the file, from 1, as label_id; the mapping is by position.
    Parts in several slices belong together if they have the same label_id. In one slice we write
    each object as a whole, so a second part there is a copy or a piece that somebody made an
    object; it gets the largest label_id of the file plus its position, like an object without one.
    Where that is more than a label can be, it gets a free one.
    """
    used = {0, *label_ids.values()}
    largest = max(used)
    free = (label_id for label_id in count(1) if label_id not in used)
    taken: set[tuple[int, tuple[int, ...]]] = set()
    numbered = []
    for obj in paced(objects):
        label_id = label_ids.get(obj.label_id, 0)
        if label_id < 1 or (label_id, obj.slice_index) in taken:
            label_id = largest + obj.label_id
            if label_id >= _LABEL_ID_BOUND:
                label_id = next(free)
        taken.add((label_id, obj.slice_index))
        numbered.append(replace(obj, label_id=label_id))
    return numbered
