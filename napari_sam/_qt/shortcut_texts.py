"""Texts of widgets that name keys, and keep naming those that are in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class ShortcutTexts:
    """Texts, each with the command whose key it names; without a key for it they are bare."""

    def __init__(self) -> None:
        self._texts: list[tuple[Callable[[str], object], str, str, str]] = []

    def add(
        self, set_text: Callable[[str], object], text: str, command: str, how: str = "{}"
    ) -> None:
        """Have a text name a key."""
        self._texts.append((set_text, text, command, how))
        set_text(text)

    def show(self, keys: Mapping[str, str]) -> None:
        """Name these keys, by command; "" stands for no key."""
        for set_text, text, command, how in self._texts:
            key = keys.get(command, "")
            set_text(f"{text} ({how.format(key)})" if key else text)
