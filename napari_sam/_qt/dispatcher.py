"""Carries results of background jobs to the GUI thread."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from qtpy.QtCore import QEventLoop, QObject, Qt, QTimer, Signal, Slot

_LONGEST_TURN_S: Final = 0.1
"""A GUI thread that takes longer may be waiting for the very thread that lets it run."""


class QtDispatcher(QObject):
    """A session `Dispatcher` whose callbacks run in the GUI thread's event loop."""

    _posted = Signal(object)
    _turn_asked = Signal()
    _ran = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Lock()
        self._is_closed, self._waiting = False, 0
        self._posted.connect(self._run_posted, Qt.ConnectionType.QueuedConnection)
        self._turn_asked.connect(self.end_turn, Qt.ConnectionType.QueuedConnection)
        self._turn_over, self._turn_end_s = threading.Event(), 0.0
        self._turn_over.set()

    @property
    def is_idle(self) -> bool:
        """Whether no posted callback waits."""
        return self._is_closed or self._waiting == 0

    def post(self, callback: Callable[[], None]) -> None:
        """Call `callback` soon on the GUI thread; may be called from any thread."""
        # Under the lock, so that no other thread closes it between the check and the emit.
        with self._lock, suppress(RuntimeError):  # the C++ object may be gone with its window
            if not self._is_closed:
                self._waiting += 1
                self._posted.emit(callback)

    def let_owner_run(self) -> None:
        """Wait until the GUI thread has finished what it is doing; for any other thread.

        No longer than `_LONGEST_TURN_S`, and no second time before the event loop runs again.
        """
        with self._lock, suppress(RuntimeError):
            if self._turn_over.is_set() and not self._is_closed:
                self._turn_over.clear()
                self._turn_end_s = time.monotonic() + _LONGEST_TURN_S
                self._turn_asked.emit()
        self._turn_over.wait(max(0.0, self._turn_end_s - time.monotonic()))

    def begin_turn(self, limit_s: float) -> None:
        """Have `let_owner_run` wait for `end_turn`, up to a limit; for a window being built."""
        self._turn_end_s = time.monotonic() + limit_s
        self._turn_over.clear()

    @Slot()
    def end_turn(self) -> None:
        """Let other threads go on."""
        self._turn_over.set()

    def post_later(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the next round of the event loop, after what the user did; no thread.

        Callbacks that post each other would be called in one round, without time for the user.
        """
        QTimer.singleShot(0, lambda: self._run(callback))

    @Slot(object)
    def _run_posted(self, callback: Callable[[], None]) -> None:
        with self._lock:
            self._waiting -= 1
        self._run(callback)

    def _run(self, callback: Callable[[], None]) -> None:
        try:
            if not self._is_closed:
                callback()
        finally:
            self._ran.emit()

    def run_pending(self, timeout_s: float) -> None:
        """Run the event loop until a callback has run or `timeout_s` seconds have passed."""
        loop = QEventLoop()
        timer = QTimer(singleShot=True, timeout=loop.quit)
        self._ran.connect(loop.quit)
        self.end_turn()
        timer.start(max(1, round(timeout_s * 1000)))
        loop.exec()
        self._ran.disconnect(loop.quit)

    def close(self) -> None:
        """Drop all callbacks, pending and later ones."""
        with self._lock:
            self._is_closed = True
        self._turn_over.set()
