"""A Labels layer that shows what was found, before any of it is an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from napari.components import LayerList, ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import CyclicLabelColormap, label_colormap
from numpy.typing import NDArray

from napari_sam.layers.camera import show_box
from napari_sam.layers.plane_view import PlaneView, placement
from napari_sam.layers.plane_view import place as lie
from napari_sam.layers.shortcuts import Commands, ShortcutMap
from napari_sam.layers.viewer_layers import OWN_MARK, ViewerLayers
from napari_sam.session.automatic.masks import AutomaticMask
from napari_sam.session.automatic.picture import AutomaticPicture, sampled

_OPACITY: Final = 0.45


class AutomaticLayer(Labels):
    """A Labels layer of proposals; it cannot be painted, and undo and redo are the session's."""

    def __init__(
        self,
        shape: tuple[int, ...],
        name: str,
        where: Mapping[str, Any],
        commands: Commands,
    ) -> None:
        colours: CyclicLabelColormap = label_colormap(49, 0.3)
        super().__init__(
            np.zeros(shape, np.uint16),
            name=name,
            opacity=_OPACITY,
            colormap=colours,
            metadata={OWN_MARK: "proposals"},
            **where,
        )
        self.editable = False
        self._commands = dict(commands)

    @property
    def _type_string(self) -> str:
        return "labels"  # what napari saves it as

    def _update_thumbnail(self) -> None:
        """Keep an empty thumbnail: it would be drawn again with each batch of points."""
        if not getattr(self, "_commands", True):
            super()._update_thumbnail()

    def undo(self) -> None:
        """Undo the last edit of the prompts or of objects."""
        if self._commands:
            self._commands["undo"]()
        else:
            super().undo()

    def redo(self) -> None:
        """Redo what was undone last."""
        if self._commands:
            self._commands["redo"]()
        else:
            super().redo()

    def release(self) -> None:
        """Be an ordinary Labels layer from now on, of the user's."""
        self._commands.clear()
        self.metadata.pop(OWN_MARK, None)
        self.editable = True


def is_automatic_layer(layer: Layer) -> bool:
    """Whether a layer shows proposals, so that nobody should write to it."""
    return isinstance(layer, AutomaticLayer) and OWN_MARK in layer.metadata


@dataclass(frozen=True)
class Place:
    """A plane of an image layer."""

    image: Image
    view: PlaneView

    def layer_placement(
        self, pixel_size: tuple[float, float] = (1, 1), top: float = 0, left: float = 0
    ) -> dict[str, Any]:
        """Return keyword arguments for a layer on the plane with pixels of another size."""
        (height, width), view = pixel_size, self.view
        # The centre of a large pixel lies between those of the plane's.
        offset = view.offset + view.spread(top + (height - 1) / 2, left + (width - 1) / 2, 0)
        return placement(self.image, offset, view.pixel(height, width))

    def to_nd(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Bring (h, w) pixels of the plane to the axes of a layer on it."""
        height, width = pixels.shape
        shape = self.view.spread(height, width, 1)
        return (pixels.T if self.view.is_transposed else pixels).reshape(shape)


class AutomaticView:
    """Shows a picture of proposals in a viewer, or a single one of them."""

    def __init__(self, viewer: ViewerModel, shortcuts: ShortcutMap, commands: Commands) -> None:
        self._viewer, self._shortcuts, self._commands = viewer, shortcuts, commands
        layers: LayerList = viewer.layers
        self.layers = ViewerLayers(layers)
        self.layer: AutomaticLayer | None = None
        """The layer, as long as there is one."""
        self._place: Place | None = None
        self._step = 1

    def show(
        self, place: Place, picture: AutomaticPicture, alone: AutomaticMask | None = None
    ) -> None:
        """Show proposals of a plane; with `alone` that one only."""
        if self.layer is not None and place != self._place:
            self.remove()
        self._place, self._step = place, picture.step
        pixels, step = picture.labels, picture.step
        if self.layer is None:
            if not picture.proposals:
                return
            shape = place.to_nd(pixels).shape
            name = f"{place.image.name}: found"
            where = place.layer_placement((step, step))
            self.layer = AutomaticLayer(shape, name, where, self._commands)
            self._paint(self.layer, place, picture, alone)
            self._shortcuts.bind(self.layer, self._commands)
            self.layers.add(self.layer)
            for event in _moves(place.image):
                event.connect(self._follow_image)
        else:
            self._paint(self.layer, place, picture, alone)
            self.layers.redraw(self.layer)
        self.layer.features = pd.DataFrame(picture.table)

    def _paint(
        self,
        layer: AutomaticLayer,
        place: Place,
        picture: AutomaticPicture,
        alone: AutomaticMask | None,
    ) -> None:
        pixels = picture.labels
        if alone is not None:
            pixels = np.zeros_like(pixels)
            region, mask = sampled(alone, picture.step)
            pixels[region][mask] = picture.label_ids[picture.proposals.index(alone)]
        layer.data[...] = place.to_nd(pixels)

    def _follow_image(self) -> None:
        """Lie where the image lies now."""
        if self.layer is not None and self._place is not None:
            lie(self.layer, self._place.layer_placement((self._step, self._step)))

    def _let_image_go(self) -> None:
        if self._place is not None:
            for event in _moves(self._place.image):
                event.disconnect(self._follow_image)

    def fly_to(self, one: AutomaticMask, step: int) -> None:
        """Bring a proposal to the middle of the window."""
        if self.layer is not None and self._place is not None:
            view, (rows, columns) = self._place.view, one.span
            start = view.spread(rows.start // step, columns.start // step, 0)
            stop = view.spread(-(-rows.stop // step), -(-columns.stop // step), 1)
            show_box(self._viewer, self.layer, start, stop)

    def activate(self) -> None:
        """Select the layer, so that its keys work."""
        if self.layer is not None:
            self.layers.activate(self.layer)

    def remove(self) -> None:
        """Take the layer out of the viewer."""
        layer, self.layer = self.layer, None
        self._let_image_go()
        self.layers.remove(layer)

    def forget(self) -> None:
        """Hear that the user deleted the layer."""
        self.layer = None
        self._let_image_go()

    def release(self) -> None:
        """Leave the layer to the user, if there is anything on it."""
        layer = self.layer
        if layer is not None and layer.data.any():
            self.forget()
            self._shortcuts.unbind(layer)
            layer.release()
        else:
            self.remove()


def _moves(image: Image) -> tuple[Any, ...]:
    """Return the events that say that an image lies elsewhere."""
    events = image.events
    return events.scale, events.translate, events.rotate, events.shear, events.affine
