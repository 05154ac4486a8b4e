"""The label_ids of objects from files that another program may have changed."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from napari_sam.formats.annotations import ExportObject


def with_unique_ids(
    objects: Iterable[ExportObject], label_ids: Mapping[int, int]
) -> list[ExportObject]:
    """Return objects with the label_ids of their file, such that no two objects become one.

    Objects come with their position in the file, from 1, as label_id; the mapping is by position.
    Parts in several slices belong together if they have the same label_id. In one slice we write
    each object as a whole, so a second part there is a copy or a piece that somebody made an
    object; it gets the largest label_id of the file plus its position, like an object without one.
    """
    largest = max((0, *label_ids.values()))
    taken: set[tuple[int, tuple[int, ...]]] = set()
    numbered = []
    for obj in objects:
        label_id = label_ids.get(obj.label_id, 0)
        if label_id < 1 or (label_id, obj.slice_index) in taken:
            label_id = largest + obj.label_id
        taken.add((label_id, obj.slice_index))
        numbered.append(replace(obj, label_id=label_id))
    return numbered
