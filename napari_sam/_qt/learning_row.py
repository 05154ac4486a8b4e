"""The switch for learning from accepted objects, and what can be done with what was learned."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QMenu, QMessageBox, QWidget

from napari_sam._qt.building import button, check_box, fill, row
from napari_sam._qt.file_names import (
    ask_for_file,
    ask_where_to_save,
    name_filter,
    suggested_folder,
    suggested_path,
)
from napari_sam.session.learning.learned_file import LEARNED_SUFFIX

_LEARN: Final = (
    "From the fifth object on, offer one more mask, marked with a star, where what you accepted\n"
    "leads to a better one. It is preselected once it has been better where it made a difference."
)
_FILTER: Final = name_filter("What was learned", (LEARNED_SUFFIX,))


class LearningRow(QWidget):
    """Switches learning; saves, opens or forgets what was learned."""

    save_requested = Signal(Path)
    open_requested = Signal(Path)
    forget_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._suggest: Callable[[], str] = str
        self._last_folder: Path | None = None
        self.learn = check_box("learn from accepted objects", _LEARN, checked=True)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self._save = menu.addAction("Save learned…", self._on_save_clicked)
        self._save.setToolTip("Save what was learned to a small file, for other folders and users")
        self._open = menu.addAction("Open learned…", self._on_open_clicked)
        self._open.setToolTip(
            "Begin with what such a file holds. It is preselected as soon as it does better here."
        )
        menu.addSeparator()
        self._forget = menu.addAction("Forget…", self._on_forget_clicked)
        self._forget.setToolTip("Forget what was learned, on this image and others")
        learned = button("Learned", "Save, open or forget what was learned")
        learned.set_menu(menu)
        fill(self, row(self.learn, learned, stretch=self.learn))

    def use_names(self, suggest: Callable[[], str]) -> None:
        """Suggest the names that a function returns for files."""
        self._suggest = suggest

    def show_learned(self, is_on: bool, summary: str, *, is_any: bool) -> None:
        """Show whether masks are learned, what is known, and whether that is anything."""
        self.learn.setToolTip(f"{_LEARN}\n{summary}" if is_on else _LEARN)
        self._save.setEnabled(is_any)
        self._forget.setEnabled(is_any)
        with QSignalBlocker(self.learn):
            self.learn.setChecked(is_on)

    def _on_forget_clicked(self) -> None:
        box = QMessageBox(self)
        box.setWindowTitle("Forget what was learned?")
        box.setText("Forget what was learned, on this image and others?")
        box.setInformativeText(
            "The objects stay. This cannot be undone: to keep a copy, cancel and choose "
            "Save learned… first."
        )
        box.setStandardButtons(QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(QMessageBox.StandardButton.Cancel)
        if box.exec() == QMessageBox.StandardButton.Yes:
            self.forget_requested.emit()

    def _on_open_clicked(self) -> None:
        folder = suggested_folder(self._suggest(), self._last_folder)
        ask_for_file(self, "Open learned", _FILTER, self.open_requested, folder)

    def _on_save_clicked(self) -> None:
        start = suggested_path(self._suggest(), self._last_folder)
        path = ask_where_to_save(self, "Save learned", start, _FILTER, (LEARNED_SUFFIX,))
        if path is not None:
            self._last_folder = path.parent
            self.save_requested.emit(path)
