"""Which label_ids the objects of a file get that another program may have changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from napari_sam.formats.annotations import ExportObject


def with_own_ids(
    things: Mapping[int, ExportObject], given: Mapping[int, int]
) -> list[ExportObject]:
    """Return objects whose label_ids never make one of what are two.

    Parameters
    ----------
    things : mapping of int to ExportObject
        By their place in the file, from 1; whatever label_ids they have.
    given : mapping of int to int
        The label_ids that the file gives, by the same places.

    Returns
    -------
    list of ExportObject
        In the order of `things`. One without a label_id, and one whose label_id an object before
        it has in the same slice, has the largest one that is given plus its place.

    Notes
    -----
    Parts in several slices belong together if they have one label_id. In one slice we write each
    object as a whole, so a second part there is a copy or a piece that somebody has made an object
    of its own, whether they overlap or not.
    """
    largest = max(given.values(), default=0)
    taken: set[tuple[int, tuple[int, ...]]] = set()
    own = []
    for place, thing in things.items():
        label_id = given.get(place, 0)
        if label_id < 1 or (label_id, thing.slice_index) in taken:
            label_id = max(largest, 0) + place
        taken.add((label_id, thing.slice_index))
        own.append(replace(thing, label_id=label_id))
    return own
