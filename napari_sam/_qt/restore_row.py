"""Unsaved objects of an earlier session, and the buttons to restore or discard them."""

from datetime import datetime
from typing import Final

from qtpy.QtCore import QEvent, QObject, QRect, Signal
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtWidgets import QWidget

from napari_sam._qt.building import button, fill, progress_bar, rest_timer, row
from napari_sam._qt.colors import Severity, base_color, text_color
from napari_sam._qt.eliding_label import ElidingLabel
from napari_sam.session.journal.files import JournalSummary

_DISCARD: Final = "Discard objects"
_MARGIN_PX: Final = 12
_EDGE_PX: Final = 4
_CONFIRM_MS: Final = 5000
"""How long the second press is awaited."""


class RestoreRow(QWidget):
    """Offers the unsaved objects of the image; hidden if there are none.

    Its buttons name what they are about: automatic masks are restored and discarded, too.
    """

    discard_requested = Signal()
    """Only after a second press, soon after the first and with the mouse still there."""

    def __init__(self) -> None:
        super().__init__()
        self._text = ElidingLabel()
        self._progress = progress_bar("You can keep working meanwhile")
        self.restore = button(
            "Restore objects",
            "Restore these objects, with prompts, classes and notes, into a new labels layer,\n"
            "which becomes the target; an unfinished object goes on where it was",
        )
        self._discard = button(_DISCARD, "", self._on_discard_clicked)
        self._discard.installEventFilter(self)
        self.later = button(
            "Later",
            "Decide later, and see what is below: they are kept in the menu of Session,\n"
            "and offered again with the image",
            self.hide,
        )
        self._confirm_timer = rest_timer(self, _CONFIRM_MS, lambda: self._ask_again(False))
        self._buttons = self.restore, self._discard, self.later
        buttons = row(self._progress, *self._buttons)
        for place, stretch in ((1, 5), (2, 5), (3, 2)):  # by the letters of each
            buttons.setStretch(place, stretch)
        fill(self, self._text, buttons)
        self.layout().setContentsMargins(_MARGIN_PX, 8, _MARGIN_PX, 8)
        self.show_offer(())

    def show_offer(self, journals: tuple[JournalSummary, ...]) -> None:
        """Show the newest of these journals, and how many more there are."""
        self.setVisible(bool(journals))
        self._ask_again(False)
        self._show_working(False)
        if not journals:
            return
        newest, *older = journals
        end = "" if newest.is_closed else "; napari did not exit cleanly"
        more = f" {len(older)} older {'set' if len(older) == 1 else 'sets'} can be restored next."
        image = newest.header.image
        self._text.show_text(
            f"{_objects_of(newest)} on '{image.name}' ({_when(newest.ended)}{end})."
            f"{more if older else ''}"
        )
        self._text.setToolTip(
            f"Image: {image.source or image.name}\nAccepted objects and unfinished ones are "
            "written to a journal as you go; the 100 most recent journals are kept.\n"
            "Discard these objects if you have exported them or saved the labels layer, and do "
            "not need their prompts."
        )

    def show_progress(self, fraction: float) -> None:
        """Show the progress of a restore."""
        self._show_working(True)
        self._progress.setValue(round(100 * fraction))

    def _show_working(self, is_working: bool) -> None:
        self._progress.setVisible(is_working)
        for widget in self._buttons:
            widget.setVisible(not is_working)

    def paintEvent(self, _: QPaintEvent) -> None:
        """Paint a background of its own, as it lies over other widgets."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), base_color(self))
        painter.fillRect(self.rect(), text_color(self, 0.12))
        painter.fillRect(QRect(0, 0, _EDGE_PX, self.height()), Severity.WARNING.color)

    def _ask_again(self, is_asked: bool) -> None:
        self._discard.setText("Really discard" if is_asked else _DISCARD)
        again = "Press again to delete these objects permanently"
        ask = "Delete these objects permanently (asks for confirmation)"
        self._discard.setToolTip(again if is_asked else ask)

    def _on_discard_clicked(self) -> None:
        if self._discard.text() == _DISCARD:
            self._ask_again(True)
            self._confirm_timer.start()
        else:
            self.discard_requested.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the question back when the mouse leaves the button."""
        if event.type() == QEvent.Type.Leave:
            self._ask_again(False)
        return bool(super().eventFilter(watched, event))


def counted_unfinished(n_unfinished: int) -> str:
    """Return objects in progress in words."""
    return "an unfinished object" if n_unfinished == 1 else f"{n_unfinished} unfinished objects"


def _objects_of(journal: JournalSummary) -> str:
    objects = "unsaved object" if journal.n_objects == 1 else "unsaved objects"
    words = [f"{journal.n_objects} {objects}"] if journal.n_objects else []
    words += [counted_unfinished(journal.n_unfinished)] if journal.n_unfinished else []
    text = " and ".join(words)
    return text[:1].upper() + text[1:]


def _when(seconds: float) -> str:
    time = datetime.fromtimestamp(seconds).astimezone()
    days = (datetime.now().astimezone().date() - time.date()).days
    day = {0: "today", 1: "yesterday"}.get(days, f"{time:%Y-%m-%d}")
    return f"{day} {time:%H:%M}"
