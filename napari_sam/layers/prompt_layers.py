"""napari Points and Shapes layers as the prompts of an object."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

import numpy as np
from napari.components import Dims
from napari.layers import Image, Layer, Points, Shapes
from napari.utils.events import Event
from numpy.typing import NDArray

from napari_sam.layers.plane_view import PlaneView, placement
from napari_sam.session import BACKGROUND, FOREGROUND, Prompts

POLARITY: Final = "polarity"
"""The feature column of a Points layer that tells foreground from background."""
_NAMES: Final = {FOREGROUND: "foreground", BACKGROUND: "background"}
_COLORS: Final = {FOREGROUND: "#00e050", BACKGROUND: "#ff3030"}

Box = tuple[float, float, float, float]
LayerT = TypeVar("LayerT", Points, Shapes)


class PromptLayer(ABC, Generic[LayerT]):
    """A layer whose contents on the displayed plane are prompts.

    A layer of our own is written to as well: undo and accept change what it shows. A layer of the
    person's is only read; what undo or accept take away from the object stays in it, and is
    passed over from then on.

    Parameters
    ----------
    layer : Points or Shapes
        The layer.
    is_own : bool
        Whether we made it.
    on_changed : callable
        Called whenever its contents may have changed, also in the middle of a drag.
    on_gesture : callable
        Called with True when a mouse drag begins, and with False when it has ended.
    """

    def __init__(
        self,
        layer: LayerT,
        *,
        is_own: bool,
        on_changed: Callable[[], None],
        on_gesture: Callable[[bool], None],
    ) -> None:
        self.layer = layer
        self.is_own = is_own
        self._on_changed, self._on_gesture = on_changed, on_gesture
        self._is_writing = False
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

    def _on_layer_changed(self) -> None:
        if not self._is_writing:
            self._on_changed()

    def _on_mouse_drag(self, _: Layer, event: Event) -> Generator[None, None, None]:
        self._on_gesture(True)
        yield
        while event.type == "mouse_move":
            yield
        self._on_gesture(False)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Change the layer without hearing of it."""
        self._is_writing = True
        try:
            yield
        finally:
            self._is_writing = False

    def _in_image(self, points_rc: NDArray[Any], image: Image, dims: Dims) -> NDArray[np.float64]:
        """Bring (N, layer.ndim) positions in the layer's data into the image's data."""
        if self.is_own:
            return points_rc
        positions = []
        for point in points_rc:
            world: NDArray[np.float64] = np.asarray(self.layer.data_to_world(point))
            # Layers of fewer dimensions than the image lie on each of its slices.
            missing = max(image.ndim - len(world), 0)
            leading: tuple[float, ...] = tuple(dims.point)[dims.ndim - image.ndim :][:missing]
            positions.append(image.world_to_data((*leading, *world)))
        return np.array(positions, float).reshape(-1, image.ndim)

    @abstractmethod
    def write(self, prompts: Prompts, image: Image, view: PlaneView, dims: Dims) -> None:
        """Make the layer say `prompts` on the displayed plane."""


class PointPrompts(PromptLayer[Points]):
    """A Points layer as foreground and background clicks."""

    _passed_over: tuple[tuple[float, float, int], ...] = ()

    def read(
        self, image: Image, view: PlaneView, dims: Dims
    ) -> tuple[tuple[tuple[float, float], ...], tuple[int, ...]]:
        """Return the x, y and the point labels of the points on the displayed plane."""
        passed_over = Counter(self._passed_over)
        points_xy, labels = [], []
        for x, y, label in self._all(image, view, dims):
            if passed_over[x, y, label]:
                passed_over[x, y, label] -= 1
            else:
                points_xy.append((x, y))
                labels.append(label)
        return tuple(points_xy), tuple(labels)

    def write(self, prompts: Prompts, image: Image, view: PlaneView, dims: Dims) -> None:
        """Make the layer hold these points on the displayed plane, and none other there."""
        if not self.is_own:
            surplus = Counter(self._all(image, view, dims))
            for (x, y), label in zip(prompts.points_xy, prompts.point_labels, strict=True):
                surplus[x, y, label] -= 1
            self._passed_over = tuple(surplus.elements())
            return
        if (prompts.points_xy, prompts.point_labels) == self.read(image, view, dims):
            return
        here = view.holds(self.layer.data)
        with self.writing():
            if not prompts.points_xy:  # after each accepted object: one refresh, not three
                self.layer.remove(np.flatnonzero(here).tolist())
                return
            polarity = self.layer.features[POLARITY][~here].tolist()
            polarity += [_NAMES[label] for label in prompts.point_labels]
            next_polarity = self.polarity
            self.layer.data = np.vstack([self.layer.data[~here], view.to_rc(prompts.points_xy)])
            self.layer.features = _polarity_table(polarity)
            self.layer.selected_data = set()
            self.polarity = next_polarity

    def _all(self, image: Image, view: PlaneView, dims: Dims) -> list[tuple[float, float, int]]:
        points_rc = self._in_image(self.layer.data, image, dims)
        here = view.holds(points_rc) & np.isfinite(points_rc).all(axis=1)
        labels = np.full(len(points_rc), FOREGROUND)
        if POLARITY in self.layer.features:
            labels[self.layer.features[POLARITY] == _NAMES[BACKGROUND]] = BACKGROUND
        return [
            (float(x), float(y), int(label))
            for (x, y), label in zip(view.to_xy(points_rc[here]), labels[here], strict=True)
        ]

    @property
    def polarity(self) -> int:
        """The point label of the next click: 1 foreground, 0 background."""
        if POLARITY not in self.layer.feature_defaults:
            return FOREGROUND
        name = self.layer.feature_defaults[POLARITY][0]
        return BACKGROUND if name == _NAMES[BACKGROUND] else FOREGROUND

    @polarity.setter
    def polarity(self, label: int) -> None:
        self.layer.feature_defaults = {POLARITY: _NAMES[label]}

    def flip_selected(self) -> None:
        """Flip the polarity of the points that the person has selected.

        While points are being added, napari keeps the newest one selected; that is not the
        person's choice, and it stays as it is.
        """
        selected = [] if self.layer.mode == "add" else sorted(self.layer.selected_data)
        if selected:
            names = self.layer.features[POLARITY].tolist()
            for index in selected:
                flipped = BACKGROUND if names[index] == _NAMES[FOREGROUND] else FOREGROUND
                names[index] = _NAMES[flipped]
            with self.writing():
                self.layer.features = _polarity_table(names)
            self._on_changed()


class BoxPrompts(PromptLayer[Shapes]):
    """A Shapes layer as boxes, of which the one that was drawn or changed last counts."""

    _passed_over: frozenset[Box] = frozenset()
    _seen: tuple[Box, ...] = ()
    _current: Box | None = None

    def read(self, image: Image, view: PlaneView, dims: Dims) -> Box | None:
        """Return x0, y0, x1, y1 of the box on the displayed plane that counts, or None."""
        boxes = tuple(box for _, box in self._all(image, view, dims))
        changed = [box for box in boxes if box not in self._seen]
        self._seen = boxes
        candidates = [box for box in boxes if box not in self._passed_over]
        if changed:
            self._current = changed[-1]
        elif self._current not in candidates:
            self._current = candidates[-1] if candidates else None
        return self._current

    def write(self, prompts: Prompts, image: Image, view: PlaneView, dims: Dims) -> None:
        """Make the layer hold this box on the displayed plane, and none other there."""
        here = self._all(image, view, dims)
        wanted = prompts.box_xyxy
        if not self.is_own:
            self._passed_over = frozenset(box for _, box in here) - {wanted}
            self._current = wanted
            return
        kept = [index for index, box in here if box == wanted][-1:]
        with self.writing():
            surplus = [index for index, _ in here if index not in kept]
            if surplus:
                self.layer.remove(surplus)
            if wanted is not None and not kept:
                x0, y0, x1, y1 = wanted
                corners_xy = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
                self.layer.add_rectangles(view.to_rc(corners_xy))
                self.layer.selected_data = set()
        self._seen = () if wanted is None else (wanted,)
        self._current = wanted

    def _all(self, image: Image, view: PlaneView, dims: Dims) -> list[tuple[int, Box]]:
        boxes = []
        for index, vertices in enumerate(self.layer.data):
            points_rc = self._in_image(np.asarray(vertices, float), image, dims)
            if view.holds(points_rc).all() and np.isfinite(points_rc).all():
                (x0, y0), (x1, y1) = (f(view.to_xy(points_rc), axis=0) for f in (np.min, np.max))
                boxes.append((index, (float(x0), float(y0), float(x1), float(y1))))
        return boxes


def _polarity_table(names: list[str]) -> Any:
    # Imported here because it takes a quarter of a second, and napari itself has not needed it
    # while the window opened.
    import pandas as pd

    # Fixed categories keep the two colours apart even while one of them is not used.
    return pd.DataFrame({POLARITY: pd.Categorical(names, categories=list(_NAMES.values()))})


def move_along(layer: Points | Shapes, axis: int, position: float) -> None:
    """Move all that a layer holds to the same position along an axis."""
    is_points = isinstance(layer, Points)
    moved = [np.array(item, float) for item in ([layer.data] if is_points else layer.data)]
    for item in moved:
        item[:, axis] = position
    if moved:
        layer.data = moved[0] if is_points else moved


def new_points_layer(image: Image, view: PlaneView) -> Points:
    """Make the layer of our own for clicks, lying exactly on the image."""
    size = max(3.0, max(view.shape) / 90)
    return Points(
        ndim=image.ndim,
        name="SAM points",
        size=size,
        features=_polarity_table([]),
        face_color=POLARITY,
        face_color_cycle=list(_COLORS.values()),
        border_color="white",
        canvas_size_limits=(8, 24),
        **placement(image, view.labels_offset, view.prompt_pixel),
    )


def new_boxes_layer(image: Image, view: PlaneView) -> Shapes:
    """Make the layer of our own for boxes, lying exactly on the image."""
    return Shapes(
        ndim=image.ndim,
        name="SAM boxes",
        face_color="transparent",
        edge_color=_COLORS[FOREGROUND],
        edge_width=max(0.5, max(view.shape) / 300),
        **placement(image, view.labels_offset, view.prompt_pixel),
    )
