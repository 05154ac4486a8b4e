"""The person's Labels layer as the target of accepted objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.events import Event
from numpy.typing import NDArray

from napari_sam.layers.plane_view import PlaneView, lies_on, placement
from napari_sam.session import TargetError


class TargetLayer:
    """A Labels layer that takes accepted objects, and the label_ids used in it.

    Scans the layer once; from then on follows what is painted and accepted, so that no click
    costs a pass over a volume.

    Parameters
    ----------
    layer : napari.layers.Labels
        Where accepted objects go.
    """

    def __init__(self, layer: Labels) -> None:
        self.layer = layer
        self._claimed: set[int] = set()
        self._largest_elsewhere = 0  # among what was there before and what the person painted
        self._on_data()
        layer.events.paint.connect(self._on_paint)
        layer.events.data.connect(self._on_data)

    def close(self) -> None:
        """Stop following the layer."""
        self.layer.events.paint.disconnect(self._on_paint)
        self.layer.events.data.disconnect(self._on_data)

    @property
    def max_label_id(self) -> int:
        """The largest label_id in the layer."""
        return max(self._largest_elsewhere, *self._claimed, 0)

    def claim(self, label_id: int) -> None:
        """Note that an object was written."""
        self._claimed.add(label_id)

    def release(self, label_id: int) -> None:
        """Note that an object was taken back, so that its label_id is free again."""
        self._claimed.discard(label_id)

    def _on_data(self) -> None:
        self._claimed.clear()
        self._largest_elsewhere = int(np.max(self.layer.data, initial=0))

    def _on_paint(self, event: Event) -> None:
        for _, _, painted in event.value:
            self._largest_elsewhere = max(self._largest_elsewhere, int(np.max(painted, initial=0)))


class TargetPlane:
    """The `LabelsPlane` of a target layer on which the image plane lies.

    Parameters
    ----------
    target : TargetLayer
        The layer.
    view : PlaneView
        The plane; its shape must be the layer's.
    """

    def __init__(self, target: TargetLayer, view: PlaneView) -> None:
        self._target = target
        self._view = view

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._view.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The integer type of the labels."""
        dtype: np.dtype[Any] = self._target.layer.data.dtype
        return dtype

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return a copy of a region."""
        self._check()
        region = np.array(self._target.layer.data[self._view.region(rows, columns)])
        return region.T if self._view.is_transposed else region

    def write(self, rows: slice, columns: slice, labels: NDArray[Any]) -> None:
        """Replace a region and show the change."""
        self._check()
        layer = self._target.layer
        labels = labels.T if self._view.is_transposed else labels
        layer.data[self._view.region(rows, columns)] = labels
        layer.refresh(extent=False)

    def max_label_id(self) -> int:
        """Return the largest label_id in the whole layer."""
        return self._target.max_label_id

    def claim(self, label_id: int) -> None:
        """Note that an object was written."""
        self._target.claim(label_id)

    def release(self, label_id: int) -> None:
        """Note that an object was taken back."""
        self._target.release(label_id)

    def _check(self) -> None:
        if tuple(self._target.layer.data.shape) != self._view.shape_nd:
            msg = f"'{self._target.layer.name}' no longer has the image's shape: choose a target."
            raise TargetError(msg)


def new_target_layer(image: Image, view: PlaneView) -> Labels:
    """Make an empty Labels layer for the objects of an image, lying exactly on it.

    uint16 is the widest type that napari shows without remapping every pixel.

    Raises
    ------
    TargetError
        If there is not enough memory for labels of the image's shape.
    """
    try:
        labels = np.zeros(view.shape_nd, np.uint16)
    except MemoryError as error:
        msg = f"Not enough memory for labels of shape {view.shape_nd}: crop the image."
        raise TargetError(msg) from error
    return Labels(labels, name=f"{image.name} labels", **placement(image))


def check_target(layer: Labels, image: Image, view: PlaneView) -> None:
    """Make sure that objects of `image` can be written into `layer`.

    Raises
    ------
    TargetError
        If its shape or position is not the image's, or its data cannot be written.
    """
    if layer.multiscale or not (isinstance(layer.data, np.ndarray) and layer.data.flags.writeable):
        msg = f"'{layer.name}' cannot be written to: choose another target, or a new layer."
        raise TargetError(msg)
    if tuple(layer.data.shape) != view.shape_nd:
        msg = (
            f"'{layer.name}' has shape {tuple(layer.data.shape)}, the image {view.shape_nd}: "
            "choose labels of the image's shape, or a new layer."
        )
        raise TargetError(msg)
    if not lies_on(layer, image):
        msg = (
            f"'{layer.name}' does not lie on the image (other scale or position): choose labels "
            "with the image's scale, translate and affine, or a new layer."
        )
        raise TargetError(msg)
