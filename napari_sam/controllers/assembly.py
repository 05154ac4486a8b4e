"""All controllers of one widget."""

from qtpy.QtWidgets import QWidget

from napari_sam._qt.model_panel import ModelPanel
from napari_sam.controllers.annotate import AnnotateController
from napari_sam.controllers.automatic import AutomaticController
from napari_sam.controllers.batch_prompts import BatchPromptsController
from napari_sam.controllers.classes import ClassesController
from napari_sam.controllers.context import WidgetContext
from napari_sam.controllers.embeddings import EmbeddingsController
from napari_sam.controllers.journal import JournalRecorder
from napari_sam.controllers.models import ModelController
from napari_sam.controllers.objects import ObjectTableController
from napari_sam.controllers.restore import RestoreController
from napari_sam.controllers.session_file import SessionFileController
from napari_sam.controllers.shortcuts import ShortcutsController


class Controllers:
    """Makes and closes the controllers of a widget."""

    def __init__(self, context: WidgetContext) -> None:
        self.annotate = annotate = AnnotateController(context)
        self.embeddings = embeddings = EmbeddingsController(
            context, annotate.image_panel.prefetch_row
        )
        self.objects = objects = ObjectTableController(context)
        self.classes = ClassesController(context, objects)
        self.automatic = automatic = AutomaticController(context)
        self.batch_prompts = BatchPromptsController(context)
        annotate.user_layers_changed.connect(self.batch_prompts.offer)
        self.journal = journal = JournalRecorder(context)
        self.restore = RestoreController(context, journal)
        annotate.image_panel.layout().addWidget(self.restore.row)
        self.session_file = SessionFileController(context, journal)
        objects.table.layout().addWidget(self.session_file.row)
        panels = annotate.prompt_panel, annotate.mask_panel, annotate.object_panel
        texts = [part.texts for part in (*panels, automatic.panel.results, objects.table)]
        self.shortcuts = ShortcutsController(context, texts)
        model_panel = ModelPanel(embeddings.store_row, embeddings.micro_sam_row)
        self.models = ModelController(context, model_panel)
        annotate.show_layers()  # those that were open before the widget

    @property
    def panels(self) -> tuple[QWidget, ...]:
        """What stands in the column of the widget, from top to bottom."""
        annotate = self.annotate
        sections = self.automatic, self.batch_prompts, self.classes, self.objects
        return (
            self.models.panel,
            annotate.image_panel,
            annotate.prompt_panel,
            annotate.mask_panel,
            *(controller.section for controller in sections),
        )

    @property
    def is_idle(self) -> bool:
        """Whether no controller waits for anything but the session's background."""
        parts = self.annotate, self.models.fetcher, self.objects
        return all(part.is_idle for part in parts)

    def close(self) -> None:
        """Close all controllers."""
        shown = self.annotate, self.embeddings, self.models, self.shortcuts
        objects = self.classes, self.batch_prompts, self.objects
        files = self.restore, self.journal
        for part in (*shown, *objects, *files, self.automatic):
            part.close()
