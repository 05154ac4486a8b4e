"""Names of files to be saved: what dialogs begin with, and what is typed without a suffix."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QMessageBox, QWidget


def beginning(suggested: str, last: Path | None) -> str:
    """Return the name that a dialog begins with."""
    return suggested if last is None else str(last / suggested)


def whole_name(parent: QWidget, name: str, suffixes: tuple[str, ...]) -> Path | None:
    """Return a file to be written, with its suffix; None if the user keeps one that is there.

    The dialog has asked about the name as it was typed: with a suffix it may be another file's.
    """
    if name.lower().endswith(suffixes):
        return Path(name)
    path = Path(name + suffixes[0])
    if path.exists():
        answer = QMessageBox.question(
            parent, "Replace the file?", f"'{path.name}' is there already. Replace it?"
        )
        if answer != QMessageBox.StandardButton.Yes:
            return None
    return path
