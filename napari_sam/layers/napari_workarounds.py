"""Work-arounds for what napari does with layers, each with its reason and what would remove it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from itertools import count
from threading import Thread
from typing import Any, ClassVar, Final

import numpy as np
from napari.components import LayerList, ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import NDArray

RIGHT_BUTTON: Final = 2
"""The right mouse button, as vispy numbers it."""
AREA_MODES: Final = {"add_rectangle", "add_ellipse", "add_polygon", "add_polygon_lasso"}
"""The modes of a Shapes layer that draw around an object."""
DRAWING_MODES: Final = AREA_MODES | {"add_path", "add_line"}
"""These, and those that draw along an object."""
_CLICK_PX: Final = 3
"""How far the mouse may move on the canvas between press and release of a click."""
_STROKE_IDS: Final = count(1)


def unwrapped(viewer: ViewerModel) -> ViewerModel:
    """Return the viewer behind a proxy.

    Reason: napari gives plugins a proxy, whose layers are proxies too and never identical to the
    layers in events and in other widgets.
    Remove it when layers of a proxy compare equal to the real ones.
    """
    return getattr(viewer, "__wrapped__", viewer)


def compile_shapes() -> Thread:
    """Compile in the background what Shapes layers need.

    Reason: where numba is installed and has compiled nothing yet, napari does so when the first
    Shapes layer is made, and the window stands still for some ten seconds.
    Remove it when napari does so in the background.
    """

    def compile_now() -> None:
        with suppress(ImportError):  # a private function, which may be gone
            from napari.layers.shapes._accelerated_triangulate_dispatch import warmup_numba_cache

            warmup_numba_cache()

    thread = Thread(target=compile_now, name="compile shapes", daemon=True)
    thread.start()
    return thread


def unlisted(layers: LayerList) -> AbstractContextManager[Any]:
    """Change layers while napari's layer list stays as it is drawn.

    Reason: napari redraws the list at every event of any layer, for which Qt recomposes the whole
    window a second time (benchmarks/live_loop.py).
    Remove it when the list redraws only for what it shows.
    """
    blocker: AbstractContextManager[Any] = layers.events.blocker()
    return blocker


def shown_pixels(image: Image) -> NDArray[Any] | None:
    """Return the pixels that napari has read to show an image; None if it does not show it now.

    Of a multiscale image, those of the whole plane at the coarsest level.
    Reason: reading lazy data again to see whether they changed would make the window wait.
    Remove it when layers tell what they show.
    """
    if not (image.visible and image.loaded):
        return None
    shown = image._slice
    return np.asarray((shown.thumbnail if image.multiscale else shown.image).raw)


def shown_labels(layer: Labels) -> NDArray[Any] | None:
    """Return the pixels that napari has read to show labels; None for several resolutions or in 3D.

    Reason: reading lazy labels again at each change would make the window wait.
    Remove it when layers tell what they show.
    """
    if layer.multiscale or not layer.loaded:
        return None
    pixels = np.asarray(layer._slice.image.raw)
    return pixels if pixels.ndim == 2 else None


def set_mode(viewer: ViewerModel, layer: Layer, mode: str) -> None:
    """Set the mode of a layer; the cursor stays that of the selected one.

    Reason: napari shows the cursor of the layer whose mode has changed last.
    Remove it when the cursor only follows the selected layer.
    """
    layer.mode = mode
    active = viewer.layers.selection.active
    if active is not None:
        viewer.cursor.style, viewer.cursor.size = active.cursor, active.cursor_size


def drop_features_of_no_shape(layer: Shapes) -> None:
    """Remove the features of a shape that was ended with too few vertices to be one.

    Reason: napari drops the shape and keeps the row, so that those of later shapes are one off, and
    keeps its colors, so that the layer cannot be shown in 3D.
    Remove it when napari drops all of it.
    """
    n_shapes, view = len(layer.data), layer._data_view
    view._edge_color, view._face_color = view._edge_color[:n_shapes], view._face_color[:n_shapes]
    if len(layer.features) > n_shapes:
        defaults = layer.feature_defaults
        layer.features = layer.features.iloc[:n_shapes]
        layer.feature_defaults = defaults


def unfinished_shape(layer: Shapes) -> int | None:
    """Return the index of the shape that is being drawn.

    Reason: napari says when drawing begins, to those who listen at that time only.
    Remove it when a layer tells what is being drawn.
    """
    return layer._moving_value[0] if layer._is_creating else None


class SessionLabels(Labels):
    """A Labels layer of masks that are not objects yet: it cannot be painted and has no thumbnail.

    Reason: the undo and redo keys of a Labels layer act on its brush strokes alone; here they undo
    what the session did. napari draws a thumbnail at each change, even of a hidden layer, and makes
    what the tools draw on the canvas with each layer, which takes a third of the time for it. It
    saves a layer as the type that its class is called after.
    Remove it when a layer can choose its undo history and can do without a thumbnail, and napari
    makes what a tool draws as the tool is chosen.
    """

    def __init__(self, data: NDArray[Any], run: Callable[[str], None], **options: Any) -> None:
        self._is_released = False
        super().__init__(data, **options)
        self.editable = False
        self._run = run
        self._of_tools = [overlay for overlay in self._overlays.values() if overlay.visible]
        for overlay in self._of_tools:
            overlay.update({"visible": False})

    @property
    def _type_string(self) -> str:
        return "labels"

    def _update_thumbnail(self) -> None:
        if self._is_released:
            super()._update_thumbnail()

    def undo(self) -> None:
        """Undo the last edit of the prompts or of objects."""
        if self._is_released:
            super().undo()
        else:
            self._run("undo")

    def redo(self) -> None:
        """Redo what was undone last."""
        if self._is_released:
            super().redo()
        else:
            self._run("redo")

    def release(self) -> None:
        """Turn into an ordinary Labels layer, which is the user's."""
        self._is_released = self.editable = True
        for overlay in self._of_tools:
            overlay.update({"visible": True})


class PromptPoints(Points):
    """A Points layer of one size on the screen, from which any point can be removed.

    Reason: napari remembers which point is under the cursor in two attributes, and `remove` fails
    halfway if one of them is not set, so that the layer cannot be drawn from then on. A hidden
    layer draws the points it showed when its colors change, even if they are gone. It finds the
    point under the cursor by sizes in the data, and has no other sizes: these points are so large
    that each is drawn in the size that `canvas_size_limits` allows. It rings the newest point while
    more are added. It saves a layer as the type that its class is called after.
    Remove it when `Points.remove` works with two points on top of each other, one under the cursor,
    an empty hidden layer can change its colors, and points have a size in screen pixels.
    """

    _is_highlighted = True

    @property
    def _type_string(self) -> str:
        return "points"

    @property
    def _view_size(self) -> NDArray[Any]:
        return np.full(len(self._view_indices), 1e6)

    def _get_value(self, position: Any) -> int | None:
        if not len(self._view_indices):  # its view has another number of axes in 3-D
            return None
        displayed = self._slice_input.displayed
        size = self.canvas_size_limits[1] * self.scale_factor / np.abs(self.scale[displayed])
        distances = np.abs(self._view_data - np.asarray(position)[displayed])
        indices = self._view_indices[(distances <= size / 2).all(axis=1)]
        return int(indices[-1]) if len(indices) else None

    @property
    def _highlight_visible(self) -> bool:
        return self._is_highlighted and self.mode == "select"

    @_highlight_visible.setter
    def _highlight_visible(self, is_visible: bool) -> None:
        self._is_highlighted = is_visible

    def remove(self, indices: list[int]) -> None:
        """Remove points by their indices."""
        self._value = self._value_stored = None
        super().remove(indices)

    def refresh(self, event: Any = None, **options: Any) -> None:
        """Draw the layer again, and know which points it shows even if it is hidden."""
        if not self.visible:
            self.set_view_slice()
        super().refresh(event, **options)


class _LatePress:
    """The mouse event of a gesture, for a tool that learns only later of the press that began it.

    It is the press as long as `is_press`, then whatever the mouse does.
    """

    def __init__(self, event: Any) -> None:
        self._event, self.is_press = event, True
        self._press = {"type": event.type, "position": event.position, "pos": event.pos}

    def __getattr__(self, name: str) -> Any:
        if self.is_press and name in self._press:
            return self._press[name]
        return getattr(self._event, name)


def _from_a_drag(draw: Callable[[Shapes, Any], Any], event: Any, layer: Shapes) -> Iterator[None]:
    """Use a tool from the press on, but only if the mouse is dragged."""
    press = _LatePress(event)
    yield
    while event.type == "mouse_move":
        if is_drag(press.pos, event.pos):
            drawing = draw(layer, press)
            if drawing is not None:  # else it was done at once
                next(drawing)
                press.is_press = False
                yield from drawing
            return
        yield


def is_drag(start: Any, end: Any) -> bool:
    """Whether two positions on the canvas are too far apart for a click."""
    return float(np.hypot(*np.subtract(end, start))) > _CLICK_PX


def is_for_background(event: Any) -> bool:
    """Whether a press is one for the background: of the right button, or with Shift."""
    return event.button == RIGHT_BUTTON or "Shift" in event.modifiers


def _unless_clicked(draw: Callable[[Shapes, Any], Any], *, is_area: bool) -> Callable[..., Any]:
    """Return what a tool does, but nothing for a click of the background.

    The right button draws no area either.
    """

    def use(layer: Shapes, event: Any) -> Any:
        if event.button == RIGHT_BUTTON and (is_area or layer._is_creating):
            return None
        if layer._is_creating or not is_for_background(event):
            return draw(layer, event)
        return _from_a_drag(draw, event, layer)

    return use


class PromptShapes(Shapes):
    """A Shapes layer in which a click with the right button or with Shift begins no shape.

    Reason: napari draws with any button, and has no way to take a press away from a layer's tool.
    It saves a layer as the type that its class is called after.
    Remove it when tools of a layer use the left button only.
    """

    _drag_modes: ClassVar = {
        mode: _unless_clicked(draw, is_area=str(mode) in AREA_MODES)
        if str(mode) in DRAWING_MODES
        else draw
        for mode, draw in Shapes._drag_modes.items()
    }

    @property
    def _type_string(self) -> str:
        return "shapes"


def cyclic_colormap(colors: Iterable[str], alpha: float = 1) -> CyclicLabelColormap:
    """Return a colormap that shows labels in some colors in turns.

    Reason: for a `DirectLabelColormap` napari first compiles a loop, which takes two seconds.
    Remove it when that is precompiled.
    """
    rgb = np.array([transform_color(color)[0][:3] for color in colors])
    rgba = np.column_stack([rgb, np.full(len(rgb), alpha)])
    return CyclicLabelColormap(colors=np.vstack([np.zeros(4), rgba]))


def direct_colormap(
    colors: Mapping[int, NDArray[Any]], background: NDArray[Any]
) -> DirectLabelColormap:
    """Return a colormap with these colors by label, and one for all other labels.

    Reason: the constructor validates the colors one by one, which is slow for thousands.
    Remove it when it validates them as an array.
    """
    colormap = DirectLabelColormap(color_dict={None: background})
    colormap.color_dict.update(colors)
    return colormap


class StrokeHistory:
    """Finds the brush strokes that napari's own undo and redo have moved, and moves others.

    Reason: napari sends no event for them, its histories are private, and a stroke that the session
    undoes must not be undone once more there.
    Remove it when Labels layers have events for undo and redo, or a history that can be replaced.
    """

    def __init__(self, layer: Labels) -> None:
        self._match(layer)

    def _match(self, layer: Labels) -> None:
        """Give the strokes that napari has new ids, which nobody knows."""
        histories = layer._undo_history, layer._redo_history
        # As long as napari's own, so that the same strokes are forgotten.
        self._done, self._undone = (
            deque((next(_STROKE_IDS) for _ in history), history.maxlen) for history in histories
        )

    def note_stroke(self) -> int:
        """Return the id of a new stroke, which empties napari's redo history."""
        self._undone.clear()
        self._done.append(next(_STROKE_IDS))
        return self._done[-1]

    def moved_strokes(self, layer: Labels) -> Iterator[tuple[Any, int, bool]]:
        """Yield the strokes that were undone (True) or redone since the last call, with ids."""
        if len(self._done) + len(self._undone) != self._n_strokes(layer):
            self._match(layer)  # napari has forgotten some
        while len(self._undone) < len(layer._redo_history):
            self._undone.append(self._done.pop())
            yield layer._redo_history[len(self._undone) - 1], self._undone[-1], True
        while len(self._undone) > len(layer._redo_history):
            self._done.append(self._undone.pop())
            yield layer._undo_history[len(self._done) - 1], self._done[-1], False

    def move(self, layer: Labels, stroke_id: int, *, is_undone: bool) -> None:
        """Have napari take a stroke for undone or redone, without writing its pixels."""
        ids = (self._done, self._undone)[:: 1 if is_undone else -1]
        histories = (layer._undo_history, layer._redo_history)[:: 1 if is_undone else -1]
        if ids[0] and ids[0][-1] == stroke_id and len(ids[0]) == len(histories[0]):
            ids[1].append(ids[0].pop())
            histories[1].append(list(reversed(histories[0].pop())))

    @staticmethod
    def _n_strokes(layer: Labels) -> int:
        return len(layer._undo_history) + len(layer._redo_history)

    @staticmethod
    def is_drawing(layer: Labels) -> bool:
        """Whether a stroke has not ended yet."""
        return bool(layer._staged_history)
