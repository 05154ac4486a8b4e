"""Connects the panel for automatic masks with the session and the viewer."""

from collections.abc import Callable
from functools import partial

import numpy as np
from napari.layers import Image, Layer
from napari.utils.events import Event
from numpy.typing import NDArray

from napari_sam._qt.automatic_panel import AutomaticPanel
from napari_sam._qt.tabs import Tab
from napari_sam._qt.tool_window import ToolWindow
from napari_sam.controllers.context import WidgetContext
from napari_sam.engine.automatic_presets import EDGE_SETTINGS
from napari_sam.engine.spec import ModelSpec
from napari_sam.layers.automatic_by_products import new_boxes_layer, new_edges_layer
from napari_sam.layers.automatic_layer import AutomaticView
from napari_sam.layers.plane_view import ShownPlane
from napari_sam.session.automatic.generator import AutomaticState
from napari_sam.session.automatic.request import AutomaticRequest, automatic_tiles
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.automatic.similarity import ExistingObjects
from napari_sam.session.connections import Connections
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Box, Tile, TilePyramid
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import counted, covered_left_out
from napari_sam.session.state import SessionState


class AutomaticController:
    """Fulfils the requests of an `AutomaticPanel`, and shows the masks in a layer."""

    def __init__(self, context: WidgetContext) -> None:
        self._binding, self._session = binding, session = context.binding, context.session
        self._viewer = viewer = context.viewer
        self._generator, self._review = session.automatic, session.automatic_review
        self.panel = AutomaticPanel()
        tooltip = "Masks of everything in the image, to choose from"
        self.tab = Tab(self.panel, "Automatic", tooltip)
        self._messages = context.messages
        self._settings_window = ToolWindow(self.panel.form, context.widget)
        self.panel.results.all_settings.clicked.connect(self._settings_window.toggle)
        self._masks_plane: ShownPlane | None = None  # where the masks lie
        self._edges_plane: ShownPlane | None = None
        self._has_nothing_to_match = False  # remaining objects were asked for without any object
        commands: dict[str, Callable[[], None]] = {
            "accept": lambda: self._decide(self._review.accept_current),
            "reject": lambda: self._decide(self._review.reject_current),
            "next": lambda: self._step(1),
            "previous": lambda: self._step(-1),
        }
        for command, action in commands.items():
            getattr(self.panel.results, command).clicked.connect(action)
        shortcuts = binding.shortcuts
        prompting = {key: partial(self._or_hint, shortcuts.commands.get(key)) for key in commands}
        shortcuts.register(prompting)
        history = {"undo": binding.objects.undo, "redo": binding.objects.redo}
        self.view = AutomaticView(viewer, shortcuts, commands | history)
        self._connect()
        self._review.follow_target()
        self._on_plane_changed()

    def _connect(self) -> None:
        panel, run, results = self.panel, self.panel.run, self.panel.results
        self._connections = Connections(
            (run.preview.clicked, self.preview),
            (run.whole.clicked, self.run_whole),
            (run.remaining.clicked, self.run_remaining),
            (run.cancel.clicked, self._generator.cancel),
            (run.detail_chosen, self._show_count),
            (panel.settings_changed, self._on_settings_changed),
            (panel.refused, self._messages.warn),
            (results.accept_all.clicked, self.accept_all),
            (results.discard.clicked, self.discard),
            (results.show_all.clicked, self._review.show_all),
            (results.restore_rejected.clicked, self._review.restore_rejected),
            (results.boxes.clicked, self.add_boxes),
            (results.edges.clicked, self.run_edges),
            (self._session.changed, self._on_session_changed),
            (self._generator.changed, self._on_state_changed),
            (self._generator.edges_detected, self._on_edges_detected),
            (self._review.changed, self._show),
            (self._review.writer.added, self._on_added),
            (self._binding.image_changed, self._on_plane_changed),
            (self._binding.plane.stack_changed, self._on_plane_changed),
            (self._binding.target.changed, self._review.follow_target),
            (self._viewer.layers.events.removed, self._on_layer_removed),
        )

    def close(self) -> None:
        """Stop; masks that were not accepted are left to the user as a layer."""
        self._connections.close()
        self._settings_window.close()
        self.view.release()

    # Runs ----------------------------------------------------------------------------------

    def preview(self) -> None:
        """Generate masks in the visible region, as finely as the screen shows it."""
        plane, view = self._session.embedding.plane, self._binding.plane.visible_box
        if plane is None or view is None:
            return
        tile = _pyramid(plane, self._session.state.spec).fitted(view)
        if tile is None:
            self._messages.warn("The image is out of sight: move it into view for a preview.")
        else:
            self._start((tile,), view)

    def run_whole(self) -> None:
        """Generate masks in the whole image."""
        self._start(self._run_tiles())

    def _run_tiles(self) -> tuple[Tile, ...]:
        """Return the tiles of a run on the whole image at the chosen detail."""
        plane = self._session.embedding.plane
        if plane is None:
            return ()
        whole = _pyramid(plane, self._session.state.spec).whole
        return automatic_tiles(whole, self.panel.run.finest_px)

    def run_remaining(self) -> None:
        """Generate masks where the target has no objects yet."""
        run, target = self.panel.run, self._session.editing.target
        existing = None
        if target is not None:
            try:
                records = tuple(target.labels.registry)
            except TargetError as error:
                self._messages.warn(str(error))
                return
            similar = run.match_size.isChecked(), run.match_brightness.isChecked()
            existing = ExistingObjects(target, records, *similar)
        self._start(self._run_tiles(), existing=existing)
        self._has_nothing_to_match = existing is None or not existing.records

    def _start(
        self,
        tiles: tuple[Tile, ...],
        view: Box | None = None,
        existing: ExistingObjects | None = None,
    ) -> None:
        shown, plane = self._binding.plane.shown, self._session.embedding.plane
        if shown is None or plane is None:
            return
        self.discard()
        self._masks_plane = shown
        self._generator.start(AutomaticRequest(plane, tiles, self.panel.settings, view, existing))
        self._show()

    def discard(self) -> None:
        """Stop, and remove the masks that are not accepted yet; accepted ones are still written."""
        is_selected = self.view.is_selected
        self._forget_masks()
        if is_selected:
            self._binding.prompts.start_points()  # else no layer would be, and no key work

    def _forget_masks(self) -> None:
        # First: what is discarded tells so, and masks on a plane that is gone are discarded.
        self._masks_plane, self._has_nothing_to_match = None, False
        self._generator.discard()
        self._review.reset()
        self.view.remove()
        self._show()

    def run_edges(self) -> None:
        """Detect the edges in the image, as a new layer."""
        shown, plane = self._binding.plane.shown, self._session.embedding.plane
        if shown is not None and plane is not None:
            self._edges_plane = shown
            settings = AutomaticRunSettings.of_published(EDGE_SETTINGS)
            request = AutomaticRequest(
                plane,
                (_pyramid(plane, self._session.state.spec).whole,),
                settings,
                keep_logits=True,
            )
            self._generator.start_edges(request)

    def _on_edges_detected(self, request: AutomaticRequest, edges: NDArray[np.float32]) -> None:
        shown = self._edges_plane
        if shown is not None and shown.is_possible and shown.image in self.view.layers:
            self.view.layers.add(new_edges_layer(shown, request.tiles[0], edges))

    def add_boxes(self) -> None:
        """Add the boxes of all shown masks, as a new layer."""
        picture = self._generator.picture
        if self._masks_plane is not None and picture is not None and picture.masks:
            self.view.layers.add(new_boxes_layer(self._masks_plane, picture.masks))

    # Masks ---------------------------------------------------------------------------------

    def _on_settings_changed(self, settings: AutomaticRunSettings) -> None:
        self._review.show_all()
        self._generator.refine(settings)

    def _on_state_changed(self, state: AutomaticState) -> None:
        self.panel.show_state(state)
        self._show_count()

    def _on_session_changed(self, state: SessionState) -> None:
        """Offer other tiles once the model has told its sizes, which is when it is loaded."""
        if state.spec != self._spec:
            self._on_plane_changed()

    def _on_plane_changed(self) -> None:
        if self._masks_plane is not None and not self._masks_plane.is_possible:
            self.discard()
        shown, plane = self._binding.plane.shown, self._session.embedding.plane
        self._review.set_here(shown is not None and shown == self._masks_plane)
        shape = None if shown is None or plane is None else plane.shape
        elsewhere = ""
        if self._masks_plane is not None and shown != self._masks_plane:
            elsewhere = f"another slice or view of '{self._masks_plane.image.name}'"
            if self._binding.plane.image is not self._masks_plane.image:
                elsewhere = f"'{self._masks_plane.image.name}'"
        self._spec = self._session.state.spec
        self.panel.show_plane(shape, elsewhere, self._spec.input_side)
        self._show_count()

    def _show(self) -> None:
        """Show the masks on offer, or the current one alone."""
        picture, current = self._generator.picture, self._review.current
        if self._masks_plane is not None and picture is not None:
            self.view.show(self._masks_plane, picture, current)
        self.panel.results.show_review(self._review.summary)
        self._on_plane_changed()

    def _show_count(self) -> None:
        picture, review = self._generator.picture, self._review
        count, covered = (0, 0) if picture is None else (len(picture.masks), picture.covered_count)
        self.panel.results.show_masks(count, covered, len(review.rejected), self._remark(count))

    def _remark(self, count: int) -> str:
        """Say what the masks on offer, or a lack of them, may come from."""
        request, review = self._generator.request, self._review
        if request is None or self._generator.state.is_running:
            return ""
        if self.panel.settings.needs_another_run(request.settings):
            return "Some settings take effect with the next run."
        if request.view is not None and (side := self.panel.run.finer_detail(request.tiles[0])):
            return f"Whole image sees less detail, unless you choose tiles of {side} px."
        if count == 0 and not (review.writer.accepted or review.rejected):
            return "No mask passes: lower the thresholds."
        if self._has_nothing_to_match:
            return (
                "Masks of any size and brightness are shown, because there are no objects to "
                "compare with yet."
            )
        return ""

    def accept_all(self) -> None:
        """Write all shown masks into the target (undone in one step)."""
        picture = self._generator.picture
        if picture is not None:
            self._review.show_all()
            self._review.accept(picture.masks)

    def _on_added(self, count: int, left_out: int) -> None:
        more = f"; {covered_left_out(left_out)}" if left_out else ""
        self._messages.info(f"{counted(count)} added{more}.")

    def _or_hint(self, action: Callable[[], None] | None) -> None:
        """Do what a key of the prompt layers does; without a mask there, tell how to review."""
        state = self._session.state
        hint = "" if state.can_accept or not state.prompts.is_empty else self._review.hint
        if hint:
            self._session.notifier.warn(hint)
        elif action is not None:
            action()

    def _decide(self, decide: Callable[[], None]) -> None:
        if self._review.current is None:
            self._step(1)
        else:
            decide()
            self._fly()

    def _step(self, step: int) -> None:
        self._review.step(step)
        self._fly()
        self.view.activate()

    def _fly(self) -> None:
        current, picture = self._review.current, self._generator.picture
        if current is not None and picture is not None:
            self.view.fly_to(current, picture.step)

    def _on_layer_removed(self, event: Event) -> None:
        layer: Layer = event.value
        if layer is self.view.layer and not self.view.layers.is_changing:
            self.view.forget()
            self._forget_masks()
        elif isinstance(layer, Image):
            if self._masks_plane is not None and layer is self._masks_plane.image:
                self._forget_masks()
            if self._edges_plane is not None and layer is self._edges_plane.image:
                self._edges_plane = None


def _pyramid(plane: ImagePlane, spec: ModelSpec) -> TilePyramid:
    """Return the tiles of a plane, embedded by us whatever was imported."""
    return TilePyramid(plane.shape, spec)
