"""napari Points and Shapes layers as the prompts of an object."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

import numpy as np
from napari.components import Dims
from napari.layers import Image, Layer, Points, Shapes
from napari.utils.events import Event
from numpy.typing import NDArray

from napari_sam.layers.napari_workarounds import PromptPoints, is_drag, is_for_background
from napari_sam.layers.plane_view import PlaneView, placement
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND, Prompts

_POLARITY: Final = "polarity"
"""The feature column of a Points or Shapes layer with foreground or background."""
_NAMES: Final = {FOREGROUND: "foreground", BACKGROUND: "background"}
PROMPT_COLORS: Final = {FOREGROUND: "#00ff7f", BACKGROUND: "#d50000"}
_SYMBOLS: Final = {FOREGROUND: "cross", BACKGROUND: "hbar"}
"""A plus and a minus: the color is not the only sign of the polarity."""
_POINT_PX: Final = 20
"""The size of a point on the screen."""
_BORDER: Final = 0.12
"""The width of a point's border, as a share of its size."""

LayerT = TypeVar("LayerT", Points, Shapes)
MemoryT = TypeVar("MemoryT")
"""What a prompt layer remembers about one plane."""


def in_image(
    layer: Layer, points_rc: NDArray[Any], image: Image, dims: Dims
) -> NDArray[np.float64]:
    """Convert (N, layer.ndim) positions in a layer's data to the data of an image below it."""

    def point_in_image(point: NDArray[np.float64]) -> NDArray[np.float64]:
        world: NDArray[np.float64] = np.asarray(layer.data_to_world(point))
        # Layers of fewer dimensions than the image lie on each of its slices.
        missing = max(image.ndim - len(world), 0)
        leading: tuple[float, ...] = tuple(dims.point)[dims.ndim - image.ndim :][:missing]
        return np.asarray(image.world_to_data((*leading, *world)), float)

    # Both steps are affine, and napari takes one point at a time: slow for some thousands.
    origin = point_in_image(np.zeros(layer.ndim))
    axes = np.array([point_in_image(axis) - origin for axis in np.eye(layer.ndim)])
    return np.asarray(origin + points_rc @ axes, float)


def label_of_each(layer: Points | Shapes) -> NDArray[np.int64]:
    """Return the label of each point or shape in a layer: 1 foreground, 0 background."""
    labels = np.full(len(layer.data), FOREGROUND)
    if _POLARITY in layer.features:
        names = layer.features[_POLARITY].to_numpy()[: len(labels)]
        labels[: len(names)][names == _NAMES[BACKGROUND]] = BACKGROUND
    return labels


class PromptLayer(ABC, Generic[LayerT, MemoryT]):
    """A layer whose contents on the displayed plane are prompts.

    A layer of our own is written to as well: undo and accept change what it shows. A layer of the
    user's is only read; prompts that undo or accept remove from the object stay in it, and are
    skipped from then on.
    """

    def __init__(
        self,
        layer: LayerT,
        is_own: bool,
        on_changed: Callable[[], None],
        on_gesture: Callable[[bool], None],
    ) -> None:
        self.layer, self.is_own = layer, is_own
        self._on_changed, self._on_gesture = on_changed, on_gesture
        self._is_writing = False
        # By plane: a prompt that is skipped on one may count on another.
        self._memory: dict[PlaneView, MemoryT] = {}
        # While a point or a rectangle is dragged, napari blocks the data event and emits this.
        self._events = (layer.events.data, layer.events.features, layer.events.set_data)
        for event in self._events:
            event.connect(self._on_layer_changed)
        # First in the list, so that the gesture has begun before napari adds the first vertex.
        layer.mouse_drag_callbacks.insert(0, self._on_mouse_drag)

    def close(self) -> None:
        """Let the layer go."""
        for event in self._events:
            event.disconnect(self._on_layer_changed)
        if self._on_mouse_drag in self.layer.mouse_drag_callbacks:
            self.layer.mouse_drag_callbacks.remove(self._on_mouse_drag)

    def _on_layer_changed(self, _: Event) -> None:
        if not self._is_writing:
            self._on_changed()

    def _on_mouse_drag(self, _: Layer, event: Event) -> Generator[None, None, None]:
        is_background = self.is_own and is_for_background(event)
        if is_background:
            self.set_polarity(BACKGROUND)  # until the end of the gesture
        self._on_gesture(True)
        on_click = self._on_background_press(event) if is_background else None
        start_px = event.pos
        yield
        while event.type == "mouse_move":
            if is_drag(start_px, event.pos):
                on_click = None
            yield
        if on_click is not None:
            on_click()
        self._on_gesture(False)

    def _on_background_press(self, event: Event) -> Callable[[], None] | None:
        """Handle a press for the background; return what to do if it is a click."""

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Change the layer without a notification."""
        was_writing, self._is_writing = self._is_writing, True
        try:
            yield
        finally:
            self._is_writing = was_writing

    @property
    def polarity(self) -> int:
        """The label of the next point or scribble: 1 foreground, 0 background."""
        defaults = self.layer.feature_defaults
        is_background = _POLARITY in defaults and defaults[_POLARITY][0] == _NAMES[BACKGROUND]
        return BACKGROUND if is_background else FOREGROUND

    def set_polarity(self, label: int) -> None:
        """Choose the label of the next point or scribble."""
        self.layer.feature_defaults = {_POLARITY: _NAMES[label]}

    def _set_labels(self, labels: Iterable[int]) -> None:
        """Label all points or shapes of the layer; the next one keeps its label."""
        next_polarity = self.polarity
        self.layer.features = polarity_table(labels)
        self.set_polarity(next_polarity)

    def flip_selected(self) -> None:
        """Flip the polarity of the points or scribbles that the user has selected.

        In an add mode napari selects the newest one itself, so it stays as it is.
        """
        is_adding = str(self.layer.mode).startswith("add")
        selected = [] if is_adding else [n for n in self.layer.selected_data if self._has_side(n)]
        if selected:
            labels = label_of_each(self.layer)
            labels[selected] = np.where(labels[selected] == FOREGROUND, BACKGROUND, FOREGROUND)
            with self.writing():
                self._set_labels(labels)
            self._on_changed()

    def _has_side(self, index: int) -> bool:
        """Whether a point or shape can be background."""
        return True

    @abstractmethod
    def read(self, prompts: Prompts, image: Image, view: PlaneView, dims: Dims) -> Prompts:
        """Return prompts with those of the layer on the displayed plane."""

    @abstractmethod
    def write(self, prompts: Prompts, image: Image, view: PlaneView, dims: Dims) -> None:
        """Make the layer hold `prompts` on the displayed plane."""


class PointPrompts(PromptLayer[Points, tuple[tuple[float, float, int], ...]]):
    """A Points layer as foreground and background clicks; remembers those that are skipped."""

    def read(self, prompts: Prompts, image: Image, view: PlaneView, dims: Dims) -> Prompts:
        """Return prompts with the points on the displayed plane, except for skipped ones."""
        skipped = Counter(self._memory.get(view.unsized))
        points_xy, labels = [], []
        for point in self._all(image, view, dims):
            if skipped and skipped[point]:
                skipped[point] -= 1
            else:
                points_xy.append(point[:2])
                labels.append(point[2])
        return replace(prompts, points_xy=tuple(points_xy), point_labels=tuple(labels))

    def write(self, prompts: Prompts, image: Image, view: PlaneView, dims: Dims) -> None:
        """Make the layer hold exactly these points on the displayed plane."""
        if not self.is_own:
            surplus = Counter(self._all(image, view, dims))
            for (x, y), label in zip(prompts.points_xy, prompts.point_labels, strict=True):
                surplus[x, y, label] -= 1
            self._memory[view.unsized] = tuple(surplus.elements())
            return
        if self.read(prompts, image, view, dims) == prompts:
            return
        here = view.holds(self.layer.data)
        with self.writing():
            if not prompts.points_xy:  # after each accepted object: one refresh, not three
                self.layer.remove(np.flatnonzero(here).tolist())
                return
            labels = [*label_of_each(self.layer)[~here], *prompts.point_labels]
            self.layer.data = np.vstack([self.layer.data[~here], view.to_rc(prompts.points_xy)])
            self._set_labels(labels)
            self.layer.selected_data = set()

    def set_polarity(self, label: int) -> None:
        """Choose the label of the next point, and the sign that shows it."""
        super().set_polarity(label)
        with self.layer.block_update_properties():  # the newest point is selected
            self.layer.current_symbol = _SYMBOLS[label]

    def _set_labels(self, labels: Iterable[int]) -> None:
        labels = list(labels)
        super()._set_labels(labels)
        if labels:
            self.layer.symbol = [_SYMBOLS[label] for label in labels]

    def _all(self, image: Image, view: PlaneView, dims: Dims) -> list[tuple[float, float, int]]:
        points = points_on_plane(self.layer, image, view, dims, is_own=self.is_own)
        return [point for _, point in points]


def points_on_plane(
    layer: Points, image: Image, view: PlaneView, dims: Dims, *, is_own: bool = False
) -> list[tuple[int, tuple[float, float, int]]]:
    """Return the index of each point that lies on a plane of an image, with its x, y and label."""
    points_rc = layer.data if is_own else in_image(layer, layer.data, image, dims)
    here = np.flatnonzero(view.holds(points_rc) & np.isfinite(points_rc).all(axis=1))
    points_xy, labels = view.to_xy(points_rc[here]), label_of_each(layer)[here].tolist()
    points = zip(here.tolist(), points_xy.tolist(), labels, strict=True)
    return [(index, (x, y, label)) for index, (x, y), label in points]


def points_on_slices(
    layer: Points, image: Image, view: PlaneView, dims: Dims
) -> list[tuple[int, int, tuple[float, float, int]]]:
    """Return slice and index of each point that lies in the stack of a plane, and x, y, label."""
    points_rc = in_image(layer, layer.data, image, dims)
    points_rc = np.where(np.isfinite(points_rc), points_rc, -np.inf)
    slices, labels = view.slices_of(points_rc).tolist(), label_of_each(layer).tolist()
    points = zip(slices, view.to_xy(points_rc).tolist(), labels, strict=True)
    return [(n, index, (x, y, label)) for index, (n, (x, y), label) in enumerate(points) if n >= 0]


def polarity_table(labels: Iterable[int]) -> Any:
    """Return the features of points or shapes with these labels."""
    # Imported late because it takes a quarter of a second, and napari does not need it to open.
    import pandas as pd

    # Fixed categories keep the two colors apart even while one of them is not used.
    names, categories = [_NAMES[label] for label in labels], list(_NAMES.values())
    return pd.DataFrame({_POLARITY: pd.Categorical(names, categories=categories)})


def polarity_options(what: str) -> dict[str, Any]:
    """Return the options of an empty layer that give its `what` the color of the polarity."""
    colors = list(PROMPT_COLORS.values())
    features = polarity_table([])
    return {"features": features, f"{what}_color": _POLARITY, f"{what}_color_cycle": colors}


def new_points_layer(image: Image, view: PlaneView) -> Points:
    """Make our layer for clicks, with the transform of the image."""
    return PromptPoints(
        ndim=image.ndim,
        name="SAM points",
        symbol=_SYMBOLS[FOREGROUND],
        border_color="white",
        border_width=_BORDER,
        canvas_size_limits=(0, _POINT_PX),
        **polarity_options("face"),
        **placement(image, view.labels_offset, view.prompt_pixel),
    )
