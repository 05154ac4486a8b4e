"""Which layers are prompts of the current image: ours, made on demand, or the user's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Generic
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image, Layer, Points, Shapes
from numpy.typing import ArrayLike

from napari_sam.layers.plane_view import PlaneView, placement, set_transform
from napari_sam.layers.prompt_layers import LayerT, PointPrompts, PromptLayer, new_points_layer
from napari_sam.layers.shape_prompts import ShapePrompts, new_shapes_layer
from napari_sam.layers.viewer_layers import mark_for, was_made_for
from napari_sam.layers.workspace import Workspace
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND, Prompts


class PromptSlot(Generic[LayerT]):
    """The layer of one type that prompts are read from, and our layers of that type."""

    def __init__(
        self,
        new_layer: Callable[[Image, PlaneView], LayerT],
        prompt_type: Callable[..., PromptLayer[LayerT, Any]],
        callbacks: tuple[Callable[..., None], ...],
    ) -> None:
        self.new_layer, self._prompt_type, self._callbacks = new_layer, prompt_type, callbacks
        self.own: WeakKeyDictionary[Image, LayerT] = WeakKeyDictionary()
        self.prompts: PromptLayer[LayerT, Any] | None = None

    def use(self, image: Image | None, layer: LayerT | None = None) -> None:
        """Read from the user's layer; None: from ours, if there is one for the image."""
        self.release()
        own = None if image is None else self.own.get(image)
        chosen = own if layer is None else layer
        if chosen is not None:
            self.prompts = self._prompt_type(chosen, layer is None, *self._callbacks)

    def release(self) -> None:
        """Stop reading prompts."""
        if self.prompts is not None:
            self.prompts.close()
            self.prompts = None

    @property
    def user_layer(self) -> LayerT | None:
        """The user's layer that prompts are read from; None stands for ours."""
        return None if self.prompts is None or self.prompts.is_own else self.prompts.layer

    def forget(self, layer: Layer, image: Image | None) -> bool:
        """Handle a layer's deletion; return whether prompts were read from it."""
        was_read = self.prompts is not None and self.prompts.layer is layer
        for made_for in [key for key, own in self.own.items() if own is layer]:
            del self.own[made_for]
        if was_read:
            self.use(image)
        return was_read


class ImagePrompts:
    """The prompt layers of the current image.

    Each image keeps its own "SAM points" and "SAM boxes": when another image is chosen they leave
    the viewer, and they come back with it.
    """

    def __init__(
        self,
        workspace: Workspace,
        on_changed: Callable[[], None],
        on_gesture: Callable[[bool], None],
    ) -> None:
        self._layers, self._shortcuts = workspace.layers, workspace.shortcuts
        self._dims = workspace.viewer.dims
        self._image: Image | None = None
        self.view: PlaneView | None = None
        """The plane of the image whose prompts are read and written."""
        callbacks = on_changed, on_gesture
        self.points: PromptSlot[Points] = PromptSlot(new_points_layer, PointPrompts, callbacks)
        self.boxes: PromptSlot[Shapes] = PromptSlot(
            new_shapes_layer, ShapePrompts, (*callbacks, self._add_background)
        )
        self._channel_axes: WeakKeyDictionary[Image, int | None] = WeakKeyDictionary()
        self.polarity = FOREGROUND
        """The point label of the next click: 1 foreground, 0 background."""
        self._adopt()

    @property
    def _slots(self) -> tuple[PromptSlot[Any], PromptSlot[Any]]:
        return self.boxes, self.points  # in the order in which they are added

    @property
    def _in_use(self) -> list[PromptLayer[Any, Any]]:
        return [slot.prompts for slot in self._slots if slot.prompts is not None]

    @property
    def own_layers(self) -> list[Layer]:
        """All our layers, in the viewer or put away."""
        return [layer for slot in self._slots for layer in slot.own.values()]

    def close(self) -> None:
        """Let the layers go; those with prompts stay in the viewer."""
        for slot in self._slots:
            slot.release()
        for layer in self.own_layers:
            self._shortcuts.unbind(layer)
        self._layers.remove(*[layer for layer in self.own_layers if not len(layer.data)])

    def _adopt(self) -> None:
        """Take over the layers that an earlier widget left in the viewer.

        At the beginning only: a copy of one of our layers is the user's.
        """
        images = self._layers.of_type(Image)
        for layer in self._layers.of_type(Points, Shapes):
            image = next((image for image in images if was_made_for(layer, image)), None)
            slot: PromptSlot[Any] = self.points if isinstance(layer, Points) else self.boxes
            if image is not None and image not in slot.own and layer.ndim == image.ndim:
                slot.own[image] = layer
                self._shortcuts.bind(layer)

    # Where prompts are read ----------------------------------------------------------------

    def set_image(self, image: Image | None) -> None:
        """Bring out the prompt layers of another image, and put those of the one before away."""
        self._image, self.view = image, None
        for slot in self._slots:
            slot.release()
        own = [item for slot in self._slots for item in slot.own.items()]
        self._layers.remove(*[layer for made_for, layer in own if made_for is not image])
        for slot in self._slots:
            layer = None if image is None else slot.own.get(image)
            if layer is not None and layer not in self._layers:
                layer.mode = "pan_zoom"  # as napari's new controls of it show until it changes
                self._layers.add(layer)
            slot.use(image)

    def set_view(self, view: PlaneView | None) -> bool:
        """Read from and write to another plane of the image; return whether prompts are lost.

        They are if the image has another number of axes.
        """
        self.view = view
        if view is None or self._image is None:
            return False
        misfits = [layer for layer in self._own_layers_of_image if layer.ndim != self._image.ndim]
        for layer in misfits:
            self._shortcuts.unbind(layer)
            self.forget(layer)
            self._layers.remove(layer)
        before = self._channel_axes.get(self._image)
        self._channel_axes[self._image] = view.channel_axis
        with self._writing():
            if before != view.channel_axis:
                for layer in self._own_layers_of_image:
                    _change_channel_axis(layer, before, view)
            self.follow_image()
        return any(len(layer.data) for layer in misfits)

    def set_user_layers(self, points: Points | None, boxes: Shapes | None) -> None:
        """Read prompts from the user's layers; None: from ours."""
        self.points.use(self._image, points)
        self.boxes.use(self._image, boxes)

    def make(self, slot: PromptSlot[Any]) -> PromptLayer[Any, Any] | None:
        """Return the layer of a slot, made if need be; None without an image."""
        if slot.prompts is None and self._image is not None and self.view is not None:
            layer = slot.new_layer(self._image, self.view)
            slot.own[self._image] = layer
            layer.metadata.update(mark_for(self._image))
            self._layers.add(layer)
            self._shortcuts.bind(layer)
            slot.use(self._image)
            self.set_polarity(self.polarity)
        return slot.prompts

    def _add_background(self, world: ArrayLike) -> None:
        """Add a background point where there was a click for one, whatever tool is in use."""
        points = self.make(self.points)
        if points is not None and points.is_own:
            points.set_polarity(BACKGROUND)  # until the end of the gesture
            points.layer.add(points.layer.world_to_data(world))

    def forget(self, layer: Layer) -> bool:
        """Handle a layer's deletion; return whether it held prompts of the current image."""
        was_read = [slot.forget(layer, self._image) for slot in self._slots]
        return any(was_read)

    # The prompts -----------------------------------------------------------------------------

    def read(self) -> Prompts:
        """Return the prompts on the displayed plane."""
        if self._image is None or self.view is None:
            return Prompts()
        prompts = Prompts()
        for layer in self._in_use:
            prompts = layer.read(prompts, self._image, self.view, self._dims)
        return replace(prompts, slice_index=self.view.slice_index)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Change the layers in use without a notification of any of them.

        Where one gets a larger extent, napari shows the others again, whose events would have the
        first one read while only a part of it is written.
        """
        with ExitStack() as stack:
            for prompts in self._in_use:
                stack.enter_context(prompts.writing())
            yield

    @property
    def n_areas(self) -> int:
        """The number of boxes and outlines on the displayed plane, of which one counts."""
        boxes = self.boxes.prompts
        if self._image is None or self.view is None or not isinstance(boxes, ShapePrompts):
            return 0
        return boxes.count_areas(self._image, self.view, self._dims)

    @property
    def has_open_shape(self) -> bool:
        """Whether a shape has been begun and not finished."""
        boxes = self.boxes.prompts
        return isinstance(boxes, ShapePrompts) and boxes.is_open

    def write(self, prompts: Prompts) -> None:
        """Make the layers hold `prompts` on the displayed plane."""
        if self._image is None or self.view is None:
            return
        if prompts.points_xy:
            self.make(self.points)
        if prompts.box_xyxy or prompts.scribbles:
            self.make(self.boxes)
        with self._layers.unlisted(), self._writing():
            for layer in reversed(self._in_use):
                layer.write(prompts, self._image, self.view, self._dims)

    def set_polarity(self, label: int) -> None:
        """Choose what the next click or scribble means: 1 foreground, 0 background."""
        self.polarity = label
        for prompts in self._in_use:
            if prompts.is_own:
                prompts.set_polarity(label)

    def flip_selected(self, layer: Layer | None) -> None:
        """Flip what the user has selected, if it is in one of our layers."""
        for prompts in self._in_use:
            if prompts.is_own and prompts.layer is layer:
                prompts.flip_selected()

    # Position ----------------------------------------------------------------------------------

    @property
    def _own_layers_of_image(self) -> list[Points | Shapes]:
        if self._image is None:
            return []
        return [slot.own[self._image] for slot in self._slots if self._image in slot.own]

    def follow_image(self) -> None:
        """Take the transform of the image."""
        if self._image is None or self.view is None:
            return
        transform = placement(self._image, self.view.labels_offset, self.view.prompt_pixel)
        for layer in self._own_layers_of_image:
            set_transform(layer, transform)


def _change_channel_axis(layer: Points | Shapes, before: int | None, view: PlaneView) -> None:
    """Move prompts to all channels, and to the shown slice of an axis that held channels."""
    is_points = isinstance(layer, Points)
    moved = [np.array(item, float) for item in ([layer.data] if is_points else layer.data)]
    for item in moved:
        if before is not None:
            item[:, before] = view.index[before]
        if view.channel_axis is not None:
            item[:, view.channel_axis] = 0
    if moved:
        layer.data = moved[0] if is_points else moved
