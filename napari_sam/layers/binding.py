"""Connects a viewer's layers with an annotation session, in both directions."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils.events import Event
from psygnal import Signal

from napari_sam.layers.automatic_layer import is_automatic_layer
from napari_sam.layers.brush import Brush
from napari_sam.layers.candidate_binding import CandidateBinding
from napari_sam.layers.display import Display
from napari_sam.layers.napari_workarounds import compile_shapes
from napari_sam.layers.objects_binding import ObjectsBinding
from napari_sam.layers.plane_binding import PlaneBinding
from napari_sam.layers.plane_source import PlaneKey
from napari_sam.layers.plane_view import PlaneView, ShownPlane
from napari_sam.layers.prompt_binding import PromptBinding
from napari_sam.layers.shape_prompts import TOOLS
from napari_sam.layers.shortcuts import tool_command
from napari_sam.layers.target_binding import TargetBinding
from napari_sam.layers.tracks_binding import TracksBinding
from napari_sam.layers.workspace import Workspace
from napari_sam.session.connections import Connections
from napari_sam.session.jobs import Defer
from napari_sam.session.plane_request import PlaneRequest
from napari_sam.session.session import AnnotationSession


class LayerBinding:
    """Reads image and prompts from a viewer's layers, writes candidates and objects to them.

    Layers are held as objects; a layer may be renamed, hidden, moved or deleted at any moment.
    """

    image_changed = Signal(object)
    """The image layer (or None) that is annotated now."""

    def __init__(
        self, viewer: ViewerModel, session: AnnotationSession, defer: Defer, defer_longer: Defer
    ) -> None:
        self._viewer, self._session, self._defer = viewer, session, defer
        workspace = Workspace(viewer, session, defer, defer_longer)
        self._layers = workspace.layers
        self._is_closed = False
        self.shortcuts = workspace.shortcuts
        """The keys on our layers, which the user can choose."""
        self.plane = PlaneBinding(workspace, self._on_plane_changed)
        """The image, and the plane of it that is shown."""
        self.target = TargetBinding(workspace, self.plane)
        """The layer that accepted objects go to."""
        self.objects = ObjectsBinding(workspace, self.plane, self.target, self.is_ours)
        """The accepted objects."""
        self.tracks = TracksBinding(workspace, self.plane, self.target)
        """The objects through the frames of a film."""
        self.prompts = PromptBinding(workspace)
        """The prompt layers."""
        self.brush = Brush(workspace, self.target, self.objects, self.prompts)
        """napari's brush, for painting on accepted objects."""
        self.candidates = CandidateBinding(workspace, self.plane, self.prompts)
        """The candidate layers, and the preview under the cursor."""
        self.display = Display(self.target, self.candidates.candidate_layers)
        """How the target and the candidates are drawn."""
        compile_shapes()
        self._register_shortcuts()
        self._connections = Connections(
            (session.changed, self.prompts.show),
            (session.changed, self.candidates.show),
            (session.plane_wanted, self._go_to_plane),
            (self.plane.moved, self.candidates.candidate_layers.follow_image),
            (self.plane.moved, self.prompts.image_prompts.follow_image),
            (viewer.layers.events.removed, self._on_layer_removed),
            (viewer.layers.selection.events.active, self.candidates.choose_active),
        )

    def _register_shortcuts(self) -> None:
        in_progress, objects = self._session.object_in_progress, self.objects
        self.shortcuts.register(
            {
                "accept": objects.accept,
                "clear": in_progress.clear,
                "next": in_progress.choose_next,
                "previous": lambda: in_progress.choose_next(-1),
                "grow": lambda: self.candidates.change_level(1),
                "shrink": lambda: self.candidates.change_level(-1),
                "flip": self.prompts.flip_polarity,
                "hover": self.candidates.toggle_hover,
                "reedit": objects.reedit_under_cursor,
                "brush": self.brush.toggle,
                "outlines": self.display.toggle_outlined,
                "undo": objects.undo,
                "redo": objects.redo,
                tool_command("points"): self.prompts.start_points,
            }
            | {tool_command(tool): partial(self.prompts.start_shape, tool) for tool in TOOLS}
        )

    def close(self) -> None:
        """Disconnect from the viewer: candidates are removed; prompts and objects stay."""
        self._is_closed = True
        self._connections.close()
        self._bind_keys(self.plane.image, None)
        self.plane.close()
        self.brush.close()
        self.objects.close()
        self.tracks.close()
        self.display.close()
        self.target.close()
        image_prompts = self.prompts.image_prompts
        has_layers = bool(image_prompts.own_layers) or self.candidates.candidate_layers.exist
        with self._layers.removed_together() if has_layers else nullcontext():
            self.prompts.close()
            self.candidates.close()

    @property
    def is_idle(self) -> bool:
        """Whether the session knows everything that the viewer shows."""
        is_due = self.plane.is_check_due or self.candidates.is_making
        return not is_due and self.tracks.is_idle

    def is_ours(self, layer: Layer) -> bool:
        """Whether a layer is one of our prompt, candidate or automatic layers."""
        candidate = self.candidates.candidate_layers.number_of(layer)
        own_prompts = self.prompts.image_prompts.own_layers
        is_ours = candidate is not None or any(layer is own for own in own_prompts)
        return is_ours or is_automatic_layer(layer)

    @property
    def is_selected_with_others(self) -> bool:
        """Whether one of our layers is selected among others: napari gives keys to none then."""
        selected = self._viewer.layers.selection
        return len(selected) > 1 and any(self.is_ours(layer) for layer in selected)

    # The image and its planes ------------------------------------------------------------------

    def set_image(self, image: Image | None) -> None:
        """Annotate another image layer; its embedding is computed at once, in the background.

        The prompts of the image before are put away, and are back when it is chosen again.
        """
        if image is self.plane.image:
            return
        is_prompting = self._is_prompting
        self._session.prefetch.cancel("Another image was chosen")
        self._session.batch_prompts.abort("Another image was chosen")
        self._session.stack.abort("Another image was chosen")
        self._bind_keys(self.plane.image, image)
        self.plane.follow(image)
        self.target.restore(None)
        self.candidates.candidate_layers.remove()
        self.prompts.image_prompts.set_image(image)
        self.plane.check()
        if self.plane.view is None and image is not None:
            self.target.restore(image)
        self.image_changed.emit(image)
        self.target.announce()
        if is_prompting and self.prompts.image_prompts.points.prompts is not None:
            self.prompts.start_points()  # whoever was clicking continues, with the same keys

    def _bind_keys(self, former: Image | None, image: Image | None) -> None:
        """Let the keys of the tools and of the history work while the image itself is selected."""
        if former is not None:
            self.shortcuts.unbind(former)
        if image is not None:
            run = self.shortcuts.run
            commands = ["undo", "redo", "brush", *map(tool_command, ("points", *TOOLS))]
            self.shortcuts.bind(image, {command: partial(run, command) for command in commands})

    @property
    def _is_prompting(self) -> bool:
        active = self._viewer.layers.selection.active
        return active is not None and self.is_ours(active)

    def choose_image(self) -> None:
        """Annotate the image that is selected, else the topmost, if there is one."""
        active = self._viewer.layers.selection.active
        images = self._layers.of_type(Image)
        chosen = [layer for layer in images if layer is active] or images
        self.set_image(chosen[-1] if chosen else None)

    def _on_plane_changed(self, request: PlaneRequest, previous: PlaneView | None) -> None:
        """Complete the request for the plane that is shown, and show it to the session."""
        shown, message, is_prompting = self.plane.shown, None, self._is_prompting
        prompts = self.prompts.go_to_plane(request.key, self.plane.view)
        self.candidates.candidate_layers.move_to(shown)
        if shown is not None and (previous is None or previous.shape_nd != shown.view.shape_nd):
            message = self.target.settle(shown)
        self._session.show(replace(request, target=self.target.labels_plane, prompts=prompts))
        if message is not None:
            self.target.announce(message)
        if is_prompting and not self._is_prompting:  # its layer did not fit
            self.prompts.start_points()

    def _go_to_plane(self, key: PlaneKey, message: str) -> None:
        """Show a plane on which something was undone; if its image is gone, report the change."""
        self.prompts.note_undone(key)
        image, (_, view) = self.plane.source.image_of(key), key
        is_gone = image is None or image not in self._layers
        if image is None or is_gone or not ShownPlane(image, view).is_possible:
            if message:
                self._session.notifier.warn(message)
            return
        if image is not self.plane.image:
            self.set_image(image)
            self.prompts.start_points()  # else no layer would be selected, and no key work
            text = f"That step was on '{image.name}', which is annotated again now."
            self._session.notifier.warn(text)
        self.plane.go_to(view)

    # Events ----------------------------------------------------------------------------------

    def _on_layer_removed(self, event: Event) -> None:
        layer: Layer = event.value
        if self._layers.is_changing:
            return
        if self.is_ours(layer):
            self.shortcuts.unbind(layer)
        if self.candidates.candidate_layers.forget(layer):
            self._defer(self._show_candidates)
        if layer is self.plane.image:
            self.plane.source.imported_embeddings.stop()
            self.set_image(None)
            # Whoever deletes one layer after another is done by then.
            self._defer(self._choose_another_image)
        elif not self.prompts.forget(layer) and isinstance(layer, Labels):
            self.target.forget(layer)

    def _show_candidates(self) -> None:
        """Show the mask that would be accepted again, though the user has deleted its layer."""
        if not self._is_closed and self._session.state.candidates is not None:
            self.candidates.show(self._session.state)

    def _choose_another_image(self) -> None:
        if not self._is_closed and self.plane.image is None:
            self.choose_image()
