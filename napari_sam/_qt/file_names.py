"""Names of files: filters and suggestions of dialogs, and names typed without a suffix."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget


def name_filter(title: str, suffixes: tuple[str, ...]) -> str:
    """Return what a dialog calls the files with these suffixes."""
    return f"{title} ({' '.join(f'*{suffix}' for suffix in suffixes)})"


def has_suffix(name: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a name ends with one of the suffixes, in any case."""
    return name.lower().endswith(tuple(suffix.lower() for suffix in suffixes))


def ask_for_file(parent: QWidget, title: str, names: str, chosen: Any, folder: str = "") -> None:
    """Let the user choose a file to read, and emit its path with the signal `chosen`."""
    name, _ = QFileDialog.getOpenFileName(parent, title, folder, names)
    if name:
        chosen.emit(Path(name))


def ask_where_to_save(
    parent: QWidget, title: str, start: str, names: str, suffixes: tuple[str, ...]
) -> Path | None:
    """Let the user choose a file to write; None if they choose none, or keep an existing one."""
    name, _ = QFileDialog.getSaveFileName(parent, title, start, names)
    return path_with_suffix(parent, name, suffixes) if name else None


def ask_for_name(
    parent: QWidget,
    title: str,
    start: str,
    filters: str,
    chosen: str,
    renamed: Callable[[str, str], str],
) -> tuple[str, str]:
    """Let the user choose a file to write and one of several filters; return both.

    Another filter `renamed` the name, of which it is called with the filter and the name. Both are
    empty if the user chooses none.
    """
    dialog = QFileDialog(parent, title, start)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setNameFilter(filters)
    if chosen:
        dialog.selectNameFilter(chosen)
    if start:
        dialog.selectFile(start)

    def rename(name_filter: str) -> None:
        names = dialog.selectedFiles()
        if names and not Path(names[0]).is_dir():  # without a name, it is the folder
            dialog.selectFile(renamed(name_filter, names[0]))

    dialog.filterSelected.connect(rename)
    is_chosen = dialog.exec()
    names, name_filter = dialog.selectedFiles(), dialog.selectedNameFilter()
    dialog.deleteLater()
    return (names[0], name_filter) if is_chosen and names else ("", "")


def suggested_path(name: str, last_folder: Path | None) -> str:
    """Return the path that a dialog suggests: without a folder of its own, in the last one."""
    return name if last_folder is None else str(last_folder / name)


def suggested_folder(name: str, last_folder: Path | None) -> str:
    """Return the folder of the path that a dialog would suggest; empty if there is none."""
    path = Path(suggested_path(name, last_folder))
    folder = path.parent if name else path
    return "" if folder == Path() else str(folder)


def path_with_suffix(parent: QWidget, name: str, suffixes: tuple[str, ...]) -> Path | None:
    """Return the file to write, with its suffix; None if the user keeps an existing file.

    The dialog has only asked about the name as typed, which may lack the suffix.
    """
    if has_suffix(name, suffixes):
        return Path(name)
    path = Path(name + suffixes[0])
    if path.exists():
        answer = QMessageBox.question(
            parent, "Replace the file?", f"'{path.name}' already exists. Replace it?"
        )
        if answer != QMessageBox.StandardButton.Yes:
            return None
    return path
