"""The three masks of a prompt as three Labels layers, of which one shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import CyclicLabelColormap

from napari_sam.layers.plane_view import PlaneView, place, placement
from napari_sam.session import Candidates

CANDIDATE_COLORS: Final = ("#29b6ff", "#ffc400", "#ff5ad2")
"""Far from each other, and from the green and red of the prompts."""
_Region = tuple[slice, slice]
_NOTHING: Final[_Region] = (slice(0, 0), slice(0, 0))


class CandidateLayer(Labels):
    """A Labels layer that shows one candidate.

    napari's own undo and redo keys, which act on a Labels layer's brush strokes, undo and redo
    the prompts here: a candidate cannot be painted.

    Parameters
    ----------
    number : int
        0, 1 or 2: which of the model's masks it shows.
    view : PlaneView
        The plane on which the mask lies.
    where : Image
        The layer of that plane.
    on_undo, on_redo : callable
        What napari's undo and redo keys do.
    """

    def __init__(
        self,
        number: int,
        view: PlaneView,
        where: Image,
        on_undo: Callable[[], None],
        on_redo: Callable[[], None],
    ) -> None:
        super().__init__(
            np.zeros(view.thin_shape, np.uint8),
            name=f"SAM mask {number + 1}",
            opacity=0.5,
            visible=False,
            # A colormap of single labels would first have its loop compiled, for two seconds.
            colormap=CyclicLabelColormap(colors=["transparent", CANDIDATE_COLORS[number]]),
            **placement(where, view.offset),
        )
        self.editable = False
        self._on_undo, self._on_redo = on_undo, on_redo

    @property
    def _type_string(self) -> str:
        return "labels"  # what napari saves it as

    def _update_thumbnail(self) -> None:
        """Keep an empty thumbnail: a hidden layer's would show the mask of some earlier click."""

    def undo(self) -> None:
        """Undo the last edit of the prompts or the last accept."""
        self._on_undo()

    def redo(self) -> None:
        """Redo what was undone last."""
        self._on_redo()


class CandidateLayers:
    """Makes, fills, shows and removes the candidate layers of one viewer.

    Only the layer that shows is written; the others are filled when they are shown.

    Parameters
    ----------
    add_layer, remove_layer : callable
        Bring a layer into the viewer and take it out, without changing the selection.
    redraw : callable
        Draws a layer's data anew.
    on_undo, on_redo : callable
        What napari's undo and redo keys do on these layers.
    """

    def __init__(
        self,
        add_layer: Callable[[Labels], None],
        remove_layer: Callable[[Labels], None],
        redraw: Callable[[Labels], None],
        on_undo: Callable[[], None],
        on_redo: Callable[[], None],
    ) -> None:
        self._add_layer, self._remove_layer = add_layer, remove_layer
        self._redraw = redraw
        self._on_undo, self._on_redo = on_undo, on_redo
        self._layers: list[CandidateLayer | None] = [None] * len(CANDIDATE_COLORS)
        self._filled: list[_Region] = [_NOTHING] * len(CANDIDATE_COLORS)
        self._holds: list[Candidates | None] = [None] * len(CANDIDATE_COLORS)
        self._view: PlaneView | None = None
        self._image: Image | None = None
        self._candidates: Candidates | None = None
        self._is_light = False

    def number_of(self, layer: object) -> int | None:
        """Return which candidate a layer shows, or None if it is not one of these layers."""
        numbers = [n for n, own in enumerate(self._layers) if own is layer and own is not None]
        return numbers[0] if numbers else None

    def move_to(self, image: Image, view: PlaneView) -> None:
        """Lie on another plane; masks shown before are gone."""
        if view.thin_shape != (self._view and self._view.thin_shape):
            self.remove()
        self._image, self._view = image, view
        self.show(None, None)
        self.follow_image()

    def follow_image(self) -> None:
        """Lie where the image lies now."""
        if self._image is not None and self._view is not None:
            where = placement(self._image, self._view.offset)
            for layer in filter(None, self._layers):
                place(layer, where)

    def make(self) -> None:
        """Make the layers that are missing."""
        while self.make_one():
            pass

    def make_one(self) -> bool:
        """Make one of the layers that are missing; whether there was one to make.

        napari takes a fifth of a second for each when it draws without a GPU.
        """
        if self._image is None or self._view is None:
            return False
        for number, layer in enumerate(self._layers):
            if layer is None:
                new = CandidateLayer(number, self._view, self._image, self._on_undo, self._on_redo)
                self._layers[number] = new
                self._filled[number], self._holds[number] = _NOTHING, None
                new.opacity *= 0.5 if self._is_light else 1
                self._add_layer(new)
                new.events.visible.connect(self._on_visible)
                return True
        return False

    def show(
        self, candidates: Candidates | None, chosen: int | None, *, lightly: bool = False
    ) -> None:
        """Show candidate `chosen` and hide the others; `lightly` if it is but a preview.

        Without candidates the layer that showed is emptied but not hidden: napari rebuilds the
        whole scene when a layer's visibility changes, and that would be twice for each object.
        """
        self._candidates = candidates
        if candidates is not None:
            self.make()
            self._lighten(lightly)
        for number, layer in enumerate(self._layers):
            if layer is None:
                continue
            if chosen is not None and number != chosen:
                if layer.visible:  # napari rebuilds it even where nothing changes
                    layer.visible = False
            elif layer.visible and self._fill(number):
                self._redraw(layer)
            elif number == chosen and not layer.visible:
                self._fill(number)
                layer.visible = True

    def _lighten(self, lightly: bool) -> None:
        """Halve the opacity that the person sees in masks, or give it back."""
        if lightly != self._is_light:
            self._is_light = lightly
            for layer in filter(None, self._layers):
                layer.opacity = layer.opacity * (0.5 if lightly else 2)

    def _fill(self, number: int) -> bool:
        """Write a candidate into its layer; whether there was anything to write."""
        layer, view, candidates = self._layers[number], self._view, self._candidates
        if layer is None or view is None or self._holds[number] is candidates:
            return False
        layer.data[view.thin_region(*self._filled[number])] = 0
        self._filled[number], self._holds[number] = _NOTHING, candidates
        if candidates is not None and number < len(candidates):
            crop = candidates.crop(number)
            height, width = crop.mask.shape
            rows = slice(crop.top, crop.top + height)
            columns = slice(crop.left, crop.left + width)
            self._filled[number] = (rows, columns)
            region = layer.data[view.thin_region(rows, columns)]
            region[...] = (crop.mask.T if view.is_transposed else crop.mask).reshape(region.shape)
        return True

    def _on_visible(self) -> None:
        """Fill a layer that the person shows with the eye in the layer list."""
        for number, layer in enumerate(self._layers):
            if layer is not None and layer.visible and self._fill(number):
                self._redraw(layer)

    def forget(self, layer: object) -> None:
        """Hear that the person deleted a layer; it is made again when needed."""
        number = self.number_of(layer)
        if number is not None:
            self._release(number)

    def _release(self, number: int) -> CandidateLayer | None:
        layer, self._layers[number] = self._layers[number], None
        self._filled[number], self._holds[number] = _NOTHING, None
        if layer is not None:
            layer.events.visible.disconnect(self._on_visible)
        return layer

    def remove(self) -> None:
        """Take all the layers out of the viewer."""
        for number in range(len(self._layers)):
            layer = self._release(number)
            if layer is not None:
                self._remove_layer(layer)
