"""Which plane of which image is shown and annotated, and how the session gets to see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final
from weakref import WeakKeyDictionary

from napari.components import ViewerModel
from napari.layers import Image
from psygnal import Signal

from napari_sam.layers.appearance import ImageAppearances
from napari_sam.layers.automatic_layer import Place
from napari_sam.layers.camera import view_of_plane
from napari_sam.layers.micro_sam_embeddings import ImportedEmbeddingsLayers
from napari_sam.layers.plane_view import PlaneView, displayed_plane
from napari_sam.layers.slices import stack_around, stack_size
from napari_sam.session.connections import Connections
from napari_sam.session.image.image_plane import ImageError, ImagePlane
from napari_sam.session.image.intensity import Appearance
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.plane_request import PlaneRequest
from napari_sam.session.session import AnnotationSession

_LOOKS_DIFFERENT: Final = "The image looks different now"

PlaceId = tuple[object, PlaneView]
"""How the session calls a plane: what stands for its image, and where in it the plane is."""


class ShownPlane:
    """Follows an image layer and the plane of it that is shown, and has the session embed that."""

    moved = Signal()
    """The image lies elsewhere in the world."""
    stack_changed = Signal(int)
    """How many planes there are along the slider next to the one that is shown."""
    look_changed = Signal()
    """The image is shown with other contrast limits or gamma, maybe in the middle of a drag."""
    camera_moved = Signal()
    """Another part of the image is in sight, maybe in the middle of a drag."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: AnnotationSession,
        defer: Callable[[Callable[[], None]], None],
        on_coming: Callable[[Image, PlaneView], None],
        on_shown: Callable[[Image, PlaceId, bool], None],
        on_left: Callable[[], None],
    ) -> None:
        self._viewer, self._session, self._defer = viewer, session, defer
        self._on_coming, self._on_shown, self._on_left = on_coming, on_shown, on_left
        self.looks = ImageAppearances()
        """What the model sees of each image."""
        self.imported_embeddings = ImportedEmbeddingsLayers(session)
        """What the user brought along in place of computing it."""
        self._image: Image | None = None
        self._view: PlaneView | None = None
        # Ids of layers that are gone are given to others.
        self._identities: WeakKeyDictionary[Image, object] = WeakKeyDictionary()
        # Counts changes of pixels and contrast.
        self._look_numbers: WeakKeyDictionary[Image, int] = WeakKeyDictionary()
        self._is_closed = self._check_is_due = False
        self._image_connections = Connections()
        self._connections = Connections(
            (self.imported_embeddings.usable_changed, self._on_imported_embeddings_changed),
            (viewer.dims.events.current_step, self._on_may_have_changed),
            (viewer.dims.events.order, self._on_may_have_changed),
            (viewer.dims.events.ndisplay, self._on_may_have_changed),
            (viewer.scene.camera.events.zoom, self.camera_moved.emit),
            (viewer.scene.camera.events.center, self.camera_moved.emit),
            (viewer.canvas.events.size, self.camera_moved.emit),
        )

    def close(self) -> None:
        """Let image and viewer go."""
        self._is_closed = True
        self._connections.close()
        self._connect(None)

    @property
    def is_idle(self) -> bool:
        """Whether what the viewer shows has been looked at."""
        return not self._check_is_due

    # What is shown ---------------------------------------------------------------------------

    @property
    def image(self) -> Image | None:
        """The image layer that is annotated."""
        return self._image

    @property
    def view(self) -> PlaneView | None:
        """The plane of the image that is annotated; None without one."""
        return self._view

    @property
    def place(self) -> Place | None:
        """The plane that is annotated; None while there is none."""
        if self._image is None or self._view is None:
            return None
        return Place(self._image, self._view)

    @property
    def view_in_sight(self) -> tuple[float, float, float, float] | None:
        """Which part of the plane is in the window: x0, y0, x1, y1 in its pixels."""
        if self._image is None or self._view is None:
            return None
        return view_of_plane(self._viewer, self._image, self._view)

    def need(self) -> tuple[Image, PlaneView]:
        """Return the image, and the plane of it that is shown."""
        if self._image is None or self._view is None:
            msg = "Open and choose the image first that the objects belong to."
            raise TargetError(msg)
        return self._image, self._view

    def follow(self, image: Image | None) -> None:
        """Follow another image layer; `check` then looks at what is shown of it."""
        self._connect(image)
        self._view = None

    def _connect(self, image: Image | None) -> None:
        """Follow another image's position and data in place of the current one's."""
        self._image_connections.close()
        self._image = image
        if image is not None:
            events = image.events
            moved = (events.scale, events.translate, events.rotate, events.shear, events.affine)
            self._image_connections = Connections(
                *((event, self._on_image_moved) for event in moved),
                (events.data, self._on_image_data_changed),
                (events.contrast_limits, self._on_image_look_changed),
                (events.gamma, self._on_image_look_changed),
            )

    def _on_image_moved(self) -> None:
        self.moved.emit()
        self._on_may_have_changed()

    def _on_image_look_changed(self) -> None:
        if self._image is not None and self.looks.is_outdated(self._image):
            self.look_changed.emit()

    def _on_image_data_changed(self) -> None:
        if self._image is not None:
            self.looks.forget_values(self._image)
            if self.imported_embeddings.stop():
                name = self._image.name
                self._session.notifier.warn(
                    f"'{name}' has other pixels now: it is embedded here from now on."
                )
        self.look_again()

    def set_look(self, look: Appearance) -> None:
        """Choose what the model sees of the image; prompts are kept."""
        image = self._image
        if image is None:
            return
        if look.channel_axis != self.looks.of(image).channel_axis:
            self._identities.pop(image, None)  # what was left on planes lies on others now
        if self.looks.choose(image, look):
            self.look_again()
        self.looks.show(image, self._viewer.dims)

    def look_as_shown(self) -> None:
        """Have the image embedded as it is shown now, if the model is to see it like that."""
        if self._image is not None and self.looks.is_outdated(self._image):
            self.look_again()

    def look_again(self) -> None:
        """Have the image embedded as it looks now; its prompts are kept."""
        self._embed_anew(_LOOKS_DIFFERENT)

    def _on_imported_embeddings_changed(self) -> None:
        self._embed_anew("Other embeddings are in use now")

    def _embed_anew(self, why: str) -> None:
        self._note_other_look(why)
        self._view = None
        self._on_may_have_changed()

    def _note_other_look(self, why: str) -> None:
        self._session.ahead.cancel_preparation(why)
        if self._image is not None:
            self._look_numbers[self._image] = self._look_numbers.get(self._image, 0) + 1

    def look_at_view(self) -> None:
        """Have the session know which part of the image is in sight now."""
        if self._image is not None and self._view is not None and not self._is_closed:
            self._session.look_at(view_of_plane(self._viewer, self._image, self._view))

    def _on_may_have_changed(self) -> None:
        """Look once at what is shown, when slider and axes have come to rest."""
        if not self._check_is_due:
            self._check_is_due = True
            self._defer(self.check)

    def check(self) -> None:
        """Tell the session which plane is shown, if it is another one than before."""
        self._check_is_due = False
        if self._is_closed:
            return
        self.looks.show(self._image, self._viewer.dims)
        if self._image is None:
            self.imported_embeddings.show(None)
            self._leave()
            self._session.set_image(None)
            return
        try:
            look = self.looks.of(self._image)
            view = displayed_plane(self._image, self._viewer.dims, look.channel_axis)
            self.imported_embeddings.show(self._image, view)
            if view == self._view:
                return
            if self.looks.is_outdated(self._image):
                self._note_other_look(_LOOKS_DIFFERENT)
            self.looks.apply(self._image)
            plane = self._image_plane(self._image, view)
        except ImageError as error:
            self.imported_embeddings.show(self._image)
            self._leave()
            self._session.show(PlaneRequest(refusal=str(error)))
            return
        following, before = view.following(self._view), self._view
        self._view = view
        self._on_coming(self._image, view)
        identity = self._identities.setdefault(self._image, object())
        look_number = self._look_numbers.get(self._image, 0)
        in_sight = view_of_plane(self._viewer, self._image, view)
        place = identity, view
        neighbours = tuple(self._image_plane(self._image, one) for one in following)
        self._session.show(PlaneRequest(plane, place, look_number, in_sight, neighbours=neighbours))
        is_other_stack = before is None or before.shape_nd != view.shape_nd
        self._on_shown(self._image, place, is_other_stack)
        self.stack_changed.emit(stack_size(view))

    def _image_plane(self, image: Image, view: PlaneView) -> ImagePlane:
        plane = self.looks.image_plane(image, view)
        return replace(plane, embeddings=self.imported_embeddings.of(image, view))

    def prepare_stack(self) -> None:
        """Embed the planes at all positions of the slider next to the one that is shown."""
        if self._image is not None and self.looks.is_outdated(self._image):
            self.look_again()
            self.check()  # at once: the planes are to look like the one that is shown
        image, view = self._image, self._view
        if image is not None and view is not None:
            views = stack_around(view).items()
            planes = {name: self._image_plane(image, one) for name, one in views}
            self._session.ahead.prepare_planes(planes)

    def image_of(self, place: PlaceId) -> Image | None:
        """Return the image of a plane that was shown before; None if that is gone."""
        identity, _ = place
        return next((one for one, known in self._identities.items() if known is identity), None)

    def go_to(self, image: Image, view: PlaneView) -> None:
        """Move the sliders to where a plane of an image is."""
        dims = self._viewer.dims
        corner = image.data_to_world(view.offset)
        first = dims.ndim - image.ndim
        for axis in range(image.ndim):
            if axis not in (view.row_axis, view.column_axis, view.channel_axis):
                dims.set_point(first + axis, corner[axis])

    def _leave(self) -> None:
        self._view = None
        self._on_left()
        self.stack_changed.emit(stack_size(None))
