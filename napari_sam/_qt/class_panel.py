"""The classes: names, colours, number keys and numbers of objects."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from qtpy.QtCore import QSignalBlocker, QSize, Qt, QTimer, Signal
from qtpy.QtWidgets import QColorDialog, QFileDialog, QLayout, QLineEdit, QTreeWidgetItem, QWidget

from napari_sam._qt.building import button, check_box, fill, row, swatch, table
from napari_sam._qt.file_names import ask_for_file, name_filter, path_with_suffix
from napari_sam.formats.classes import ObjectClass
from napari_sam.session.classes.files import CLASS_SUFFIXES

_VISIBLE_ROWS: Final = 5
_ROW_PX: Final = 22
_SWATCH_PX: Final = 14
_NO_CLASS: Final = "no class"
_KEY, _NAME, _COUNT = range(3)


class ClassPanel(QWidget):
    """A row for each class, the first for no class; new objects get the chosen one."""

    choose_requested = Signal(object)
    """The name of a class, or None."""
    add_requested = Signal(str)
    rename_requested = Signal(str, str)
    recolor_requested = Signal(str, str)
    remove_requested = Signal(str)
    open_requested = Signal(Path)
    save_requested = Signal(Path)

    def __init__(self) -> None:
        super().__init__()
        self.rows = table("key", "class", "objects")
        self.rows.setIconSize(QSize(_SWATCH_PX, _SWATCH_PX))
        self.rows.setToolTip(
            "New objects get the selected class; double-click to rename it.\nA number key selects "
            "a class, or sets the class of the rows selected in the object table\nor of the object "
            "being re-edited."
        )
        header = self.rows.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(_NAME, header.ResizeMode.Stretch)
        self.rows.setFixedHeight((_VISIBLE_ROWS + 1) * _ROW_PX)
        self.rows.currentItemChanged.connect(self._on_current_changed)
        self.rows.itemDoubleClicked.connect(self._on_rename)
        self.rows.itemChanged.connect(self._on_item_changed)
        fill(self, self._build_new(), self.rows, self._build_buttons(), self._build_files())
        self.show_classes((), None, {}, {})

    def _build_new(self) -> QLayout:
        self._new = QLineEdit(placeholderText="new class", returnPressed=self._on_add)
        add = button("Add", "Add a class with this name (Enter)", self._on_add)
        return row(self._new, add, stretch=self._new)

    def _build_buttons(self) -> QLayout:
        self._rename = button("Rename", "Rename the class (also on its objects)", self._on_rename)
        self._recolor = button("Color…", "Choose another color for the class", self._on_recolor)
        self._remove = button(
            "Delete", "Delete the class; its objects remain, without a class", self._on_remove
        )
        return row(self._rename, self._recolor, self._remove)

    def _build_files(self) -> QLayout:
        self.coloring = check_box(
            "color by class",
            "Show the target's objects in the colors of their classes; gray without a class",
        )
        tooltip = "Read classes from a file: JSON saved here, COCO, YOLO, or one name per line"
        names = name_filter("Classes", CLASS_SUFFIXES)
        open_file = button(
            "Open…", tooltip, lambda: ask_for_file(self, "Open classes", names, self.open_requested)
        )
        self._save = button("Save…", "Save the classes to a JSON file", self._on_save)
        return row(self.coloring, open_file, self._save, stretch=self.coloring)

    # What is shown -----------------------------------------------------------------------------

    def show_classes(
        self,
        classes: Sequence[ObjectClass],
        current: str | None,
        counts: Mapping[str | None, int],
        keys: Mapping[str | None, str],
    ) -> None:
        """Show the classes; `counts` and `keys` by class name, None for no class."""
        with QSignalBlocker(self.rows):
            # Rows are reused: this may be called by a click on one of them.
            while self.rows.topLevelItemCount() > len(classes) + 1:
                self.rows.takeTopLevelItem(len(classes) + 1)
            for number, object_class in enumerate((None, *classes)):
                item = self._item(number)
                name = None if object_class is None else object_class.name
                item.setText(_KEY, keys.get(name, ""))
                item.setText(_NAME, name or _NO_CLASS)
                item.setText(_COUNT, str(counts.get(name, 0)))
                item.setData(_NAME, Qt.ItemDataRole.UserRole, name)
                if object_class is not None:
                    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                    item.setIcon(_NAME, swatch(object_class.color, _SWATCH_PX))
                if name == current:
                    self.rows.setCurrentItem(item)
        for widget in (self._rename, self._recolor, self._remove):
            widget.setEnabled(current is not None)
        self._save.setEnabled(bool(classes))

    def _item(self, number: int) -> QTreeWidgetItem:
        """Return the item of a row; append one if the row is new."""
        item = self.rows.topLevelItem(number)
        if item is None:
            item = QTreeWidgetItem()
            item.setSizeHint(_NAME, QSize(0, _ROW_PX))
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            item.setTextAlignment(_COUNT, flags)
            self.rows.addTopLevelItem(item)
        return item

    def show_coloring(self, is_on: bool) -> None:
        """Show whether objects are coloured by class."""
        with QSignalBlocker(self.coloring):
            self.coloring.setChecked(is_on)

    # What is asked for ---------------------------------------------------------------------------

    @property
    def _current(self) -> str | None:
        item = self.rows.currentItem()
        name: str | None = None if item is None else item.data(_NAME, Qt.ItemDataRole.UserRole)
        return name

    def _on_current_changed(self) -> None:
        self.choose_requested.emit(self._current)

    def _on_rename(self) -> None:
        self.rows.editItem(self.rows.currentItem(), _NAME)

    def _on_item_changed(self, item: QTreeWidgetItem) -> None:
        name, new_name = item.data(_NAME, Qt.ItemDataRole.UserRole), item.text(_NAME).strip()
        if name is not None:
            # After the editor in the row is gone.
            QTimer.singleShot(0, lambda: self.rename_requested.emit(name, new_name))

    def _on_add(self) -> None:
        name = self._new.text().strip()
        if name:
            self._new.clear()
            self.add_requested.emit(name)

    def _on_recolor(self) -> None:
        icon = self.rows.currentItem().icon(_NAME)
        current = icon.pixmap(_SWATCH_PX, _SWATCH_PX).toImage().pixelColor(1, 1)
        color = QColorDialog.getColor(current, self, f"Color of '{self._current}'")
        if color.isValid():
            self.recolor_requested.emit(self._current, color.name())

    def _on_remove(self) -> None:
        self.remove_requested.emit(self._current)

    def _on_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save classes", "classes.json", "Classes (*.json)"
        )
        path = path_with_suffix(self, name, (".json",)) if name else None
        if path is not None:
            self.save_requested.emit(path)
