"""The candidates of a prompt as Labels layers, of which one is visible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_sam.layers.napari_workarounds import SessionLabels, one_color
from napari_sam.layers.plane_view import PlaneView, placement, set_transform
from napari_sam.layers.viewer_layers import ViewerLayers
from napari_sam.session.decoding.candidates import Candidates

CANDIDATE_COLORS: Final = ("#29b6ff", "#ffc400", "#ff5ad2", "#8c7dff", "#ffffff")
"""Distinct from each other, and from the green and red of the prompts; repeated if need be."""
_Region = tuple[slice, slice]
_NOTHING: Final[_Region] = (slice(0, 0), slice(0, 0))
_LARGEST_AT_FIRST_PX: Final = 2048


class _Grid(NamedTuple):
    """The pixels of a candidate layer: height, width, and position in the plane."""

    shape: tuple[int, int]
    top: float = 0.0
    left: float = 0.0
    pixel_size: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of(cls, candidates: Candidates) -> _Grid:
        tile, pixel_size = candidates.tile, candidates.pixel_size
        # The centre of a large pixel lies between pixels of the plane.
        top, left = tile.top + (pixel_size[0] - 1) / 2, tile.left + (pixel_size[1] - 1) / 2
        return cls(candidates.grid_shape, top, left, pixel_size)


_NO_GRID: Final = _Grid((1, 1))


class CandidateLayer(SessionLabels):
    """A Labels layer that shows one candidate."""

    def __init__(
        self,
        number: int,
        where: dict[str, Any],
        ndim: int,
        on_undo: Callable[[], None],
        on_redo: Callable[[], None],
    ) -> None:
        super().__init__(
            np.zeros((1,) * ndim, np.uint8),
            on_undo,
            on_redo,
            name=f"SAM mask {number + 1}",
            opacity=0.5,
            visible=False,
            colormap=one_color(CANDIDATE_COLORS[number % len(CANDIDATE_COLORS)]),
            **where,
        )


class CandidateLayers:
    """Makes, fills, shows and removes the candidate layers of one viewer.

    Only the visible layer is written; the others are filled when they are shown. Each is as large
    as the tile that its mask was decoded on.
    """

    def __init__(
        self,
        layers: ViewerLayers,
        add_layer: Callable[[Labels], None],
        on_undo: Callable[[], None],
        on_redo: Callable[[], None],
        count: int,
    ) -> None:
        self._viewer_layers, self._add_layer = layers, add_layer
        self._on_undo, self._on_redo = on_undo, on_redo
        self._layers: list[CandidateLayer | None] = []
        self._filled: list[_Region] = []
        self._holds: list[Candidates | None] = []
        self._grids: list[_Grid] = []
        self._reserve(count)
        self._view: PlaneView | None = None
        self._image: Image | None = None
        self._candidates: Candidates | None = None
        self._is_light = False
        # The user's opacity and ours, of layers that show a preview.
        self._opacities: dict[int, tuple[float, float]] = {}

    def _reserve(self, count: int) -> None:
        """Plan at least so many layers."""
        for _ in range(count - len(self._layers)):
            self._layers.append(None)
            self._filled.append(_NOTHING)
            self._holds.append(None)
            self._grids.append(_NO_GRID)

    def number_of(self, layer: object) -> int | None:
        """Return the index of the candidate that a layer shows; None for another layer."""
        numbers = [n for n, own in enumerate(self._layers) if own is layer and own is not None]
        return numbers[0] if numbers else None

    def move_to(self, image: Image, view: PlaneView) -> None:
        """Move to another plane; masks shown before are gone."""
        if self._view is not None and (view.shape_nd, view.shape) != (
            self._view.shape_nd,
            self._view.shape,
        ):
            self.remove()
        self._image, self._view = image, view
        self.show(None, None)
        self.follow_image()

    def follow_image(self) -> None:
        """Take the transform of the image."""
        for layer, grid in zip(self._layers, self._grids, strict=True):
            if layer is not None:
                set_transform(layer, self._where(grid))

    def _where(self, grid: _Grid) -> dict[str, Any]:
        assert self._image is not None
        assert self._view is not None
        offset = self._view.offset + self._view.spread(grid.top, grid.left, 0)
        return placement(self._image, offset, self._view.pixel(*grid.pixel_size))

    def make(self) -> None:
        """Make the layers that are missing."""
        while self.make_one():
            pass

    def make_one(self) -> bool:
        """Make a missing layer; return whether one was missing.

        napari takes a fifth of a second for each when it draws without a GPU.
        """
        if self._image is None or self._view is None:
            return False
        for number, layer in enumerate(self._layers):
            if layer is None:
                new = CandidateLayer(
                    number, self._where(_NO_GRID), self._image.ndim, self._on_undo, self._on_redo
                )
                self._layers[number], self._grids[number] = new, _NO_GRID
                self._filled[number], self._holds[number] = _NOTHING, None
                if max(self._view.shape) < _LARGEST_AT_FIRST_PX:  # most images have but one tile
                    self._set_grid(number, _Grid(self._view.shape))
                if self._is_light:
                    self._lighten_one(number, new)
                self._add_layer(new)
                new.events.visible.connect(self._on_visible)
                return True
        return False

    def show(
        self, candidates: Candidates | None, chosen: int | None, *, lightly: bool = False
    ) -> None:
        """Show candidate `chosen` and hide the others; `lightly` for a preview.

        Without candidates the visible layer is emptied but not hidden: napari rebuilds the whole
        scene when a layer's visibility changes, which would be twice for each object.
        """
        self._candidates = candidates
        if candidates is not None:
            self._reserve(len(candidates))
            self.make()
            self._lighten(lightly)
        for number, layer in enumerate(self._layers):
            if layer is None:
                continue
            if chosen is not None and number != chosen:
                if layer.visible:  # napari rebuilds it even where nothing changes
                    layer.visible = False
            elif layer.visible and self._fill(number):
                self._viewer_layers.redraw(layer)
            elif number == chosen and not layer.visible:
                self._fill(number)
                layer.visible = True

    def _lighten(self, lightly: bool) -> None:
        """Halve the opacity of the masks, or restore it."""
        if lightly == self._is_light:
            return
        self._is_light = lightly
        for number, layer in enumerate(self._layers):
            if layer is not None and lightly:
                self._lighten_one(number, layer)
            elif layer is not None:
                users, light = self._opacities.pop(number)
                if layer.opacity == light:  # else the user has changed it
                    layer.opacity = users

    def _lighten_one(self, number: int, layer: CandidateLayer) -> None:
        users = layer.opacity
        layer.opacity = users / 2
        self._opacities[number] = users, layer.opacity

    def _fill(self, number: int) -> bool:
        """Write a candidate into its layer; return whether there was anything to write."""
        layer, view, candidates = self._layers[number], self._view, self._candidates
        if layer is None or view is None or self._holds[number] is candidates:
            return False
        self._region(layer, view, self._filled[number])[...] = 0
        self._filled[number], self._holds[number] = _NOTHING, candidates
        if candidates is not None and number < len(candidates):
            self._set_grid(number, _Grid.of(candidates))
            crop = candidates.crop(number)
            height, width = crop.mask.shape
            self._filled[number] = (
                slice(crop.top, crop.top + height),
                slice(crop.left, crop.left + width),
            )
            region = self._region(layer, view, self._filled[number])
            region[...] = (crop.mask.T if view.is_transposed else crop.mask).reshape(region.shape)
        return True

    def _region(self, layer: CandidateLayer, view: PlaneView, region: _Region) -> NDArray[np.uint8]:
        data: NDArray[np.uint8] = layer.data[tuple(view.spread(*region, slice(0, 1)))]
        return data

    def _set_grid(self, number: int, grid: _Grid) -> None:
        """Give a layer the pixels of a grid."""
        layer, view = self._layers[number], self._view
        if layer is None or view is None or grid == self._grids[number]:
            return
        self._grids[number] = grid
        shape = tuple(view.spread(*grid.shape, 1))
        with self._viewer_layers.unlisted():
            if layer.data.shape != shape:
                layer.data = np.zeros(shape, np.uint8)
            set_transform(layer, self._where(grid))

    def _on_visible(self) -> None:
        """Fill a layer that the user makes visible in the layer list."""
        for number, layer in enumerate(self._layers):
            if layer is not None and layer.visible and self._fill(number):
                self._viewer_layers.redraw(layer)

    def forget(self, layer: object) -> None:
        """Handle a layer's deletion; it is made again when needed."""
        number = self.number_of(layer)
        if number is not None:
            self._release(number)

    def _release(self, number: int) -> CandidateLayer | None:
        layer, self._layers[number] = self._layers[number], None
        self._filled[number], self._holds[number] = _NOTHING, None
        self._opacities.pop(number, None)
        if layer is not None:
            layer.events.visible.disconnect(self._on_visible)
        return layer

    def remove(self) -> None:
        """Take all the layers out of the viewer."""
        for number in range(len(self._layers)):
            layer = self._release(number)
            if layer is not None:
                self._viewer_layers.remove(layer)
