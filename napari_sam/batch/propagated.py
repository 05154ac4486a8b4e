"""Carry objects from some slices of an image through its stack, and write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.batch.open_images import OpenedImage, OpenError
from napari_sam.batch.outputs import write_objects
from napari_sam.batch.prompted import format_of
from napari_sam.engine.masks import MaskCrop, joined_crop, tight_crop
from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import FileError
from napari_sam.formats.reading import read_objects
from napari_sam.session.objects.slices import Origin
from napari_sam.session.propagation.courses import Course
from napari_sam.session.propagation.projection import Projection
from napari_sam.session.propagation.propagate import depth_limit
from napari_sam.session.propagation.slice_mask import SliceMask
from napari_sam.session.propagation.stack_run import carried

if TYPE_CHECKING:
    from napari_sam.batch.open_images import OpenedPlane
    from napari_sam.formats.image import ImageInfo
    from napari_sam.session.embedding.embeddings import Embedder

AnnotatedSlices = Mapping[int, MaskCrop]
"""The masks that an object starts from, by slice."""


@dataclass(frozen=True, eq=False)
class PropagatedObject:
    """An object on all slices that it is on, in their order."""

    label_id: int
    masks: tuple[SliceMask, ...]
    is_cut_off: bool  # whether it was still there where it had to end

    @property
    def weakest(self) -> SliceMask | None:
        """The mask of the least confidence that was computed; None if none was."""
        computed = [mask for mask in self.masks if mask.origin is not Origin.ANNOTATED]
        return min(computed, key=lambda mask: mask.confidence, default=None)


@dataclass(frozen=True, eq=False)
class OpenedStack:
    """Planes of an image that follow each other along one axis."""

    planes: Sequence[OpenedPlane]
    info: ImageInfo  # of the whole image
    slice_distance_px: float | None  # None through time

    @classmethod
    def of(cls, image: OpenedImage, name: str, at: tuple[int, ...] = ()) -> OpenedStack:
        """Return the planes along the last axis of a stack, at a position along the others.

        Raises
        ------
        OpenError
            If there is only one plane, or the position is not one of the others.
        """
        lengths = image.shape[:-2]
        if len(image.planes) < 2 or lengths[-1] < 2:
            raise OpenError(f"{name} has no slices to carry objects through.")
        at = at or tuple(0 for _ in range(len(image.planes[0].slice_index) - 1))
        planes = [plane for plane in image.planes if plane.slice_index[:-1] == at]
        if not planes:
            raise OpenError(f"{name} has no slices at {','.join(map(str, at))}.")
        info = image.info(name)
        side_px = float(np.sqrt(np.prod(info.pixel_size[-2:])))
        distance_px = None if info.axes[-3] == "T" else info.pixel_size[-3] / side_px
        return cls(planes, info, distance_px)

    def annotations_of(self, objects: Sequence[PropagatedObject]) -> Annotations:
        """Return objects as files have them."""
        at = self.planes[0].slice_index[:-1]
        return Annotations(
            self.info,
            [
                ExportObject(
                    obj.label_id, *mask.crop, (*at, mask.slice_index), score=mask.confidence
                )
                for obj in objects
                for mask in obj.masks
            ],
        )


def read_slices(
    path: Path, stack: OpenedStack, slice_index: int | None
) -> dict[int, AnnotatedSlices]:
    """Return the objects in a file, by label_id: of the whole stack, or of one slice of it.

    Raises
    ------
    FileError
        If the file cannot be read, has no objects, or is of another image.
    """
    info, first = stack.info, stack.planes[0].slice_index[:-1]
    if slice_index is not None:
        info = replace(
            info,
            shape=info.plane_shape,
            axes=info.axes[-2:],
            pixel_size=info.pixel_size[-2:],
            units=info.units[-2:],
        )
    masks: dict[int, dict[int, MaskCrop]] = {}
    for obj in read_objects(path, info).objects:
        if slice_index is None and obj.slice_index[:-1] != first:
            continue
        index = obj.slice_index[-1] if slice_index is None else slice_index
        slices = masks.setdefault(obj.label_id, {})
        crop = tight_crop(obj.mask, obj.top, obj.left)
        slices[index] = joined_crop([slices[index], crop]) if index in slices else crop
    if not masks:
        raise FileError(f"{path} has no objects of these slices.")
    return dict(sorted(masks.items()))


def carry(
    stack: OpenedStack,
    starts: Mapping[int, AnnotatedSlices],
    embedder: Embedder,
    limits: tuple[int, int],
    depth: int | None,
    report: Callable[[int, SliceMask], None] = lambda label_id, mask: None,
) -> list[PropagatedObject]:
    """Carry objects through a stack, slice by slice.

    Parameters
    ----------
    starts : mapping of int to AnnotatedSlices
        What each object starts from, by label_id.
    limits : tuple of int
        The first and the last slice that objects are carried to.
    depth : int, optional
        The most slices to either side; by default twice as deep as the object is wide.
    report : callable
        Called with the label_id and the mask of each slice as it becomes known.
    """
    planes = [opened.plane for opened in stack.planes]
    courses = [_course(stack, label_id, masks, limits, depth) for label_id, masks in starts.items()]
    found = {course: _annotated_masks(course) for course in courses}
    for course, mask in carried(planes, courses, Projection(embedder)):
        if not mask.is_empty:
            found[course].append(mask)
        report(course.label_id, mask)
    return [
        PropagatedObject(
            course.label_id,
            tuple(sorted(masks, key=lambda mask: mask.slice_index)),
            _is_cut_off(course, masks, limits),
        )
        for course, masks in found.items()
    ]


def _annotated_masks(course: Course) -> list[SliceMask]:
    return [SliceMask(index, crop) for index, crop in course.annotated.items() if crop.mask.size]


def _course(
    stack: OpenedStack,
    label_id: int,
    masks: AnnotatedSlices,
    limits: tuple[int, int],
    depth: int | None,
) -> Course:
    first, last = limits
    distance_px = stack.slice_distance_px
    if depth is None and distance_px is not None:
        largest = max(masks.values(), key=lambda crop: int(np.count_nonzero(crop.mask)))
        depth = depth_limit(largest, 1, distance_px)
    if depth is not None:
        first, last = max(first, min(masks) - depth), min(last, max(masks) + depth)
    return Course(label_id, label_id, masks, first, last)


def _is_cut_off(course: Course, masks: Sequence[SliceMask], limits: tuple[int, int]) -> bool:
    reached = {mask.slice_index for mask in masks}
    first, last = limits
    return (course.first > first and course.first in reached) or (
        course.last < last and course.last in reached
    )


def write_propagated(
    path: Path, stack: OpenedStack, objects: Sequence[PropagatedObject], overlap: str
) -> list[Path]:
    """Write objects in the format that the ending of a file means; return the files."""
    return write_objects(path, format_of(path), stack.annotations_of(objects), overlap)
