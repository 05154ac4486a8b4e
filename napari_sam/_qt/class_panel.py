"""The classes: names, colors, number keys and numbers of objects."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QColorDialog, QLayout, QTreeWidgetItem

from napari_sam._qt.building import button, check_box, fill, line_edit, row, swatch, table
from napari_sam._qt.class_requests import ClassRequests
from napari_sam._qt.file_names import ask_for_file, ask_where_to_save, name_filter
from napari_sam._qt.predicted_classes_box import PredictedClassesBox
from napari_sam._qt.workarounds import call_soon
from napari_sam.formats.classes import ObjectClass
from napari_sam.session.classes.files import CLASS_SUFFIXES

_VISIBLE_ROWS: Final = 8
_ROW_PX: Final = 22
_SWATCH_PX: Final = 14
_NO_CLASS: Final = "no class"
_KEY, _NAME, _COUNT = range(3)
_ROW_SIZE: Final = QSize(0, _ROW_PX)
_RIGHT: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_EDITABLE: Final = QTreeWidgetItem().flags() | Qt.ItemFlag.ItemIsEditable
_Content = tuple[str, str | None, int, str | None]
"""What a row shows: key, class, number of objects, color."""


class ClassPanel(ClassRequests):
    """A row for each class, the first for no class; new objects get the chosen one."""

    choose_requested = Signal(object)
    """The name of a class, or None, for new objects."""
    open_requested = Signal(Path)
    save_requested = Signal(Path)

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str | None] = []
        self._contents: list[_Content | None] = []
        self._icons: dict[str, QIcon] = {}
        self.rows = table("Classes", "key", "class", "objects")
        self.rows.setIconSize(QSize(_SWATCH_PX, _SWATCH_PX))
        self.rows.setToolTip(
            "New objects get the selected class; double-click to rename it.\nA number key selects "
            "a class, or sets the class of the rows selected in the object table\nor of the object "
            "being re-edited."
        )
        header = self.rows.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(_NAME, header.ResizeMode.Stretch)
        self.rows.setMinimumHeight((_VISIBLE_ROWS + 1) * _ROW_PX)
        self.rows.currentItemChanged.connect(self._on_current_changed)
        self.rows.itemDoubleClicked.connect(self._on_rename)
        self.rows.itemChanged.connect(self._on_item_changed)
        self._find = line_edit("find a class")
        self._find.setClearButtonEnabled(True)
        self._find.textChanged.connect(self._show_matching)
        parts = self._build_new(), self._find, self.rows, self._build_buttons()
        self.predicted = PredictedClassesBox()
        fill(self, *parts, self.predicted, self._build_files())
        self.layout().setStretchFactor(self.rows, 1)
        self.show_classes((), None, {}, {})

    def _build_new(self) -> QLayout:
        self._new = line_edit("new class")
        self._new.returnPressed.connect(self._on_add)
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
            "Show the target's objects in the colors of their classes;\n"
            "without a class, gray with a light outline",
        )
        tooltip = "Read classes from a file: JSON saved here, COCO, YOLO, or one name per line"
        names = name_filter("Classes", CLASS_SUFFIXES)
        self._names_of_files = names
        open_file = button("Open…", tooltip, self.ask_for_file)
        self._save = button("Save…", "Save the classes to a JSON file", self.ask_where_to_save)
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
        colors: dict[str | None, str | None] = {None: None}
        colors.update((entry.name, entry.color) for entry in classes)
        contents = [
            (keys.get(name, ""), name, counts.get(name, 0), color) for name, color in colors.items()
        ]
        names = list(colors)
        with QSignalBlocker(self.rows):
            self._fit_rows(names, contents)
            # There may be thousands of classes: only rows that differ are touched.
            for number, (content, shown) in enumerate(zip(contents, self._contents, strict=True)):
                if content != shown:
                    self._fill(self.rows.topLevelItem(number), content)
            self._contents = list(contents)
            self.rows.setCurrentItem(self.rows.topLevelItem(names.index(current)))
        for widget in (self._rename, self._recolor, self._remove):
            widget.setEnabled(current is not None)
        self._save.setEnabled(bool(classes))
        self.setWindowTitle(f"Classes ({len(classes)})")
        if self._find.text():
            self._show_matching()

    def _show_matching(self) -> None:
        """Show only classes with all the words that are searched."""
        words = self._find.text().casefold().split()
        for number, name in enumerate(self._names):
            is_match = all(word in (name or _NO_CLASS).casefold() for word in words)
            self.rows.topLevelItem(number).setHidden(not is_match)

    def _fit_rows(self, names: list[str | None], contents: list[_Content]) -> None:
        """Insert or remove rows where the names change; others stay, as one may be clicked on."""
        n_more = len(names) - len(self._names)
        pairs = enumerate(zip(names, self._names, strict=False))
        n_same = min(len(names), len(self._names))
        first = next((number for number, (name, former) in pairs if name != former), n_same)
        for number in reversed(range(first, first - n_more)):
            self.rows.takeTopLevelItem(number)
        added = contents[first : first + max(0, n_more)]
        self.rows.insertTopLevelItems(first, [self._item(content) for content in added])
        self._contents[first : first + max(0, -n_more)] = added
        self._names = names

    def _item(self, content: _Content) -> QTreeWidgetItem:
        """Return a new item, filled before the table shows it, which takes far less time."""
        item = QTreeWidgetItem()
        item.setSizeHint(_NAME, _ROW_SIZE)
        item.setTextAlignment(_COUNT, _RIGHT)
        self._fill(item, content)
        return item

    def _fill(self, item: QTreeWidgetItem, content: _Content) -> None:
        key, name, count, color = content
        item.setText(_KEY, key)
        item.setText(_NAME, name or _NO_CLASS)
        item.setText(_COUNT, str(count))
        item.setData(_NAME, Qt.ItemDataRole.UserRole, name)
        if color is not None:
            if color not in self._icons:
                self._icons[color] = swatch(color, _SWATCH_PX)
            item.setFlags(_EDITABLE)
            item.setIcon(_NAME, self._icons[color])

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
        self._contents[self.rows.indexOfTopLevelItem(item)] = None  # it shows something else now
        if name is not None:
            # After the editor in the row is gone.
            call_soon(self, lambda: self.rename_requested.emit(name, new_name))

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

    def ask_for_file(self) -> None:
        """Let the user choose a file of classes to read."""
        ask_for_file(self, "Open classes", self._names_of_files, self.open_requested)

    def ask_where_to_save(self) -> None:
        """Let the user choose where to save the classes."""
        path = ask_where_to_save(
            self, "Save classes", "classes.json", "Classes (*.json)", (".json",)
        )
        if path is not None:
            self.save_requested.emit(path)
