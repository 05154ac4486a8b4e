"""The person's Labels layer as the target of accepted objects."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import zarr
from napari.layers import Image, Labels
from napari.utils.events import Event
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from napari_sam.layers.plane_view import PlaneView, levels, lies_on, placement
from napari_sam.session import TargetError

_MAX_DENSE_BYTES: Final = 2**30
_MAX_DRAWN_PX: Final = 8192
"""What every graphics card draws as one texture; napari would read all of it at each change."""
_COARSEST_PX: Final = 1024
_CHUNK_PX: Final = 512


class TargetLayer:
    """A Labels layer that takes accepted objects, and the label_ids used in it.

    Scans the layer once; from then on follows what is painted and accepted, so that no click
    costs a pass over a volume.

    Parameters
    ----------
    layer : napari.layers.Labels
        Where accepted objects go.
    is_own : bool
        Whether `new_target_layer` has just made it: then there is nothing to scan.
    """

    def __init__(self, layer: Labels, *, is_own: bool = False) -> None:
        self.layer, self.is_own = layer, is_own
        self._claimed: set[int] = set()
        self._largest_elsewhere = 0  # among what was there before and what the person painted
        if not is_own:
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
        self._largest_elsewhere = _largest(levels(self.layer)[0])

    def _on_paint(self, event: Event) -> None:
        # What a stroke changed is told in several forms; the new values come last in each.
        for *_, painted in event.value:
            self._largest_elsewhere = max(self._largest_elsewhere, int(np.max(painted, initial=0)))


class TargetPlane:
    """The `LabelsPlane` of a target layer on which the image plane lies.

    Parameters
    ----------
    target : TargetLayer
        The layer.
    view : PlaneView
        The plane, as it lies in the layer; its shape must be the layer's.
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
        dtype: np.dtype[Any] = levels(self._target.layer)[0].dtype
        return dtype

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return a copy of a region."""
        self._check()
        finest = levels(self._target.layer)[0]
        region = np.array(finest[self._view.region(rows, columns)])
        return region.T if self._view.is_transposed else region

    def write(self, rows: slice, columns: slice, labels: NDArray[Any]) -> None:
        """Replace a region, at every resolution that the layer has."""
        self._check()
        for data in levels(self._target.layer):
            self._write_level(data, rows, columns, labels)

    def _write_level(self, data: Any, rows: slice, columns: slice, labels: NDArray[Any]) -> None:
        """Write every n-th row and column of a region, where the level has but those."""
        full, view = levels(self._target.layer)[0].shape, self._view
        factors = [round(n / m) for n, m in zip(full, data.shape, strict=True)]
        coarse_rows, every_row = _sampled(rows, factors[view.row_axis])
        coarse_columns, every_column = _sampled(columns, factors[view.column_axis])
        part = labels[every_row, every_column]
        if part.size:
            part = part.T if view.is_transposed else part
            data[view.region(coarse_rows, coarse_columns)] = part

    def show(self) -> None:
        """Show what was written."""
        self._target.layer.refresh(extent=False)

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
        if tuple(levels(self._target.layer)[0].shape) != self._view.shape_nd:
            msg = f"'{self._target.layer.name}' no longer has the image's shape: choose a target."
            raise TargetError(msg)


def _sampled(span: slice, factor: int) -> tuple[slice, slice]:
    """Return where every n-th place of a span comes to lie, and which places of it those are."""
    first, end = -(-span.start // factor), -(-span.stop // factor)
    return slice(first, end), slice(first * factor - span.start, None, factor)


def _largest(labels: Any) -> int:
    """Return the largest label_id of an array, read part by part if it is not in memory."""
    if isinstance(labels, np.ndarray):
        return int(np.max(labels, initial=0))
    step = labels.chunks[0]
    parts = (labels[start : start + step] for start in range(0, labels.shape[0], step))
    return max((int(np.max(part, initial=0)) for part in parts), default=0)


def new_target_layer(image: Image, view: PlaneView) -> Labels:
    """Make an empty Labels layer for the objects of an image, lying exactly on it.

    uint16 is the widest type that napari shows without remapping every pixel. What would be large
    is a zarr array in memory, of which only what is written takes room; a plane too large to be
    drawn as it is has coarser levels, too.
    """
    shape, dtype = view.shape_nd, np.dtype(np.uint16)
    data: Any
    if max(view.shape) > _MAX_DRAWN_PX:
        data = [_sparse(shape, dtype)]
        while (coarser := _halved(data[-1].shape, view)) != data[-1].shape:
            data.append(_sparse(coarser, dtype))
        if len(shape) == 2:
            # napari holds on to what `numpy.asarray` makes of the coarsest level of a plane:
            # only of a NumPy array is that the level itself, and what is written to it shows.
            data[-1] = np.zeros(data[-1].shape, dtype)
    elif np.prod(shape, dtype=float) * dtype.itemsize > _MAX_DENSE_BYTES:
        data = _sparse(shape, dtype)
    else:
        data = np.zeros(shape, dtype)
    name = f"{image.name} labels"
    where = placement(image, view.labels_offset, view.pixel())
    return Labels(data, name=name, multiscale=isinstance(data, list), **where)


def _halved(shape: tuple[int, ...], view: PlaneView) -> tuple[int, ...]:
    """Return the shape of the next coarser level: long displayed axes by half.

    Short ones stay, so that rounding up does not hide by how much a level is coarser.
    """
    displayed = view.row_axis, view.column_axis
    return tuple(
        -(-n // 2) if axis in displayed and n > 2 * _COARSEST_PX else n
        for axis, n in enumerate(shape)
    )


def _sparse(shape: tuple[int, ...], dtype: np.dtype[Any]) -> zarr.Array[Any]:
    """Make an array of zeros of which a chunk takes memory when it is written."""
    chunks = tuple(min(_CHUNK_PX, n) if n > 1 else 1 for n in shape[-2:])
    return zarr.create_array(
        store=MemoryStore(),
        shape=shape,
        chunks=(*(1,) * (len(shape) - 2), *chunks),
        dtype=dtype,
        fill_value=0,
    )


def check_target(layer: Labels, image: Image, view: PlaneView, *, is_own: bool = False) -> None:
    """Make sure that objects of `image` can be written into `layer`.

    Parameters
    ----------
    layer : napari.layers.Labels
        The target.
    image : napari.layers.Image
        What is annotated.
    view : PlaneView
        Its plane.
    is_own : bool
        Whether `new_target_layer` made it; of others with several resolutions it is not known
        how they belong together.

    Raises
    ------
    TargetError
        If its shape or position is not the image's, or its data cannot be written.
    """
    shape = tuple(levels(layer)[0].shape)
    if (layer.multiscale and not is_own) or not _can_be_written(levels(layer)[0]):
        msg = f"'{layer.name}' cannot be written to: choose another target, or a new layer."
        raise TargetError(msg)
    if shape != view.for_labels(layer.ndim).shape_nd:
        image_has = "the image" if view.channel_axis is None else "the image without its channels"
        msg = (
            f"'{layer.name}' has shape {shape}, {image_has} {view.shape_nd}: "
            "choose labels of the image's shape, or a new layer."
        )
        raise TargetError(msg)
    if not lies_on(layer, image, view):
        msg = (
            f"'{layer.name}' does not lie on the image (other scale or position): choose labels "
            "with the image's scale, translate and affine, or a new layer."
        )
        raise TargetError(msg)


def _can_be_written(data: Any) -> bool:
    if isinstance(data, np.ndarray):
        return bool(data.flags.writeable)
    return isinstance(data, zarr.Array) and not data.read_only
