"""The buttons to save a whole session to a file and to open one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_sam._qt.file_names import beginning, whole_name
from napari_sam.session.journal.session_file import SESSION_SUFFIX

_FILTER = f"Sessions (*{SESSION_SUFFIX})"


class SessionRow(QWidget):
    """Asks for a session file to be written or read, and shows how far that is."""

    save_requested = Signal(Path)
    open_requested = Signal(Path)

    def __init__(self, suggest: Callable[[], str] = str) -> None:
        super().__init__()
        self._suggest = suggest
        self._last_folder: Path | None = None
        self._save = QPushButton("Save session…")
        self._save.setToolTip(
            "Write everything to one file: objects with prompts, classes and notes, and the object "
            "that you are at.\nYou or somebody else can go on with it, also on another computer, "
            "beside a copy of the image"
        )
        self._save.clicked.connect(self._on_save_clicked)
        self._open = QPushButton("Open session…")
        self._open.setToolTip(
            "Go on with a session: its image is looked for among the open layers, then beside the "
            "file,\nthen where it was; the objects come in a labels layer of their own"
        )
        self._open.clicked.connect(self._on_open_clicked)
        self._progress = QProgressBar()
        self._progress.setRange(0, 100)
        self._progress.setToolTip("You can go on working meanwhile")
        row = QHBoxLayout()
        row.addWidget(self._save)
        row.addWidget(self._open)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self._progress)
        self.show_busy(False)

    def show_busy(self, is_busy: bool) -> None:
        """Show whether a file is being written or read: one at a time."""
        self._save.setEnabled(not is_busy)
        self._open.setEnabled(not is_busy)
        self._progress.setVisible(is_busy)
        self._progress.setValue(0)

    def show_progress(self, fraction: float) -> None:
        """Show how much is written or read."""
        self._progress.setValue(round(100 * fraction))

    def _on_save_clicked(self) -> None:
        start = beginning(self._suggest(), self._last_folder)
        name, _ = QFileDialog.getSaveFileName(self, "Save session", start, _FILTER)
        path = whole_name(self, name, (SESSION_SUFFIX,)) if name else None
        if path is not None:
            self._last_folder = path.parent
            self.save_requested.emit(path)

    def _on_open_clicked(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open session", "", _FILTER)
        if name:
            self.open_requested.emit(Path(name))
