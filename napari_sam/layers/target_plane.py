"""The plane of a target layer that the objects of an image plane are written to."""

from typing import Any

from numpy.typing import NDArray

from napari_sam.layers.plane_view import PlaneView
from napari_sam.layers.target import TargetLayer
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.packed import Mask, Start


class TargetPlane:
    """The `LabelsPlane` of a target layer for a plane of the image."""

    def __init__(self, target: TargetLayer, view: PlaneView) -> None:
        self._target, self._view = target, view

    @property
    def labels(self) -> TargetLayer:
        """The layer."""
        if self._target.shape != self._view.shape_nd:
            msg = f"'{self._target.layer.name}' no longer has the image's shape. Choose a target."
            raise TargetError(msg)
        return self._target.require_scanned()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._view.shape

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return a copy of a region of the plane."""
        return self.to_2d(self.labels.read(tuple(self._view.region_at(rows, columns))))

    def to_nd(self, mask: Mask, top: int, left: int) -> tuple[Mask, Start]:
        """Bring a mask of the plane to the layer's axes."""
        return self._view.to_nd(mask), tuple(self._view.index_at(top, left))

    def to_2d(self, array: NDArray[Any]) -> NDArray[Any]:
        """Bring an array of the layer's axes to the plane."""
        displayed = sorted((self._view.row_axis, self._view.column_axis))
        flat = array.reshape([array.shape[axis] for axis in displayed])
        return flat.T if self._view.is_transposed else flat

    def to_plane(self, start: Start, stop: Start) -> tuple[slice, slice] | None:
        """Return the rows and columns of a box that reaches into the plane; else None."""
        spans, view = [slice(*span) for span in zip(start, stop, strict=True)], self._view
        rows, columns = spans[view.row_axis], spans[view.column_axis]
        planes = view.region_at(rows, columns)
        pairs = zip(spans, planes, strict=True)
        is_met = all(span.start <= plane.start and plane.stop <= span.stop for span, plane in pairs)
        return (rows, columns) if is_met else None

    def at_slice(self, slice_index: int) -> "TargetPlane":
        """Return the plane at another position of the slider next to it."""
        return TargetPlane(self._target, self._view.at_slice(slice_index))

    @property
    def slice_axis(self) -> int | None:
        """The axis of the layer along which the slider next to the plane moves."""
        axes = self._view.axes_of_planes
        return axes[-1] if axes else None
