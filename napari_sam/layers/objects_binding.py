"""Accepts, re-edits, removes and shows accepted objects in a viewer."""

from collections.abc import Callable

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import ArrayLike, NDArray
from psygnal import Signal

from napari_sam.layers.brush_label import BrushLabel
from napari_sam.layers.camera import show_box
from napari_sam.layers.cursor import CursorTracker
from napari_sam.layers.object_outlines import ObjectOutlines
from napari_sam.layers.plane_binding import PlaneBinding
from napari_sam.layers.prompt_sources import (
    ReadPrompts,
    ReadSlicePrompts,
    prompts_in_layer,
    prompts_on_slices,
    region_at,
)
from napari_sam.layers.target_binding import TargetBinding
from napari_sam.layers.workspace import Workspace
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.slice_planning import indices_of


class ObjectsBinding:
    """Does what the user asks for with accepted objects."""

    object_pointed_at = Signal(object)
    """The label_id of the accepted object under the cursor, or None, while `pointer` is on."""

    def __init__(
        self,
        workspace: Workspace,
        plane: PlaneBinding,
        target: TargetBinding,
        is_ours: Callable[[Layer], bool],
    ) -> None:
        self._viewer, self._layers = workspace.viewer, workspace.layers
        self._session, self._defer = workspace.session, workspace.defer
        self._plane, self._target, self._is_ours = plane, target, is_ours
        self.pointer = CursorTracker(workspace.viewer, self._on_pointer_moved)
        """Reports which accepted object is under the cursor while it is on."""
        self.outlines = ObjectOutlines(plane, target, workspace.defer)
        """The bright outlines of the objects that are chosen or pointed at."""
        self.object_pointed_at.connect(self.outlines.point_at)
        self.brush_label = BrushLabel(workspace.session, target)
        """The label that the brush paints with."""
        workspace.session.editing.restored.connect(self._name_other_layer)

    def close(self) -> None:
        """Leave the objects as they are in the target."""
        self._session.editing.restored.disconnect(self._name_other_layer)
        self.pointer.switch(False)
        self.outlines.close()
        self.brush_label.close()

    # Objects ---------------------------------------------------------------------------------

    def accept(self) -> None:
        """Write the shown candidate into the target as a new object."""
        self.attempt(self._accept)

    def _accept(self) -> None:
        if self._plane.image is not None and self._plane.shown is None:
            raise TargetError(self._session.state.hint)  # why there is nothing to accept
        self._session.accept()

    def undo(self) -> None:
        """Undo the last change of the prompts or of objects."""
        self.attempt(self._session.undo)

    def redo(self) -> None:
        """Redo what was undone last."""
        self.attempt(self._session.redo)

    def _name_other_layer(self, edit: Edit) -> None:
        """Say so where undo or redo has changed objects that are not those of the target."""
        labels, target = edit.labels, self._target.labels
        if labels is not None and target is not None and labels.target is not target:
            self._session.notifier.warn(
                f"That was in '{labels.target.name}', while new objects go to '{target.name}'."
            )

    def attempt(self, action: Callable[..., object], *values: object) -> None:
        """Run an action on objects; a target error becomes a warning."""
        try:
            action(*values)
        except TargetError as error:
            self._session.notifier.warn(str(error))

    def prompts_in(self, layer: Layer) -> ReadPrompts:
        """Return a function that reads the user's layer as one prompt per object."""
        shown = self._plane.require()
        return prompts_in_layer(layer, shown.image, shown.view, self._viewer.dims)

    def prompts_on_slices(self, layer: Layer, indices: range) -> ReadSlicePrompts:
        """Return a function that reads the user's layer on some slices of the stack."""
        shown = self._plane.require()
        return prompts_on_slices(layer, shown.image, shown.view, self._viewer.dims, indices)

    def reedit_under_cursor(self) -> None:
        """Re-edit the accepted object under the cursor.

        Without one, start a new object from that of another visible Labels layer.
        """
        self.attempt(self._reedit_or_improve)

    def _reedit_or_improve(self) -> None:
        shown, position = self._plane.shown, self._viewer.cursor.position
        if self._label_id_at(position) == 0 and shown is not None:
            for layer in reversed(self._layers.of_type(Labels)):
                if layer.visible and layer is not self._target.layer and not self._is_ours(layer):
                    region = region_at(layer, shown.image, shown.view, position)
                    if region is not None:
                        self._session.objects.improve(region)
                        return
        self._session.objects.reedit(self.require_under_cursor())

    def reedit(self, label_id: int) -> None:
        """Re-edit an accepted object, once its slice is shown."""
        self._defer(lambda: self.attempt(lambda: self._session.objects.reedit(label_id)))

    def start_brush(self, *, at_cursor: bool) -> Labels:
        """Select napari's brush in the target, to paint on the object under the cursor if asked."""
        layer, refusal = self._target.layer, self._session.request.refusal
        if refusal:
            raise TargetError(refusal)
        if layer is None:
            raise TargetError("There are no objects to paint on yet: accept one first.")
        if layer.multiscale:
            raise TargetError(
                "napari cannot paint on several resolutions: re-edit the object instead."
            )
        self.brush_label.take(self._label_id_at(self._viewer.cursor.position) if at_cursor else 0)
        layer.visible = True  # or napari refuses the brush
        self._viewer.layers.selection.active = layer
        layer.mode = "paint"
        return layer

    def _label_id_at(self, world: ArrayLike) -> int:
        """Return which accepted object is at a position, 0 for none."""
        labels = self._target.labels
        return 0 if labels is None else labels.label_id_at(world)

    @property
    def under_cursor(self) -> int:
        """The label_id of the accepted object under the cursor; 0 for none."""
        return self._label_id_at(self._viewer.cursor.position)

    def require_under_cursor(self) -> int:
        """Return the label_id of the accepted object under the cursor.

        Raises
        ------
        TargetError
            If there is none, or no objects can be pointed at.
        """
        refusal = self._session.request.refusal
        if refusal:
            raise TargetError(refusal)
        label_id = self.under_cursor
        if label_id == 0:
            raise TargetError(
                "There is no accepted object under the cursor: point at one and try again."
            )
        return label_id

    # Positions ---------------------------------------------------------------------------------

    def _on_pointer_moved(self, world: NDArray[np.float64] | None) -> None:
        self.object_pointed_at.emit(None if world is None else self._label_id_at(world) or None)

    def go_to(self, label_id: int, *, stays_on_slice: bool = False) -> None:
        """Show an object of the target in the middle of the window.

        Of one on several slices that is the slice in the middle; on request, the shown one. The
        window stays where it is if it shows all of the object already.
        """
        labels, view = self._target.labels, self._plane.view
        record = None if labels is None else labels.registry.get(label_id)
        if labels is None or record is None:
            return
        start, stop = list(record.start), list(record.stop)
        if stays_on_slice and view is not None and label_id in self.on_slice():
            view = view.for_labels(len(labels.shape))
            for axis in view.axes_of_planes:
                start[axis], stop[axis] = view.index[axis], view.index[axis] + 1
        elif view is not None and (axes := view.for_labels(len(labels.shape)).axes_of_planes):
            axis, indices = axes[-1], indices_of(record, axes[-1])
            middle = (start[axis] + stop[axis] - 1) / 2
            index = min(indices, key=lambda index: abs(index - middle))
            start[axis], stop[axis] = index, index + 1
        show_box(self._viewer, labels.layer, start, stop, is_sight_enough=True)

    def on_slice(self) -> list[int]:
        """Return the label_ids of objects whose bounding boxes reach into the shown slice."""
        labels, view = self._target.labels, self._plane.view
        if labels is None or view is None:
            return []
        view = view.for_labels(len(labels.shape))
        index, axes = view.index, view.axes_of_planes
        return [
            record.label_id
            for record in labels.registry
            if all(record.start[axis] <= index[axis] < record.stop[axis] for axis in axes)
        ]
