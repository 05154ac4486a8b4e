"""Between the objects of a Labels layer and annotations, which every file format takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
import pint
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.classes import ExportClass
from napari_sam.formats.files import ExportError
from napari_sam.formats.image import ImageInfo
from napari_sam.session.classes.classes import ObjectClass
from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.packed import PackedMask, subtract_mask
from napari_sam.session.objects.records import ObjectRecord

_CONVERTED_TO = ("micrometer", "second")
"""What lengths and times in units that few programs know are converted to."""

_T = TypeVar("_T")


def axes_in_files(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the axes of labels that files know of, those of rows and columns last.

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
    """Describe the image that a Labels layer lies on, with the axes that files know of."""
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
    axes = "".join(axis_labels).upper()
    is_named = len(axes) == len(set(axes)) == len(shape) and axes.endswith("YX")
    steps = [_step(abs(float(size)), unit) for size, unit in zip(scale, units, strict=True)]
    return ImageInfo(
        tuple(shape),
        name,
        axes if is_named and axes.isalpha() else "",
        tuple(size for size, _ in steps),
        tuple(unit for _, unit in steps),
    )


def _step(size: float, unit: Any) -> tuple[float, str]:
    """Return a pixel's size in a unit that the formats know."""
    with suppress(ExportError):
        ImageInfo((1, 1), units=(str(unit),) * 2)
        return size, str(unit)
    for known in _CONVERTED_TO:
        with suppress(pint.DimensionalityError, pint.UndefinedUnitError):
            return pint.Quantity(size, str(unit)).to(known).magnitude, known
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
        thing for record in in_order for thing in _objects(labels, record, overlapping=overlapping)
    ]
    return Annotations(image, objects, export_classes(classes))


def export_classes(classes: Iterable[ObjectClass]) -> list[ExportClass]:
    """Return classes as the file formats have them."""
    colors = [(one.name, bytes.fromhex(one.color[1:])) for one in classes]
    return [ExportClass(name, (rgb[0], rgb[1], rgb[2])) for name, rgb in colors]


def classes_of(annotations: Annotations) -> list[ObjectClass]:
    """Return the classes that objects of some annotations have, with their colours."""
    used = {thing.class_name for thing in annotations.objects}
    named = [one for one in annotations.classes if one.name in used]
    return [ObjectClass(one.name, "#" + bytes(one.color_rgb).hex()) for one in named]


def _objects(labels: Labels, record: ObjectRecord, *, overlapping: bool) -> Iterator[ExportObject]:
    """Yield an object's parts, one for each slice."""
    axes = axes_in_files(labels.shape)
    masks = _accepted(record) if overlapping else []
    accepted = [(_at(axes, first), mask.reshape(_at(axes, mask.shape))) for first, mask in masks]
    corners = [(_at(axes, record.start), _at(axes, record.stop))]
    corners += [(first, _stop(first, mask)) for first, mask in accepted]
    start = np.min([first for first, _ in corners], axis=0).tolist()
    stop = np.max([last for _, last in corners], axis=0).tolist()
    (top, bottom), (left, right) = zip(start[-2:], stop[-2:], strict=True)
    for place in np.ndindex(*(b - a for a, b in zip(start[:-2], stop[:-2], strict=True))):
        slice_index = tuple(a + n for a, n in zip(start[:-2], place, strict=True))
        places = (*(slice(n, n + 1) for n in slice_index), slice(top, bottom), slice(left, right))
        region = _spread(axes, places, [slice(0, 1)] * len(labels.shape))
        pixels = labels.read(region).reshape(bottom - top, right - left)
        mask = pixels == record.label_id
        for first, whole in accepted:
            _add_taken(mask, pixels, (*slice_index, top, left), first, whole)
        if mask.any():
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
            ).cropped()


def _accepted(record: ObjectRecord) -> list[tuple[tuple[int, ...], NDArray[np.bool_]]]:
    """Return the mask of an object as it was accepted, but for what a brush has erased of it."""
    masks = [(one.start, one.mask) for one in record.masks]
    for start, mask in masks:
        for erased in record.brushed.erased:
            subtract_mask(mask, start, erased.mask, erased.start)
    return masks


def _spread(axes: Sequence[int], values: Sequence[_T], elsewhere: Sequence[_T]) -> tuple[_T, ...]:
    """Return one value for each axis of labels, given those for the axes that files know of."""
    known = dict(zip(axes, values, strict=True))
    return tuple(known.get(axis, value) for axis, value in enumerate(elsewhere))


def _stop(start: tuple[int, ...], mask: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(a + n for a, n in zip(start, mask.shape, strict=True))


def _add_taken(
    mask: NDArray[np.bool_],
    pixels: NDArray[Any],
    corner: tuple[int, ...],
    start: tuple[int, ...],
    whole: NDArray[np.bool_],
) -> None:
    """Add to a mask in one slice what other objects have of an accepted mask of n dimensions."""
    place = tuple(a - b for a, b in zip(corner[:-2], start[:-2], strict=True))
    if all(0 <= a < n for a, n in zip(place, whole.shape, strict=False)):
        part = whole[place]
        top, left = start[-2] - corner[-2], start[-1] - corner[-1]
        region = slice(top, top + part.shape[0]), slice(left, left + part.shape[1])
        mask[region] |= part & (pixels[region] != 0)


def records_of(annotations: Annotations, shape: Sequence[int]) -> list[ObjectRecord]:
    """Return annotations as records with masks, as `AnnotationSession.add` takes them."""
    parts = defaultdict(list)
    for thing in annotations.objects:
        parts[thing.label_id].append(thing)
    return [
        ObjectRecord(
            label_id,
            (),
            (),
            0,
            score=next((one.score for one in things if one.score is not None), None),
            class_name=next((one.class_name for one in things if one.class_name), None),
            reviewed=any(one.reviewed for one in things),
            note=next((one.note for one in things if one.note), ""),
            masks=tuple(_packed(one, shape) for one in things),
        )
        for label_id, things in parts.items()
    ]


def _packed(thing: ExportObject, shape: Sequence[int]) -> PackedMask:
    axes, height_and_width = axes_in_files(shape), thing.mask.shape
    start = _spread(axes, (*thing.slice_index, thing.top, thing.left), [0] * len(shape))
    extent = _spread(axes[-2:], height_and_width, [1] * len(shape))
    return PackedMask(start, thing.mask.reshape(extent))
