"""The dock widget: builds panels, session and layer binding, connects them, and closes them."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Final

from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.events import Event
from napari.utils.notifications import show_warning
from qtpy.QtCore import QEvent, QEventLoop, Qt, QTimer
from qtpy.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam._distribution import old_distribution_warning
from napari_sam._qt.appearance_panel import AppearancePanel
from napari_sam._qt.dispatcher import QtDispatcher
from napari_sam._qt.embedding_store_row import EmbeddingStoreRow
from napari_sam._qt.image_panel import ImagePanel
from napari_sam._qt.mask_panel import MaskPanel
from napari_sam._qt.micro_sam_row import ImportedEmbeddingsRow
from napari_sam._qt.model_panel import ModelPanel
from napari_sam._qt.object_panel import ObjectPanel
from napari_sam._qt.prompt_panel import PromptPanel
from napari_sam._qt.workarounds import CalmStatusBar, FixedHeightLabel, PanelColumn
from napari_sam.controllers.activity import Activity
from napari_sam.controllers.automatic import AutomaticController
from napari_sam.controllers.batch_prompts import BatchPromptsController
from napari_sam.controllers.classes import ClassesController
from napari_sam.controllers.journal import JournalRecorder
from napari_sam.controllers.models import ModelController
from napari_sam.controllers.objects import ObjectTableController
from napari_sam.controllers.restore import RestoreController
from napari_sam.controllers.session_file import SessionFileController
from napari_sam.controllers.shortcuts import ShortcutsController
from napari_sam.layers import CANDIDATE_COLORS, LayerBinding
from napari_sam.session.connections import Connections
from napari_sam.session.embedding.embeddings import LoadPredictor
from napari_sam.session.embedding.store import EmbeddingStore, StoreUsage
from napari_sam.session.jobs import run_until
from napari_sam.session.models.model_choice import ModelChoice, load_predictor
from napari_sam.session.objects.edits import Overlap
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.session import AnnotationSession
from napari_sam.session.state import SessionState

_LAST_WRITE_S: Final = 10.0
"""How long the window waits, when it is closed, for objects that are being written."""
_LAYOUT_MS: Final = 500
_CAMERA_MS: Final = 300
"""How long the camera has to rest before the part of a large image in sight is embedded."""
_LOOK_MS: Final = 600
"""How long contrast limits and gamma have to rest before the image is embedded as it looks then."""


class SamWidget(QWidget):
    """Click on something in an image, see three masks, keep one."""

    def __init__(
        self,
        napari_viewer: ViewerModel,
        load_predictor: LoadPredictor = load_predictor,
        model: ModelChoice | None = None,
    ) -> None:
        super().__init__()
        # napari hands plugins a proxy, whose layers are proxies too and never identical to the
        # layers that events and other widgets speak of.
        self._viewer: ViewerModel = getattr(napari_viewer, "__wrapped__", napari_viewer)
        # Without a parent it outlives this widget's C++ side, which jobs may still post to.
        self._dispatcher = QtDispatcher()
        self._store = EmbeddingStore()
        self.session = AnnotationSession(load_predictor, self._dispatcher, model, self._store)
        self.binding = LayerBinding(self._viewer, self.session, self._dispatcher.post)
        self._activity = Activity(self)
        self._status_bar = CalmStatusBar(self)
        self._look_timer = self._rest_timer(_LOOK_MS, self.binding.shown.look_as_shown)
        self._camera_timer = self._rest_timer(_CAMERA_MS, self.binding.shown.look_at_view)
        self._is_closed = False
        self._build()
        self._connect()
        # The C++ side may go without a close event, with the window. Qt would drop a connection to
        # a method of the very object that is destroyed, hence the lambda.
        self.destroyed.connect(lambda: self._shut_down())
        if warning := old_distribution_warning():
            show_warning(warning)
        # napari's Points layers need it, and the first click should not wait for its import.
        threading.Thread(target=importlib.import_module, args=("pandas",), daemon=True).start()
        self.binding.choose_image()
        self.session.embedding.preload()

    def fit_view_once_laid_out(self) -> None:
        """Have all of the image in sight, in a window that is about to be shown with this widget.

        The widget takes some of the canvas; Qt settles how much only some rounds after the showing.
        """
        self._rest_timer(_LAYOUT_MS, self._viewer.reset_view).start()

    # Scripts and tests -----------------------------------------------------------------------

    def wait_until_idle(self, timeout_s: float) -> None:
        """Run the event loop until no job is pending and all results are on screen."""
        self._dispatcher.run_pending(0)
        run_until(lambda: self._is_idle, self._dispatcher, timeout_s, "widget")
        # The canvas asks for its repaint in one round of the event loop and paints in the next.
        for _ in range(2):
            QEventLoop().processEvents()

    @property
    def _is_idle(self) -> bool:
        files = self._object_list.files, self._restoring, self._sessions
        runs = self.automatic, self._many
        parts = (self.session, self.binding, self._models.supply, *runs, *files)
        looks = all(part.is_idle for part in parts)
        return looks and not self._look_timer.isActive() and not self._camera_timer.isActive()

    # Assembly --------------------------------------------------------------------------------

    def _build(self) -> None:
        self._store_row = EmbeddingStoreRow(self._store.folder)
        self._micro_sam_row = ImportedEmbeddingsRow()
        self._model_panel = ModelPanel(self._store_row, self._micro_sam_row)
        self._image_panel = ImagePanel()
        self._look_panel = AppearancePanel()
        self._image_panel.layout().addWidget(self._look_panel)
        self._prompt_panel = PromptPanel()
        self._mask_panel = MaskPanel(CANDIDATE_COLORS)
        self._object_panel = ObjectPanel()
        self._panels = (
            self._model_panel,
            self._image_panel,
            self._look_panel,
            self._prompt_panel,
            self._mask_panel,
            self._object_panel,
        )
        self._hint = FixedHeightLabel(min_lines=3)
        self._column = column = PanelColumn()
        for panel in (self._model_panel, self._image_panel, self._prompt_panel, self._mask_panel):
            column.add(panel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(column, 1)
        # In sight however small the window is.
        margins = column.panels.contentsMargins()
        below = QVBoxLayout()
        below.setContentsMargins(margins.left(), 0, margins.right(), 0)
        below.addWidget(self._object_panel)
        layout.addLayout(below)
        self._help_button = QPushButton("?")
        self._help_button.setFixedSize(28, 28)
        self._help_button.setToolTip("Show all keyboard shortcuts (?)")
        foot = QHBoxLayout()
        foot.setContentsMargins(20, 4, margins.right(), 8)
        foot.setSpacing(12)
        foot.addWidget(self._hint, 1)
        foot.addWidget(self._help_button, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(foot)

    def _connect(self) -> None:
        session, binding = self.session, self.binding
        image, prompts = self._image_panel, self._prompt_panel
        masks, objects = self._mask_panel, self._object_panel
        image.image_combo.chosen.connect(binding.set_image)
        image.cancel_requested.connect(session.embedding.cancel)
        self._activity.cancel_requested.connect(session.embedding.cancel)
        image.embed_requested.connect(session.embedding.embed)
        self._look_panel.appearance_requested.connect(binding.shown.set_look)
        image.prefetch_row.embed_all_requested.connect(binding.shown.prepare_stack)
        image.prefetch_row.pause_requested.connect(session.ahead.pause_preparation)
        image.prefetch_row.resume_requested.connect(session.ahead.resume_preparation)
        image.prefetch_row.cancel_requested.connect(session.ahead.cancel_preparation)
        image.prefetch_row.prefetch_requested.connect(self._on_prefetch_requested)
        prompts.points_requested.connect(binding.start_points)
        prompts.boxes_requested.connect(binding.start_boxes)
        prompts.shape_requested.connect(binding.start_shape)
        prompts.polarity_requested.connect(binding.set_polarity)
        prompts.clear_requested.connect(session.object_in_progress.clear)
        prompts.feedback_requested.connect(self._on_prompt_panel_feedback_requested)
        prompts.hover_requested.connect(binding.set_hover)
        prompts.accept_on_click_requested.connect(self._on_prompt_panel_accept_on_click_requested)
        prompts.points_combo.chosen.connect(self._on_prompt_layer_chosen)
        prompts.boxes_combo.chosen.connect(self._on_prompt_layer_chosen)
        masks.candidate_requested.connect(session.object_in_progress.choose)
        self._micro_sam_row.folder_requested.connect(binding.shown.imported_embeddings.use)
        self._micro_sam_row.stop_requested.connect(binding.shown.imported_embeddings.stop)
        self._store_row.usage_requested.connect(self._show_store)
        self._store_row.clear_requested.connect(self._on_store_row_clear_requested)
        objects.target_combo.chosen.connect(self._on_target_chosen)
        objects.overlap_requested.connect(self._on_object_panel_overlap_requested)
        objects.accept_requested.connect(binding.objects.accept)
        objects.undo_requested.connect(binding.objects.undo)
        objects.redo_requested.connect(binding.objects.redo)
        self._connections = Connections(
            (session.changed, self._on_session_changed),
            (session.notifier.warned, self._on_warned),
            (binding.polarity_changed, prompts.show_polarity),
            (binding.hover_changed, prompts.show_hover),
            (binding.hover_changed, self._status_bar.calm),
            (binding.shown.look_changed, self._on_look_changed),
            (binding.shown.looks.changed, self._look_panel.show_appearance),
            (binding.shown.imported_embeddings.changed, self._micro_sam_row.show_import),
            (binding.shown.camera_moved, self._on_camera_moved),
            (binding.image_changed, self._refresh_combos),
            (binding.shown.stack_changed, image.prefetch_row.show_stack),
            (self._store.changed, self._on_store_changed),
            (binding.objects.target_changed, self._refresh_combos),
            (binding.prompt_layers_changed, self._refresh_combos),
            (self._viewer.layers.events.inserted, self._on_layer_inserted),
            (self._viewer.layers.events.removed, self._refresh_combos),
            (self._viewer.layers.events.reordered, self._refresh_combos),
            (self._viewer.layers.events.renamed, self._refresh_combos),
        )
        self._object_list = ObjectTableController(binding, session, self._dispatcher)
        self._class_list = ClassesController(binding, session, self._object_list, self._dispatcher)
        self.automatic = AutomaticController(self._viewer, binding, session, self._dispatcher)
        self._many = BatchPromptsController(binding, session, self._dispatcher)
        for part in (self.automatic, self._many, self._class_list, self._object_list):
            self._column.add(part.section)
        self.automatic.review.changed.connect(self._show_hint)
        self._journals = JournalRecorder(binding, session, self._dispatcher)
        self._restoring = RestoreController(binding, session, self._journals, self._dispatcher)
        self._image_panel.layout().addWidget(self._restoring.row)
        self._sessions = SessionFileController(
            self._viewer, binding, session, self._journals, self._dispatcher
        )
        self._object_list.table.layout().addWidget(self._sessions.row)
        naming_keys = prompts, masks, objects, self.automatic.panel, self._object_list.table
        self._key_help = ShortcutsController(self, binding, session, naming_keys)
        self._help_button.clicked.connect(self._key_help.toggle)
        self._models = ModelController(self._model_panel, session, self._dispatcher)
        self._on_session_changed(session.state)

    def _rest_timer(self, rest_ms: int, on_rest: Callable[[], None]) -> QTimer:
        """Return a timer that calls when it was not restarted for a while."""
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(rest_ms)
        timer.timeout.connect(on_rest)
        return timer

    # From the session and the viewer -----------------------------------------------------------

    def _on_session_changed(self, state: SessionState) -> None:
        for panel in self._panels:
            panel.show_state(state)
        self._micro_sam_row.show_state(state)
        self._show_hint()
        self._activity.show_state(state)
        self._status_bar.show_state(state)

    def _show_hint(self) -> None:
        state = self.session.state
        # Whoever clicks meanwhile makes an object of their own.
        of_review = self.automatic.hint if state.prompts.is_empty else ""
        self._hint.set_text(of_review or state.hint)

    def _on_warned(self, message: str) -> None:
        show_warning(message)

    def _on_look_changed(self) -> None:
        self._look_timer.start()

    def _on_camera_moved(self) -> None:
        self._camera_timer.start()

    def _on_layer_inserted(self, event: Event) -> None:
        """Start on the first image that comes, as if it had been there from the beginning.

        Not for a layer of another kind: the user may have chosen to have no image.
        """
        self._refresh_combos()
        if isinstance(event.value, Image) and self.binding.shown.image is None:
            self.binding.choose_image()

    def _refresh_combos(self) -> None:
        binding, layers = self.binding, list(reversed(self._viewer.layers))
        users = [layer for layer in layers if not binding.is_ours(layer)]
        points, boxes = binding.persons_prompt_layers
        for combo, layer_type, chosen in (
            (self._image_panel.image_combo, Image, binding.shown.image),
            (self._prompt_panel.points_combo, Points, points),
            (self._prompt_panel.boxes_combo, Shapes, boxes),
            (self._object_panel.target_combo, Labels, binding.objects.target),
        ):
            combo.set_layers([layer for layer in users if isinstance(layer, layer_type)], chosen)
        self._many.offer([layer for layer in users if layer is not binding.objects.target])

    def _on_store_changed(self, usage: StoreUsage) -> None:
        self._dispatcher.post(lambda: self._store_row.show_usage(usage))  # from its own thread

    # From the panels ---------------------------------------------------------------------------

    def _show_store(self) -> None:
        self._store_row.show_usage(self._store.usage())

    def _on_store_row_clear_requested(self) -> None:
        self._store.clear()
        self._show_store()

    def _on_prefetch_requested(self, is_on: bool) -> None:
        self.session.ahead.is_on = is_on

    def _on_prompt_panel_feedback_requested(self, use: bool) -> None:
        self.session.object_in_progress.use_feedback = use

    def _on_prompt_panel_accept_on_click_requested(self, on: bool) -> None:
        self.session.object_in_progress.accept_on_click = on

    def _on_object_panel_overlap_requested(self, overlap: str) -> None:
        self.session.objects.overlap = Overlap(overlap)

    def _on_prompt_layer_chosen(self) -> None:
        self.binding.set_prompt_layers(
            self._prompt_panel.points_combo.layer, self._prompt_panel.boxes_combo.layer
        )

    def _on_target_chosen(self, layer: Labels | None) -> None:
        try:
            self.binding.objects.set_target(layer)
        except TargetError as error:
            show_warning(str(error))
            self._refresh_combos()

    # The end -----------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Notice that napari has taken the widget out of its dock, which sends no close event."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            QTimer.singleShot(0, self._shut_down_if_undocked)
        return bool(super().event(event))

    def closeEvent(self, event: QEvent) -> None:
        """Stop all work and let the viewer go."""
        self._shut_down()
        super().closeEvent(event)

    def _shut_down_if_undocked(self) -> None:
        if not self._is_closed and self.parent() is None and not self.isVisible():
            self._shut_down()

    def _shut_down(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        # While everything still listens: labels, their features and the journal say the same.
        self.session.objects.settle(_LAST_WRITE_S)
        self._connections.close()
        self._activity.close()
        self._status_bar.calm(False)
        self.automatic.review.changed.disconnect(self._show_hint)
        self._models.close()
        self._key_help.close()
        self._class_list.close()
        self._many.close()
        self._object_list.close()
        self._restoring.close()
        self._sessions.close()
        self._journals.close()
        self.automatic.close()
        self.binding.close()
        self.session.close()
        self._store.close()
