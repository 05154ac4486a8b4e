"""Whether a Labels layer can take the objects of an image."""

from typing import Any

import numpy as np
from napari.layers import Image, Labels

from napari_sam.layers.label_arrays import is_zarr
from napari_sam.layers.plane_view import PlaneView, levels, lies_on
from napari_sam.layers.viewer_layers import OWN_MARK
from napari_sam.session.objects.labels import TargetError


def grown_shape(layer: Labels, image: Image, view: PlaneView) -> tuple[int, ...] | None:
    """Return the shape of labels for an image with more slices by now; None if it has none."""
    own, shown = tuple(levels(layer)[0].shape), view.for_labels(layer.ndim)
    if own == shown.shape_nd or len(own) != len(shown.shape_nd) or not _is_writable(layer):
        return None
    pairs = enumerate(zip(own, shown.shape_nd, strict=True))
    has_room = all(n == m or (n < m and axis in shown.sliced_axes) for axis, (n, m) in pairs)
    return shown.shape_nd if has_room and lies_on(layer, image, view) else None


def _is_writable(layer: Labels) -> bool:
    # How the levels of other multiscale layers belong together is unknown.
    is_known = not layer.multiscale or OWN_MARK in layer.metadata
    return is_known and _can_be_written(levels(layer)[0])


def check_target(layer: Labels, image: Image, view: PlaneView) -> None:
    """Raise a TargetError if objects of `image` cannot be written into `layer`."""
    shape = tuple(levels(layer)[0].shape)
    if not _is_writable(layer):
        raise TargetError(f"'{layer.name}' is read-only. Choose another target, or a new layer.")
    if shape != view.for_labels(layer.ndim).shape_nd:
        image_has = "the image" if view.channel_axis is None else "the image without its channels"
        raise TargetError(
            f"'{layer.name}' has shape {shape}, {image_has} {view.shape_nd}: write to a new layer."
        )
    if not lies_on(layer, image, view):
        raise TargetError(
            f"'{layer.name}' does not lie on the image (other scale or position): write to a new "
            "layer."
        )


def _can_be_written(data: Any) -> bool:
    if isinstance(data, np.ndarray):
        return bool(data.flags.writeable)
    return is_zarr(data) and not data.read_only
