"""The planes of an image that make up a stack."""

import itertools

from napari_sam.layers.plane_view import PlaneView


def stack_size(view: PlaneView | None) -> int:
    """Return the number of planes in `stack_around`."""
    axes = [] if view is None else view.axes_of_planes
    return view.shape_nd[axes[-1]] if view is not None and axes else 1


def stack_around(view: PlaneView) -> dict[str, PlaneView]:
    """Return the planes at all positions of the slider next to a plane, by name.

    The plane itself comes first, then those after it, then those before it, the nearest first.
    """
    axes = view.axes_of_planes
    if not axes:
        return {"the plane": view}
    axis = axes[-1]
    current, length = view.index[axis], view.shape_nd[axis]
    indices = [*range(current, length), *reversed(range(current))]
    return {f"slice {index}": view.at(axis, index) for index in indices}


def every_plane(view: PlaneView) -> dict[str, PlaneView]:
    """Return the planes at all positions of all sliders, by name."""
    axes = view.axes_of_planes
    if not axes:
        return {"the plane": view}
    planes = {}
    for position in itertools.product(*(range(view.shape_nd[axis]) for axis in axes)):
        for axis, index in zip(axes, position, strict=True):
            view = view.at(axis, index)
        planes["slice " + ", ".join(map(str, position))] = view
    return planes
