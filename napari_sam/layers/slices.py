"""Which planes of an image make up a stack."""

from __future__ import annotations

import itertools
from dataclasses import replace

from napari_sam.layers.plane_view import PlaneView


def stack_size(view: PlaneView | None) -> int:
    """Return how many planes `stack_around` gives."""
    axes = [] if view is None else view.axes_of_planes
    return view.shape_nd[axes[-1]] if view is not None and axes else 1


def stack_around(view: PlaneView) -> dict[str, PlaneView]:
    """Return the planes at all positions of the slider next to a plane, under their names.

    This one comes first, then those after it, then those before it, the nearest first.
    """
    axes = view.axes_of_planes
    if not axes:
        return {"the plane": view}
    axis = axes[-1]
    here, length = view.index[axis], view.shape_nd[axis]
    places = [*range(here, length), *reversed(range(here))]
    return {f"slice {place}": _at(view, {axis: place}) for place in places}


def every_plane(view: PlaneView) -> dict[str, PlaneView]:
    """Return the planes at all positions of all sliders, under their names."""
    axes = view.axes_of_planes
    if not axes:
        return {"the plane": view}
    positions = itertools.product(*(range(view.shape_nd[axis]) for axis in axes))
    return {
        "slice " + ", ".join(map(str, places)): _at(view, dict(zip(axes, places, strict=True)))
        for places in positions
    }


def _at(view: PlaneView, places: dict[int, int]) -> PlaneView:
    index = tuple(places.get(axis, place) for axis, place in enumerate(view.index))
    return replace(view, index=index)
