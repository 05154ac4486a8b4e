"""The user's Labels layer as the target of accepted objects."""

from collections.abc import Callable
from dataclasses import replace
from threading import Lock
from typing import Any, Final, Self
from weakref import WeakKeyDictionary, ref

import numpy as np
import pint
from napari.layers import Image, Labels
from numpy.typing import ArrayLike, DTypeLike, NDArray
from psygnal import Signal

from napari_sam.formats.details import details_from
from napari_sam.layers.brush_strokes import BrushStrokes
from napari_sam.layers.label_arrays import CHUNK_PX, is_zarr, write_levels
from napari_sam.layers.napari_workarounds import cyclic_colormap
from napari_sam.layers.plane_view import PlaneView, levels, placement
from napari_sam.layers.target_features import features_of
from napari_sam.layers.time_axes import is_time
from napari_sam.layers.viewer_layers import mark_for
from napari_sam.session.jobs import Defer
from napari_sam.session.objects.brush_history import StrokeIds, strokes_of
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.objects.packed import Mask, Region
from napari_sam.session.objects.painting import updated_records
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry
from napari_sam.storage.pacing import paced

_MAX_DENSE_BYTES: Final = 2**30
_MAX_DRAWN_PX: Final = 8192
"""The largest texture that every graphics card draws; napari reads all of it at each change."""
_COARSEST_PX: Final = 1024
FILL_OPACITY: Final = 0.5
"""Of objects that are drawn filled: the image stays visible below them."""
OBJECT_COLORS: Final = ("#00c0ff", "#e04060", "#2080ff", "#00c0a0", "#a040a0", "#6020ff")
"""Unlike candidates and prompts, and neither pale nor dark; taken in turns: neighbors differ in hue
and in lightness, so that some stand out in every stain and for color-blind users."""
_REGISTRIES: Final[WeakKeyDictionary[Labels, ObjectRegistry]] = WeakKeyDictionary()
"""The objects in layers that are or were targets, of this widget or an earlier one."""


class TargetLayer:
    """A Labels layer as `session.Labels`, with a registry of its objects.

    It scans the layer once, and then follows what is painted and accepted, so that no click costs
    a pass over a volume.
    """

    painted = Signal(tuple, tuple)
    """The pixels that a brush has painted, as `PackedMask`s, and their `RecordChange`s."""
    drawn = Signal(LabelsEdit, tuple)
    """New brush strokes as an edit, which the layer has already, and their ids."""
    moved = Signal(tuple, bool)
    """The ids of strokes that napari's own undo (True) or redo has moved."""
    grown = Signal()
    """The layer has more slices, as its image has."""
    replaced = Signal()
    """The layer has other data: only the records of objects at the same pixels are kept."""
    unread = Signal()
    """The layer has other data that is too large to be read at once: its objects are unknown."""

    def __init__(
        self,
        layer: Labels,
        defer: Defer,
        *,
        is_empty: bool = False,
        is_scanned_later: Callable[[Labels], bool] = lambda _: False,
    ) -> None:
        # The history keeps targets, and must not keep deleted layers in memory.
        self._layer = ref(layer)
        self.is_gone = False
        """Whether the user deleted the layer."""
        self._is_scanned_later = is_scanned_later
        self.is_scanned = is_empty or not is_scanned_later(layer)
        """Whether the objects in the layer are known."""
        self.n_replaced = 0
        """How often the layer got other data."""
        self._defer = defer
        self._registry = _REGISTRIES.setdefault(layer, ObjectRegistry())
        self._largest_painted = 0
        self._room: NDArray[Any] | None = None  # for the slices to come
        self._lock = Lock()
        if self.is_scanned and not is_empty:
            self._registry.replace_all(self.scan())
        self._strokes = BrushStrokes(layer, self._on_stroke)
        layer.events.data.connect(self._on_data)

    def close(self) -> None:
        """Stop following the layer."""
        layer = self._layer()
        if layer is not None:
            self._strokes.close(layer)
            layer.events.data.disconnect(self._on_data)

    def mark_gone(self) -> None:
        """Handle the deletion of the layer: nothing more is written to it."""
        self.is_gone = True
        self.close()

    @property
    def layer(self) -> Labels:
        """The layer."""
        layer = self._layer()
        if layer is None:
            msg = "The labels layer was deleted. Choose another target, or a new layer."
            raise TargetError(msg)
        return layer

    @property
    def name(self) -> str:
        """The layer's name; empty once it is gone."""
        layer = self._layer()
        return "" if layer is None else str(layer.name)

    @property
    def registry(self) -> ObjectRegistry:
        """The registry of the objects, up to date."""
        self.recount()
        return self._registry

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent along each axis."""
        return tuple(int(length) for length in levels(self.layer)[0].shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The integer type of the labels."""
        dtype: np.dtype[Any] = levels(self.layer)[0].dtype
        return dtype

    def read(self, region: Region) -> NDArray[Any]:
        """Return a copy of a region."""
        return np.array(levels(self.layer)[0][region])

    def write(self, region: Region, labels: NDArray[Any], where: Mask | None = None) -> None:
        """Replace a region, or those pixels of it that are True, at every resolution."""
        self.require_scanned()  # an undone step may be of the data before
        self._strokes.mistrust()
        with self._lock:
            write_levels(levels(self.layer), region, labels, where)

    def grow(self, shape: tuple[int, ...]) -> None:
        """Add empty slices at the ends of axes; the objects stay as they are."""
        layer, before = self.layer, self.shape
        with self._lock, layer.events.data.blocker(self._on_data):
            arrays = [
                self._grown(
                    array,
                    tuple(
                        length if n == m else m
                        for n, m, length in zip(before, shape, array.shape, strict=True)
                    ),
                )
                for array in levels(layer)
            ]
            layer.data = arrays if layer.multiscale else arrays[0]
        self.grown.emit()

    def _grown(self, array: Any, shape: tuple[int, ...]) -> Any:
        """Return labels of a larger shape; there is room for as many slices again."""
        if is_zarr(array):
            array.resize(shape)
            return array
        if np.prod(shape, dtype=float) * array.itemsize > _MAX_DENSE_BYTES:
            sparse = _sparse(shape, array.dtype)
            sparse[tuple(map(slice, array.shape))] = array
            return sparse
        room = self._room
        if room is None or array.base is not room or np.greater(shape, room.shape).any():
            sides = (n if n == m else 2 * m for n, m in zip(array.shape, shape, strict=True))
            self._room = room = np.zeros(tuple(sides), array.dtype)
            room[tuple(map(slice, array.shape))] = array
        return room[tuple(map(slice, shape))]

    def show(self) -> None:
        """Show what was written."""
        self.layer.refresh(extent=False)

    def max_label_id(self) -> int:
        """Return the largest label_id in the layer."""
        return max(self._largest_painted, self._registry.largest_label_id)

    def pixel_area(self, row_axis: int, column_axis: int) -> tuple[float, str]:
        """Return the area of a pixel along two axes, and its unit; 1 and "" without a unit."""
        row_unit, unit = self.layer.units[row_axis], self.layer.units[column_axis]
        if f"{unit:~P}" in ("px", "pixel") or not unit.is_compatible_with(row_unit):
            return 1.0, ""
        height = pint.Quantity(self.layer.scale[row_axis], row_unit).to(unit).magnitude
        return float(height * self.layer.scale[column_axis]), f"{unit:~P}"

    def slice_distance(self, axis: int, unit: str) -> float | None:
        """Return the distance of slices along an axis in a unit of length; None through time."""
        if is_time(self.layer, axis):
            return None
        axis_unit = self.layer.units[axis]
        if not unit:
            return 1.0
        if not axis_unit.is_compatible_with(unit):
            return None
        return float(pint.Quantity(self.layer.scale[axis], axis_unit).to(unit).magnitude)

    def label_id_at(self, world: ArrayLike) -> int:
        """Return the label at a position in world coordinates; 0 outside the layer."""
        index = np.rint(self.layer.world_to_data(world)).astype(int)
        # Labels of a single slice show at every position of the slider.
        index = np.where(np.array(self.shape) == 1, 0, index)
        if (index < 0).any() or (index >= self.shape).any():
            return 0
        return int(self.read(tuple(slice(int(n), int(n) + 1) for n in index)).item())

    def scan(self, check: Callable[[], None] = lambda: None) -> list[ObjectRecord]:
        """Return the objects in the layer's pixels, with what its features say of them.

        Known objects keep their details, in other data only if they have the same pixels. May be
        called on any thread; `check` is called now and then, and may raise to stop it.
        """
        features, records = features_of(self.layer.features), []
        for record in paced(find_objects(self, check)):
            before = self._registry.get(record.label_id)
            if before is not None and (not self.n_replaced or before.is_alike(record)):
                record = replace(
                    before, start=record.start, stop=record.stop, area_px=record.area_px
                )
            elif record.label_id in features:
                record = replace(record, **details_from(features[record.label_id]))
            records.append(record)
        return records

    def require_scanned(self) -> Self:
        """Return the target; raise TargetError until its objects are known."""
        if not self.is_scanned:
            raise TargetError(f"'{self.name}' is still being read: try again in a moment.")
        return self

    def register(self, records: list[ObjectRecord]) -> None:
        """Register what `scan` found, unless it was found otherwise meanwhile."""
        if not self.is_scanned:
            self.is_scanned = True
            self._registry.replace_all(records)
            if self.n_replaced:
                self.replaced.emit()
            self._strokes.mistrust()  # what was painted meanwhile may have been found already
            self.recount()

    def _on_data(self) -> None:
        """Register the objects in other data; records of objects at the same pixels stay.

        All of them do if the labels were only given a wider type.
        """
        self._largest_painted = 0
        self._strokes.take()
        self.n_replaced += 1
        self.is_scanned = not self._is_scanned_later(self.layer)
        if not self.is_scanned:
            self.unread.emit()
            return
        self._registry.replace_all(self.scan())
        self.replaced.emit()

    def _on_stroke(self) -> None:
        self._largest_painted = max(self._largest_painted, self._strokes.largest_label_id)
        # napari may report a stroke before it is written.
        self._defer(self.recount)

    def recount(self) -> None:
        """Update the records of objects that a brush has changed since the last time."""
        if not self.is_scanned:
            return
        painted = self._strokes.take()
        pixels, masks = painted.pixels, painted.pixels.masks()
        if not masks:
            return
        changes = updated_records(self, self._registry, masks, pixels.label_ids, pixels.n_gained)
        self._registry.apply(tuple(changes))
        self.painted.emit(tuple(masks), tuple(changes))
        for stroke_id, is_undone in painted.moved:
            self.moved.emit((stroke_id,), is_undone)
        strokes = strokes_of(painted.dabs)
        if strokes:
            label_id, is_exact = strokes[-1].value, pixels.n_gained is not None
            edit = LabelsEdit(self, strokes, tuple(changes), label_id, is_exact)
            self.drawn.emit(edit, tuple(painted.new))

    def move_strokes(self, stroke_ids: StrokeIds, *, is_undone: bool) -> None:
        """Follow that the session has undone or redone strokes: napari's own undo is past them."""
        layer = self._layer()
        if layer is not None:
            self._strokes.move(layer, stroke_ids, is_undone=is_undone)


def new_target_layer(image: Image, view: PlaneView, dtype: DTypeLike = np.uint16) -> Labels:
    """Make an empty Labels layer for the objects of an image, with its transform.

    uint16 is the widest type that napari shows without remapping every pixel. Large data is a
    sparse zarr array in memory; a plane too large to be drawn has coarser levels, too.
    """
    shape, dtype = view.shape_nd, np.dtype(dtype)
    data: Any
    if max(view.shape) > _MAX_DRAWN_PX:
        data = [_sparse(shape, dtype)]
        while (coarser := _halved(data[-1].shape, view)) != data[-1].shape:
            data.append(_sparse(coarser, dtype))
        if len(shape) == 2:
            # napari keeps what `numpy.asarray` makes of the coarsest level. Only for a NumPy array
            # is that the level itself, so that what is written to it shows.
            data[-1] = np.zeros(data[-1].shape, dtype)
    elif np.prod(shape, dtype=float) * dtype.itemsize > _MAX_DENSE_BYTES:
        data = _sparse(shape, dtype)
    else:
        data = np.zeros(shape, dtype)
    return Labels(
        data,
        name=f"{image.name} labels",
        opacity=FILL_OPACITY,
        colormap=cyclic_colormap(OBJECT_COLORS),
        multiscale=isinstance(data, list),
        metadata=mark_for(image),
        **placement(image, view.labels_offset, view.pixel()),
    )


def _halved(shape: tuple[int, ...], view: PlaneView) -> tuple[int, ...]:
    """Return the shape of the next coarser level, with half of each long displayed axis.

    Short axes stay, so that rounding up does not hide the factor of a level.
    """
    displayed = view.row_axis, view.column_axis
    return tuple(
        -(-n // 2) if axis in displayed and n > 2 * _COARSEST_PX else n
        for axis, n in enumerate(shape)
    )


def _sparse(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Make an array of zeros whose chunks take memory once they are written."""
    import zarr  # late, as it takes long and few targets need it
    from zarr.storage import MemoryStore

    chunks = tuple(min(CHUNK_PX, n) if n > 1 else 1 for n in shape[-2:])
    return zarr.create_array(
        store=MemoryStore(),
        shape=shape,
        chunks=(*(1,) * (len(shape) - 2), *chunks),
        dtype=dtype,
        fill_value=0,
    )
