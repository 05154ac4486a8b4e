"""A napari Shapes layer as prompts: boxes, outlines around the object, scribbles along it."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from napari.components import Dims
from napari.layers import Image, Shapes
from napari.utils.events import Event
from numpy.typing import NDArray

from napari_sam.layers.napari_workarounds import (
    AREA_MODES,
    DRAWING_MODES,
    RIGHT_BUTTON,
    PromptShapes,
    drop_features_of_no_shape,
    unfinished_shape,
)
from napari_sam.layers.plane_view import PlaneView, placement
from napari_sam.layers.prompt_layers import PromptLayer, in_image, label_of_each, polarity_options
from napari_sam.session.image.tiles import Box
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND, Prompts
from napari_sam.session.prompts.shapes import Outline, OutlineKind, Scribble, axis_aligned_box

Area = Box | Outline
"""The extent of the object; the one that was drawn or changed last counts."""

TOOLS: Final = {
    "rectangle": "add_rectangle",
    "ellipse": "add_ellipse",
    "polygon": "add_polygon",
    "lasso": "add_polygon_lasso",
    "scribble": "add_path",
    "line": "add_line",
}
"""The modes of a Shapes layer by what they draw."""
_EDGE_PX: Final = 2
"""The width of edges on the screen."""
_VERTEX_BY_VERTEX: Final = {"add_path", "add_polyline", "add_polygon", "add_polygon_lasso"}
"""Modes in which a shape counts only once it is finished."""


def shape_in_plane(vertices_xy: NDArray[Any], shape_type: str, label: int) -> Area | Scribble:
    """Return a shape of napari as a prompt."""
    vertices = tuple((float(x), float(y)) for x, y in vertices_xy)
    if shape_type in ("path", "line"):
        return Scribble(vertices, label)
    if shape_type == "ellipse":
        return Outline(vertices, OutlineKind.ELLIPSE)
    box = axis_aligned_box(vertices_xy) if shape_type == "rectangle" else None
    return Outline(vertices) if box is None else box


@dataclass
class _PlaneMemory:
    """What is remembered about the shapes on one plane."""

    current: Area | None = None  # the box or outline that counts
    seen: tuple[Area, ...] = ()  # all when the layer was last read
    skipped: frozenset[Area] = frozenset()  # the user's that do not count
    skipped_scribbles: tuple[Scribble, ...] = ()  # the same for scribbles


class ShapePrompts(PromptLayer[Shapes, _PlaneMemory]):
    """A Shapes layer as one box or outline, and any number of scribbles."""

    def __init__(
        self,
        layer: Shapes,
        is_own: bool,
        on_changed: Callable[[], None],
        on_gesture: Callable[[bool], None],
        on_background_click: Callable[[Any], None] = lambda _: None,
    ) -> None:
        super().__init__(layer, is_own, on_changed, on_gesture)
        self._on_background_click = on_background_click  # with the position in the world
        self._unfinished = unfinished_shape(layer)  # also where drawing began before
        if is_own:
            layer.events.scale_factor.connect(self._on_zoomed)
            self._on_zoomed()

    def close(self) -> None:
        """Let the layer go."""
        self.layer.events.scale_factor.disconnect(self._on_zoomed)
        super().close()

    def _on_zoomed(self) -> None:
        """Keep the edges as wide on the screen: napari only has widths in the data."""
        layer = self.layer
        with self.writing():
            width = _EDGE_PX * layer.scale_factor / abs(layer.scale[-1])
            layer.edge_width = layer.current_edge_width = width

    def _on_background_press(self, event: Event) -> Callable[[], None] | None:
        if self.is_open or self.layer.mode not in DRAWING_MODES:
            return None
        on_click = partial(self._on_background_click, event.position)
        if event.button == RIGHT_BUTTON and self.layer.mode in AREA_MODES:
            on_click()  # however the mouse moves on: it draws no area
            return None
        return on_click

    @property
    def is_open(self) -> bool:
        """Whether a shape has been begun and not finished."""
        return self._unfinished is not None

    def read(self, prompts: Prompts, image: Image, view: PlaneView, dims: Dims) -> Prompts:
        """Return prompts with what counts on the displayed plane."""
        memory = self._memory.setdefault(view.unsized, _PlaneMemory())
        areas, scribbles, skipped = [], [], Counter(memory.skipped_scribbles)
        for _, shape in self._all(image, view, dims):
            if not isinstance(shape, Scribble):
                areas.append(shape)
            elif skipped[shape]:
                skipped[shape] -= 1
            else:
                scribbles.append(shape)
        changed = [area for area in areas if area not in memory.seen]
        memory.seen = tuple(areas)
        candidates = [area for area in areas if area not in memory.skipped]
        if changed:
            memory.current = changed[-1]
        elif memory.current not in candidates:
            memory.current = candidates[-1] if candidates else None
        return with_area(replace(prompts, scribbles=tuple(scribbles)), memory.current)

    def write(self, prompts: Prompts, image: Image, view: PlaneView, dims: Dims) -> None:
        """Make the layer hold exactly these shapes on the displayed plane."""
        if self._unfinished is not None:  # napari relies on its index
            return
        memory = self._memory.setdefault(view.unsized, _PlaneMemory())
        here = list(self._all(image, view, dims))
        wanted = prompts.outline or prompts.box_xyxy
        if not self.is_own:
            areas = (shape for _, shape in here if not isinstance(shape, Scribble))
            memory.skipped = frozenset(areas) - {wanted}
            surplus = Counter(shape for _, shape in here if isinstance(shape, Scribble))
            surplus.subtract(prompts.scribbles)
            memory.skipped_scribbles = tuple(surplus.elements())
        else:
            missing = Counter([*prompts.scribbles, *([] if wanted is None else [wanted])])
            removed = []
            for index, shape in reversed(here):
                if missing[shape] > 0:
                    missing[shape] -= 1
                else:
                    removed.append(index)
            with self.writing():
                if removed:
                    self.layer.remove(removed)
                for shape in missing.elements():
                    self._add(shape, view)
                self._set_polarities()
            memory.seen = () if wanted is None else (wanted,)
        memory.current = wanted

    def count_areas(self, image: Image, view: PlaneView, dims: Dims) -> int:
        """Return how many boxes and outlines lie on the displayed plane."""
        return sum(not isinstance(shape, Scribble) for _, shape in self._all(image, view, dims))

    def _add(self, shape: Area | Scribble, view: PlaneView) -> None:
        layer = self.layer
        if isinstance(shape, Scribble):
            next_polarity = self.polarity
            self.set_polarity(shape.label)
            add = layer.add_lines if len(shape.vertices_xy) == 2 else layer.add_paths
            add(view.to_rc(shape.vertices_xy))
            self.set_polarity(next_polarity)
        elif isinstance(shape, Outline):
            is_ellipse = shape.kind is OutlineKind.ELLIPSE
            add = layer.add_ellipses if is_ellipse else layer.add_polygons
            add(view.to_rc(shape.vertices_xy))
        else:
            x0, y0, x1, y1 = shape
            layer.add_rectangles(view.to_rc([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))
        layer.selected_data = set()

    def _set_polarities(self) -> None:
        """Make boxes and outlines foreground, in whatever polarity they were drawn."""
        labels = label_of_each(self.layer)
        is_area = np.array([kind not in ("path", "line") for kind in self.layer.shape_type], bool)
        if (labels[is_area] == BACKGROUND).any():
            self._set_labels(np.where(is_area, FOREGROUND, labels))

    def _has_side(self, index: int) -> bool:
        return self.layer.shape_type[index] in ("path", "line")

    def _all(
        self, image: Image, view: PlaneView, dims: Dims
    ) -> Iterator[tuple[int, Area | Scribble]]:
        """Yield the index of each finished shape on the displayed plane, and its prompt."""
        is_partial = self._unfinished is not None and self.layer.mode in _VERTEX_BY_VERTEX
        for index, shape in shapes_on_plane(self.layer, image, view, dims, is_own=self.is_own):
            if not is_partial or index != self._unfinished:
                yield index, shape

    def _on_layer_changed(self, event: Event) -> None:
        if self._is_writing:
            return
        action = getattr(event, "action", None)
        if action == "adding":
            self._unfinished = len(self.layer.data)
        is_end = action in ("added", "removed", "changed") and self._unfinished is not None
        if is_end:
            self._unfinished = unfinished_shape(self.layer)  # the event may be of another shape
            if action == "added":
                with self.writing():
                    drop_features_of_no_shape(self.layer)
        super()._on_layer_changed(event)
        if is_end and self._unfinished is None:
            self._on_gesture(False)  # a double click or a key may have ended it


def shapes_on_plane(
    layer: Shapes, image: Image, view: PlaneView, dims: Dims, *, is_own: bool = False
) -> Iterator[tuple[int, Area | Scribble]]:
    """Yield the index of each shape that lies on a plane of an image, and its prompt."""
    for index, points_rc, kind, label in _in_image(layer, image, dims, is_own=is_own):
        if view.holds(points_rc).all():
            yield index, shape_in_plane(view.to_xy(points_rc), kind, label)


def shapes_on_slices(
    layer: Shapes, image: Image, view: PlaneView, dims: Dims
) -> Iterator[tuple[int, int, Area | Scribble]]:
    """Yield slice and index of each shape that lies in the stack of a plane, and its prompt."""
    for index, points_rc, kind, label in _in_image(layer, image, dims):
        slices = view.slices_of(points_rc)
        if slices[0] >= 0 and (slices == slices[0]).all():
            yield int(slices[0]), index, shape_in_plane(view.to_xy(points_rc), kind, label)


def _in_image(
    layer: Shapes, image: Image, dims: Dims, *, is_own: bool = False
) -> Iterator[tuple[int, NDArray[np.float64], str, int]]:
    """Yield index, vertices in an image, kind and label of each shape that can be a prompt."""
    if not layer.data:
        return
    kinds, labels = layer.shape_type, label_of_each(layer)
    vertices = [np.asarray(shape, float) for shape in layer.data]
    together = np.concatenate(vertices)
    if not is_own:
        together = in_image(layer, together, image, dims)
    ends = np.cumsum([len(polygon) for polygon in vertices])
    for index, points_rc in enumerate(np.split(together, ends[:-1])):
        kind, label = str(kinds[index]), int(labels[index])
        is_prompt = kind in ("path", "line") or len(points_rc) > 2
        if is_prompt and np.isfinite(points_rc).all():
            yield index, points_rc, kind, label


def with_area(prompts: Prompts, area: Area | None) -> Prompts:
    """Return prompts with this extent of the object."""
    if isinstance(area, Outline):
        return replace(prompts, outline=area)
    return replace(prompts, box_xyxy=area)


def new_shapes_layer(image: Image, view: PlaneView) -> Shapes:
    """Make our layer for boxes and other shapes, with the transform of the image."""
    return PromptShapes(
        ndim=image.ndim,
        name="SAM boxes",
        face_color="transparent",
        opacity=1,
        **polarity_options("edge"),
        **placement(image, view.labels_offset, view.prompt_pixel),
    )
