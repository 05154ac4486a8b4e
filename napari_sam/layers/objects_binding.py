"""Connects accepted objects, and the Labels layer they go to, with an annotation session."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.layers.camera import show_box
from napari_sam.layers.cursor import CursorTracker
from napari_sam.layers.plane_view import PlaneView
from napari_sam.layers.prompt_sources import Read, prompts_in_layer, region_at
from napari_sam.layers.shown_plane import ShownPlane
from napari_sam.layers.target import (
    TargetLayer,
    TargetPlane,
    check_target,
    new_target_layer,
)
from napari_sam.layers.viewer_layers import ViewerLayers, was_made_for
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.session import AnnotationSession


class ObjectsBinding:
    """Has a target for the image that is shown, and does what is asked for of its objects."""

    target_changed = Signal(object)
    """The Labels layer (or None for one to be made) that accepted objects go to."""
    target_deleted = Signal(TargetLayer)
    """What the user has deleted, whether or not objects go to it now."""
    object_pointed_at = Signal(object)
    """The label_id of the accepted object under the cursor, or None; while `point` is on."""

    def __init__(
        self,
        viewer: ViewerModel,
        layers: ViewerLayers,
        session: AnnotationSession,
        shown: ShownPlane,
        is_ours: Callable[[Layer], bool],
        defer: Callable[[Callable[[], None]], None],
    ) -> None:
        self._viewer, self._layers, self._session = viewer, layers, session
        self._shown, self._is_ours, self._defer = shown, is_ours, defer
        self._target: TargetLayer | None = None
        # One for each layer, also after another was chosen: edits to be undone hold on to it.
        self._targets: dict[Labels, TargetLayer] = {}
        # What the user chose, None being a new layer, or what was made.
        self._target_of: WeakKeyDictionary[Image, Labels | None] = WeakKeyDictionary()
        self._pointer = CursorTracker(viewer, self._on_pointer_moved)
        session.target_needed.connect(self._make_target)

    def close(self) -> None:
        """Let viewer and targets go; the objects stay."""
        self._pointer.switch(False)
        self._session.target_needed.disconnect(self._make_target)
        for target in self._targets.values():
            target.close()

    # The target ------------------------------------------------------------------------------

    @property
    def target(self) -> Labels | None:
        """The layer that accepted objects go to; None: a new one will be made."""
        return None if self._target is None else self._target.layer

    def set_target(self, layer: Labels | None) -> None:
        """Choose the layer that accepted objects go to; None: a new one named after the image."""
        if layer is self.target:
            return
        image, view = self._shown.image, self._shown.view
        if layer is not None and image is not None and view is not None:
            check_target(layer, image, view)
        if image is not None:
            self._target_of[image] = layer
        self._use_target(layer)
        self.connect_to_plane()
        self.target_changed.emit(layer)

    @property
    def target_layer(self) -> TargetLayer | None:
        """The target with what is known of its objects."""
        return self._target

    def need_target(self) -> TargetLayer | None:
        """Return the target, a new one if there was none; None without an image."""
        if self._target is None:
            self._make_target()
        return self._target

    def leave_image(self) -> None:
        """Hear that another image is being chosen: its target is not known yet."""
        self._target = None

    def take_up_image(self, image: Image) -> None:
        """Go on with what was chosen for an image of which no plane is shown.

        Whether it fits is looked at when one is.
        """
        self._use_target(self._target_of.get(image))

    def settle_target(self, image: Image, view: PlaneView) -> None:
        """Go on with what was chosen for the image, if it fits; else with what was made for it."""
        before, why = self.target, ""
        fitting: Labels | None = None
        for layer in self._targets_to_try(image):
            try:
                check_target(layer, image, view)
            except TargetError as error:
                why = why or str(error)
            else:
                fitting = layer
                break
        if fitting is before:
            return
        self._use_target(fitting)
        self.target_changed.emit(fitting)
        if before is not None and fitting is None:
            self._session.notifier.warn(why)
        elif before is not None and fitting is not None:
            self._session.notifier.warn(
                f"'{before.name}' does not fit now: objects go to '{fitting.name}'."
            )

    def _targets_to_try(self, image: Image) -> list[Labels]:
        """Return the target in use, that of the image, and those made for it, the newest first."""
        if self.target is None and self._target_of.get(image, image) is None:
            return []  # the user wants a new one
        made = [layer for layer in self._layers.of_type(Labels) if was_made_for(layer, image)]
        tried = [self.target, self._target_of.get(image), *reversed(made)]
        return [layer for layer in dict.fromkeys(tried) if layer is not None]

    def _use_target(self, layer: Labels | None) -> None:
        self._target = None
        if layer is not None:
            if layer not in self._targets:
                self._targets[layer] = TargetLayer(layer, self._defer)
            self._target = self._targets[layer]

    def _make_target(self) -> None:
        image, view = self._shown.image, self._shown.view
        if image is not None and view is not None:
            layer = new_target_layer(image, view)
            self.add_target(layer, self.follow_labels(layer), image)

    def follow_labels(self, layer: Labels) -> TargetLayer:
        """Return an empty layer that is not in the viewer yet, as what takes objects."""
        return TargetLayer(layer, self._defer, is_empty=True)

    def add_target(self, layer: Labels, target: TargetLayer, image: Image) -> None:
        """Add a layer, as it is followed, to the viewer, and write objects of an image into it."""
        self._targets[layer] = target
        beneath = [
            known
            for known in self._layers.of_type(Image, Labels)
            if known is image or was_made_for(known, image)
        ]
        self._layers.add(layer, above=beneath[-1] if beneath else None)
        if image is self._shown.image:
            self.set_target(layer)
        else:
            self._target_of[image] = layer

    def connect_to_plane(self) -> None:
        """Have objects go to the plane of the target that is shown."""
        plane, view = None, self._shown.view
        if self._target is not None and view is not None:
            plane = TargetPlane(self._target, view.for_labels(self._target.layer.ndim))
        self._session.set_target(plane)

    def forget(self, layer: Labels) -> None:
        """Hear that a layer was deleted: it is nobody's target any more."""
        if layer in self._targets:
            gone = self._targets.pop(layer)
            gone.mark_gone()
            self.target_deleted.emit(gone)
        if layer is self.target:
            self.set_target(None)
        for image in [one for one, chosen in self._target_of.items() if chosen is layer]:
            self._target_of[image] = None

    # Objects ---------------------------------------------------------------------------------

    def accept(self) -> None:
        """Write the shown candidate into the target as a new object."""
        self.attempt(self._session.accept)

    def undo(self) -> None:
        """Take back the last change of the prompts or the last accepted object."""
        self.attempt(self._session.undo)

    def redo(self) -> None:
        """Repeat what was undone last."""
        self.attempt(self._session.redo)

    def attempt(self, action: Callable[[], object]) -> None:
        """Do something to objects; a refusal of the target is a warning."""
        try:
            action()
        except TargetError as error:
            self._session.notifier.warn(str(error))

    def objects_in(self, layer: Layer) -> Read:
        """Return a function that yields the objects of a user layer on the shown plane."""
        return prompts_in_layer(layer, *self._shown.need(), self._viewer.dims)

    def reopen_under_cursor(self) -> None:
        """Have the object under the cursor be the one that is being made.

        Where there is no accepted one, that of another visible Labels layer is what a new object
        begins with.
        """
        self.attempt(self._reopen_or_improve)

    def _reopen_or_improve(self) -> None:
        if self._label_id_under_cursor() == 0 and self._shown.image is not None:
            for layer in reversed(self._layers.of_type(Labels)):
                if layer.visible and layer is not self.target and not self._is_ours(layer):
                    region = region_at(layer, *self._shown.need(), self._viewer.cursor.position)
                    if region is not None:
                        self._session.objects.improve(*region)
                        return
        self._session.objects.reopen(self._object_under_cursor())

    def reopen(self, label_id: int) -> None:
        """Have an accepted object be the one that is being made, once its slice is shown."""
        self._defer(lambda: self.attempt(lambda: self._session.objects.reopen(label_id)))

    def remove_under_cursor(self) -> None:
        """Delete the accepted object under the cursor."""
        self.attempt(lambda: self._session.objects.remove([self._object_under_cursor()]))

    def _label_id_under_cursor(self) -> int:
        """Return which accepted object is under the cursor, 0 for none."""
        if self._target is None:
            return 0
        return self._target.label_id_at(self._viewer.cursor.position)

    def _object_under_cursor(self) -> int:
        label_id = self._label_id_under_cursor()
        if label_id == 0:
            msg = "There is no accepted object under the cursor."
            raise TargetError(msg)
        return label_id

    # Where they are ----------------------------------------------------------------------------

    def point(self, on: bool) -> None:
        """Tell which accepted object is under the cursor, or cease to."""
        self._pointer.switch(on)

    def _on_pointer_moved(self, world: NDArray[np.float64] | None) -> None:
        label_id = 0
        if world is not None and self._target is not None:
            label_id = self._target.label_id_at(world)
        self.object_pointed_at.emit(label_id or None)

    def go_to(self, label_id: int) -> None:
        """Show an object of the target in the middle of the window."""
        if self._target is not None:
            record = self._target.book.get(label_id)
            if record is not None:
                show_box(self._viewer, self._target.layer, record.start, record.stop)
