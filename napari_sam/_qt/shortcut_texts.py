"""Texts of widgets that name the keys in force."""

from collections.abc import Callable, Mapping


class ShortcutTexts:
    """Texts, each with the command whose key it names, if the command has one."""

    def __init__(self) -> None:
        self._texts: list[tuple[Callable[[str], object], str, str, str]] = []

    def add(
        self, set_text: Callable[[str], object], text: str, command: str, form: str = "{}"
    ) -> None:
        """Add a text; `form` says how the key is named in brackets."""
        self._texts.append((set_text, text, command, form))
        set_text(text)

    def show(self, keys: Mapping[str, str]) -> None:
        """Show these keys, by command; "" stands for no key."""
        for set_text, text, command, form in self._texts:
            key = keys.get(command, "")
            set_text(f"{text} ({form.format(key)})" if key else text)
