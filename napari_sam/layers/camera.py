"""Which part of an image is visible, and moving the camera."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer

from napari_sam.layers.plane_view import PlaneView
from napari_sam.session.image.tiles import Box

_DOT: Final = 1 / 30
"""An object smaller than this share of the window is zoomed in on."""
_SHARE: Final = 1 / 4
"""The share of the window that an object gets by that, or by zooming out."""


def visible_box(viewer: ViewerModel, layer: Image, view: PlaneView) -> Box:
    """Return the part of a plane that is visible in a viewer: x0, y0, x1, y1 in its pixels.

    It is the smallest upright rectangle around it, and may reach outside the plane.
    """
    extent = np.array(viewer.canvas.size, float) / viewer.scene.camera.zoom
    center = np.array(viewer.scene.camera.center[-2:], float)
    corners = np.tile(np.asarray(viewer.dims.point, float), (4, 1))
    shares = np.array([(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)])
    corners[:, list(viewer.dims.displayed)] = center + shares * extent
    corners_xy = view.to_xy(np.array([layer.world_to_data(corner) for corner in corners]))
    (x0, y0), (x1, y1) = corners_xy.min(axis=0), corners_xy.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def show_box(
    viewer: ViewerModel,
    layer: Layer,
    start: Sequence[int],
    stop: Sequence[int],
    *,
    is_sight_enough: bool = False,
) -> None:
    """Center the window on a box of a layer's data, on its slice.

    The zoom stays unless the box would be a dot or larger than the window. In 3D only the sliders
    move. `is_sight_enough`: nothing moves for a box that is wholly visible.
    """
    corners = np.array(np.meshgrid(*zip(start, stop, strict=True))).reshape(len(start), -1).T - 0.5
    world = np.array([layer.data_to_world(corner) for corner in corners])
    low, high = world.min(axis=0), world.max(axis=0)
    center = np.asarray(layer.data_to_world((np.add(start, stop) - 1) / 2), float)
    first = viewer.dims.ndim - layer.ndim
    for axis in range(layer.ndim):
        if first + axis not in viewer.dims.displayed:
            viewer.dims.set_point(first + axis, center[axis])
    if viewer.dims.ndisplay != 2:
        return
    displayed = [axis - first for axis in viewer.dims.displayed]
    extent = (high - low)[displayed]
    on_screen = extent * viewer.scene.camera.zoom / np.array(viewer.canvas.size)
    is_size_right = _DOT <= on_screen.max() <= 1
    middle = np.array(viewer.scene.camera.center[-2:], float)
    half = np.array(viewer.canvas.size) / viewer.scene.camera.zoom / 2
    is_inside = (low[displayed] >= middle - half).all() and (high[displayed] <= middle + half).all()
    if is_sight_enough and is_size_right and is_inside:
        return
    if not is_size_right:
        zooms = np.array(viewer.canvas.size) / np.maximum(extent, 1e-9)
        viewer.scene.camera.zoom = float(zooms.min()) * _SHARE
    viewer.scene.camera.center = tuple(center[displayed])
