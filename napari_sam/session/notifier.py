"""The one way by which every part of a session sends messages to the user."""

from psygnal import Signal


class Notifier:
    """Collects messages that the user should not miss; a widget shows them, a script may listen.

    All methods belong to the owner's thread.
    """

    warned = Signal(str)
    """A message that should not be missed."""

    def warn(self, message: str) -> None:
        """Send a message."""
        self.warned.emit(message)
