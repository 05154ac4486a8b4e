"""A timer that waits until something rests."""

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer


class RestTimer(QTimer):
    """Calls a function once it has not been restarted for a while."""

    def __init__(self, parent: QObject, rest_ms: int, on_rest: Callable[[], None]) -> None:
        super().__init__(parent)
        self.setSingleShot(True)
        self.setInterval(rest_ms)
        self.timeout.connect(on_rest)

    def restart(self) -> None:
        """Start waiting again."""
        self.start()
