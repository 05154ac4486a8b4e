"""The line for words that name objects, the detector, the least score and the progress."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_sam._qt.building import button, combo_box, fill, line_edit, progress_bar, row
from napari_sam._qt.value_slider import ValueSlider
from napari_sam.session.words.run import WordsState

_FOLDER: Final = "Folder…"
_FOLDER_TOOLTIP: Final = "A detector from a folder that one was saved to"


class WordsRow(QWidget):
    """Two lines, of the same height whatever they show.

    Parameters
    ----------
    detectors : sequence of (str, str)
        The names of the detectors, each with what it is good for.
    """

    find_requested = Signal(str)
    """The text with the words."""
    stop_requested = Signal()
    threshold_requested = Signal(int)
    """The least score in percent."""
    folder_chosen = Signal(Path)

    def __init__(self, detectors: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._chosen = 0
        self.words = line_edit(
            "words to find: coin, ring",
            "Names of objects, separated by commas. What they name in the visible part of\n"
            "the image gets boxes, one object each; the word becomes its class",
        )
        self.find = button("Find", "Search the visible part of the image for the words")
        self.stop = button("Stop", "Stop, and keep what was found so far")
        tooltip = "What finds the words; downloaded when it is first used"
        self.detectors = combo_box(tooltip, [*detectors, (_FOLDER, _FOLDER_TOOLTIP)])
        self.threshold = ValueSlider(
            "The least score of what the words name: other boxes are hidden, at once",
            title="score",
        )
        self._progress = progress_bar("You can keep working meanwhile")
        scores = row(self.detectors, self.threshold, self._progress)
        fill(self, row(self.words, self.find, self.stop, stretch=self.words), scores)
        self.words.returnPressed.connect(self._find)
        self.find.clicked.connect(self._find)
        self.stop.clicked.connect(self.stop_requested)
        self.threshold.value_requested.connect(self.threshold_requested)
        self.detectors.activated.connect(self._on_detector)
        self.show_progress(None)

    @property
    def detector(self) -> int:
        """The index of the chosen detector; that of the folder is last."""
        return self._chosen

    def show_folder(self, path: Path) -> None:
        """Show the folder that a detector is taken from, and choose it."""
        last = self.detectors.count() - 1
        self.detectors.setItemText(last, path.name)
        self.detectors.setCurrentIndex(last)
        self._chosen = last

    def show_progress(self, state: WordsState | None) -> None:
        """Show the progress of a search; None: there is none."""
        is_running = state is not None
        self.find.setVisible(not is_running)
        self.stop.setVisible(is_running)
        self.threshold.setVisible(not is_running)
        self._progress.setVisible(is_running)
        self.words.setEnabled(not is_running)
        self.detectors.setEnabled(not is_running)
        if state is not None:
            self.stop.setEnabled(not state.is_stopping)
            self._progress.setRange(0, state.total)  # without an end while the detector is loaded
            self._progress.setValue(state.done)
            self._progress.setFormat(f"{state.done} of {state.total} tiles")

    def show_threshold(self, threshold: float) -> None:
        """Show the least score."""
        self.threshold.show_value(round(100 * threshold))

    def _find(self) -> None:
        self.find_requested.emit(self.words.text())

    def _on_detector(self, index: int) -> None:
        if index < self.detectors.count() - 1:
            self._chosen = index
            return
        self.detectors.setCurrentIndex(self._chosen)
        if name := QFileDialog.getExistingDirectory(self, "Folder of a detector"):
            self.folder_chosen.emit(Path(name))
