"""The keys on our layers, and on no others: one table of them, and which are in force.

napari's own preferences know keys of the viewer and of layer types: a key put there would act on
every layer of the user's. So ours are changed in a list of our own, which is made of this table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from app_model.types import KeyBinding, KeyCode, KeyMod
from napari.components import ViewerModel
from napari.layers import Labels, Layer, Points, Shapes
from psygnal import Signal

Commands = Mapping[str, Callable[[], None]]
"""What commands do, by name."""
_ALL: Final = (Points, Shapes, Labels)
_PROMPTS: Final = (Points, Shapes)
MAX_NUMBERED: Final = 9
"""So many classes have a number key."""


def class_command(number: int) -> str:
    """Return the command of a number key, up to `MAX_NUMBERED`; 0 is for no class."""
    return f"class_{number}"


@dataclass(frozen=True)
class Key:
    """A key, the command it gives, and the types of our layers that it is bound on."""

    code: int  # the key that it has unless the user chose another one, as app-model numbers it
    command: str  # what it gives
    help: str  # what that does
    # empty for a key of the window, which cannot be changed
    layer_types: tuple[type[Layer], ...] = _ALL
    group: str = "Masks and prompts"  # under which heading it is listed

    @property
    def binding(self) -> KeyBinding:
        """The key in napari's form."""
        return KeyBinding.from_int(self.code)


_DIGITS: Final = [int(KeyCode.from_string(str(digit))) for digit in range(10)]
_OBJECTS: Final = "Objects"
_FOUND: Final = "Found masks (with the keys for masks, too)"
_REVIEW: Final = "Review (also in the table of objects)"
_CLASSES: Final = "Classes (also in the table of objects)"

# napari's Labels layers have undo and redo keys already; `CandidateLayer` gives them our meaning.
KEYS: Final = (
    Key(KeyCode.KeyC, "accept", "Accept the shown mask"),
    Key(KeyMod.Shift | KeyCode.KeyC, "clear", "Clear the prompts"),
    Key(KeyCode.KeyW, "next", "Show the next mask"),
    Key(KeyMod.Shift | KeyCode.KeyW, "previous", "Show the previous mask"),
    # napari's key for the tool of scribbles in a Shapes layer, for which there is a button.
    Key(KeyCode.KeyT, "flip", "Foreground or background, for clicks and scribbles", _PROMPTS),
    Key(KeyCode.KeyH, "hover", "Preview the mask under the cursor, on or off"),
    Key(KeyCode.KeyO, "reopen", "Reopen the object under the cursor", group=_OBJECTS),
    Key(
        KeyMod.Shift | KeyCode.KeyX, "remove", "Delete the object under the cursor", group=_OBJECTS
    ),
    Key(KeyMod.CtrlCmd | KeyCode.KeyZ, "undo", "Undo", _PROMPTS, _OBJECTS),
    Key(KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ, "redo", "Redo", _PROMPTS, _OBJECTS),
    Key(KeyCode.KeyX, "reject", "Leave out the found mask that is shown", (Labels,), _FOUND),
    Key(KeyCode.KeyM, "next_object", "Go to the next object of the table", group=_REVIEW),
    Key(KeyMod.Shift | KeyCode.KeyM, "previous_object", "Go to the one before", group=_REVIEW),
    Key(KeyCode.KeyY, "reviewed", "Mark as reviewed, or not, and go to the next", group=_REVIEW),
    *(
        Key(_DIGITS[number], class_command(number), f"Class {number}", group=_CLASSES)
        for number in range(1, MAX_NUMBERED + 1)
    ),
    Key(KeyCode.Digit0, class_command(0), "No class", group=_CLASSES),
    Key(KeyMod.Shift | KeyCode.Slash, "help", "Show or hide this list", (), "In the whole window"),
)
_BY_COMMAND: Final = {key.command: key for key in KEYS}


def key_text(binding: KeyBinding | None) -> str:
    """Return a key as this platform writes it: "Shift+M", on macOS with its symbols."""
    if binding is None:
        return ""
    if binding == _BY_COMMAND["help"].binding:
        return "?"  # whatever other keys it takes on a keyboard
    is_mac = sys.platform == "darwin"
    return str(binding.to_text(use_symbols=is_mac, joinchar="" if is_mac else "+"))


class KeyMap:
    """Which key gives which command now; binds those on our layers for which there is a command."""

    changed = Signal()
    """Other keys are in force, or other commands are there to be given."""

    def __init__(self) -> None:
        self._commands: dict[str, Callable[[], None]] = {}
        self._bindings: dict[str, KeyBinding | None] = {key.command: key.binding for key in KEYS}
        self._bound: WeakKeyDictionary[Layer, list[KeyBinding]] = WeakKeyDictionary()
        self._commands_on: WeakKeyDictionary[Layer, Commands] = WeakKeyDictionary()

    # On layers ---------------------------------------------------------------------------------

    def offer(self, commands: Commands) -> None:
        """Have commands be given by their keys from now on, on all our layers."""
        self._commands.update(commands)
        self._renew()

    def withdraw(self, commands: Mapping[str, object]) -> None:
        """Have commands not be given any more: their keys are napari's again."""
        for command in commands:
            self._commands.pop(command, None)
        self._renew()

    def give(self, command: str) -> None:
        """Do what a key does, if that is on offer."""
        if command in self._commands:
            self._commands[command]()

    def bind(self, layer: Layer, commands: Commands | None = None) -> None:
        """Bind the keys on one of our layers, and keep them up to date."""
        self.unbind(layer)
        self._commands_on[layer] = self._commands if commands is None else commands
        self._bind(layer)

    def _bind(self, layer: Layer) -> None:
        commands = self._commands_on[layer]
        self._bound[layer] = bound = []
        for key in KEYS:
            binding, command = self._bindings[key.command], commands.get(key.command)
            if isinstance(layer, key.layer_types) and binding is not None and command is not None:
                layer.bind_key(binding, lambda _, command=command: command(), overwrite=True)
                bound.append(binding)

    def unbind(self, layer: Layer) -> None:
        """Release what `bind` bound."""
        self._commands_on.pop(layer, None)
        self._release(layer)

    def _release(self, layer: Layer) -> None:
        for binding in self._bound.pop(layer, ()):
            layer.keymap.pop(binding, None)

    def _renew(self) -> None:
        for layer in list(self._commands_on):
            self._release(layer)
            self._bind(layer)
        self.changed.emit()

    # Which keys --------------------------------------------------------------------------------

    def binding_of(self, command: str) -> KeyBinding | None:
        """Return the key that gives a command; None if none does."""
        return self._bindings[command]

    @property
    def texts(self) -> dict[str, str]:
        """What the keys are called, by command; "" stands for no key."""
        return {command: key_text(binding) for command, binding in self._bindings.items()}

    def is_offered(self, command: str) -> bool:
        """Whether a command is there to be given."""
        return command in self._commands

    def choose(self, command: str, binding: KeyBinding | None) -> None:
        """Have another key give a command; None: none."""
        key = _BY_COMMAND[command]
        if not key.layer_types:
            msg = f"{key_text(key.binding)} cannot be changed."
            raise ValueError(msg)
        other = None if binding is None else self.command_of(binding)
        if other not in (None, command):
            msg = (
                f"{key_text(binding)} is taken: {_BY_COMMAND[other].help}. Give that another key "
                "first, or choose one that is free."
            )
            raise ValueError(msg)
        self._bindings[command] = binding
        self._renew()

    def command_of(self, binding: KeyBinding) -> str | None:
        """Return the command that a key gives; None if none."""
        return next((name for name, one in self._bindings.items() if one == binding), None)

    def hidden_actions(self, command: str) -> list[str]:
        """Return what napari itself would do with a command's key on the layers it is bound on."""
        binding = self._bindings[command]
        if binding is None:
            return []
        classes = [cls for one in _BY_COMMAND[command].layer_types for cls in one.__mro__]
        found = [_actions(cls).get(binding) for cls in (*classes, ViewerModel)]
        return [name for name in dict.fromkeys(found) if name]

    # To a file and back ------------------------------------------------------------------------

    @property
    def chosen(self) -> dict[str, str]:
        """The keys that are not as they come, by command; "" stands for no key."""
        return {
            key.command: "" if binding is None else str(binding)
            for key in KEYS
            if (binding := self._bindings[key.command]) != key.binding
        }

    def reset(self, chosen: Mapping[str, str] | None = None) -> list[str]:
        """Restore the default shortcuts, but for those chosen; return what was not understood."""
        wanted: dict[str, KeyBinding | None] = {}
        wrong = []
        for command, text in (chosen or {}).items():
            try:
                binding = _parsed(text)
            except ValueError:
                wrong.append(command)
                continue
            is_known = command in _BY_COMMAND and bool(_BY_COMMAND[command].layer_types)
            if is_known and (binding is None or binding not in wanted.values()):
                wanted[command] = binding
            else:
                wrong.append(command)
        for key in KEYS:
            # A key that the user gave to something else is not taken back from it.
            default = None if key.binding in wanted.values() else key.binding
            self._bindings[key.command] = wanted.get(key.command, default)
        self._renew()
        return wrong


def _parsed(text: str) -> KeyBinding | None:
    if not text:
        return None
    binding = KeyBinding.from_str(text)
    if any(part.key in (None, KeyCode.UNKNOWN) for part in binding.parts):
        msg = f"{text} is no key."
        raise ValueError(msg)
    return binding


def _actions(cls: type) -> dict[KeyBinding, str]:
    """Return what keys do that napari has bound on a class, in the words of its functions."""
    bound = getattr(cls, "class_keymap", {})
    return {key: getattr(what, "__name__", "").replace("_", " ") for key, what in bound.items()}
