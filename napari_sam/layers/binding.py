"""Connects a viewer's layers with an annotation session, in both directions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.events import Event
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.layers.automatic_layer import is_automatic_layer
from napari_sam.layers.candidate_layers import CandidateLayers
from napari_sam.layers.cursor import CursorTracker
from napari_sam.layers.objects_binding import ObjectsBinding
from napari_sam.layers.plane_view import PlaneView
from napari_sam.layers.prompt_binding import PromptBinding
from napari_sam.layers.shape_prompts import TOOLS
from napari_sam.layers.shortcuts import ShortcutMap
from napari_sam.layers.shown_plane import PlaceId, ShownPlane
from napari_sam.layers.viewer_layers import ViewerLayers
from napari_sam.session.connections import Connections
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND, Prompts
from napari_sam.session.session import AnnotationSession
from napari_sam.session.state import SessionState


class LayerBinding:
    """Reads image and prompts from a viewer's layers, writes candidates and objects to them.

    Layers are held as objects; a layer may be renamed, hidden, moved or deleted at any moment.
    """

    image_changed = Signal(object)
    """The image layer (or None) that is annotated now."""
    prompt_layers_changed = Signal(object, object)
    """The user's own Points and Shapes layers that are prompts; None stands for ours."""
    polarity_changed = Signal(int)
    """The point label of the next click: 1 foreground, 0 background."""
    hover_changed = Signal(bool)
    """Whether the mask under the cursor is previewed."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: AnnotationSession,
        defer: Callable[[Callable[[], None]], None],
    ) -> None:
        self._viewer, self._session, self._defer = viewer, session, defer
        self._layers = ViewerLayers(viewer.layers)
        self.shown = ShownPlane(
            viewer,
            session,
            defer,
            self._on_plane_coming,
            self._on_plane_shown,
            self._on_plane_left,
        )
        """The image, and the plane of it that is annotated."""
        self.objects = ObjectsBinding(
            viewer, self._layers, session, self.shown, self.is_ours, defer
        )
        """The target and its objects."""
        self._last_read = Prompts()
        # Where prompts were undone while another plane was shown: the layers do not know yet.
        self._restored: set[PlaceId] = set()
        self._is_closed = self._is_making_candidates = False
        self.shortcuts = ShortcutMap()
        """The keys on SAM layers, which the user can change."""
        self.shortcuts.register(
            {
                "accept": self.objects.accept,
                "clear": session.object_in_progress.clear,
                "next": session.object_in_progress.choose_next,
                "previous": lambda: session.object_in_progress.choose_next(-1),
                "flip": self.flip_polarity,
                "hover": lambda: self.set_hover(not self._cursor.is_on),
                "reopen": self.objects.reopen_under_cursor,
                "remove": self.objects.remove_under_cursor,
                "undo": self.objects.undo,
                "redo": self.objects.redo,
            }
        )
        self._prompts = PromptBinding(
            self._layers,
            viewer.dims,
            self._on_prompts_changed,
            self._on_gesture,
            self.shortcuts.bind,
        )
        self._candidates = CandidateLayers(
            self._layers,
            self._add_candidate,
            self.objects.undo,
            self.objects.redo,
        )
        self._cursor = CursorTracker(viewer, self._on_cursor_moved)
        self._connections = Connections(
            (session.changed, self._on_session_changed),
            (session.plane_wanted, self._go_to_place),
            (self.shown.moved, self._on_image_moved),
            (viewer.layers.events.removed, self._on_layer_removed),
            (viewer.layers.selection.events.active, self._on_active_layer_changed),
        )

    def close(self) -> None:
        """Let the viewer go: candidates are removed; prompts, where there are some, stay."""
        self._is_closed = True
        self._cursor.switch(False)
        self._connections.close()
        self.shown.close()
        for layer in self._prompts.own_layers:
            self.shortcuts.unbind(layer)
        self._prompts.close()
        self.objects.close()
        self._candidates.remove()

    @property
    def is_idle(self) -> bool:
        """Whether everything the viewer shows has been looked at."""
        return self.shown.is_idle and not self._is_making_candidates

    def is_ours(self, layer: Layer) -> bool:
        """Whether a layer is one of our prompt, candidate or proposal layers."""
        own = self._prompts.own_layers
        if is_automatic_layer(layer):
            return True
        return self._candidates.number_of(layer) is not None or any(layer is one for one in own)

    # The image and its planes ------------------------------------------------------------------

    def set_image(self, image: Image | None) -> None:
        """Annotate another image layer; its embedding is computed at once, in the background.

        The prompts of the image before are put away, and are back when it is chosen again.
        """
        if image is self.shown.image:
            return
        active = self._viewer.layers.selection.active
        is_prompting = active is not None and self.is_ours(active)
        self._session.ahead.cancel_preparation("Another image was chosen")
        self._session.batch_prompts.give_up("Another image was chosen")
        self.shown.follow(image)
        self.objects.leave_image()
        self._candidates.remove()
        self._prompts.set_image(image)
        self.shown.check()
        if self.shown.view is None and image is not None:
            self.objects.take_up_image(image)
        self.image_changed.emit(image)
        self.objects.target_changed.emit(self.objects.target)
        self.prompt_layers_changed.emit(None, None)
        if is_prompting and self._prompts.points is not None:
            self.start_points()  # whoever was clicking goes on with that, and with its keys

    def choose_image(self) -> None:
        """Annotate the image that is selected, else the topmost, if there is one."""
        active = self._viewer.layers.selection.active
        images = [one for one in self._layers.of_type(Image) if isinstance(one, Image)]
        if isinstance(active, Image) and active in self._layers:
            self.set_image(active)
        else:
            self.set_image(images[-1] if images else None)

    def _on_image_moved(self) -> None:
        self._candidates.follow_image()
        self._prompts.follow_image()

    def _on_plane_coming(self, image: Image, view: PlaneView) -> None:
        self._prompts.set_view(view)
        self._candidates.move_to(image, view)
        self._last_read = Prompts()

    def _on_plane_shown(self, image: Image, place: PlaceId, is_other_stack: bool) -> None:
        if is_other_stack:
            _, view = place
            self.objects.settle_target(image, view)
        self.objects.connect_to_plane()
        if place in self._restored:
            self._restored.remove(place)
            self._write_prompts()
        else:
            self._on_prompts_changed()

    def _on_plane_left(self) -> None:
        self._last_read = Prompts()
        self._prompts.set_view(None)
        self._candidates.show(None, None)

    def _go_to_place(self, place: PlaceId, message: str) -> None:
        """Show a plane on which something was undone; if its image is gone, say what was."""
        self._restored.add(place)
        image = self.shown.image_of(place)
        if image is None or image not in self._layers:
            if message:
                self._session.notifier.warn(message)
            return
        self.set_image(image)
        _, view = place
        self.shown.go_to(image, view)

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
        """Flip what the next click or scribble means, and those the user has selected."""
        self._prompts.flip_selected(self._viewer.layers.selection.active)
        self.set_polarity(BACKGROUND if self.polarity == FOREGROUND else FOREGROUND)

    def start_points(self) -> None:
        """Get ready for clicks: our points layer, or the user's, is selected in add mode."""
        points = self._prompts.make_points()
        if points is not None:
            self._layers.activate(points.layer)
            points.layer.mode = "add"
            self._begin_to_make_candidates()

    def start_boxes(self) -> None:
        """Get ready to draw a box."""
        self.start_shape("rectangle")

    def start_shape(self, tool: str) -> None:
        """Get ready to draw with one of `TOOLS` in our boxes layer, or in the user's."""
        boxes = self._prompts.make_boxes()
        if boxes is not None:
            self._layers.activate(boxes.layer)
            boxes.layer.mode = TOOLS[tool]
            self._begin_to_make_candidates()

    @property
    def persons_prompt_layers(self) -> tuple[Points | None, Shapes | None]:
        """The user's layers that prompts are read from; None stands for ours."""
        points, boxes = self._prompts.points, self._prompts.boxes
        return (
            None if points is None or points.is_own else points.layer,
            None if boxes is None or boxes.is_own else boxes.layer,
        )

    def set_prompt_layers(self, points: Points | None, boxes: Shapes | None) -> None:
        """Read prompts from layers of the user's; None stands for ours."""
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
            self._session.object_in_progress.begin_gesture()
        else:
            self._session.object_in_progress.end_gesture()
            # Only when napari has finished drawing may the box before this one be removed.
            self._defer(self._write_prompts)

    def _write_prompts(self) -> None:
        """Make the layers say what the session says."""
        if not self._is_closed:
            self._prompts.write(self._session.state.prompts)
            self._last_read = self._prompts.read()

    # Candidates ------------------------------------------------------------------------------

    def _begin_to_make_candidates(self) -> None:
        """Make the candidate layers one by one, with time for the user in between."""
        if not self._is_making_candidates:
            self._is_making_candidates = True
            self._defer(self._make_next_candidate)

    def _make_next_candidate(self) -> None:
        self._is_making_candidates = not self._is_closed and self._candidates.make_one()
        if self._is_making_candidates:
            self._defer(self._make_next_candidate)

    def _add_candidate(self, layer: Labels) -> None:
        self._layers.add(layer, below=self._prompts.own_layers)
        self.shortcuts.bind(layer)

    def _on_session_changed(self, state: SessionState) -> None:
        if state.prompts != self._last_read and self.shown.view is not None:
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
        image, view = self.shown.image, self.shown.view
        prompts = None
        if world is not None and image is not None and view is not None:
            points_rc = np.asarray(image.world_to_data(world), float)[np.newaxis]
            prompts = Prompts(tuple(map(tuple, view.to_xy(points_rc))), (FOREGROUND,))
        self._session.object_in_progress.hover(prompts)

    def _on_active_layer_changed(self) -> None:
        number = self._candidates.number_of(self._viewer.layers.selection.active)
        candidates = self._session.state.candidates
        if number is not None and not self._layers.is_changing and candidates is not None:
            self._session.object_in_progress.choose(min(number, len(candidates) - 1))

    # Deleted layers ----------------------------------------------------------------------------

    def _on_layer_removed(self, event: Event) -> None:
        layer: Layer = event.value
        if self._layers.is_changing:
            return
        if self.is_ours(layer):
            self.shortcuts.unbind(layer)
        self._candidates.forget(layer)
        if layer is self.shown.image:
            self.shown.imported_embeddings.stop()
            self.set_image(None)
            # Whoever deletes one layer after another is done by then.
            self._defer(self._go_on_with_another_image)
        elif self._prompts.forget(layer):
            self._on_prompts_changed()
            self.prompt_layers_changed.emit(None, None)
        elif isinstance(layer, Labels):
            self.objects.forget(layer)

    def _go_on_with_another_image(self) -> None:
        if not self._is_closed and self.shown.image is None:
            self.choose_image()
