"""Names of files to be saved: what dialogs begin with, and what is typed without a suffix."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QMessageBox, QWidget


def beginning(suggested: str, last: Path | None) -> str:
    """Return the name that a dialog begins with.

    Parameters
    ----------
    suggested : str
        A name, maybe with its folder; "" for none.
    last : Path, optional
        The folder where the person was last, for a name without one.
    """
    return suggested if last is None else str(last / suggested)


def whole_name(parent: QWidget, name: str, suffixes: tuple[str, ...]) -> Path | None:
    """Return a file to be written, with its suffix; None if the person keeps one that is there.

    The dialog has asked about the name as it was typed: with a suffix it may be another file's.

    Parameters
    ----------
    parent : QWidget
        Over which to ask.
    name : str
        What was typed.
    suffixes : tuple of str
        How such files end, in lower case; the first one is added where there is none.
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
