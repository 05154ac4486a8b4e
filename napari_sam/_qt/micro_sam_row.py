"""The row that imports embeddings from micro-sam."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_sam._qt.building import button, fill, progress_bar, row
from napari_sam._qt.eliding_label import ElidingLabel
from napari_sam.session.micro_sam.imported import ImportPhase, ImportState
from napari_sam.session.state import SessionState


class ImportedEmbeddingsRow(QWidget):
    """The button that imports embeddings, their state, and the button that stops using them."""

    folder_requested = Signal(Path)

    def __init__(self) -> None:
        super().__init__()
        self._use = button(
            "Use micro-sam embeddings…",
            "Use the embeddings of this image that micro-sam stored in a zarr folder, instead of "
            "computing them.\nImage and model must be the ones they were computed with. Nothing "
            "is written to the folder.",
            self._on_use_clicked,
        )
        self._text = ElidingLabel()
        self._progress = progress_bar("You can keep working meanwhile")
        self.stop = button("", "")
        fill(self, self._use, self._text, row(self._progress, self.stop, stretch=self._progress))
        self.show_import(None)
        self.show_state(SessionState())

    def show_state(self, state: SessionState) -> None:
        """Enable the import if there is an image."""
        self._use.setEnabled(state.has_image)

    def show_import(self, state: ImportState | None) -> None:
        """Show the state of an import; None: there is none."""
        is_working = state is not None and state.is_working
        self._text.setVisible(state is not None)
        self._progress.setVisible(is_working)
        self.stop.setVisible(state is not None)
        if state is None:
            return
        self._text.show_text(state.text)
        self._progress.setValue(round(100 * state.progress))
        text, tooltip = "Stop using them", "Embed the image here instead; your clicks are kept"
        if is_working:
            text, tooltip = "Cancel", "Continue without these embeddings"
        elif state.phase is ImportPhase.REFUSED:
            text, tooltip = "Dismiss", "Hide this message"
        self.stop.setText(text)
        self.stop.setToolTip(tooltip)

    def _on_use_clicked(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Use micro-sam embeddings")
        if folder:
            self.folder_requested.emit(Path(folder))
