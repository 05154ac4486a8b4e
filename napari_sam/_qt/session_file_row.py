"""The buttons to save a session to a file and to open one."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QMenu, QMessageBox, QWidget

from napari_sam._qt.building import button, fill, keep_size, progress_bar
from napari_sam._qt.file_names import (
    ask_for_file,
    ask_where_to_save,
    suggested_folder,
    suggested_path,
)
from napari_sam.session.journal.session_file import SESSION_SUFFIX

_LINE_PX = 3
_FILTER = f"Sessions (*{SESSION_SUFFIX})"


class SessionFileRow(QWidget):
    """Asks to write or read a session file, and shows the progress."""

    save_requested = Signal(Path)
    open_requested = Signal(Path)

    def __init__(self, suggest: Callable[[], str] = str) -> None:
        super().__init__()
        self._suggest = suggest
        self._last_folder: Path | None = None
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.save = menu.addAction("Save session…", self._on_save_clicked)
        self.save.setToolTip(
            "Save all objects with prompts, classes and notes, and the unfinished object, to one "
            "file.\nAnyone with a copy of the image can continue the session, even on another "
            "computer."
        )
        self.open = menu.addAction("Open session…", self._on_open_clicked)
        self.open.setToolTip(
            "Continue a session in a new labels layer. The image is taken from the open layers, "
            "from the folder\nof the session file or, if you agree, from its old path."
        )
        self.restore = menu.addAction("Restore unsaved objects")
        self.restore.setToolTip("Restore what was not saved into a new labels layer")
        self.restore.setVisible(False)
        session = button("Session", "Save everything to one file, or open such a file")
        session.set_menu(menu)
        self._progress = progress_bar("You can keep working meanwhile")
        self._progress.setTextVisible(False)
        self._progress.setFixedHeight(_LINE_PX)
        fill(self, self._progress, session)
        self.layout().setSpacing(0)
        keep_size(self._progress)
        self.show_busy(False)

    def may_open(self, image: Path) -> bool:
        """Ask whether to open an image, which does not lie beside the session file."""
        box = QMessageBox(self)
        box.setTextFormat(Qt.TextFormat.PlainText)  # whatever the path is
        box.setWindowTitle("Open the image?")
        box.setText(f"The session file names an image in another folder. Open it?\n\n{image}")
        box.setStandardButtons(QMessageBox.StandardButton.Open | QMessageBox.StandardButton.Cancel)
        return bool(box.exec() == QMessageBox.StandardButton.Open)

    def show_busy(self, is_busy: bool) -> None:
        """Show whether a file is being written or read, one at a time."""
        self.save.setEnabled(not is_busy)
        self.open.setEnabled(not is_busy)
        self._progress.setVisible(is_busy)
        self._progress.setValue(0)

    def show_progress(self, fraction: float) -> None:
        """Show the progress."""
        self._progress.setValue(round(100 * fraction))

    def _on_open_clicked(self) -> None:
        folder = suggested_folder(self._suggest(), self._last_folder)
        ask_for_file(self, "Open session", _FILTER, self.open_requested, folder)

    def _on_save_clicked(self) -> None:
        start = suggested_path(self._suggest(), self._last_folder)
        path = ask_where_to_save(self, "Save session", start, _FILTER, (SESSION_SUFFIX,))
        if path is not None:
            self._last_folder = path.parent
            self.save_requested.emit(path)
