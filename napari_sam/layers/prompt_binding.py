"""Which layers are prompts of the current image: ours, made on demand, or the user's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from weakref import WeakKeyDictionary

from napari.components import Dims
from napari.layers import Image, Layer, Points, Shapes

from napari_sam.layers.plane_view import PlaneView, place, placement
from napari_sam.layers.prompt_layers import PointPrompts, move_along, new_points_layer
from napari_sam.layers.shape_prompts import ShapePrompts, new_shapes_layer
from napari_sam.layers.viewer_layers import ViewerLayers, mark_for, was_made_for
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts


class PromptBinding:
    """The prompt layers of the current image.

    Each image keeps its own "SAM points" and "SAM boxes": when another image is chosen they leave
    the viewer, and they come back with it.
    """

    def __init__(
        self,
        layers: ViewerLayers,
        dims: Dims,
        on_changed: Callable[[], None],
        on_gesture: Callable[[bool], None],
        on_new_layer: Callable[[Layer], None],
    ) -> None:
        self._layers, self._dims = layers, dims
        self._on_changed, self._on_gesture = on_changed, on_gesture
        self._on_new_layer = on_new_layer
        self._image: Image | None = None
        self._view: PlaneView | None = None
        self._own_points: WeakKeyDictionary[Image, Points] = WeakKeyDictionary()
        self._own_boxes: WeakKeyDictionary[Image, Shapes] = WeakKeyDictionary()
        self._channel_axes: WeakKeyDictionary[Image, int | None] = WeakKeyDictionary()
        self.points: PointPrompts | None = None
        self.boxes: ShapePrompts | None = None
        self.polarity = FOREGROUND
        self._adopt()

    @property
    def own_layers(self) -> list[Layer]:
        """All layers of ours, in the viewer or put away."""
        return [*self._own_points.values(), *self._own_boxes.values()]

    def close(self) -> None:
        """Let the layers go; those with prompts stay in the viewer."""
        self._release()
        for own in self.own_layers:
            if not len(own.data):
                self._layers.remove(own)

    def _release(self) -> None:
        self._release_points()
        self._release_boxes()

    # Where prompts are read ----------------------------------------------------------------

    def set_image(self, image: Image | None) -> None:
        """Bring out the prompt layers of another image, and put those of the one before away."""
        self._release()
        self._image, self._view = image, None
        of_image = []
        if image is not None:
            of_image = [self._own_boxes.get(image), self._own_points.get(image)]
        for own in self.own_layers:
            if not any(own is one for one in of_image):
                self._layers.remove(own)
        if image is None:
            return
        for own in of_image:
            if own is not None and own not in self._layers:
                self._layers.add(own)
        self.use_points(None)
        self.use_boxes(None)

    def set_view(self, view: PlaneView | None) -> None:
        """Read from and write to another plane of the image."""
        self._view = view
        if view is None or self._image is None:
            return
        before = self._channel_axes.get(self._image)
        self._channel_axes[self._image] = view.channel_axis
        with ExitStack() as stack:
            for prompts in (self.points, self.boxes):
                if prompts is not None:
                    stack.enter_context(prompts.writing())
            for own in (self._own_points.get(self._image), self._own_boxes.get(self._image)):
                if own is not None and before != view.channel_axis:
                    _change_channel_axis(own, before, view)
            self.follow_image()

    def _adopt(self) -> None:
        """Take over the layers that an earlier widget left in the viewer.

        At the beginning only: a copy of one of our layers is the user's.
        """
        images = self._layers.of_type(Image)
        for layer in self._layers.of_type(Points, Shapes):
            image = next((one for one in images if was_made_for(layer, one)), None)
            own = self._own_points if isinstance(layer, Points) else self._own_boxes
            if image is not None and image not in own and layer.ndim == image.ndim:
                own[image] = layer
                self._on_new_layer(layer)

    def use_points(self, layer: Points | None) -> None:
        """Read clicks from a layer of the user's; None: from ours."""
        self._release_points()
        own = None if self._image is None else self._own_points.get(self._image)
        chosen = own if layer is None else layer
        if chosen is not None:
            self.points = PointPrompts(
                chosen,
                is_own=layer is None,
                on_changed=self._on_changed,
                on_gesture=self._on_gesture,
            )

    def use_boxes(self, layer: Shapes | None) -> None:
        """Read boxes from a layer of the user's; None: from ours."""
        self._release_boxes()
        own = None if self._image is None else self._own_boxes.get(self._image)
        chosen = own if layer is None else layer
        if chosen is not None:
            self.boxes = ShapePrompts(
                chosen,
                is_own=layer is None,
                on_changed=self._on_changed,
                on_gesture=self._on_gesture,
            )

    def make_points(self) -> PointPrompts | None:
        """Return the layer to click on, made if need be; None without an image."""
        if self.points is None and self._image is not None and self._view is not None:
            own = new_points_layer(self._image, self._view)
            self._own_points[self._image] = own
            self._add_own(own, self._image)
            self.use_points(None)
            self.set_polarity(self.polarity)
        return self.points

    def make_boxes(self) -> ShapePrompts | None:
        """Return the layer to draw shapes on, made if need be; None without an image."""
        if self.boxes is None and self._image is not None and self._view is not None:
            own = new_shapes_layer(self._image, self._view)
            self._own_boxes[self._image] = own
            self._add_own(own, self._image)
            self.use_boxes(None)
            self.set_polarity(self.polarity)
        return self.boxes

    def _add_own(self, layer: Points | Shapes, image: Image) -> None:
        layer.metadata.update(mark_for(image))
        self._layers.add(layer)
        self._on_new_layer(layer)

    def forget(self, layer: Layer) -> bool:
        """Hear that the user deleted a layer; whether it held prompts of the current image."""
        held = [p for p in (self.points, self.boxes) if p is not None and p.layer is layer]
        for own in (self._own_points, self._own_boxes):
            for image in [image for image, known in own.items() if known is layer]:
                del own[image]
        if self.points in held:
            self.use_points(None)
        if self.boxes in held:
            self.use_boxes(None)
        return bool(held)

    def _release_points(self) -> None:
        if self.points is not None:
            self.points.close()
            self.points = None

    def _release_boxes(self) -> None:
        if self.boxes is not None:
            self.boxes.close()
            self.boxes = None

    # What they say ---------------------------------------------------------------------------

    def read(self) -> Prompts:
        """Return the prompts on the displayed plane."""
        if self._image is None or self._view is None:
            return Prompts()
        here = self._image, self._view, self._dims
        points_xy, point_labels = self.points.read(*here) if self.points else ((), ())
        drawn = self.boxes.read(*here) if self.boxes else Prompts()
        return replace(drawn, points_xy=points_xy, point_labels=point_labels)

    def write(self, prompts: Prompts) -> None:
        """Make the layers say `prompts` on the displayed plane."""
        if self._image is None or self._view is None:
            return
        points = self.make_points() if prompts.points_xy else self.points
        has_shapes = prompts.box_xyxy or prompts.scribbles
        boxes = self.make_boxes() if has_shapes else self.boxes
        with self._layers.unlisted():
            for layer in (points, boxes):
                if layer is not None:
                    layer.write(prompts, self._image, self._view, self._dims)

    def set_polarity(self, label: int) -> None:
        """Say what the next click or scribble means: 1 foreground, 0 background."""
        self.polarity = label
        for prompts in (self.points, self.boxes):
            if prompts is not None and prompts.is_own:
                prompts.polarity = label

    def flip_selected(self, layer: Layer | None) -> None:
        """Flip what the user has selected in a layer of ours, if it is one."""
        for prompts in (self.points, self.boxes):
            if prompts is not None and prompts.is_own and prompts.layer is layer:
                prompts.flip_selected()

    def follow_image(self) -> None:
        """Lie where the image lies now."""
        if self._image is None or self._view is None:
            return
        where = placement(self._image, self._view.labels_offset, self._view.prompt_pixel)
        for own in (self._own_points.get(self._image), self._own_boxes.get(self._image)):
            if own is not None:
                place(own, where)


def _change_channel_axis(layer: Points | Shapes, before: int | None, view: PlaneView) -> None:
    """Have prompts belong to all channels, and to the slice that is shown of what were channels."""
    if before is not None:
        move_along(layer, before, view.index[before])
    if view.channel_axis is not None:
        move_along(layer, view.channel_axis, 0)
