"""Buttons to export objects to a file and to import them from one."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QWidget

from napari_sam._qt.building import button, combo_box, fill
from napari_sam._qt.file_names import (
    ask_for_name,
    has_suffix,
    name_filter,
    path_with_suffix,
    suggested_path,
)
from napari_sam.formats.reading import READ_SUFFIXES
from napari_sam.formats.reading_tracks import GEFF_FILE, POINTS_SUFFIXES
from napari_sam.formats.registry import ALL_FORMATS, FORMATS, Format

_ARROW_PX: Final = 24


class ExportScope(StrEnum):
    """Which objects are exported."""

    ALL = "all objects"
    SHOWN = "rows that pass the filter"
    SELECTED = "selected rows"


class ExportRow(QWidget):
    """Asks for a file, and requests to export objects to it or to import objects from it."""

    export_requested = Signal(Path, str, bool)
    """Sent with the file, the title of its format, and whether masks may overlap in it."""
    import_requested = Signal(Path)
    image_chosen = Signal(int)
    """Sent with the index of the image in a file whose objects are wanted."""

    def __init__(
        self,
        suggest: Callable[[], str] = str,
        is_image: Callable[[Path], bool] = lambda path: False,
        may_be_film: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__()
        self._suggest, self._is_image, self._may_be_film = suggest, is_image, may_be_film
        self._last_folder: Path | None = None
        names = name_filter("Objects", (*READ_SUFFIXES, *POINTS_SUFFIXES, GEFF_FILE))
        self._last_filter = ""
        self.scope = ExportScope.ALL
        """Which objects the user wants to export."""
        self.export = button("Export…", "", self._on_export_clicked)
        self._options = button("▾", "Which objects to export, and whether their masks overlap")
        self._options.setFixedWidth(_ARROW_PX)
        self._options.set_menu(self._build_menu())
        self.import_ = button(
            "Import…",
            "Add the objects of a file to the target; one Undo removes them all",
            lambda: self._on_import_clicked(names),
        )
        self._images = combo_box("The image in the file whose objects are imported")
        self._images.activated.connect(self._on_image_chosen)
        self._images.hide()
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for widget, share in ((self.export, 1), (self._options, 0), (self.import_, 1)):
            buttons.addWidget(widget, share)
        fill(self, self._images, buttons)
        self._choose_scope(ExportScope.ALL)

    def _build_menu(self) -> QMenu:
        menu = QMenu(self)
        group = QActionGroup(menu)
        self.scopes: dict[ExportScope, QAction] = {}
        for scope in ExportScope:
            action = menu.addAction(f"Export {scope}")
            action.setCheckable(True)
            action.triggered.connect(lambda _, scope=scope: self._choose_scope(scope))
            group.addAction(action)
            self.scopes[scope] = action
        menu.addSeparator()
        self.overlapping = menu.addAction("Whole masks, overlapping")
        self.overlapping.setCheckable(True)
        self.overlapping.setToolTip(
            "Write the whole accepted mask of each object, with the pixels that other objects have "
            "taken (for COCO, GeoJSON, ROIs, YOLO and NPZ), rather than its pixels in the labels"
        )
        menu.setToolTipsVisible(True)
        return menu

    def _choose_scope(self, scope: ExportScope) -> None:
        self.scope = scope
        self.scopes[scope].setChecked(True)
        texts = {ExportScope.SHOWN: "Export shown…", ExportScope.SELECTED: "Export selected…"}
        self.export.setText(texts.get(scope, "Export…"))
        self.export.setToolTip(f"Export {scope} of the target to a file for other programs")

    def show_busy(self, is_busy: bool) -> None:
        """Disable the buttons while a file is being written or read."""
        self.export.setEnabled(not is_busy)
        self.import_.setEnabled(not is_busy)

    def offer_images(self, names: Sequence[str]) -> None:
        """Let the user choose one of several images in a file; without names, no longer."""
        self._images.clear()
        self._images.addItems([f"Choose your image in the file ({len(names)})…", *names])
        self._images.setVisible(bool(names))

    def _on_image_chosen(self, entry: int) -> None:
        if entry > 0:
            self.image_chosen.emit(entry - 1)

    def _on_export_clicked(self) -> None:
        bare = suggested_path(self._suggest(), self._last_folder)
        offered = ALL_FORMATS if self._may_be_film() else FORMATS
        formats = {name_filter(entry.title, entry.suffixes): entry for entry in offered}
        proposed = formats.get(self._last_filter, offered[0])
        start = self._suggested(bare, proposed) if bare else ""

        def renamed(chosen: str, name: str) -> str:
            nonlocal proposed, start
            former, proposed = proposed.suffixes[0], formats[chosen]
            typed = _without_suffix(name, former, proposed.suffixes[0])
            if typed not in (bare, start.removesuffix(former)):
                return self._suggested(typed, proposed)
            start = self._suggested(bare, proposed)
            return start

        name, chosen = ask_for_name(
            self, "Export objects", start, ";;".join(formats), self._last_filter, renamed
        )
        if not name:
            return
        self._last_filter, self._last_folder = chosen, Path(name).parent
        file_format = formats[chosen]
        if start and file_format is not proposed and has_suffix(name, proposed.suffixes[:1]):
            # The dialog leaves the suffix that it has suggested.
            name = bare if name == start else name[: -len(proposed.suffixes[0])]
        elif name != bare:
            file_format = _format_of(name, file_format)
        if not has_suffix(name, file_format.suffixes):
            suffix = file_format.suffixes[0]
            name = self._named(name, suffix).removesuffix(suffix)
        path = path_with_suffix(self, name, file_format.suffixes)
        if path is not None:
            overlapping = self.overlapping.isChecked()
            self.export_requested.emit(path, file_format.title, overlapping)

    def _suggested(self, bare: str, file_format: Format) -> str:
        """Return a name with the suffix of a format; the bare one instead of that of a folder."""
        name = self._named(bare, file_format.suffixes[0])
        return bare if Path(name).is_dir() else name  # the dialog would go into it

    def _named(self, name: str, suffix: str) -> str:
        """Return a name with a suffix, and another one than that of the image."""
        return f"{name} labels{suffix}" if self._is_image(Path(name + suffix)) else name + suffix

    def _on_import_clicked(self, names: str) -> None:
        folder = "" if self._last_folder is None else str(self._last_folder)
        name, _ = QFileDialog.getOpenFileName(self, "Import objects", folder, names)
        if name:
            self._last_folder = Path(name).parent
            self.import_requested.emit(Path(name))


def _without_suffix(name: str, former: str, following: str) -> str:
    """Return a name without its suffix; Qt may have put the following one in its place."""
    exchanged = former.rpartition(".")[0] + Path(f"x{following}").suffix
    return name.removesuffix(former if name.endswith(former) else exchanged)


def _format_of(name: str, chosen: Format) -> Format:
    """Return the format whose suffix was typed, else the one chosen in the dialog."""

    def typed(entry: Format) -> int:
        return max((len(end) for end in entry.suffixes if has_suffix(name, (end,))), default=0)

    return max((chosen, *ALL_FORMATS), key=typed)  # the first of equals
