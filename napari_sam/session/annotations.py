"""Conversion between the objects of a Labels layer and the annotations of file formats."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import Any, TypeVar

import numpy as np
import pint
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.classes import ObjectClass
from napari_sam.formats.files import FileError
from napari_sam.formats.image import ImageInfo, axis_letters
from napari_sam.formats.units import unit_name
from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.packed import PackedMask, region_of, subtract_mask
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices, Origin
from napari_sam.storage.pacing import paced

_CONVERTED_TO = ("micrometer", "second")
"""Lengths and times in units that few programs know are converted to these."""

_ORIGINS = frozenset(Origin) - {Origin.CLEARED}
"""Of a mask on a slice; a cleared one has none."""

_T = TypeVar("_T")


def axes_in_files(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the axes of labels that files know, those of rows and columns last.

    Examples
    --------
    >>> axes_in_files((5, 303, 384)), axes_in_files((303, 384, 1)), axes_in_files((303, 1, 384))
    ((0, 1, 2), (0, 1), (0, 2))
    """
    long = [axis for axis, length in enumerate(shape) if length > 1]
    if len(long) < 2:
        return tuple(range(len(shape)))
    row_axis, column_axis = long[-2:]
    return (*range(row_axis + 1), column_axis)


def _at(axes: Sequence[int], values: Sequence[_T]) -> tuple[_T, ...]:
    return tuple(values[axis] for axis in axes)


def image_of_labels(
    name: str,
    shape: Sequence[int],
    scale: Sequence[float],
    units: Sequence[Any],
    axis_labels: Sequence[str] = (),
) -> ImageInfo:
    """Describe the image that a Labels layer lies on, with the axes that files know."""
    axes = axes_in_files(shape)
    names = _at(axes, axis_labels) if axis_labels else ()
    return image_info(name, _at(axes, shape), _at(axes, scale), _at(axes, units), names)


def image_info(
    name: str,
    shape: Sequence[int],
    scale: Sequence[float],
    units: Sequence[Any],
    axis_labels: Sequence[str] = (),
) -> ImageInfo:
    """Describe an image whose last two axes are rows and columns, as far as napari knows it."""
    steps = [_step(abs(float(size)), unit) for size, unit in zip(scale, units, strict=True)]
    unit_names = tuple(unit for _, unit in steps)
    axes = axis_letters(axis_labels, unit_names) if axis_labels else ""
    return ImageInfo(tuple(shape), name, axes, tuple(size for size, _ in steps), unit_names)


def _step(size: float, unit: Any) -> tuple[float, str]:
    """Return a pixel's size in a unit that the formats know."""
    with suppress(FileError):
        return size, unit_name(str(unit))
    for common in _CONVERTED_TO:
        with suppress(pint.DimensionalityError, pint.UndefinedUnitError):
            return pint.Quantity(size, str(unit)).to(common).magnitude, common
    return size, "pixel"


def annotations_of(
    labels: Labels,
    records: Iterable[ObjectRecord],
    image: ImageInfo,
    *,
    overlapping: bool = False,
    classes: Iterable[ObjectClass] = (),
) -> Annotations:
    """Return the objects of some labels; may be called on any thread."""
    in_order = sorted(records, key=lambda record: record.label_id)
    objects = [
        part
        for record in paced(in_order)
        for part in _slices(labels, record, overlapping=overlapping)
    ]
    return Annotations(image, objects, tuple(classes))


def used_classes(annotations: Annotations) -> list[ObjectClass]:
    """Return the classes that objects have."""
    names = {part.class_name for part in annotations.objects}
    return [entry for entry in annotations.classes if entry.name in names]


def _slices(labels: Labels, record: ObjectRecord, *, overlapping: bool) -> Iterator[ExportObject]:
    """Yield an object's parts, one for each slice."""
    axes = axes_in_files(labels.shape)
    accepted = [
        (_at(axes, mask_start), mask.reshape(_at(axes, mask.shape)))
        for mask_start, mask in (_accepted_masks(record) if overlapping else ())
    ]
    boxes = [(_at(axes, record.start), _at(axes, record.stop))]
    boxes += [(mask_start, tuple(np.add(mask_start, mask.shape))) for mask_start, mask in accepted]
    known = _known_slices(record, axes)
    start = np.min([box_start for box_start, _ in boxes], axis=0).tolist()
    stop = np.max([box_stop for _, box_stop in boxes], axis=0).tolist()
    (top, bottom), (left, right) = zip(start[-2:], stop[-2:], strict=True)
    for slice_index in product(*map(range, start[:-2], stop[:-2])):
        shape = (*(1 for _ in slice_index), bottom - top, right - left)
        spans = region_of((*slice_index, top, left), shape)
        region = _spread(axes, spans, [slice(0, 1)] * len(labels.shape))
        pixels = labels.read(region).reshape(shape[-2:])
        mask = pixels == record.label_id
        for mask_start, accepted_mask in accepted:
            _add_covered(mask, pixels, (*slice_index, top, left), mask_start, accepted_mask)
        if mask.any():
            entry = known(slice_index)
            yield ExportObject(
                record.label_id,
                mask,
                top,
                left,
                slice_index,
                record.class_name,
                record.score,
                record.reviewed,
                record.note,
                record.parent_id,
                "" if entry is None else str(entry.origin),
                None if entry is None else entry.confidence,
                likeness=record.likeness,
            ).cropped()


def _known_slices(
    record: ObjectRecord, axes: Sequence[int]
) -> Callable[[tuple[int, ...]], ObjectSlice | None]:
    """Return what tells what is known of an object on the slice at an index of a file."""
    slices = record.slices
    if slices is None or slices.axis not in axes[:-2]:
        return lambda slice_index: None
    place = axes.index(slices.axis)
    entries = {entry.slice_index: entry for entry in slices.with_object}
    return lambda slice_index: entries.get(slice_index[place])


def _accepted_masks(record: ObjectRecord) -> list[tuple[tuple[int, ...], NDArray[np.bool_]]]:
    """Return the mask of an object as accepted, without what a brush erased of it."""
    masks = [(packed.start, packed.mask) for packed in record.masks]
    for start, mask in masks:
        for erased in record.brushed.erased:
            subtract_mask(mask, start, erased)
    return masks


def _spread(axes: Sequence[int], values: Sequence[_T], elsewhere: Sequence[_T]) -> tuple[_T, ...]:
    """Return one value for each axis of labels, given those for the axes that files know."""
    given = dict(zip(axes, values, strict=True))
    return tuple(given.get(axis, value) for axis, value in enumerate(elsewhere))


def _add_covered(
    mask: NDArray[np.bool_],
    pixels: NDArray[Any],
    corner: tuple[int, ...],
    start: tuple[int, ...],
    accepted: NDArray[np.bool_],
) -> None:
    """Add to a mask in one slice the pixels of the accepted n-D mask that other objects have."""
    index = tuple(a - b for a, b in zip(corner[:-2], start[:-2], strict=True))
    if all(0 <= a < n for a, n in zip(index, accepted.shape, strict=False)):
        accepted_slice = accepted[index]
        top, left = start[-2] - corner[-2], start[-1] - corner[-1]
        height, width = accepted_slice.shape
        region = slice(top, top + height), slice(left, left + width)
        mask[region] |= accepted_slice & (pixels[region] != 0)


def records_of(annotations: Annotations, shape: Sequence[int]) -> list[ObjectRecord]:
    """Return annotations as records with masks, as `Editing.add` takes them."""
    parts = defaultdict(list)
    for part in paced(annotations.objects):
        parts[part.label_id].append(part)
    axes, parents = axes_in_files(shape), _parents_in(parts)
    return [
        ObjectRecord(
            label_id,
            score=next((part.score for part in slices if part.score is not None), None),
            likeness=next((part.likeness for part in slices if part.likeness is not None), None),
            class_name=next((part.class_name for part in slices if part.class_name), None),
            reviewed=any(part.reviewed for part in slices),
            note=next((part.note for part in slices if part.note), ""),
            parent_id=parents.get(label_id, 0),
            slices=_slices_of(slices, axes),
            masks=tuple(_packed(part, shape) for part in slices),
        )
        for label_id, slices in paced(parts.items())
    ]


def _parents_in(parts: Mapping[int, Sequence[ExportObject]]) -> dict[int, int]:
    """Return the parent of each object that has one, as far as they can be true.

    Of a parent that is not in the file, the target may have another object; and no object descends
    from itself.
    """
    claimed = {
        label_id: next((part.parent_id for part in slices if part.parent_id in parts), 0)
        for label_id, slices in paced(parts.items())
    }
    founded: set[int] = {0}  # those that descend from an object without a parent
    for label_id in claimed:
        line: set[int] = set()
        ancestor = label_id
        while ancestor not in founded and ancestor not in line:
            line.add(ancestor)
            ancestor = claimed[ancestor]
        if ancestor in founded:
            founded |= line
    return {label_id: parent for label_id, parent in claimed.items() if parent in founded - {0}}


def _slices_of(parts: Sequence[ExportObject], axes: Sequence[int]) -> ObjectSlices | None:
    """Return what is known of an object on its slices; None if they do not all follow one axis."""
    indices = zip(*(part.slice_index for part in parts), strict=True)
    along = [place for place, index in enumerate(indices) if len(set(index)) > 1]
    if len(along) != 1 or any(part.origin not in _ORIGINS for part in parts):
        return None
    entries = [
        ObjectSlice(
            part.slice_index[along[0]],
            Origin(part.origin),
            1.0 if part.confidence is None else min(max(part.confidence, 0.0), 1.0),
        )
        for part in parts
    ]
    return ObjectSlices(axes[along[0]]).updated(entries)


def _packed(part: ExportObject, shape: Sequence[int]) -> PackedMask:
    axes, height_and_width = axes_in_files(shape), part.mask.shape
    start = _spread(axes, (*part.slice_index, part.top, part.left), [0] * len(shape))
    extent = _spread(axes[-2:], height_and_width, [1] * len(shape))
    return PackedMask(start, part.mask.reshape(extent))
