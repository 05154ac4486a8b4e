"""Follows the image that is annotated and the plane of it that a viewer shows."""

from collections.abc import Callable
from typing import Final

from napari.layers import Image
from psygnal import Signal

from napari_sam.layers.camera import visible_box
from napari_sam.layers.fingerprints import Fingerprint
from napari_sam.layers.plane_source import PlaneSource
from napari_sam.layers.plane_view import PlaneView, ShownPlane, displayed_plane, transform_events
from napari_sam.layers.workspace import Workspace
from napari_sam.session.connections import Connections
from napari_sam.session.image.image_plane import ImageError
from napari_sam.session.image.intensity import Appearance
from napari_sam.session.image.tiles import Box
from napari_sam.session.jobs import DeferredCall
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.plane_request import PlaneRequest

_NEW_APPEARANCE: Final = "The appearance of the image changed"


class PlaneBinding:
    """Notices which plane is shown, and passes on a request for it when that has changed."""

    moved = Signal()
    """The image has another transform."""
    stack_changed = Signal(int)
    """How many planes there are along the slider next to the one that is shown."""
    appearance_changed = Signal()
    """The image is shown with other contrast limits or gamma, maybe in the middle of a drag."""
    camera_moved = Signal()
    """Another part of the image is visible, maybe in the middle of a drag."""

    def __init__(
        self, workspace: Workspace, on_changed: Callable[[PlaneRequest, PlaneView | None], None]
    ) -> None:
        self._viewer = viewer = workspace.viewer
        self._session = workspace.session
        self._on_changed = on_changed
        self.source = PlaneSource(workspace.session)
        """What the session gets of each image."""
        self.image: Image | None = None
        """The image layer that is annotated."""
        self.view: PlaneView | None = None
        """The plane of the image that is annotated; None without one."""
        self._pixels = Fingerprint()
        self._is_closed = self._is_replaced = False
        self._check_soon = DeferredCall(workspace.defer, self.check)
        self._image_connections = Connections()
        self._connections = Connections(
            (self.source.imported_embeddings.usable_changed, self._on_embeddings_changed),
            (viewer.dims.events.current_step, self._check_soon.request),
            (viewer.dims.events.order, self._check_soon.request),
            (viewer.dims.events.ndisplay, self._check_soon.request),
            (viewer.scene.camera.events.zoom, self.camera_moved.emit),
            (viewer.scene.camera.events.center, self.camera_moved.emit),
            (viewer.canvas.events.size, self.camera_moved.emit),
        )

    def close(self) -> None:
        """Disconnect from image and viewer."""
        self._is_closed = True
        self._connections.close()
        self._image_connections.close()

    # What is shown ---------------------------------------------------------------------------

    @property
    def shown(self) -> ShownPlane | None:
        """The plane that is annotated, with its image; None without one."""
        if self.image is None or self.view is None:
            return None
        shown = ShownPlane(self.image, self.view)
        return shown if shown.is_possible else None

    @property
    def place_in_stack(self) -> tuple[int, int] | None:
        """How many slices there are, and which is shown; None while none is, as in 3-D."""
        shown = self.shown
        if shown is not None:
            return shown.view.stack_size, shown.view.slice_index
        return (1, 0) if self.image is None else None

    def require(self) -> ShownPlane:
        """Return the plane that is shown."""
        shown = self.shown
        if shown is None:
            reason = self._session.request.refusal
            raise TargetError(reason or "First choose the image that the objects belong to.")
        return shown

    @property
    def visible_box(self) -> Box | None:
        """The part of the plane that is in the window: x0, y0, x1, y1 in its pixels."""
        shown = self.shown
        return None if shown is None else visible_box(self._viewer, shown.image, shown.view)

    def go_to(self, view: PlaneView) -> None:
        """Move the sliders to a plane of the image."""
        image, dims = self.image, self._viewer.dims
        if image is not None:
            corner = image.data_to_world(view.offset)
            for axis in view.sliced_axes:
                dims.set_point(dims.ndim - image.ndim + axis, corner[axis])

    # The image layer -------------------------------------------------------------------------

    def follow(self, image: Image | None) -> None:
        """Follow another image layer; `check` then finds out what is shown of it."""
        self._image_connections.close()
        self.image, self.view = image, None
        if image is not None:
            self._image_connections = Connections(
                *((event, self._on_image_moved) for event in transform_events(image)),
                (image.events.data, self._on_data_replaced),
                (image.events.set_data, self._check_soon.request),
                (image.events.contrast_limits, self._on_image_appearance_changed),
                (image.events.gamma, self._on_image_appearance_changed),
            )

    def _on_image_moved(self) -> None:
        self.moved.emit()
        self._check_soon.request()

    @property
    def _is_outdated(self) -> bool:
        """Whether the model should see the image as it is shown now, and does not."""
        return self.image is not None and self.source.appearances.is_outdated(self.image)

    def _on_image_appearance_changed(self) -> None:
        if self._is_outdated:
            self.appearance_changed.emit()

    def _on_data_replaced(self) -> None:
        """Look at other data, of which the shown plane may be the same: a stack that grows."""
        self._is_replaced, self.view = True, None
        self._forget_values()
        self._check_soon.request()

    def _forget_values(self) -> None:
        if self.image is not None:
            self.source.appearances.forget_values(self.image)
            if self.source.imported_embeddings.stop():
                self._session.notifier.warn(
                    f"'{self.image.name}' has changed: new embeddings replace the imported ones."
                )

    def _on_embeddings_changed(self) -> None:
        self._embed_again("Other embeddings are in use now")

    def set_appearance(self, appearance: Appearance) -> None:
        """Choose what the model sees of the image; prompts are kept."""
        if self.image is None:
            return
        if self.source.set_appearance(self.image, appearance):
            self._embed_again(_NEW_APPEARANCE)
        self.source.appearances.show(self.image, self._viewer.dims)

    def update_appearance(self) -> None:
        """Embed the image as it is shown now, if the model is to see it like that."""
        if self._is_outdated:
            self._embed_again(_NEW_APPEARANCE)

    def _embed_again(self, reason: str) -> None:
        self._count_version(reason)
        self.view = None
        self._check_soon.request()

    def _count_version(self, reason: str) -> None:
        self._session.prefetch.cancel(reason)
        if self.image is not None:
            self.source.count_version(self.image)

    # The plane -------------------------------------------------------------------------------

    def update_view(self) -> None:
        """Tell the session which part of the plane is visible now."""
        box = self.visible_box
        if box is not None and not self._is_closed:
            self._session.look_at(box)

    @property
    def is_check_due(self) -> bool:
        """Whether sliders and axes are looked at once they have come to rest."""
        return self._check_soon.is_due

    def check(self) -> None:
        """Find out which plane is shown, and pass on a request if that has changed."""
        if self._is_closed:
            return
        image, source = self.image, self.source
        source.appearances.show(image, self._viewer.dims)
        view, request = None, PlaneRequest()
        try:
            if image is not None:
                axis = source.appearances.of(image).channel_axis
                view = displayed_plane(image, self._viewer.dims, axis)
                pixels = source.fingerprint(image, view)
                if view == self.view and not self._is_edited(image, view, pixels):
                    source.imported_embeddings.show(image, view)
                    return
                if self._is_outdated or self._is_other(image, pixels):
                    self._count_version(_NEW_APPEARANCE)
                source.appearances.apply(image)
                visible = visible_box(self._viewer, image, view)
                request = source.request(image, view, self.view, visible, pixels.digest)
                self._pixels, self._is_replaced = pixels, False
        except ImageError as error:
            view, request = None, PlaneRequest(refusal=str(error))
        source.imported_embeddings.show(image, view)
        previous, self.view = self.view, view
        self._on_changed(request, previous)
        self.stack_changed.emit(1 if view is None else view.stack_size)

    def _is_edited(self, image: Image, view: PlaneView, pixels: Fingerprint) -> bool:
        """Whether the pixels of the shown plane are others by now, edited in place."""
        before = self._pixels
        if pixels.digest is None or pixels == before:
            return False
        self._pixels = pixels
        if before.digest is None and self.source.has_late_digest(image, view, pixels.digest):
            return False
        self._forget_values()
        return True

    def _is_other(self, image: Image, pixels: Fingerprint) -> bool:
        """Whether the plane may look different after its data were replaced."""
        depends = self.source.appearances.depends_on_others(image)
        return self._is_replaced and (depends or not pixels.is_whole)

    def prefetch_stack(self) -> None:
        """Embed the planes at all positions of the slider next to the one that is shown."""
        if self._is_outdated:
            self._embed_again(_NEW_APPEARANCE)
            self.check()  # at once: the planes are to look like the one that is shown
        shown = self.shown
        if shown is not None:
            views = shown.view.stack_around().items()
            planes = {name: self.source.image_plane(shown.image, view) for name, view in views}
            self._session.prefetch.start_planes(planes)
