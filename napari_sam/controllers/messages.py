"""Shows messages in the dock's own line; where that is not visible, as napari's notifications."""

import time
from contextlib import suppress
from typing import Final

from napari.utils.notifications import show_info, show_warning
from qtpy.QtWidgets import QWidget

from napari_sam._qt.building import rest_timer
from napari_sam._qt.colors import Severity
from napari_sam._qt.message_history import MessageHistory
from napari_sam._qt.painted_labels import MessageLine

_STAY_MS: Final = 15_000
_LEAST_S: Final = 1.0
"""A message is not taken back by what happens together with it."""
_KEPT: Final = 12


class Messages:
    """A line with what to do next, over which messages lie for a while; warnings stay."""

    def __init__(self, widget: QWidget) -> None:
        self._widget = widget
        self.line = MessageLine()
        self._hint = "", Severity.HINT
        self._has_message = False
        self._message = ""
        self._shown_s = 0.0
        self._history: list[str] = []
        self._popup: MessageHistory | None = None
        self._timer = rest_timer(widget, _STAY_MS, self._take_back)
        self.line.clicked.connect(self._on_clicked)

    def close(self) -> None:
        """Show nothing more."""
        self._timer.stop()

    # What is said ------------------------------------------------------------------------------

    def hint(self, text: str, severity: Severity = Severity.HINT) -> None:
        """Show what to do next, now or once the message is gone."""
        self._hint = text, severity
        if not self._has_message:
            self.line.show_message(text, severity)

    def info(self, text: str) -> None:
        """Say what was done."""
        self._say(text, Severity.INFO)

    def note(self, text: str) -> None:
        """Say what the user may want to know, though nothing was done."""
        self._say(text, Severity.HINT)

    def warn(self, text: str) -> None:
        """Say why something was not done, or what to beware of."""
        self._say(text, Severity.WARNING)

    def fail(self, text: str) -> None:
        """Say what has failed."""
        self._say(text, Severity.ERROR)

    def _say(self, text: str, severity: Severity) -> None:
        entry = f"{time.strftime('%H:%M')}  {severity.letter}  {text}"
        self._history = [entry, *self._history][:_KEPT]
        is_passing = severity in (Severity.HINT, Severity.INFO)
        if not self._is_visible:
            (show_info if is_passing else show_warning)(text)
            return
        self._has_message, self._shown_s = True, time.monotonic()
        self._message = text
        self.line.show_message(text, severity)
        # What went wrong is read later than it is said, and holds until the user goes on.
        if is_passing:
            self._timer.start()
        else:
            self._timer.stop()

    @property
    def _is_visible(self) -> bool:
        with suppress(RuntimeError):  # Qt may have destroyed it with the window
            return self._widget.isVisible() and not self._widget.visibleRegion().isEmpty()
        return False

    # What ends it ------------------------------------------------------------------------------

    def done(self) -> None:
        """Take the message back, as the user has gone on."""
        if self._has_message and time.monotonic() - self._shown_s > _LEAST_S:
            self._take_back()

    def withdraw(self, text: str) -> None:
        """Take this message back, as its reason is gone."""
        if self._has_message and self._message == text:
            self._take_back()

    def _take_back(self) -> None:
        self._timer.stop()
        self._has_message = False
        self.line.show_message(*self._hint)

    def _on_clicked(self) -> None:
        if self._popup is None:
            self._popup = MessageHistory(self._widget)
        self._popup.show_messages(self._history, self.line)
