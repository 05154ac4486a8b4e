"""The shortcuts of SAM layers: one list of them, and the keys that are in force.

napari's preferences hold keys of the viewer and of layer types: a key put there would act on all
of the user's layers. So these are changed in a window of their own, which shows this list.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final
from weakref import WeakKeyDictionary

from app_model.types import KeyBinding, KeyCode, KeyMod
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.events import Event
from psygnal import Signal

Commands = Mapping[str, Callable[[], None]]
"""What to call for each command."""
_ALL: Final = (Points, Shapes, Labels)
_PROMPTS: Final = (Points, Shapes)
MAX_NUMBERED: Final = 9
"""How many classes have a number key."""


def class_command(number: int) -> str:
    """Return the command of a number key, up to `MAX_NUMBERED`; 0 stands for no class."""
    return f"class_{number}"


@dataclass(frozen=True)
class Shortcut:
    """A key, the command that it starts, and the types of SAM layers that it works on."""

    code: int | None  # the default key, as app-model numbers it; None: the user may choose one
    command: str
    help: str  # what the command does
    layer_types: tuple[type[Layer], ...] = _ALL  # empty: works anywhere, and cannot be changed
    group: str = "Masks and prompts"  # the heading it is listed under

    @property
    def binding(self) -> KeyBinding | None:
        """The default key in napari's form."""
        return None if self.code is None else KeyBinding.from_int(self.code)


_SHIFT, _CTRL = KeyMod.Shift, KeyMod.CtrlCmd
_DIGITS: Final = [int(KeyCode.from_string(str(digit))) for digit in range(10)]
_TOOLS: Final = "Tools"
_TOOL_KEYS: Final = (
    # As in napari's Points and Shapes layers where these have the tool, else a letter that they do
    # not need: P hides the polygons of Shapes there and L the lines, which have other letters here.
    (KeyCode.KeyP, "points", "Click points"),
    (KeyCode.KeyR, "rectangle", "Draw a box (rectangle)"),
    (KeyCode.KeyL, "lasso", "Draw a lasso"),
    (KeyCode.KeyG, "polygon", "Draw a polygon"),
    (KeyCode.KeyE, "ellipse", "Draw an ellipse"),
    (KeyCode.KeyK, "scribble", "Scribble"),
    (KeyCode.KeyN, "line", "Draw a line"),
)
_OBJECTS: Final = "Objects"
_AUTOMATIC: Final = "Automatic masks (besides the shortcuts for masks)"
_REVIEW: Final = "Review (also in the object table)"
_STACK: Final = "Stack (also in the object table)"
_TRACKS: Final = "Tracks (also in the object table)"
_CLASSES: Final = "Classes (also in the object table)"
_DOCK: Final = "Tabs, windows and files (no keys until you choose some)"
_OF_DOCK: Final = (
    ("tab_objects", "Show the tab Objects"),
    ("tab_stack", "Show the tab Stack"),
    ("tab_automatic", "Show the tab Automatic"),
    ("tab_batch", "Show the tab Batch"),
    ("tab_options", "Show the tab Options"),
    ("models", "Show or hide the window of models"),
    ("appearance", "Show or hide image appearance for SAM"),
    ("first_steps", "Show or hide the three first steps"),
    ("accept_at_once", "Turn accepting at once on or off"),
    ("export", "Export objects to a file"),
    ("import_objects", "Import objects from a file"),
    ("save_session", "Save the session to a file"),
    ("open_session", "Open a session from a file"),
    ("merge", "Merge the selected objects"),
    ("automatic_visible", "Find automatic masks in the visible part"),
    ("automatic_whole", "Find automatic masks in the whole image"),
    ("automatic_remaining", "Find automatic masks where there is no object yet"),
    ("automatic_cancel", "Cancel the run of automatic masks"),
    ("automatic_accept_all", "Accept all automatic masks"),
    ("automatic_discard", "Discard the automatic masks"),
    ("segment_all", "Segment all prompts of the batch"),
    ("embed_all", "Embed all slices of the stack"),
)


def tool_command(tool: str) -> str:
    """Return the command that begins a tool."""
    return f"tool_{tool}"


# Undo, redo and the brush also work on the target, whose strokes are steps of the history, and with
# the tools on the annotated image, where napari uses none of these keys.
SHORTCUTS: Final = (
    *(Shortcut(code, tool_command(tool), help_, _ALL, _TOOLS) for code, tool, help_ in _TOOL_KEYS),
    Shortcut(KeyCode.KeyC, "accept", "Accept the shown mask"),
    Shortcut(_SHIFT | KeyCode.KeyC, "clear", "Clear the prompts"),
    Shortcut(KeyCode.KeyW, "next", "Show the next mask"),
    Shortcut(_SHIFT | KeyCode.KeyW, "previous", "Show the previous mask"),
    Shortcut(KeyCode.Period, "grow", "Grow the shown mask (also Shift+wheel over the image)"),
    Shortcut(KeyCode.Comma, "shrink", "Shrink the shown mask"),
    # In napari, T selects a drawing tool of Shapes layers, for which the panel has a button.
    Shortcut(KeyCode.KeyT, "flip", "Toggle foreground and background", _PROMPTS),
    Shortcut(KeyCode.KeyH, "hover", "Turn the preview under the cursor on or off"),
    Shortcut(KeyCode.KeyO, "reedit", "Re-edit the object under the cursor", _ALL, _OBJECTS),
    Shortcut(_SHIFT | KeyCode.KeyX, "remove", "Delete the object under the cursor", _ALL, _OBJECTS),
    Shortcut(
        KeyCode.KeyQ, "brush", "Paint on the object under the cursor, or go back", group=_OBJECTS
    ),
    Shortcut(KeyCode.KeyU, "outlines", "Show objects as outlines or filled", _ALL, _OBJECTS),
    Shortcut(_CTRL | KeyCode.KeyZ, "undo", "Undo", _ALL, _OBJECTS),
    Shortcut(_CTRL | _SHIFT | KeyCode.KeyZ, "redo", "Redo", _ALL, _OBJECTS),
    # In napari, X selects a tool of Shapes layers that removes vertices.
    # A key that means the same on all SAM layers is worth more.
    Shortcut(KeyCode.KeyX, "reject", "Reject the shown automatic mask", _ALL, _AUTOMATIC),
    Shortcut(KeyCode.KeyM, "next_object", "Go to the next object", _ALL, _REVIEW),
    Shortcut(_SHIFT | KeyCode.KeyM, "previous_object", "Go to the previous object", _ALL, _REVIEW),
    Shortcut(KeyCode.KeyY, "reviewed", "Mark as reviewed and go on, or unmark", _ALL, _REVIEW),
    Shortcut(KeyCode.KeyJ, "continue_next", "Continue in the next slice", _ALL, _STACK),
    Shortcut(
        _SHIFT | KeyCode.KeyJ, "continue_previous", "Continue in the previous slice", group=_STACK
    ),
    Shortcut(_SHIFT | KeyCode.KeyS, "propagate", "Propagate both ways", _ALL, _STACK),
    Shortcut(_SHIFT | KeyCode.KeyF, "propagate_forward", "Propagate forward", _ALL, _STACK),
    Shortcut(_SHIFT | KeyCode.KeyB, "propagate_backward", "Propagate backward", _ALL, _STACK),
    # In Shapes layers it ends a shape that is being drawn.
    Shortcut(
        KeyCode.Escape,
        "stop_propagating",
        "Stop propagating or correcting, else select no object",
        (Points, Labels),
        _STACK,
    ),
    Shortcut(_SHIFT | KeyCode.KeyO, "correct_slice", "Correct by clicks", _ALL, _STACK),
    Shortcut(_SHIFT | KeyCode.KeyH, "clear_slice", "Not on this slice", _ALL, _STACK),
    Shortcut(
        _SHIFT | KeyCode.KeyN,
        "next_weak",
        "Go to the weakest slice; again: the next weak one",
        _ALL,
        _STACK,
    ),
    Shortcut(
        _SHIFT | KeyCode.KeyQ,
        "select_object",
        "Select the object under the cursor too, or no more",
        group=_TRACKS,
    ),
    Shortcut(_SHIFT | KeyCode.KeyI, "join_tracks", "Join two objects", group=_TRACKS),
    Shortcut(_SHIFT | KeyCode.KeyK, "cut_track", "Cut the object here", group=_TRACKS),
    Shortcut(_SHIFT | KeyCode.KeyT, "swap_tracks", "Swap two objects from here on", group=_TRACKS),
    Shortcut(_SHIFT | KeyCode.KeyD, "divide_track", "The object divides here", group=_TRACKS),
    Shortcut(_SHIFT | KeyCode.KeyE, "end_track", "End the object here", group=_TRACKS),
    Shortcut(
        _SHIFT | KeyCode.KeyG, "next_division", "Go to the next proposed division", group=_TRACKS
    ),
    Shortcut(
        _SHIFT | KeyCode.KeyY, "confirm_division", "Confirm the proposed division", group=_TRACKS
    ),
    Shortcut(
        _SHIFT | KeyCode.KeyU, "reject_division", "Reject the proposed division", group=_TRACKS
    ),
    *(
        Shortcut(_DIGITS[number], class_command(number), f"Class {number}", _ALL, _CLASSES)
        for number in range(1, MAX_NUMBERED + 1)
    ),
    Shortcut(KeyCode.Digit0, class_command(0), "No class", _ALL, _CLASSES),
    *(Shortcut(None, command, help_, _ALL, _DOCK) for command, help_ in _OF_DOCK),
    Shortcut(_SHIFT | KeyCode.Slash, "help", "Show or hide this list", (), "In the whole window"),
)
_IN_STATUS_BAR: Final = {
    "accept": "accept",
    "next": "next mask",
    "flip": "add / remove",
    "clear": "clear",
    "undo": "undo",
}
"""What napari's status bar says of some commands."""
_BY_COMMAND: Final = {shortcut.command: shortcut for shortcut in SHORTCUTS}
_FORMER_COMMANDS: Final = {"reopen": "reedit"}
"""Commands by the names that older files of shortcuts have for them."""


def key_text(binding: KeyBinding | None) -> str:
    """Return a key as this platform writes it: "Shift+M", on macOS with its symbols."""
    return "" if binding is None else _written(binding, is_mac=sys.platform == "darwin")


@cache
def _written(binding: KeyBinding, *, is_mac: bool) -> str:
    if binding == _BY_COMMAND["help"].binding:
        return "?"  # whatever other keys it takes on a keyboard
    return str(binding.to_text(use_symbols=is_mac, joinchar="" if is_mac else "+"))


class ShortcutMap:
    """The key of each command; binds keys on SAM layers for the commands that are registered."""

    changed = Signal()
    """Other keys are in force, or other commands are registered."""

    def __init__(self) -> None:
        self.commands: dict[str, Callable[[], None]] = {}
        """What is registered."""
        self.bindings: dict[str, KeyBinding | None] = {
            shortcut.command: shortcut.binding for shortcut in SHORTCUTS
        }
        """The key of each command; None if it has none."""
        # By layer, the commands that it was bound to and the keys of those that are registered.
        self._bound = WeakKeyDictionary[Layer, tuple[Commands, list[KeyBinding]]]()

    # On layers ---------------------------------------------------------------------------------

    def register(self, commands: Commands) -> None:
        """Start these commands by their keys, on all SAM layers."""
        self.commands.update(commands)
        self._rebind()

    def unregister(self, commands: Mapping[str, object]) -> None:
        """Return the keys of these commands to napari."""
        for command in commands:
            self.commands.pop(command, None)
        self._rebind()

    def run(self, command: str) -> None:
        """Run a command if it is registered."""
        if command in self.commands:
            self.commands[command]()

    def bind(self, layer: Layer, commands: Commands | None = None) -> None:
        """Bind the keys on a SAM layer, and keep them up to date; by default all commands."""
        self.unbind(layer)
        commands = self.commands if commands is None else commands
        bound: list[KeyBinding] = []
        self._bound[layer] = commands, bound
        for shortcut in SHORTCUTS:
            binding, run = self.bindings[shortcut.command], commands.get(shortcut.command)
            # An image is bound only to commands that its caller has chosen.
            types = (Image, *shortcut.layer_types)
            if isinstance(layer, types) and binding is not None and run is not None:
                layer.bind_key(binding, lambda _, run=run: run(), overwrite=True)
                bound.append(binding)
        layer.events.help.connect(self._show_help)
        layer.events.help(help=layer.help)

    def _show_help(self, event: Event) -> None:
        """Name our keys in napari's status bar, where it names those that are redefined here."""
        layer: Layer = event.source
        commands, _ = self._bound.get(layer, ({}, []))
        if "accept" not in commands:  # the target or the image, which are the user's
            return
        keys = {name: key_text(self.bindings[name]) for name in _IN_STATUS_BAR if name in commands}
        texts = [f"{key} {_IN_STATUS_BAR[name]}" for name, key in keys.items() if key]
        layer.help = ", ".join([*texts, f"{key_text(self.bindings['help'])} all keys"])

    def unbind(self, layer: Layer) -> None:
        """Release what `bind` bound."""
        layer.events.help.disconnect(self._show_help)
        _, bindings = self._bound.pop(layer, (None, ()))
        for binding in bindings:
            layer.keymap.pop(binding, None)

    def _rebind(self) -> None:
        for layer, (commands, _) in list(self._bound.items()):
            self.bind(layer, commands)
        self.changed.emit()

    # Which keys --------------------------------------------------------------------------------

    @property
    def texts(self) -> dict[str, str]:
        """The name of the key of each command; "" if it has none."""
        return {command: self.text_of(command) for command in self.bindings}

    @property
    def undo_text(self) -> str:
        """What takes back what a message tells of."""
        return self.text_of("undo") or "Undo"

    def text_of(self, command: str) -> str:
        """Return the name of the key of a command; "" if it has none."""
        return key_text(self.bindings[command])

    @property
    def table_bindings(self) -> dict[KeyBinding, str]:
        """The registered commands that also work in the table of objects, by key."""
        return {
            binding: shortcut.command
            for shortcut in SHORTCUTS
            if (binding := self.bindings[shortcut.command]) is not None
            and (
                shortcut.group in (_REVIEW, _STACK, _TRACKS, _CLASSES)
                or shortcut.command in ("undo", "redo")
            )
            and shortcut.command in self.commands
        }

    def set_key(self, command: str, binding: KeyBinding | None) -> None:
        """Give a command another key, or none."""
        shortcut = _BY_COMMAND[command]
        if not shortcut.layer_types:
            raise ValueError(f"The shortcut {key_text(shortcut.binding)} cannot be changed.")
        other = None if binding is None else self.command_of(binding)
        if other not in (None, command):
            raise ValueError(
                f"{key_text(binding)} already triggers '{_BY_COMMAND[other].help}'. Change that "
                "shortcut first to use its key here."
            )
        self.bindings[command] = binding
        self._rebind()

    def command_of(self, binding: KeyBinding) -> str | None:
        """Return the command of a key; None if it has none."""
        return next((name for name, key in self.bindings.items() if key == binding), None)

    def hidden_actions(self, command: str) -> list[str]:
        """Return what else the key of a command does in napari on the layers it is bound on."""
        binding = self.bindings[command]
        if binding is None:
            return []
        types = _BY_COMMAND[command].layer_types
        classes = [cls for layer_type in types for cls in layer_type.__mro__]
        # In the words of the functions that napari has bound.
        keymaps = [getattr(cls, "class_keymap", {}) for cls in (*classes, ViewerModel)]
        names = [getattr(keymap.get(binding), "__name__", "") for keymap in keymaps]
        names = [name for name in dict.fromkeys(names) if name not in ("", command)]
        return [name.replace("_", " ") for name in names]

    # To a file and back ------------------------------------------------------------------------

    @property
    def changed_keys(self) -> dict[str, str]:
        """The keys that differ from the defaults, by command; "" stands for no key."""
        return {
            shortcut.command: "" if binding is None else str(binding)
            for shortcut in SHORTCUTS
            if (binding := self.bindings[shortcut.command]) != shortcut.binding
        }

    def reset(self, changed_keys: Mapping[str, str] | None = None) -> list[str]:
        """Restore the defaults, except for `changed_keys`; return the commands not understood."""
        bindings: dict[str, KeyBinding | None] = {}
        invalid = []
        for stored, text in (changed_keys or {}).items():
            command = _FORMER_COMMANDS.get(stored, stored)
            try:
                binding = _parsed(text)
                if not _BY_COMMAND[command].layer_types or binding in {*bindings.values()} - {None}:
                    invalid.append(command)
                else:
                    bindings[command] = binding
            except (KeyError, ValueError):
                invalid.append(command)
        for shortcut in SHORTCUTS:
            # A key that the user gave to another command is not taken back from it.
            default = None if shortcut.binding in bindings.values() else shortcut.binding
            self.bindings[shortcut.command] = bindings.get(shortcut.command, default)
        self._rebind()
        return invalid


def _parsed(text: str) -> KeyBinding | None:
    if not text:
        return None
    binding = KeyBinding.from_str(text)
    if any(part.key in (None, KeyCode.UNKNOWN) for part in binding.parts):
        raise ValueError(f"{text} is not a key.")
    return binding
