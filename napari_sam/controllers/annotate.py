"""Connects the panels for annotating an image with its layers and the session."""

from collections.abc import Iterable
from typing import Final

from napari.layers import Image, Layer
from napari.utils.events import Event
from psygnal import Signal

from napari_sam._qt.building import rest_timer
from napari_sam._qt.colors import Severity
from napari_sam._qt.image_panel import ImagePanel
from napari_sam._qt.mask_panel import MaskPanel
from napari_sam._qt.object_panel import ObjectPanel
from napari_sam._qt.prompt_panel import OPEN_HINTS, TOOL_HINTS, PromptPanel
from napari_sam._qt.workarounds import CalmStatusBar
from napari_sam.controllers.context import WidgetContext
from napari_sam.controllers.running_work import RunningWork
from napari_sam.layers import CANDIDATE_COLOR
from napari_sam.layers.conversion import as_image, is_opened_as_labels
from napari_sam.layers.image_cover import ImageCover
from napari_sam.layers.plane_view import is_gray_with_alpha
from napari_sam.layers.viewer_layers import was_made_for
from napari_sam.session.automatic.masks import MaskKey
from napari_sam.session.connections import Connections
from napari_sam.session.embedding.phase import Phase
from napari_sam.session.state import EARLY_HINT, SEVERAL_HINT, START_HINT, SessionState

_CAMERA_MS: Final = 300
"""How long the camera has to rest before the visible part of a large image is embedded."""
_APPEARANCE_MS: Final = 600
"""How long contrast limits and gamma have to rest before the image is embedded again."""

_REFINING_MS: Final = 150
"""How long better masks have to be on their way for that to be said."""


class AnnotateController:
    """Runs the panels for image, prompts, masks and accepting."""

    user_layers_changed = Signal(list)
    """The user's layers, the topmost first."""

    def __init__(self, context: WidgetContext) -> None:
        self._binding, self._session = binding, session = context.binding, context.session
        self._viewer, widget = context.viewer, context.widget
        self.image_panel = ImagePanel()
        self.prompt_panel = PromptPanel()
        self.mask_panel = MaskPanel((CANDIDATE_COLOR,))
        self.object_panel = ObjectPanel()
        self._messages = context.messages
        self.hint = context.messages.line
        self._status_bar = CalmStatusBar(widget)
        plane = binding.plane
        self._camera_timer = rest_timer(widget, _CAMERA_MS, plane.update_view)
        self._appearance_timer = rest_timer(widget, _APPEARANCE_MS, plane.update_appearance)
        self._refining_timer = rest_timer(widget, _REFINING_MS, self._on_refining)
        self._opened_image: Image | None = None
        self._cover = ImageCover(context.viewer, self._show_hint)
        self._running = RunningWork(session)
        self._opened_timer = rest_timer(widget, 0, self._tell_which_image)
        self._connect_image()
        self._connect_prompts()
        self._connect_objects()
        self._in_progress: tuple[object, ...] = ()
        self._mask_shown: MaskKey | None = None
        self._last_hint = ""
        self._conversion_hint = ""
        self._connections = self._connect_layers()
        self._on_session_changed(session.state)
        self._on_tool_changed(binding.prompts.tool)

    def close(self) -> None:
        """Disconnect from session, layers and viewer."""
        self._connections.close()
        self._cover.close()
        self._running.close()
        self._messages.close()
        self._opened_timer.stop()
        self._refining_timer.stop()
        self._status_bar.calm(False)

    @property
    def is_idle(self) -> bool:
        """Whether camera and contrast are at rest."""
        return not self._camera_timer.isActive() and not self._appearance_timer.isActive()

    def _connect_image(self) -> None:
        image, session = self.image_panel, self._session
        image.image_combo.chosen.connect(self.choose_image)
        image.convert.clicked.connect(self._convert)
        image.cancel_requested.connect(session.embedding.cancel)
        image.embed_requested.connect(session.embedding.embed)

    def _connect_prompts(self) -> None:
        panel, prompts = self.prompt_panel, self._binding.prompts
        panel.points_requested.connect(prompts.start_points)
        panel.shape_requested.connect(prompts.start_shape)
        panel.polarity_requested.connect(prompts.set_polarity)
        panel.brush_requested.connect(lambda: self._binding.brush.toggle(at_cursor=False))
        panel.hover.toggled.connect(self._binding.candidates.set_hover)
        panel.accept_on_click.toggled.connect(self._on_accept_on_click_toggled)
        in_progress, masks = self._session.object_in_progress, self.mask_panel
        masks.candidate_requested.connect(in_progress.choose)
        masks.level_requested.connect(in_progress.set_level)
        masks.level.dragged.connect(in_progress.set_gesture)

    def _connect_objects(self) -> None:
        panel, objects = self.object_panel, self._binding.objects
        panel.clear.clicked.connect(self._session.object_in_progress.clear)
        panel.accept_requested.connect(objects.accept)
        panel.undo.clicked.connect(objects.undo)
        panel.redo.clicked.connect(objects.redo)

    def _connect_layers(self) -> Connections:
        binding, layers = self._binding, self._viewer.layers.events
        return Connections(
            (self._session.changed, self._on_session_changed),
            (self._session.automatic_review.changed, self._on_review_changed),
            (self._session.stack.corrections.changed, self._show_hint),
            (self._running.changed, self._show_hint),
            (self._session.notifier.warned, self._messages.warn),
            (self._session.accepted, self._messages.done),
            (self._session.editing.restored, self._messages.done),
            (binding.prompts.polarity_changed, self.prompt_panel.show_polarity),
            (binding.prompts.tool_changed, self._on_tool_changed),
            (binding.brush.changed, self._on_brush_changed),
            (binding.candidates.hover_changed, self.prompt_panel.show_hover),
            (binding.candidates.hover_changed, self._status_bar.calm),
            (binding.plane.appearance_changed, lambda: self._appearance_timer.start()),
            (binding.plane.camera_moved, lambda: self._camera_timer.start()),
            (binding.image_changed, self._on_image_changed),
            (binding.target.changed, self.show_layers),
            (binding.prompts.layers_changed, self.show_layers),
            (layers.inserted, self._on_layer_inserted),
            (layers.removed, self.show_layers),
            (layers.reordered, self.show_layers),
            (layers.renamed, self.show_layers),
            (self._viewer.layers.selection.events.active, self._offer_conversion),
            (self._viewer.layers.selection.events.changed, self._show_hint),
        )

    # From session and viewer -------------------------------------------------------------------

    def _on_session_changed(self, state: SessionState) -> None:
        panels = self.prompt_panel, self.mask_panel, self.object_panel
        for part in (self.image_panel, *panels, self._status_bar):
            part.show_state(state)
        in_progress = state.prompts, state.candidates, state.chosen
        if in_progress != self._in_progress:
            self._messages.done()
        self._in_progress = in_progress
        if state.hint != self._last_hint:
            self._messages.withdraw(self._last_hint)  # as after a key that was refused in 3D
            self._last_hint = state.hint
        if not state.refining_hint:
            self._refining_timer.stop()
            self.image_panel.show_refining(False)
        elif not (self.image_panel.is_refining or self._refining_timer.isActive()):
            self._refining_timer.start()
        self._show_hint()

    def _on_refining(self) -> None:
        """Say that better masks are on their way, as that takes longer than a moment."""
        self.image_panel.show_refining(True)
        self._show_hint()

    def _on_review_changed(self) -> None:
        review = self._session.automatic_review
        current = review.current
        self.object_panel.show_automatic(review.offer, is_reviewing=current is not None)
        before, self._mask_shown = self._mask_shown, None if current is None else current.key
        if self._mask_shown != before:
            self._messages.done()
        self._show_hint()

    def _on_tool_changed(self, tool: str) -> None:
        self.prompt_panel.show_tool(tool)
        self._show_hint()

    def _on_brush_changed(self) -> None:
        self.prompt_panel.show_brush(is_used=self._binding.brush.label_id is not None)
        self._show_hint()

    def _show_hint(self) -> None:
        """Show what the user can do next: with a new object, or in the review of masks."""
        state = self._session.state
        # Prompts during a review start an object of their own.
        of_review = self._session.automatic_review.hint if state.prompts.is_empty else ""
        prompts = self._binding.prompts
        tool_hint = TOOL_HINTS.get(prompts.tool, "")
        if state.hint == START_HINT and self._running.hint:
            tool_hint = self._running.hint
        if prompts.image_prompts.has_open_shape:
            tool_hint = OPEN_HINTS.get(prompts.tool, "")
        elif tool_hint and state.hint == EARLY_HINT:
            tool_hint += " Masks appear once the image is embedded."
        elif state.hint != START_HINT:
            tool_hint = self._conversion_hint if state.phase is Phase.NO_IMAGE else ""
        is_failure = state.phase is Phase.FAILED
        if not is_failure and not prompts.image_prompts.has_open_shape:
            tool_hint = self._correction_hint or self._cover_hint or tool_hint
        if not is_failure and self._binding.is_selected_with_others:
            of_review, tool_hint = "", SEVERAL_HINT
        severity = Severity.ERROR if is_failure and state.has_image else Severity.HINT
        of_brush = self._brush_hint
        if of_brush:
            severity = Severity.HINT
        hint = state.refining_hint if self.image_panel.is_refining else state.hint
        self._messages.hint(of_brush or of_review or tool_hint or hint, severity)

    @property
    def _cover_hint(self) -> str:
        """Which image hides the annotated one, and what to do about it; empty if none does."""
        image = self._binding.plane.image
        cover = None if image is None else self._cover.over(image)
        if image is None or cover is None:
            return ""
        if cover is self._opened_image:
            return _still_annotating(image, cover)
        return (
            f"'{image.name}' is hidden by '{cover.name}': hide that layer, "
            f"or move '{image.name}' above it."
        )

    @property
    def _correction_hint(self) -> str:
        """What clicks correct, and how to leave that; empty while they begin other objects."""
        hint = self._session.stack.corrections.hint
        key = self._binding.shortcuts.text_of("stop_propagating")
        return f"{hint}; {key} to leave." if hint and key else hint and f"{hint}."

    @property
    def _brush_hint(self) -> str:
        """What is painted on with the brush key, and how to go back; empty without the brush."""
        label_id, labels = self._binding.brush.label_id, self._binding.target.labels
        if label_id is None:
            return ""
        key = self._binding.shortcuts.text_of("brush")
        if label_id == 0:
            doing = "Erasing"
        elif labels is not None and labels.registry.get(label_id) is not None:
            doing = f"Painting on object {label_id}"
        else:
            doing = f"Painting new object {label_id}"
        return f"{doing}: press {key} to return." if key else f"{doing}."

    def _on_layer_inserted(self, event: Event) -> None:
        """Start on the first image that is added, as if it had been there from the beginning.

        Not for a layer of another kind: the user may have chosen to have no image.
        """
        self.show_layers()
        layer = event.value
        if isinstance(layer, Image):
            if self._binding.plane.image is None:
                self._binding.choose_image()
            else:
                self._opened_image = layer
                self._opened_timer.start()

    def _on_image_changed(self) -> None:
        self._opened_image = None
        self.show_layers()

    def _tell_which_image(self) -> None:
        """Say that an image was only opened, unless whoever opened it has chosen it as well.

        Where it hides the annotated one, the hint says so, for as long as that is true.
        """
        layer, image = self._opened_image, self._binding.plane.image
        if layer is None or image is None or was_made_for(layer, image):
            return
        if self._cover.over(image) is layer:
            return
        if self.image_panel.isVisible() and layer in self._viewer.layers:
            self._messages.note(_still_annotating(image, layer))

    def show_layers(self) -> None:
        """Offer the viewer's layers where one can be chosen."""
        binding = self._binding
        layers: Iterable[Layer] = reversed(self._viewer.layers)
        users = [layer for layer in layers if not binding.is_ours(layer)]
        images = [layer for layer in users if isinstance(layer, Image)]
        self.image_panel.image_combo.set_layers(images, binding.plane.image)
        self._cover.follow(images)
        if self._opened_image not in images:
            self._opened_image = None
        self._offer_conversion()
        self.user_layers_changed.emit(users)

    @property
    def _convertible(self) -> Layer | None:
        """A layer that the user may want to annotate, but that is not an image as it is."""
        image, layers = self._binding.plane.image, list(self._viewer.layers)
        if image is not None and is_gray_with_alpha(image):
            return image
        if any(isinstance(layer, Image) for layer in layers):
            layers = [layer for layer in layers if layer is self._viewer.layers.selection.active]
        target = self._binding.target.layer
        labels = (layer for layer in layers if layer is not target)
        return next(filter(is_opened_as_labels, labels), None)

    def _offer_conversion(self) -> None:
        convertible = self._convertible
        name = "" if convertible is None else convertible.name
        self.image_panel.offer_conversion(name)
        self._conversion_hint = (
            f"Press Convert to annotate '{name}', whose integers napari opened as labels."
            if name
            else ""
        )
        self._show_hint()

    def _convert(self) -> None:
        layer = self._convertible
        if layer is not None:
            image, index = as_image(layer), self._viewer.layers.index(layer)
            self._viewer.layers.remove(layer)  # first, so that its name is free
            self._viewer.layers.insert(index, image)
            self._binding.set_image(image)

    # From the panels ---------------------------------------------------------------------------

    def choose_image(self, image: Image | None) -> None:
        """Annotate an image that the user has chosen, with clicks to begin with."""
        self._binding.set_image(image)
        if self._binding.prompts.image_prompts.view is not None and not self._binding.prompts.tool:
            self._binding.prompts.start_points()

    def _on_accept_on_click_toggled(self, is_on: bool) -> None:
        """Accept at once from now on; whoever has no tool yet begins with clicks."""
        self._session.object_in_progress.set_accept_on_click(is_on)
        if is_on and not self._binding.prompts.tool:
            self._binding.prompts.start_points()


def _still_annotating(image: Image, opened: Image) -> str:
    return f"Still annotating '{image.name}': choose '{opened.name}' at the top to switch."
