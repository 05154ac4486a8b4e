"""All controllers of one widget."""

from typing import Final

from napari_sam._qt.dock import Dock
from napari_sam._qt.focus_frame import FocusFrame
from napari_sam._qt.model_panel import ModelPanel
from napari_sam._qt.tabs import DockTabs
from napari_sam._qt.tool_window import ToolWindow
from napari_sam.controllers.annotate import AnnotateController
from napari_sam.controllers.appearance import AppearanceController
from napari_sam.controllers.automatic import AutomaticController
from napari_sam.controllers.batch_prompts import BatchPromptsController
from napari_sam.controllers.classes import ClassesController
from napari_sam.controllers.context import WidgetContext
from napari_sam.controllers.dock_commands import DockCommands
from napari_sam.controllers.embeddings import EmbeddingsController
from napari_sam.controllers.first_run import FirstRunController
from napari_sam.controllers.journal import JournalRecorder
from napari_sam.controllers.learning import LearningController
from napari_sam.controllers.memory import MemoryController
from napari_sam.controllers.models import ModelController
from napari_sam.controllers.objects import ObjectTableController
from napari_sam.controllers.options import OptionsController
from napari_sam.controllers.predicted_classes import PredictedClassesController
from napari_sam.controllers.preferences import Preferences
from napari_sam.controllers.restore import RestoreController
from napari_sam.controllers.session_file import SessionFileController
from napari_sam.controllers.shortcuts import ShortcutsController
from napari_sam.controllers.stack import StackController
from napari_sam.controllers.text_size import TextSizeController
from napari_sam.controllers.thumbnails import ThumbnailController
from napari_sam.controllers.tracks import TracksController
from napari_sam.controllers.training import TrainingController
from napari_sam.controllers.unfinished import UnfinishedController
from napari_sam.controllers.words import WordsController

TAB_NAMES: Final = "objects", "stack", "automatic", "batch", "options"


class Controllers:
    """Makes and closes the controllers of a widget, and lays out their panels."""

    def __init__(self, context: WidgetContext) -> None:
        self._text_size = TextSizeController(context)  # before anything measures a text
        self.annotate = annotate = AnnotateController(context)
        self.appearance = AppearanceController(context)
        self.thumbnails = ThumbnailController(context, annotate.mask_panel)
        self.first_run = FirstRunController(context, annotate.mask_panel)
        self.options = options = OptionsController(context, annotate.prompt_panel)
        self.learning = LearningController(context, options.on_demand)
        self.objects = objects = ObjectTableController(context)
        self.classes = classes = ClassesController(context, objects, options.on_demand)
        self.predicted_classes = PredictedClassesController(context, classes.on_demand)
        self.stack = stack = StackController(context, objects)
        self.memory = MemoryController(context, stack.on_demand)
        self.tracks = tracks = TracksController(context, objects, stack, classes)
        self.automatic = automatic = AutomaticController(context, lambda: objects.table.selected)
        annotate.object_panel.accept_automatic_requested.connect(automatic.review.accept)
        self.batch_prompts = batch_prompts = BatchPromptsController(context)
        self.words = words = WordsController(context, batch_prompts)
        for part in (options, batch_prompts, words):
            annotate.user_layers_changed.connect(part.offer)
        self.embeddings = embeddings = EmbeddingsController(context, batch_prompts.prefetch_row)
        self.journal = journal = JournalRecorder(context)
        self.unfinished = unfinished = UnfinishedController(context, journal)
        self.session_file = SessionFileController(context, journal, unfinished)
        action = self.session_file.row.restore
        self.restore = RestoreController(context, journal, unfinished, action)
        objects.table.add_foot(objects.files.row, self.session_file.row)
        panels = annotate.prompt_panel, annotate.mask_panel, annotate.object_panel
        parts = *panels, automatic, objects.table, stack, tracks
        self.shortcuts = ShortcutsController(context, [part.texts for part in parts])
        self.tabs = DockTabs(objects.tab, stack.tab, automatic.tab, batch_prompts.tab, options.tab)
        model_panel = ModelPanel(embeddings.store_row, embeddings.micro_sam_row)
        self.models = ModelController(context, model_panel)
        self.training = TrainingController(context, self.models.offer_file)
        self.windows = ToolWindow(model_panel, context.widget), self.appearance.window
        """Model and image appearance."""
        self._connect_windows(model_panel)
        self._register_commands(context)
        self._focus_frame = FocusFrame(context.widget)
        self.dock = self._build_dock(context)
        self._preferences = context.preferences
        classes.set_coloring(self._preferences.color_by_class)
        # What the dock itself has set there is no change to follow.
        annotate.prompt_panel.accept_on_click.toggled.connect(self.follow_preferences)
        annotate.show_layers()  # those that were open before the widget

    def _connect_windows(self, model_panel: ModelPanel) -> None:
        """Open windows by their buttons."""
        image_panel = self.annotate.image_panel
        buttons = image_panel.model, image_panel.appearance, model_panel.fine_tune
        for button, window in zip(buttons, (*self.windows, self.training.window), strict=True):
            button.clicked.connect(window.toggle)

    def _register_commands(self, context: WidgetContext) -> None:
        """Register what the dock does without a key."""
        objects, automatic, batch = self.objects, self.automatic, self.batch_prompts
        tabs = dict(zip(TAB_NAMES, self.tabs.tabs, strict=True))
        files, session = objects.files.row, self.session_file.row
        buttons = {
            "export": (objects.tab, lambda: files.export),
            "import_objects": (objects.tab, lambda: files.import_),
            "save_session": (objects.tab, lambda: session.save),
            "open_session": (objects.tab, lambda: session.open),
            "merge": (objects.tab, lambda: objects.table.merge),
            "automatic_visible": (automatic.tab, lambda: automatic.panel.run.visible),
            "automatic_whole": (automatic.tab, lambda: automatic.panel.run.whole),
            "automatic_remaining": (automatic.tab, lambda: automatic.panel.run.remaining),
            "automatic_cancel": (automatic.tab, lambda: automatic.panel.run.cancel),
            "automatic_discard": (automatic.tab, lambda: automatic.panel.results.discard),
            "segment_all": (batch.tab, lambda: batch.panel.start),
            "embed_all": (batch.tab, lambda: batch.prefetch_row.embed_all),
        }
        models, appearance = self.windows
        others = {
            "models": models.toggle,
            "appearance": appearance.toggle,
            "first_steps": self.first_run.toggle,
            "automatic_accept_all": automatic.review.accept_all,
            "accept_at_once": self.annotate.prompt_panel.accept_on_click.toggle,
        }
        DockCommands(context, tabs, buttons, others)

    def _build_dock(self, context: WidgetContext) -> Dock:
        """Lay out everything, from top to bottom."""
        annotate = self.annotate
        controls = (
            annotate.image_panel,
            annotate.prompt_panel,
            annotate.mask_panel,
            annotate.object_panel,
            self.classes.chips,
        )
        dock = Dock(controls, context.messages.line, self.tabs)
        for panel in (annotate.prompt_panel, annotate.mask_panel, annotate.object_panel):
            dock.when_low(panel.set_low)
        for part in (self.options, self.automatic):
            part.on_demand.when_built(lambda page: dock.when_low(page.set_low))
        self.automatic.on_demand.when_built(lambda page: dock.when_very_low(page.set_very_low))
        dock.lay_over_tabs(self.restore.row)
        dock.help_button.clicked.connect(self.shortcuts.toggle)
        return dock

    def follow_preferences(self) -> None:
        """Do what the user has changed in napari's preferences since they were read."""
        before, self._preferences = self._preferences, Preferences.load()
        if self._preferences.accept_at_once != before.accept_at_once:
            self.options.set_accept_at_once(self._preferences.accept_at_once)
        if self._preferences.color_by_class != before.color_by_class:
            self.classes.set_coloring(self._preferences.color_by_class)

    @property
    def is_idle(self) -> bool:
        """Whether no controller waits for anything but the session's background."""
        parts = self.annotate, self.models.fetcher, self.objects, self.thumbnails
        return all(part.is_idle for part in parts)

    def close(self) -> None:
        """Close all controllers."""
        self._focus_frame.close()
        self._text_size.close()
        shown = self.annotate, self.appearance, self.thumbnails, self.first_run, self.options
        models = self.embeddings, self.training, self.models, self.learning, self.memory
        objects = (
            self.predicted_classes,
            self.classes,
            self.words,
            self.batch_prompts,
            self.tracks,
            self.stack,
            self.objects,
        )
        files = self.restore, self.unfinished, self.journal
        for part in (*shown, *models, self.shortcuts, *objects, *files, self.automatic):
            part.close()
        for window in self.windows:
            window.close()
