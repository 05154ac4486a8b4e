"""Which axis of an image are the frames of a film, which one is shown, and tracks in the view."""

from contextlib import suppress
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image
from psygnal import Signal

from napari_sam.layers.camera import show_box
from napari_sam.layers.lineage_colors import LineageColors
from napari_sam.layers.object_colors import ColoringError
from napari_sam.layers.plane_binding import PlaneBinding
from napari_sam.layers.plane_view import PlaneView
from napari_sam.layers.shown_tracks import ShownTracks
from napari_sam.layers.target_binding import TargetBinding
from napari_sam.layers.time_axes import is_time
from napari_sam.layers.workspace import Workspace
from napari_sam.session.connections import Connections
from napari_sam.session.tracks.divisions import ProposedDivision

_AROUND_PX: Final = 16
"""So much around a division is shown, too."""


class TracksBinding:
    """Follows the frames of the image, and shows the tracks of the target."""

    changed = Signal()
    """Other slices are frames, another frame is shown, or tracks are shown or hidden."""

    def __init__(self, workspace: Workspace, plane: PlaneBinding, target: TargetBinding) -> None:
        self._viewer, self._session = workspace.viewer, workspace.session
        self._defer, self._plane, self._target = workspace.defer, plane, target
        # What the user chose: whether the slices of an image are frames.
        self._chosen: WeakKeyDictionary[Image, bool] = WeakKeyDictionary()
        self.axis: int | None = None
        """The axis of the target along which objects are tracks; None without frames."""
        self.frame = 0
        """The frame that is shown."""
        self._view: PlaneView | None = None  # the last one that was shown, with the target's axes
        self._shown = ShownTracks(workspace, target)
        self._is_wanted = False  # whether the user wants to see the tracks
        self._is_colored = True
        self._colors: LineageColors | None = None
        self._records = Connections()
        self._connections = Connections(
            (plane.stack_changed, self._update),
            (target.changed, self._on_target_changed),
            (self._shown.deleted, self._on_layer_deleted),
        )

    def close(self) -> None:
        """Remove the tracks from the view, and restore the colors of the target."""
        self._connections.close()
        self._records.close()
        self._shown.close()
        self._uncolor()

    @property
    def is_idle(self) -> bool:
        """Whether the tracks are shown as they are."""
        return not self._shown.is_due

    # Frames ------------------------------------------------------------------------------------

    @property
    def possible_axis(self) -> int | None:
        """The axis of the target that is time, or would be if the slices are frames."""
        image, view = self._plane.image, self._view
        axes = [] if view is None else view.axes_of_planes
        if image is None or not axes:
            return None
        named = [axis for axis in axes if is_time(image, axis + self._shift)]
        return [*named, *axes][0]

    @property
    def _shift(self) -> int:
        """How many axes the image has before those of the target."""
        image, view = self._plane.image, self._view
        return 0 if image is None or view is None else image.ndim - len(view.shape_nd)

    def switch(self, is_on: bool) -> None:
        """Choose whether the slices of the image are frames."""
        if self._plane.image is not None:
            self._chosen[self._plane.image] = is_on
            self._update()

    def _is_film(self, axis: int) -> bool:
        """Whether the slices are frames: as chosen, else by the name of the axis, or by parents."""
        image, labels = self._plane.image, self._target.labels
        if image is None:
            return False
        if image in self._chosen:
            return self._chosen[image]
        if is_time(image, axis + self._shift):
            return True
        return labels is not None and any(record.parent_id for record in labels.registry)

    def _on_target_changed(self) -> None:
        self._records.close()
        labels = self._target.labels
        if labels is not None:
            self._records = Connections((labels.registry.changed, self._on_records_changed))
        self._uncolor()
        self._update()
        self._color()

    def _on_records_changed(self) -> None:
        if self.axis is None:  # a film may be known by the parents of its objects
            self._update()

    def _update(self) -> None:
        view = self._plane.view
        if view is None and self._plane.image is not None and self._view is not None:
            return  # shown in 3-D: the frames are the same
        layer = self._target.layer
        n_axes = 0 if view is None else len(view.shape_nd) if layer is None else layer.ndim
        self._view = None if view is None else view.for_labels(n_axes)
        possible = self.possible_axis
        axis = possible if possible is not None and self._is_film(possible) else None
        frame = 0 if self._view is None or axis is None else self._view.index[axis]
        if (axis, frame) == (self.axis, self.frame):
            return
        is_other = axis != self.axis
        self.axis, self.frame = axis, frame
        if is_other:
            self._session.tracks.set_axis(axis)
            self._show()
            self._color()
        self.changed.emit()

    def go_to(self, division: ProposedDivision) -> None:
        """Show the first frame of the daughters, with the place of the division in the view."""
        layer, axis = self._target.layer, self.axis
        if layer is None or axis is None:
            return
        pixels = np.array([division.mother_at, *division.daughters_at])
        start, stop = pixels[-1].copy(), pixels[-1] + 1
        shift = self._viewer.dims.ndim - layer.ndim
        shown = [n - shift for n in self._viewer.dims.displayed if n >= shift]
        start[shown] = pixels.min(axis=0)[shown] - _AROUND_PX
        stop[shown] = pixels.max(axis=0)[shown] + 1 + _AROUND_PX
        start[axis], stop[axis] = division.frame, division.frame + 1
        show_box(self._viewer, layer, start.tolist(), stop.tolist(), is_sight_enough=True)

    # Tracks in the view --------------------------------------------------------------------------

    @property
    def is_shown(self) -> bool:
        """Whether the tracks are shown as a layer."""
        return self._is_wanted and self.axis == 0

    def show(self, is_wanted: bool) -> None:
        """Show the tracks as a layer, or hide them."""
        if is_wanted != self._is_wanted:
            self._is_wanted = is_wanted
            self._show()
            self.changed.emit()

    def _show(self) -> None:
        self._shown.show(0 if self.is_shown else None)

    def _on_layer_deleted(self) -> None:
        self._is_wanted = False
        self.changed.emit()

    def color(self, is_colored: bool) -> None:
        """Give objects the color of their founder, or their own."""
        if is_colored != self._is_colored:
            self._is_colored = is_colored
            self._color()

    def _color(self) -> None:
        labels = self._target.labels
        self._uncolor()
        if self._is_colored and self.axis is not None and labels is not None:
            with suppress(ColoringError):  # too many objects for napari: they keep their colors
                self._colors = LineageColors(labels, self.axis, self._defer, lambda _: None)

    def _uncolor(self) -> None:
        if self._colors is not None:
            self._colors.close()
            self._colors = None
