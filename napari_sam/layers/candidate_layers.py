"""The candidates of a prompt as Labels layers, of which one is visible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.layers.image_prompts import ImagePrompts
from napari_sam.layers.napari_workarounds import SessionLabels, cyclic_colormap
from napari_sam.layers.outlines import NO_SEGMENTS, LayerOutline, Segments
from napari_sam.layers.plane_view import PlaneView, ShownPlane, set_transform
from napari_sam.layers.workspace import Workspace
from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.decoding.candidates import Candidates

CANDIDATE_COLOR: Final = "#ffe600"
"""What no prompt and no class has, and no object until the user chooses so."""
_FILL_ALPHA: Final = 0.35
_Region = tuple[slice, slice]
_OUTLINE: Final = "napari-sam-candidate"
_NOTHING: Final[_Region] = (slice(0, 0), slice(0, 0))
_LARGEST_AT_FIRST_PX: Final = 2048


class _Grid(NamedTuple):
    """The pixels of a candidate layer: height, width, and position in the plane."""

    shape: tuple[int, int]
    top: float = 0
    left: float = 0
    pixel_size: tuple[float, float] = (1, 1)

    @classmethod
    def of(cls, mask: Candidate) -> _Grid:
        return cls(mask.grid_shape, mask.tile.top, mask.tile.left, mask.pixel_size)

    def placement_on(self, shown: ShownPlane) -> dict[str, Any]:
        return shown.layer_placement(self.pixel_size, self.top, self.left)


_NO_GRID: Final = _Grid((1, 1))


@dataclass
class _Slot:
    """A candidate layer and what it holds."""

    number: int
    layer: SessionLabels
    outline: LayerOutline
    grid: _Grid = _NO_GRID
    filled: _Region = _NOTHING
    content: Candidates | None = None
    opacities: tuple[float, float] | None = None  # the user's and ours, while a preview shows

    def lighten(self, lightly: bool) -> None:
        """Halve the opacity of the layer, or restore it unless the user has changed it."""
        opacity = self.layer.opacity
        if lightly:
            self.layer.opacity = opacity / 2
            self.opacities = opacity, self.layer.opacity
        elif self.opacities is not None and opacity == self.opacities[1]:
            self.layer.opacity = self.opacities[0]

    def region(self, view: PlaneView) -> NDArray[np.uint8]:
        """Return the pixels of the layer that are filled."""
        pixels: NDArray[np.uint8] = self.layer.data[tuple(view.spread(*self.filled, slice(0, 1)))]
        return pixels


class CandidateLayers:
    """Makes, fills, shows and removes the candidate layers of one viewer.

    Only the visible layer is written; the others are filled when they are shown. Each is as large
    as the tile that its mask was decoded on.
    """

    def __init__(self, workspace: Workspace, prompts: ImagePrompts) -> None:
        self._layers, self._shortcuts = workspace.layers, workspace.shortcuts
        self._prompts = prompts
        self._count = workspace.session.state.spec.candidate_count
        self._slots: dict[int, _Slot] = {}
        self._shown: ShownPlane | None = None
        self._candidates: Candidates | None = None
        self._is_light, self._opacity = False, 1.0

    @property
    def exist(self) -> bool:
        """Whether any layer was made."""
        return bool(self._slots)

    def number_of(self, layer: object) -> int | None:
        """Return the index of the candidate that a layer shows; None for another layer."""
        return next((slot.number for slot in self._slots.values() if slot.layer is layer), None)

    def move_to(self, shown: ShownPlane | None) -> None:
        """Move to another plane, if there is one; masks shown before are gone."""
        if shown is not None:
            view, before = shown.view.unsized, self._shown and self._shown.view.unsized
            if before and (view.shape_nd, view.shape) != (before.shape_nd, before.shape):
                self.remove()
            self._shown = shown
        self.show(None, None)
        if shown is not None:
            self.follow_image()

    def follow_image(self) -> None:
        """Take the transform of the image."""
        for slot in self._slots.values():
            if self._shown is not None and self._shown.is_possible:
                set_transform(slot.layer, slot.grid.placement_on(self._shown))

    def make_one(self) -> bool:
        """Make a missing layer; return whether one was missing.

        napari takes a fifth of a second for each when it draws without a GPU.
        """
        number = next((n for n in range(self._count) if n not in self._slots), None)
        if self._shown is None or number is None:
            return False
        layer = SessionLabels(
            np.zeros((1,) * self._shown.image.ndim, np.uint8),
            self._shortcuts.run,
            name=f"SAM mask {number + 1}",
            visible=False,
            opacity=self._opacity,
            colormap=cyclic_colormap([CANDIDATE_COLOR], _FILL_ALPHA),
            **_NO_GRID.placement_on(self._shown),
        )
        outline = LayerOutline(layer, _OUTLINE, CANDIDATE_COLOR)
        self._slots[number] = slot = _Slot(number, layer, outline)
        shape = self._shown.view.shape
        if max(shape) < _LARGEST_AT_FIRST_PX:  # most images have but one tile
            self._set_grid(slot, _Grid(shape), self._shown)
        if self._is_light:
            slot.lighten(True)
        self._layers.add(layer, below=self._prompts.own_layers)
        self._shortcuts.bind(layer)
        layer.events.visible.connect(self._on_visible)
        return True

    def set_opacity(self, opacity: float) -> None:
        """Draw the candidates more or less opaque, 0 to 1."""
        self._opacity = opacity
        for slot in self._slots.values():
            slot.lighten(False)
            slot.layer.opacity = opacity
            if self._is_light:
                slot.lighten(True)

    def show(
        self, candidates: Candidates | None, chosen: int | None, *, lightly: bool = False
    ) -> None:
        """Show candidate `chosen` and hide the others; `lightly` for a preview.

        Without candidates the visible layer is emptied but not hidden: napari rebuilds the whole
        scene when a layer's visibility changes, which would be twice for each object.
        """
        self._candidates = candidates
        if candidates is not None:
            self._count = max(self._count, len(candidates))
            while self.make_one():
                pass
            if lightly != self._is_light:
                self._is_light = lightly
                for slot in self._slots.values():
                    slot.lighten(lightly)
        for number, slot in self._slots.items():
            layer = slot.layer
            if chosen is not None and number != chosen:
                if layer.visible:  # napari rebuilds it even where nothing changes
                    layer.visible = False
            elif layer.visible and self._fill(slot):
                self._layers.redraw(layer)
            elif number == chosen and not layer.visible:
                self._fill(slot)
                layer.visible = True

    def _fill(self, slot: _Slot) -> bool:
        """Write a candidate into its layer; return whether there was anything to write."""
        shown, candidates = self._shown, self._candidates
        if shown is None or slot.content is candidates:
            return False
        slot.region(shown.view)[...] = 0
        slot.filled, slot.content, segments = _NOTHING, candidates, NO_SEGMENTS
        if candidates is not None and slot.number < len(candidates):
            self._set_grid(slot, _Grid.of(candidates.masks[slot.number]), shown)
            crop = candidates.crop(slot.number)
            height, width = crop.mask.shape
            rows, columns = slice(crop.top, crop.top + height), slice(crop.left, crop.left + width)
            slot.filled = rows, columns
            slot.region(shown.view)[...] = shown.view.to_nd(crop.mask)
            segments = Segments.around([crop])
        slot.outline.show(segments)
        return True

    def _set_grid(self, slot: _Slot, grid: _Grid, shown: ShownPlane) -> None:
        """Give a layer the pixels of a grid."""
        if grid == slot.grid:
            return
        slot.grid = grid
        shape = tuple(shown.view.spread(*grid.shape, 1))
        with self._layers.unlisted():
            if slot.layer.data.shape != shape:
                slot.layer.data = np.zeros(shape, np.uint8)
            set_transform(slot.layer, grid.placement_on(shown))

    def _on_visible(self) -> None:
        """Fill a layer that the user makes visible in the layer list."""
        for slot in self._slots.values():
            if slot.layer.visible and self._fill(slot):
                self._layers.redraw(slot.layer)

    def forget(self, layer: object) -> bool:
        """Handle a layer's deletion, which is made again when needed; return whether it was one."""
        number = self.number_of(layer)
        if number is not None:
            self._release(number)
        return number is not None

    def _release(self, number: int) -> SessionLabels:
        layer = self._slots.pop(number).layer
        layer.events.visible.disconnect(self._on_visible)
        return layer

    def remove(self) -> None:
        """Take all the layers out of the viewer."""
        self._layers.remove(*[self._release(number) for number in list(self._slots)])
