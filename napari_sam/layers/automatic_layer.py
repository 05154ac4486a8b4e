"""A Labels layer of automatic masks, before any of them is accepted."""

from typing import Any, Final

import numpy as np
from napari.components import LayerList, ViewerModel
from napari.layers import Layer
from napari.utils.colormaps import label_colormap
from numpy.typing import NDArray

from napari_sam.layers.camera import show_box
from napari_sam.layers.candidate_layers import CANDIDATE_COLOR
from napari_sam.layers.napari_workarounds import SessionLabels
from napari_sam.layers.outlines import NO_SEGMENTS, LayerOutline, Segments
from napari_sam.layers.plane_view import PlaneView, ShownPlane, set_transform, transform_events
from napari_sam.layers.shortcuts import Commands, ShortcutMap
from napari_sam.layers.viewer_layers import OWN_MARK, ViewerLayers
from napari_sam.session.automatic.masks import AutomaticMask
from napari_sam.session.automatic.picture import AutomaticPicture
from napari_sam.session.connections import Connections

_OPACITY: Final = 0.45
_OUTLINE: Final = "napari-sam-mask"
"""Of a mask that is shown alone: it looks like a candidate, not like an accepted object."""


class AutomaticLayer(SessionLabels):
    """A Labels layer of automatic masks, until it is released to the user."""

    def __init__(
        self, data: NDArray[np.uint16], name: str, commands: Commands, **where: Any
    ) -> None:
        super().__init__(
            data,
            lambda command: commands[command](),
            name=name,
            opacity=_OPACITY,
            colormap=label_colormap(49, 0.3),
            metadata={OWN_MARK: "automatic"},
            **where,
        )

    def release(self) -> None:
        """Turn into an ordinary Labels layer, which is the user's."""
        super().release()
        self.metadata.pop(OWN_MARK, None)


def is_automatic_layer(layer: Layer) -> bool:
    """Whether a layer shows automatic masks, so that nothing else may write to it."""
    return isinstance(layer, AutomaticLayer) and OWN_MARK in layer.metadata


class AutomaticView:
    """Shows a picture of automatic masks in a viewer, or one mask alone."""

    def __init__(self, viewer: ViewerModel, shortcuts: ShortcutMap, commands: Commands) -> None:
        self._viewer, self._shortcuts, self._commands = viewer, shortcuts, commands
        layers: LayerList = viewer.layers
        self.layers = ViewerLayers(layers)
        self.layer: AutomaticLayer | None = None
        """The layer of the masks; None without masks."""
        self._shown: ShownPlane | None = None
        self._step, self._first_slice = 1, 0
        self._connections = Connections()
        self._outline: LayerOutline | None = None
        self._active_before: Layer | None = None
        self._alone: AutomaticMask | None = None
        self._slice_index: int | None = None  # the one that is shown

    def show(
        self, shown: ShownPlane, picture: AutomaticPicture, alone: AutomaticMask | None = None
    ) -> None:
        """Show the masks of a plane, or of slices from there on; with `alone` only that one."""
        if self.layer is not None and shown != self._shown:
            self.remove()
        self._shown, self._step = shown, picture.step
        self._first_slice = picture.first_slice
        pixels = picture.labels if alone is None else picture.alone(alone)
        data = _to_nd(shown.view, pixels)
        if self.layer is None:
            if not picture.masks:
                return
            name = f"{shown.image.name}: automatic"
            where = shown.layer_placement((picture.step, picture.step))
            self.layer = AutomaticLayer(data.copy(), name, self._commands, **where)
            self._outline = LayerOutline(self.layer, _OUTLINE, CANDIDATE_COLOR)
            self._shortcuts.bind(self.layer, self._commands)
            self.layers.add(self.layer)
            events = transform_events(shown.image)
            self._connections = Connections(*((event, self._follow_image) for event in events))
        else:
            self.layer.data[...] = data
            self.layers.redraw(self.layer)
        self.layer.features = picture.table
        self._alone = alone
        self._show_outline()

    def outline_on(self, slice_index: int | None) -> None:
        """Outline the mask that is shown alone where it is on a slice; None: nowhere."""
        if slice_index != self._slice_index:
            self._slice_index = slice_index
            self._show_outline()

    def _show_outline(self) -> None:
        if self._outline is None:
            return
        segments, mask = NO_SEGMENTS, self._alone
        if mask is not None and self._slice_index is not None:
            on_slice = 0 if mask.slice_index is None else self._slice_index
            segments = Segments.around(
                (pixels, rows.start, columns.start)
                for (index, rows, columns), pixels in mask.on_picture(self._step)
                if index == on_slice
            )
        self._outline.show(segments)

    def _follow_image(self) -> None:
        """Move the layer to where the image is."""
        if self.layer is not None and self._shown is not None and self._shown.is_possible:
            set_transform(self.layer, self._shown.layer_placement((self._step, self._step)))

    def fly_to(self, mask: AutomaticMask, step: int) -> None:
        """Bring a mask to the middle of the window, unless all of it is in sight."""
        if self.layer is not None and self._shown is not None:
            view, (rows, columns) = self._shown.view, mask.span
            start = view.spread(rows.start // step, columns.start // step, 0)
            stop = view.spread(-(-rows.stop // step), -(-columns.stop // step), 1)
            if mask.slice_index is not None:
                axis, offset = view.axes_of_planes[-1], mask.slice_index - self._first_slice
                start[axis], stop[axis] = offset, offset + 1
            show_box(self._viewer, self.layer, start, stop, is_sight_enough=True)

    @property
    def is_selected(self) -> bool:
        """Whether the layer is the active one."""
        return self.layer is not None and self._viewer.layers.selection.active is self.layer

    def activate(self) -> None:
        """Select the layer, so that its keys work."""
        if self.layer is not None and not self.is_selected:
            self._active_before = self._viewer.layers.selection.active
            self._viewer.layers.selection.active = self.layer

    def deactivate(self) -> None:
        """Select the layer again that was selected before, with its tool."""
        before = self._active_before
        if self.is_selected and before is not None and before in self._viewer.layers:
            self._viewer.layers.selection.active = before

    def remove(self) -> None:
        """Take the layer out of the viewer."""
        self.deactivate()
        layer = self.layer
        self.forget()
        self.layers.remove(layer)

    def forget(self) -> None:
        """Handle that the user deleted the layer."""
        if self._outline is not None:
            self._outline.remove()
        self.layer = self._outline = self._alone = None
        self._connections.close()

    def release(self) -> None:
        """Leave the layer to the user unless it is empty."""
        layer = self.layer
        if layer is not None and layer.data.any():
            self.forget()
            self._shortcuts.unbind(layer)
            layer.release()
        else:
            self.remove()


def _to_nd(view: PlaneView, pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Bring a picture, or those of several slices, to the axes of the image."""
    if pixels.ndim == 2:
        return view.to_nd(pixels)
    return np.concatenate([view.to_nd(plane) for plane in pixels], axis=view.axes_of_planes[-1])
