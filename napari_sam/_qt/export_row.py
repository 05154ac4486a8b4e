"""The buttons to export objects to a file and to import them from one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_sam._qt.file_names import beginning, whole_name

_LEAST_LETTERS = 8
AS_THEY_ARE, OVERLAPPING = "labels as they are", "allow overlapping masks"


class ExportRow(QWidget):
    """Asks for a file, and for objects to be written to it or read from it."""

    export_requested = Signal(Path, str, bool)
    """With the file, the title of its format, and whether masks may overlap in it."""
    import_requested = Signal(Path)

    def __init__(
        self,
        formats: Mapping[str, tuple[str, ...]],
        readable: tuple[str, ...],
        suggest: Callable[[], str] = str,
    ) -> None:
        super().__init__()
        self._suggest = suggest
        self._last_folder: Path | None = None
        self._formats = {_filter(title, ends): title for title, ends in formats.items()}
        self._suffixes = formats
        self._readable = _filter("Objects", readable)
        self._last_filter = ""
        self._overlaps = QComboBox()
        self._overlaps.addItems([AS_THEY_ARE, OVERLAPPING])
        # Cut off, rather than making the whole dock as wide as its longer choice.
        self._overlaps.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._overlaps.setMinimumContentsLength(_LEAST_LETTERS)
        self._overlaps.setToolTip(
            "What is exported of an object: its pixels in the labels, or its whole accepted mask,\n"
            "also where other objects have taken pixels of it (for COCO, GeoJSON, ROIs, YOLO, NPZ)"
        )
        self._export = QPushButton("Export…")
        self._export.setToolTip("Write all objects of the target to a file for other programs")
        self._export.clicked.connect(self._on_export_clicked)
        self._import = QPushButton("Import…")
        self._import.setToolTip("Add the objects of a file to the target; undo takes them back")
        self._import.clicked.connect(self._on_import_clicked)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._overlaps, 1)
        row.addWidget(self._export)
        row.addWidget(self._import)

    def show_busy(self, is_busy: bool) -> None:
        """Show whether a file is being written or read: one at a time."""
        self._export.setEnabled(not is_busy)
        self._import.setEnabled(not is_busy)

    def _on_export_clicked(self) -> None:
        start = beginning(self._suggest(), self._last_folder)
        name, chosen = QFileDialog.getSaveFileName(
            self, "Export objects", start, ";;".join(self._formats), self._last_filter
        )
        if not name:
            return
        self._last_filter, self._last_folder = chosen, Path(name).parent
        title = self._formats[chosen]
        path = whole_name(self, name, self._suffixes[title])
        if path is not None:
            overlapping = self._overlaps.currentText() == OVERLAPPING
            self.export_requested.emit(path, title, overlapping)

    def _on_import_clicked(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Import objects", "", self._readable)
        if name:
            self.import_requested.emit(Path(name))


def _filter(title: str, ends: tuple[str, ...]) -> str:
    return f"{title} ({' '.join(f'*{end}' for end in ends)})"
