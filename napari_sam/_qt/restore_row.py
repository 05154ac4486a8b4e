"""Objects of an earlier time that can be brought back: what they are, and the buttons."""

from __future__ import annotations

from datetime import datetime

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_sam._qt.collapsible import ElidingLabel
from napari_sam.session.journal.files import JournalSummary
from napari_sam.session.objects.records import counted

_DISCARD = "Discard"
_REALLY = "Really discard"


class RestoreRow(QWidget):
    """Offers what an earlier program has left of the image; hidden where there is nothing."""

    restore_requested = Signal()
    discard_requested = Signal()
    """Only after the button was pressed twice."""

    def __init__(self) -> None:
        super().__init__()
        self._text = ElidingLabel()
        self._progress = QProgressBar()
        self._progress.setRange(0, 100)
        self._progress.setToolTip("You can go on working meanwhile")
        self._restore = QPushButton("Restore")
        self._restore.setToolTip(
            "Bring these objects back, in a labels layer of their own, with their prompts, classes "
            "and notes;\nwhat you accept next is written into it, too"
        )
        self._restore.clicked.connect(lambda: self.restore_requested.emit())
        self._discard = QPushButton(_DISCARD)
        self._discard.clicked.connect(self._on_discard_clicked)
        row = QHBoxLayout()
        row.addWidget(self._progress, 1)
        row.addWidget(self._restore, 1)
        row.addWidget(self._discard, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._text)
        column.addLayout(row)
        self.show_offer(())

    def show_offer(self, found: tuple[JournalSummary, ...]) -> None:
        """Show what there is to be restored, the newest first."""
        self.setVisible(bool(found))
        self._ask_again(False)
        self._show_working(False)
        if not found:
            return
        newest, *others = found
        end = "the program ended unexpectedly"
        if newest.is_closed:
            end = "the widget was closed or the labels layer deleted"
        more = f" ({len(others)} more to choose from after that.)" if others else ""
        image = newest.header["image"]
        made = f"{counted(newest.n_objects)} on '{image['name']}' of {_when(newest.ended)}"
        self._text.show_text(f"{made}, when {end}, in no session file.{more}")
        self._text.setToolTip(
            f"Made on {image['source'] or image['name']}.\n"
            "Whatever you accept is written down as you do it, and kept for 90 days. If you have "
            "exported these\nobjects, or saved the labels layer, and need no prompts of them, "
            "discard them."
        )

    def show_progress(self, fraction: float) -> None:
        """Show how much is restored."""
        self._show_working(True)
        self._progress.setValue(round(100 * fraction))

    def _show_working(self, is_working: bool) -> None:
        self._progress.setVisible(is_working)
        self._restore.setVisible(not is_working)
        self._discard.setVisible(not is_working)

    def _ask_again(self, is_asked: bool) -> None:
        self._discard.setText(_REALLY if is_asked else _DISCARD)
        self._discard.setToolTip(
            "Press once more to remove these objects for good"
            if is_asked
            else "Remove these objects for good; asks once more"
        )

    def _on_discard_clicked(self) -> None:
        if self._discard.text() == _DISCARD:
            self._ask_again(True)
        else:
            self.discard_requested.emit()


def _when(seconds: float) -> str:
    then = datetime.fromtimestamp(seconds).astimezone()
    days = (datetime.now().astimezone().date() - then.date()).days
    day = {0: "today", 1: "yesterday"}.get(days, f"{then:%Y-%m-%d}")
    return f"{day}, {then:%H:%M}"
