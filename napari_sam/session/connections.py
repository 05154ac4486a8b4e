"""Connections of signals to callbacks that are made and undone together."""

from typing import Any


class Connections:
    """Connects signals of psygnal, napari or Qt to callbacks until `close`."""

    def __init__(self, *pairs: tuple[Any, Any]) -> None:
        self._pairs = pairs
        for signal, callback in pairs:
            signal.connect(callback)

    def close(self) -> None:
        """Disconnect all callbacks."""
        for signal, callback in self._pairs:
            signal.disconnect(callback)
        self._pairs = ()
