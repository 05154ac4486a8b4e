"""Connects the switch for predicted classes, and accepts those that are sure enough."""

from napari_sam._qt.class_panel import ClassPanel
from napari_sam._qt.on_demand import OnDemand
from napari_sam.controllers.context import WidgetContext
from napari_sam.formats.classes import ClassError
from napari_sam.session.connections import Connections
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import counted


class PredictedClassesController:
    """Shows in the window of all classes what is predicted; the table of objects lists it."""

    def __init__(self, context: WidgetContext, panel: OnDemand[ClassPanel]) -> None:
        session = context.session
        self._predicted, self._notifier = session.predicted_classes, session.notifier
        self._messages, self._shortcuts = context.messages, context.binding.shortcuts
        self._panel = panel
        self._connections = Connections(
            (self._predicted.changed, self._show), (self._predicted.predicted, self._show)
        )
        panel.when_built(self._connect)

    def close(self) -> None:
        """Disconnect from the session."""
        self._connections.close()

    def _connect(self, panel: ClassPanel) -> None:
        box = panel.predicted
        box.switch_requested.connect(self._switch)
        box.accept_requested.connect(self._accept)
        box.threshold_changed.connect(self._show)
        self._show()

    def _switch(self, is_on: bool) -> None:
        try:
            self._predicted.switch(is_on)
        except ClassError as error:
            self._notifier.warn(str(error))
            self._show()

    def _accept(self, threshold: float) -> None:
        try:
            count = self._predicted.accept(threshold)
        except TargetError as error:
            self._notifier.warn(str(error))
            return
        key = self._shortcuts.undo_text
        classes = "its predicted class" if count == 1 else "their predicted classes"
        self._messages.info(f"{counted(count)} got {classes}: {key} takes it back.")

    def _show(self) -> None:
        if self._panel.built is not None:
            box, predicted = self._panel.built.predicted, self._predicted
            n_above = len(predicted.above(box.threshold))
            box.show_predicted(predicted.note, n_above, is_on=predicted.is_on)
