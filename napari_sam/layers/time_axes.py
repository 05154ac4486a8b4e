"""Which axes of a layer are time: by their names and units, else by the file of the layer."""

from contextlib import suppress
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from napari.layers import Layer

from napari_sam.formats.files import FileError
from napari_sam.formats.tiff_axes import read_tiff_axes
from napari_sam.layers.plane_view import axis_name, levels

_TIMES: Final = ("t", "time", "frame", "frames")
_SUFFIXES: Final = (".tif", ".tiff")
_IN_FILES: Final[WeakKeyDictionary[Layer, dict[str, int]]] = WeakKeyDictionary()
"""The axes in the files of layers, each read once: napari's reader of TIFF names none."""


def is_time(layer: Layer, axis: int) -> bool:
    """Whether the slices along an axis of a layer are points in time."""
    if name := axis_name(layer, axis):
        is_named = name.casefold() in _TIMES
    else:
        is_named = _letters(layer)[axis : axis + 1] == "T"
    return is_named or bool(layer.units[axis].is_compatible_with("second"))


def _letters(layer: Layer) -> str:
    """Return a letter for each axis of a layer, as its file has them; empty if it has not."""
    if layer not in _IN_FILES:
        _IN_FILES[layer] = _read_axes(layer)
    shape = levels(layer)[0].shape[: layer.ndim]
    lengths = [length for length in shape[:-2] if length > 1]
    # Colors are no axis of a layer, and channels may be layers of their own.
    for left_out in "", "C":
        axes = {
            axis: length
            for axis, length in _IN_FILES[layer].items()
            if length > 1 and axis not in left_out
        }
        if list(axes.values()) == lengths:
            letters = iter(axes)
            return "".join(next(letters) if length > 1 else "-" for length in shape[:-2])
    return ""


def _read_axes(layer: Layer) -> dict[str, int]:
    path = str(layer.source.path or "")
    if path.lower().endswith(_SUFFIXES) and "://" not in path and Path(path).is_file():
        with suppress(FileError):
            return read_tiff_axes(path)
    return {}
