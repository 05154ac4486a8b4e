"""Carry objects from some slices of an image through its stack, and write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.batch.open_images import OpenedImage, OpenError
from napari_sam.batch.outputs import write_objects
from napari_sam.batch.prompted import format_of, segment_prompts
from napari_sam.engine.masks import MaskCrop, joined_crop, tight_crop
from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import FileError, write_table
from napari_sam.formats.image import ImageInfo, stack_axis
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.prompt_files import read_prompts
from napari_sam.formats.reading import read_objects
from napari_sam.session.prompts.file_prompts import prompts_of
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.propagation.courses import Course, likely_depth
from napari_sam.session.propagation.projection import Projection
from napari_sam.session.propagation.propagate import within_depth
from napari_sam.session.propagation.remembering import Remembering
from napari_sam.session.propagation.slice_mask import SliceMask
from napari_sam.session.propagation.stack_run import carried

if TYPE_CHECKING:
    from napari_sam.batch.open_images import OpenedPlane
    from napari_sam.session.embedding.embeddings import Embedder

AnnotatedSlices = Mapping[int, MaskCrop]
"""The masks that an object starts from, by slice."""
PlacedPrompts = tuple[int, Prompts]
"""The prompts for an object, and their slice."""


@dataclass(frozen=True, eq=False)
class PropagatedObject:
    """An object on all slices that it is on, in their order."""

    label_id: int
    masks: tuple[SliceMask, ...]
    is_cut_off: bool  # whether it was still there where it had to end


@dataclass(frozen=True, eq=False)
class OpenedStack:
    """Planes of an image that follow each other along one axis."""

    planes: Sequence[OpenedPlane]
    info: ImageInfo  # of the whole image
    plane_info: ImageInfo  # of one slice
    axis: int  # along which they follow
    position: tuple[int, ...]  # where they are along the other axes of the stack
    slice_distance_px: float | None  # None through time

    @classmethod
    def of(
        cls, image: OpenedImage, name: str, through: str | None = None, at: tuple[int, ...] = ()
    ) -> OpenedStack:
        """Return the planes along an axis of a stack, the last one by default.

        `at` is the place of one of them, the first by default.

        Raises
        ------
        OpenError
            If there is only one plane, or there is nothing at that place.
        FileError
            If there is no such axis.
        """
        lengths, info = image.shape[:-2], image.info(name)
        if not lengths:
            raise OpenError(f"{name} has no slices to carry objects through.")
        axis = len(lengths) - 1 if through is None else stack_axis(info, through)
        if lengths[axis] < 2:
            raise OpenError(f"{name} has a single slice there: choose another --axis.")
        at = at or (0,) * len(lengths)
        position = _without(at, axis)
        planes = [plane for plane in image.planes if _without(plane.slice_index, axis) == position]
        if not planes:
            raise OpenError(f"{name} has no slices at {','.join(map(str, at))}.")
        side_px = float(np.sqrt(np.prod(info.pixel_size[-2:])))
        distance_px = None if info.axes[axis] == "T" else info.pixel_size[axis] / side_px
        return cls(planes, info, image.info(name, first_axis=-2), axis, position, distance_px)

    def index_of(self, slice_index: int) -> tuple[int, ...]:
        """Return where a slice is in the image."""
        return (*self.position[: self.axis], slice_index, *self.position[self.axis :])

    def slice_at(self, index: tuple[int, ...]) -> int | None:
        """Return which slice is at a place of the image; None if it is none of these."""
        is_here = len(index) > self.axis and self.index_of(index[self.axis]) == index
        return index[self.axis] if is_here else None

    def annotations_of(self, objects: Sequence[PropagatedObject]) -> Annotations:
        """Return objects as files have them; the score of one is its mean confidence."""
        return Annotations(self.info, [part for obj in objects for part in self._parts_of(obj)])

    def _parts_of(self, obj: PropagatedObject) -> Iterator[ExportObject]:
        """Yield an object's part on each slice."""
        score = float(np.mean([mask.confidence for mask in obj.masks])) if obj.masks else None
        for mask in obj.masks:
            yield ExportObject(
                obj.label_id,
                *mask.crop,
                self.index_of(mask.slice_index),
                score=score,
                origin=str(mask.origin),
                confidence=mask.confidence,
            )


def _without(index: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return index[:axis] + index[axis + 1 :]


def read_slices(
    path: Path, stack: OpenedStack, slice_index: int | None
) -> dict[int, AnnotatedSlices]:
    """Return the objects in a file, by label_id: of the whole stack, or of one slice of it.

    Raises
    ------
    FileError
        If the file cannot be read, has no objects, or is of another image.
    """
    masks: dict[int, dict[int, MaskCrop]] = {}
    for obj in _objects_in(path, stack, slice_index):
        index = stack.slice_at(obj.slice_index) if slice_index is None else slice_index
        if index is None:
            continue
        slices = masks.setdefault(obj.label_id, {})
        crop = tight_crop(obj.mask, obj.top, obj.left)
        slices[index] = joined_crop([slices[index], crop]) if index in slices else crop
    if not masks:
        raise FileError(f"{path} has no objects of these slices.")
    return dict(sorted(masks.items()))


def _objects_in(path: Path, stack: OpenedStack, slice_index: int | None) -> Sequence[ExportObject]:
    if slice_index is not None:
        return read_objects(path, stack.plane_info).objects
    try:
        return read_objects(path, stack.info).objects
    except FileError:
        if _is_of_one_slice(path, stack):
            raise FileError(f"{path} is of one slice: say with --slice which one.") from None
        raise


def _is_of_one_slice(path: Path, stack: OpenedStack) -> bool:
    with suppress(FileError):
        return bool(read_objects(path, stack.plane_info).objects)
    return False


def read_placed_prompts(
    path: Path, stack: OpenedStack, slice_index: int | None, left_out: LeftOut
) -> list[PlacedPrompts]:
    """Return the prompts of a file with their slices, or those of one slice of the stack.

    Raises
    ------
    FileError
        If the file cannot be read, has no prompts there, or does not say on which slices they are.
    """
    placed = []
    for file_prompt in read_prompts(path, stack.info, left_out=left_out):
        index = slice_index
        if file_prompt.slice_index:
            index = stack.slice_at(file_prompt.slice_index)
        elif slice_index is None:
            raise FileError(f"{path.name} names no slices: say with --slice on which one it is.")
        if index is not None and slice_index in (None, index):
            placed.append((index, prompts_of(file_prompt)))
    if not placed:
        raise FileError(f"{path} has no prompts on these slices.")
    return placed


def segment_placed(
    embedder: Embedder,
    stack: OpenedStack,
    prompts: Sequence[PlacedPrompts],
    warn: Callable[[str], None],
) -> dict[int, AnnotatedSlices]:
    """Segment one object for each of the prompts, on its slice; by label_id, from 1.

    `warn` is called with what makes the masks doubtful; they may be empty.
    """
    starts: dict[int, AnnotatedSlices] = {}
    for index in sorted({index for index, _ in prompts}):
        label_ids = [n for n, placed in enumerate(prompts, start=1) if placed[0] == index]
        here = [prompts[n - 1][1] for n in label_ids]
        masks = segment_prompts(embedder, stack.planes[index].plane, here, warn=warn)
        for label_id, mask in zip(label_ids, masks, strict=True):
            starts[label_id] = {index: mask.crop}
    return dict(sorted(starts.items()))


def carry(
    stack: OpenedStack,
    starts: Mapping[int, AnnotatedSlices],
    embedder: Embedder,
    limits: tuple[int, int],
    depth: int | None,
    report: Callable[[int, SliceMask], None] = lambda label_id, mask: None,
    *,
    with_memory: bool = False,
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
    with_memory : bool
        Whether by what the model remembers of other slices; only with models of SAM 2.1.
    """
    propagator = Remembering(embedder) if with_memory else Projection(embedder)
    planes = [opened.plane for opened in stack.planes]
    courses = [
        _course(stack, label_id, masks, limits, depth)
        for label_id, masks in starts.items()
        if any(crop.mask.size for crop in masks.values())
    ]
    found = {course: _annotated_masks(course) for course in courses}
    for course, mask in carried(planes, courses, propagator):
        if not mask.is_empty:
            found[course].append(mask)
        report(course.label_id, mask)
    empty = [
        PropagatedObject(label_id, (), is_cut_off=False)
        for label_id in starts.keys() - {course.label_id for course in courses}
    ]
    objects = [
        PropagatedObject(
            course.label_id,
            tuple(sorted(masks, key=lambda mask: mask.slice_index)),
            bool(course.ends_cut_off({mask.slice_index for mask in masks}, *limits)),
        )
        for course, masks in found.items()
    ]
    return sorted([*objects, *empty], key=lambda obj: obj.label_id)


def _annotated_masks(course: Course) -> list[SliceMask]:
    return [SliceMask(index, crop) for index, crop in course.annotated.items() if crop.mask.size]


def _course(
    stack: OpenedStack,
    label_id: int,
    masks: AnnotatedSlices,
    limits: tuple[int, int],
    depth: int | None,
) -> Course:
    if depth is None:
        depth = likely_depth(masks, stack.slice_distance_px)
    return Course(label_id, label_id, masks, *within_depth(*limits, masks, depth))


def write_propagated(
    path: Path, stack: OpenedStack, objects: Sequence[PropagatedObject], overlap: str
) -> list[Path]:
    """Write objects in the format that the ending of a file means; return the files."""
    return write_objects(path, format_of(path), stack.annotations_of(objects), overlap)


def write_slice_table(path: Path, objects: Sequence[PropagatedObject]) -> None:
    """Write the slices of all objects as CSV."""
    rows = [
        [obj.label_id, mask.slice_index, mask.origin, f"{mask.confidence:.3f}", _area_px(mask)]
        for obj in objects
        for mask in obj.masks
    ]
    write_table(path, [["object", "slice", "origin", "confidence", "area_px"], *rows])


def _area_px(mask: SliceMask) -> int:
    return int(np.count_nonzero(mask.crop.mask))
