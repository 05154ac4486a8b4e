"""Connects a viewer's layers with an annotation session, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.events import Event
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.layers.brought_layers import BroughtToImages
from napari_sam.layers.candidate_layers import CandidateLayers
from napari_sam.layers.hover import CursorTracker
from napari_sam.layers.image_looks import ImageLooks
from napari_sam.layers.keys import KeyMap
from napari_sam.layers.many_layers import Read, objects_in_layer, region_at
from napari_sam.layers.plane_view import PlaneView, displayed_plane
from napari_sam.layers.prompt_binding import PromptBinding
from napari_sam.layers.proposal_layer import Place, is_proposal_layer
from napari_sam.layers.shape_prompts import TOOLS
from napari_sam.layers.sight import show_box, view_of_plane
from napari_sam.layers.stack import stack_around, stack_size
from napari_sam.layers.target import (
    TargetLayer,
    TargetPlane,
    check_target,
    new_target_layer,
    was_made_for,
)
from napari_sam.layers.viewer_layers import ViewerLayers
from napari_sam.session import (
    BACKGROUND,
    FOREGROUND,
    AnnotationSession,
    ImageError,
    ImagePlane,
    Look,
    Prompts,
    SessionState,
    TargetError,
)

_LOOKS_DIFFERENT: Final = "The image looks different now"


class LayerBinding:
    """Reads image and prompts from a viewer's layers, writes candidates and objects to them.

    Layers are held as objects; a layer may be renamed, hidden, moved or deleted at any moment.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The person's viewer. Its camera, dims and selection are left alone, except that
        `start_points` and `start_boxes` select the layer they are about.
    session : AnnotationSession
        The owner of the state.
    defer : callable
        Has a callback called soon, when napari is done with the event it is handling.
    """

    image_changed = Signal(object)
    """The image layer (or None) that is annotated now."""
    stack_changed = Signal(int)
    """How many planes there are along the slider next to the one that is shown."""
    target_changed = Signal(object)
    """The Labels layer (or None for one to be made) that accepted objects go to."""
    prompt_layers_changed = Signal(object, object)
    """The person's own Points and Shapes layers that are prompts; None stands for ours."""
    polarity_changed = Signal(int)
    """The point label of the next click: 1 foreground, 0 background."""
    look_changed = Signal()
    """The image is shown with other contrast limits or gamma, maybe in the middle of a drag."""
    camera_moved = Signal()
    """Another part of the image is in sight, maybe in the middle of a drag."""
    object_pointed_at = Signal(object)
    """The label_id of the accepted object under the cursor, or None; while `point` is on."""
    hover_changed = Signal(bool)
    """Whether the mask under the cursor is previewed."""
    warned = Signal(str)
    """A message that should not be missed."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: AnnotationSession,
        defer: Callable[[Callable[[], None]], None],
    ) -> None:
        self._viewer, self._session, self._defer = viewer, session, defer
        self._layers = ViewerLayers(viewer.layers)
        self.looks = ImageLooks()
        self.brought = BroughtToImages(session)
        """What the person brought along in place of computing it."""
        self._image: Image | None = None
        self._view: PlaneView | None = None
        self._target: TargetLayer | None = None
        # One for each layer, also after another was chosen: edits to be undone hold on to it.
        self._targets: dict[Labels, TargetLayer] = {}
        # What the person chose, None being a new layer, or what was made.
        self._target_of: WeakKeyDictionary[Image, Labels | None] = WeakKeyDictionary()
        # Ids of layers that are gone are given to others.
        self._identities: WeakKeyDictionary[Image, object] = WeakKeyDictionary()
        # Counts changes of pixels and contrast.
        self._look_numbers: WeakKeyDictionary[Image, int] = WeakKeyDictionary()
        self._last_read = Prompts()
        # Where prompts were undone while another plane was shown: the layers do not know yet.
        self._restored: set[tuple[object, PlaneView]] = set()
        self._is_closed = self._plane_check_is_due = self._is_making_candidates = False
        self.keys = KeyMap()
        """The keys on our layers, which the person can choose."""
        self.keys.offer(
            {
                "accept": self.accept,
                "clear": session.clear_prompts,
                "next": session.choose_next,
                "previous": lambda: session.choose_next(-1),
                "flip": self.flip_polarity,
                "hover": lambda: self.set_hover(not self._cursor.is_on),
                "reopen": self.reopen_under_cursor,
                "remove": self.remove_under_cursor,
                "undo": self.undo,
                "redo": self.redo,
            }
        )
        self._prompts = PromptBinding(
            self._layers,
            viewer.dims,
            self._on_prompts_changed,
            self._on_gesture,
            self.keys.bind,
        )
        self._candidates = CandidateLayers(
            self._add_candidate,
            self._layers.remove,
            self._layers.redraw,
            self.undo,
            self.redo,
        )
        self._cursor = CursorTracker(viewer, self._on_cursor_moved)
        self._pointer = CursorTracker(viewer, self._on_pointer_moved)
        self._connections = (
            (session.changed, self._on_session_changed),
            (session.target_needed, self._make_target),
            (session.place_wanted, self._go_to_place),
            (self.brought.usable_changed, self._on_brought_usable_changed),
            (viewer.layers.events.removed, self._on_layer_removed),
            (viewer.layers.selection.events.active, self._on_active_layer_changed),
            (viewer.dims.events.current_step, self._on_plane_may_have_changed),
            (viewer.dims.events.order, self._on_plane_may_have_changed),
            (viewer.dims.events.ndisplay, self._on_plane_may_have_changed),
            (viewer.scene.camera.events.zoom, self.camera_moved.emit),
            (viewer.scene.camera.events.center, self.camera_moved.emit),
            (viewer.canvas.events.size, self.camera_moved.emit),
        )
        for event, callback in self._connections:
            event.connect(callback)

    def close(self) -> None:
        """Let the viewer go: candidates are removed, prompts and objects stay."""
        self._is_closed = True
        self._cursor.switch(False)
        self._pointer.switch(False)
        for event, callback in self._connections:
            event.disconnect(callback)
        self._connect_image(None)
        for layer in self._prompts.own_layers:
            self.keys.unbind(layer)
        self._prompts.close()
        for target in self._targets.values():
            target.close()
        self._candidates.remove()

    @property
    def is_idle(self) -> bool:
        """Whether everything the viewer shows has been looked at."""
        return not self._plane_check_is_due and not self._is_making_candidates

    def is_ours(self, layer: Layer) -> bool:
        """Whether a layer is one of our prompt, candidate or proposal layers."""
        own = self._prompts.own_layers
        if is_proposal_layer(layer):
            return True
        return self._candidates.number_of(layer) is not None or any(layer is one for one in own)

    # The image -----------------------------------------------------------------------------

    @property
    def image(self) -> Image | None:
        """The image layer that is annotated."""
        return self._image

    @property
    def view(self) -> PlaneView | None:
        """The plane of the image that is annotated; None without one."""
        return self._view

    @property
    def place(self) -> Place | None:
        """The plane that is annotated; None while there is none."""
        if self._image is None or self._view is None:
            return None
        return Place(self._image, self._view)

    @property
    def view_in_sight(self) -> tuple[float, float, float, float] | None:
        """Which part of the plane is in the window: x0, y0, x1, y1 in its pixels."""
        if self._image is None or self._view is None:
            return None
        return view_of_plane(self._viewer, self._image, self._view)

    def set_image(self, image: Image | None) -> None:
        """Annotate another image layer; its embedding is computed at once, in the background.

        The prompts of the image before are put away, and are back when it is chosen again.
        """
        if image is self._image:
            return
        self._session.ahead.cancel_preparation("Another image was chosen")
        self._session.many.give_up("Another image was chosen")
        self._connect_image(image)
        self._target = None
        self._candidates.remove()
        self._prompts.set_image(image)
        self._view = None
        self._check_plane()
        if self._view is None and image is not None:
            self._use_target(self._target_of.get(image))  # looked at when the plane is shown
        self.image_changed.emit(image)
        self.target_changed.emit(self.target)
        self.prompt_layers_changed.emit(None, None)

    def choose_image(self) -> None:
        """Annotate the image that is selected, else the topmost, if there is one."""
        active = self._viewer.layers.selection.active
        images = [one for one in self._layers.of_type(Image) if isinstance(one, Image)]
        if isinstance(active, Image) and active in self._layers:
            self.set_image(active)
        else:
            self.set_image(images[-1] if images else None)

    def _connect_image(self, image: Image | None) -> None:
        """Follow another image's position and data in place of the current one's."""
        if self._image is not None:
            for event, callback in self._image_connections(self._image):
                event.disconnect(callback)
        self._image = image
        if image is not None:
            for event, callback in self._image_connections(image):
                event.connect(callback)

    def _image_connections(self, image: Image) -> list[tuple[Event, Callable[[], None]]]:
        events = image.events
        moved = (events.scale, events.translate, events.rotate, events.shear, events.affine)
        return [
            *((event, self._on_image_moved) for event in moved),
            (events.data, self._on_image_data_changed),
            (events.contrast_limits, self._on_image_look_changed),
            (events.gamma, self._on_image_look_changed),
        ]

    def _on_image_moved(self) -> None:
        self._candidates.follow_image()
        self._prompts.follow_image()
        self._on_plane_may_have_changed()

    def _on_image_look_changed(self) -> None:
        if self._image is not None and self.looks.is_outdated(self._image):
            self.look_changed.emit()

    def _on_image_data_changed(self) -> None:
        if self._image is not None:
            self.looks.forget_values(self._image)
            if self.brought.stop():
                name = self._image.name
                self.warned.emit(f"'{name}' has other pixels now: it is embedded here from now on.")
        self.look_again()

    def set_look(self, look: Look) -> None:
        """Choose what the model sees of the image; prompts are kept."""
        image = self._image
        if image is None:
            return
        if look.channel_axis != self.looks.of(image).channel_axis:
            self._identities.pop(image, None)  # what was left on planes lies on others now
        if self.looks.choose(image, look):
            self.look_again()
        self.looks.show(image, self._viewer.dims)

    def look_as_shown(self) -> None:
        """Have the image embedded as it is shown now, if the model is to see it like that."""
        if self._image is not None and self.looks.is_outdated(self._image):
            self.look_again()

    def look_again(self) -> None:
        """Have the image embedded as it looks now; its prompts are kept."""
        self._embed_anew(_LOOKS_DIFFERENT)

    def _on_brought_usable_changed(self) -> None:
        self._embed_anew("Other embeddings are in use now")

    def _embed_anew(self, why: str) -> None:
        self._note_other_look(why)
        self._view = None
        self._on_plane_may_have_changed()

    def _note_other_look(self, why: str) -> None:
        self._session.ahead.cancel_preparation(why)
        if self._image is not None:
            self._look_numbers[self._image] = self._look_numbers.get(self._image, 0) + 1

    def look_at_view(self) -> None:
        """Have the session know which part of the image is in sight now."""
        if self._image is not None and self._view is not None and not self._is_closed:
            self._session.look_at(view_of_plane(self._viewer, self._image, self._view))

    def _on_plane_may_have_changed(self) -> None:
        """Look once at what is shown, when slider and axes have come to rest."""
        if not self._plane_check_is_due:
            self._plane_check_is_due = True
            self._defer(self._check_plane)

    def _check_plane(self) -> None:
        """Tell the session which plane is shown, if it is another one than before."""
        self._plane_check_is_due = False
        if self._is_closed:
            return
        self.looks.show(self._image, self._viewer.dims)
        if self._image is None:
            self.brought.show(None)
            self._leave_plane()
            self._session.set_image(None)
            return
        try:
            look = self.looks.of(self._image)
            view = displayed_plane(self._image, self._viewer.dims, look.channel_axis)
            self.brought.show(self._image, view)
            if view == self._view:
                return
            if self.looks.is_outdated(self._image):
                self._note_other_look(_LOOKS_DIFFERENT)
            self.looks.put_in_force(self._image)
            plane = self._image_plane(self._image, view)
        except ImageError as error:
            self.brought.show(self._image)
            self._leave_plane()
            self._session.refuse_image(str(error))
            return
        following, before = view.following(self._view), self._view
        self._view = view
        self._prompts.set_view(view)
        self._candidates.move_to(self._image, view)
        self._last_read = Prompts()
        identity = self._identities.setdefault(self._image, object())
        look_number = self._look_numbers.get(self._image, 0)
        in_sight = view_of_plane(self._viewer, self._image, view)
        place = identity, view
        self._session.set_image(plane, (*place, look_number), in_sight, place)
        self._session.embed_ahead([self._image_plane(self._image, one) for one in following])
        if before is None or before.shape_nd != view.shape_nd:
            self._settle_target(self._image, view)
        self._connect_target_to_plane()
        if place in self._restored:
            self._restored.remove(place)
            self._write_prompts()
        else:
            self._on_prompts_changed()
        self.stack_changed.emit(stack_size(view))

    def _image_plane(self, image: Image, view: PlaneView) -> ImagePlane:
        plane = self.looks.image_plane(image, view)
        return replace(plane, embeddings=self.brought.of(image, view))

    def prepare_stack(self) -> None:
        """Embed the planes at all positions of the slider next to the one that is shown."""
        if self._image is not None and self.looks.is_outdated(self._image):
            self.look_again()
            self._check_plane()  # at once: the planes are to look like the one that is shown
        image, view = self._image, self._view
        if image is not None and view is not None:
            views = stack_around(view).items()
            planes = {name: self._image_plane(image, one) for name, one in views}
            self._session.prepare(planes)

    def _go_to_place(self, place: tuple[object, PlaneView]) -> None:
        """Show a plane on which something was undone, if its image is still there."""
        self._restored.add(place)
        identity, view = place
        image = next((one for one, known in self._identities.items() if known is identity), None)
        if image is None or image not in self._layers:
            return
        self.set_image(image)
        self.show_plane(image, view)

    def show_plane(self, image: Image, view: PlaneView) -> None:
        """Move the sliders to where a plane of an image is."""
        dims = self._viewer.dims
        corner = image.data_to_world(view.offset)
        first = dims.ndim - image.ndim
        for axis in range(image.ndim):
            if axis not in (view.row_axis, view.column_axis, view.channel_axis):
                dims.set_point(first + axis, corner[axis])

    def _leave_plane(self) -> None:
        self._view, self._last_read = None, Prompts()
        self._prompts.set_view(None)
        self._candidates.show(None, None)
        self.stack_changed.emit(stack_size(None))

    # Prompts -------------------------------------------------------------------------------

    @property
    def polarity(self) -> int:
        """The point label of the next click: 1 foreground, 0 background."""
        return self._prompts.polarity

    def set_polarity(self, label: int) -> None:
        """Say what the next click on the points layer means."""
        self._prompts.set_polarity(label)
        self.polarity_changed.emit(label)

    def flip_polarity(self) -> None:
        """Flip what the next click means, and the points the person has selected."""
        points = self._prompts.points
        if points is not None and points.is_own:
            points.flip_selected()
        self.set_polarity(BACKGROUND if self.polarity == FOREGROUND else FOREGROUND)

    def start_points(self) -> None:
        """Get ready for clicks: our points layer, or the person's, is selected in add mode."""
        points = self._prompts.make_points()
        if points is not None:
            self._layers.activate(points.layer)
            points.layer.mode = "add"
            self._begin_to_make_candidates()

    def start_boxes(self) -> None:
        """Get ready to draw a box."""
        self.start_shape("rectangle")

    def start_shape(self, tool: str) -> None:
        """Get ready to draw with one of `TOOLS` in our boxes layer, or in the person's."""
        boxes = self._prompts.make_boxes()
        if boxes is not None:
            self._layers.activate(boxes.layer)
            boxes.layer.mode = TOOLS[tool]
            self._begin_to_make_candidates()

    @property
    def persons_prompt_layers(self) -> tuple[Points | None, Shapes | None]:
        """The person's layers that prompts are read from; None stands for ours."""
        points, boxes = self._prompts.points, self._prompts.boxes
        return (
            None if points is None or points.is_own else points.layer,
            None if boxes is None or boxes.is_own else boxes.layer,
        )

    def set_prompt_layers(self, points: Points | None, boxes: Shapes | None) -> None:
        """Read prompts from layers of the person's; None stands for ours."""
        self._prompts.use_points(points)
        self._prompts.use_boxes(boxes)
        self._on_prompts_changed()
        self.prompt_layers_changed.emit(points, boxes)

    def _on_prompts_changed(self) -> None:
        prompts = self._prompts.read()
        if prompts != self._last_read:
            self._last_read = prompts
            self._session.set_prompts(prompts)

    def _on_gesture(self, begins: bool) -> None:
        if begins:
            self._session.begin_gesture()
        else:
            self._session.end_gesture()
            # Only when napari has finished drawing may the box before this one be removed.
            self._defer(self._write_prompts)

    def _write_prompts(self) -> None:
        """Make the layers say what the session says."""
        if not self._is_closed:
            self._prompts.write(self._session.state.prompts)
            self._last_read = self._prompts.read()

    # Candidates ------------------------------------------------------------------------------

    def _begin_to_make_candidates(self) -> None:
        """Make the candidate layers one by one, with time for the person in between."""
        if not self._is_making_candidates:
            self._is_making_candidates = True
            self._defer(self._make_next_candidate)

    def _make_next_candidate(self) -> None:
        self._is_making_candidates = not self._is_closed and self._candidates.make_one()
        if self._is_making_candidates:
            self._defer(self._make_next_candidate)

    def _add_candidate(self, layer: Labels) -> None:
        self._layers.add(layer, below=self._prompts.own_layers)
        self.keys.bind(layer)

    def _on_session_changed(self, state: SessionState) -> None:
        if state.prompts != self._last_read and self._view is not None:
            if state.prompts.is_empty and self.polarity == BACKGROUND:
                self.set_polarity(FOREGROUND)  # an object begins with what belongs to it
            self._write_prompts()
        if state.candidates is None and state.preview is not None:
            self._candidates.show(state.preview, state.preview.best, lightly=True)
        elif state.candidates is not None or not state.is_decoding:
            self._candidates.show(state.candidates, state.chosen)

    def set_hover(self, on: bool) -> None:
        """Preview the mask under the cursor as it moves over the image, or cease to."""
        self._cursor.switch(on)
        self.hover_changed.emit(on)

    def _on_cursor_moved(self, world: NDArray[np.float64] | None) -> None:
        image, view = self._image, self._view
        prompts = None
        if world is not None and image is not None and view is not None:
            points_rc = np.asarray(image.world_to_data(world), float)[np.newaxis]
            prompts = Prompts(tuple(map(tuple, view.to_xy(points_rc))), (FOREGROUND,))
        self._session.hover(prompts)

    def _on_active_layer_changed(self) -> None:
        number = self._candidates.number_of(self._viewer.layers.selection.active)
        candidates = self._session.state.candidates
        if number is not None and not self._layers.is_changing and candidates is not None:
            self._session.choose(min(number, len(candidates) - 1))

    # Accepted objects ------------------------------------------------------------------------

    @property
    def target(self) -> Labels | None:
        """The layer that accepted objects go to; None: a new one will be made."""
        return None if self._target is None else self._target.layer

    def set_target(self, layer: Labels | None) -> None:
        """Choose the layer that accepted objects go to; None: a new one named after the image.

        Raises
        ------
        TargetError
            If objects of the image cannot be written into it; the target stays as it was.
        """
        if layer is self.target:
            return
        if layer is not None and self._image is not None and self._view is not None:
            check_target(layer, self._image, self._view)
        if self._image is not None:
            self._target_of[self._image] = layer
        self._use_target(layer)
        self._connect_target_to_plane()
        self.target_changed.emit(layer)

    def _use_target(self, layer: Labels | None) -> None:
        self._target = None
        if layer is not None:
            if layer not in self._targets:
                self._targets[layer] = TargetLayer(layer, self._defer)
            self._target = self._targets[layer]

    def _settle_target(self, image: Image, view: PlaneView) -> None:
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
            self.warned.emit(why)
        elif before is not None and fitting is not None:
            self.warned.emit(f"'{before.name}' does not fit now: objects go to '{fitting.name}'.")

    def _targets_to_try(self, image: Image) -> list[Labels]:
        """Return the target in use, that of the image, and those made for it, the newest first."""
        if self.target is None and self._target_of.get(image, image) is None:
            return []  # the person wants a new one
        made = [layer for layer in self._layers.of_type(Labels) if was_made_for(layer, image)]
        tried = [self.target, self._target_of.get(image), *reversed(made)]
        return [layer for layer in dict.fromkeys(tried) if layer is not None]

    def accept(self) -> None:
        """Write the shown candidate into the target as a new object."""
        self.attempt(self._session.accept)

    def undo(self) -> None:
        """Take back the last change of the prompts or the last accepted object."""
        self.attempt(self._session.undo)

    def redo(self) -> None:
        """Repeat what was undone last."""
        self.attempt(self._session.redo)

    @property
    def target_layer(self) -> TargetLayer | None:
        """The target with what is known of its objects."""
        return self._target

    def need_target(self) -> TargetLayer | None:
        """Return the target, a new one if there was none; None without an image."""
        if self._target is None:
            self._make_target()
        return self._target

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

    @property
    def shown_plane(self) -> tuple[Image, PlaneView]:
        """The image and the plane of it that is shown.

        Raises
        ------
        TargetError
            If there is none.
        """
        if self._image is None or self._view is None:
            msg = "Open and choose the image first that the objects belong to."
            raise TargetError(msg)
        return self._image, self._view

    def objects_in(self, layer: Layer) -> Read:
        """Return what gives the objects that a layer of the person's asks for on the shown plane.

        Raises
        ------
        TargetError
            If there is no plane, or the layer does not lie on it.
        """
        return objects_in_layer(layer, *self.shown_plane, self._viewer.dims)

    def reopen_under_cursor(self) -> None:
        """Have the object under the cursor be the one that is being made.

        Where there is no accepted one, that of another visible Labels layer is what a new object
        begins with.
        """
        self.attempt(self._reopen_or_improve)

    def _reopen_or_improve(self) -> None:
        if self._label_id_under_cursor() == 0 and self._image is not None:
            for layer in reversed(self._layers.of_type(Labels)):
                if layer.visible and layer is not self.target and not self.is_ours(layer):
                    region = region_at(layer, *self.shown_plane, self._viewer.cursor.position)
                    if region is not None:
                        self._session.improve(*region)
                        return
        self._session.reopen(self._object_under_cursor())

    def reopen(self, label_id: int) -> None:
        """Have an accepted object be the one that is being made, once its slice is shown."""
        self._defer(lambda: self.attempt(lambda: self._session.reopen(label_id)))

    def remove_under_cursor(self) -> None:
        """Delete the accepted object under the cursor."""
        self.attempt(lambda: self._session.remove([self._object_under_cursor()]))

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

    def attempt(self, action: Callable[[], object]) -> None:
        """Do something to objects; that the target refuses it is told by `warned`."""
        try:
            action()
        except TargetError as error:
            self.warned.emit(str(error))

    def _make_target(self) -> None:
        if self._image is not None and self._view is not None:
            layer = new_target_layer(self._image, self._view)
            self.add_target(layer, self.follow_labels(layer), self._image)

    def follow_labels(self, layer: Labels) -> TargetLayer:
        """Return an empty layer that is not in the viewer yet, as what takes objects."""
        return TargetLayer(layer, self._defer, is_empty=True)

    def add_target(self, layer: Labels, target: TargetLayer, image: Image) -> None:
        """Add a layer, as it is followed, to the viewer, and write objects of an image into it.

        Raises
        ------
        TargetError
            If that is not possible: the layer is there, and the target stays as it was.
        """
        self._targets[layer] = target
        beneath = [
            known
            for known in self._layers.of_type(Image, Labels)
            if known is image or was_made_for(known, image)
        ]
        self._layers.add(layer, above=beneath[-1] if beneath else None)
        if image is self._image:
            self.set_target(layer)
        else:
            self._target_of[image] = layer

    def _connect_target_to_plane(self) -> None:
        plane = None
        if self._target is not None and self._view is not None:
            view = self._view.for_labels(self._target.layer.ndim)
            plane = TargetPlane(self._target, view)
        self._session.set_target(plane)

    # Deleted layers ----------------------------------------------------------------------------

    def _on_layer_removed(self, event: Event) -> None:
        layer: Layer = event.value
        if self._layers.is_changing:
            return
        if self.is_ours(layer):
            self.keys.unbind(layer)
        self._candidates.forget(layer)
        if layer is self._image:
            self.brought.stop()
            self.set_image(None)
            # Whoever deletes one layer after another is done by then.
            self._defer(self._go_on_with_another_image)
        elif self._prompts.forget(layer):
            self._on_prompts_changed()
            self.prompt_layers_changed.emit(None, None)
        elif isinstance(layer, Labels):
            self._forget_target(layer)

    def _go_on_with_another_image(self) -> None:
        if not self._is_closed and self._image is None:
            self.choose_image()

    def _forget_target(self, layer: Labels) -> None:
        if layer in self._targets:
            self._targets.pop(layer).mark_gone()
        if layer is self.target:
            self.set_target(None)
        for image in [one for one, chosen in self._target_of.items() if chosen is layer]:
            self._target_of[image] = None
