"""The keys bound on our layers, and on no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from app_model.types import KeyBinding, KeyCode, KeyMod
from napari.layers import Labels, Layer, Points, Shapes

_ALL: Final = (Points, Shapes, Labels)
_PROMPTS: Final = (Points, Shapes)


@dataclass(frozen=True)
class Key:
    """A key, the command it gives, and the types of our layers that it is bound on."""

    code: int
    command: str
    help: str
    layer_types: tuple[type[Layer], ...] = _ALL

    @property
    def binding(self) -> KeyBinding:
        """The key in napari's form."""
        return KeyBinding.from_int(self.code)


# napari's Labels layers have undo and redo keys already; `CandidateLayer` gives them our meaning.
KEYS: Final = (
    Key(KeyCode.KeyC, "accept", "Accept the shown mask"),
    Key(KeyMod.Shift | KeyCode.KeyC, "clear", "Clear the prompts"),
    Key(KeyCode.KeyW, "next", "Show the next mask"),
    Key(KeyMod.Shift | KeyCode.KeyW, "previous", "Show the previous mask"),
    Key(KeyCode.KeyT, "flip", "Foreground or background click", (Points,)),
    Key(KeyCode.KeyH, "hover", "Preview the mask under the cursor, on or off"),
    Key(KeyCode.KeyO, "reopen", "Reopen the object under the cursor"),
    Key(KeyMod.Shift | KeyCode.KeyX, "remove", "Delete the object under the cursor"),
    Key(KeyMod.CtrlCmd | KeyCode.KeyZ, "undo", "Undo", _PROMPTS),
    Key(KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ, "redo", "Redo", _PROMPTS),
)


def bind_keys(layer: Layer, commands: Mapping[str, Callable[[], None]]) -> None:
    """Bind our keys on one of our layers.

    Parameters
    ----------
    layer : napari.layers.Layer
        A layer of ours.
    commands : mapping of str to callable
        What to do for each `Key.command`.
    """
    for key in KEYS:
        if isinstance(layer, key.layer_types):
            command = commands[key.command]
            layer.bind_key(key.binding, lambda _, command=command: command(), overwrite=True)


def unbind_keys(layer: Layer) -> None:
    """Release what `bind_keys` bound."""
    for key in KEYS:
        if isinstance(layer, key.layer_types):
            layer.keymap.pop(key.binding, None)
