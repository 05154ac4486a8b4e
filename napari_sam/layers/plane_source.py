"""What a session gets of image layers: image planes, their keys and versions."""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from napari.layers import Image

from napari_sam.layers.appearance import ImageAppearances
from napari_sam.layers.fingerprints import Fingerprint, plane_fingerprint
from napari_sam.layers.image_stack import ImageStack
from napari_sam.layers.micro_sam_embeddings import ImportedEmbeddingsLayers
from napari_sam.layers.plane_view import PlaneView, levels
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.intensity import Appearance
from napari_sam.session.image.tiles import Box
from napari_sam.session.plane_request import PlaneRequest
from napari_sam.session.session import AnnotationSession

PlaneKey = tuple[object, PlaneView]
"""How a session identifies a plane: what stands for its image, and which plane of it."""


class PlaneSource:
    """Makes image planes from image layers, with their appearance and imported embeddings."""

    def __init__(self, session: AnnotationSession) -> None:
        self.appearances = ImageAppearances()
        """What the model sees of each image."""
        self.imported_embeddings = ImportedEmbeddingsLayers(session)
        """What the user imported in place of computing it."""
        # Ids of layers that are gone are given to others.
        self._identities: WeakKeyDictionary[Image, object] = WeakKeyDictionary()
        self._versions: WeakKeyDictionary[Image, int] = WeakKeyDictionary()
        # What the pixels of planes turned out to be that were first shown without a digest.
        self._late_digests: WeakKeyDictionary[Image, dict[PlaneView, Hashable]] = (
            WeakKeyDictionary()
        )

    def image_plane(self, image: Image, view: PlaneView) -> ImagePlane:
        """Describe the pixels of a plane, without reading them."""
        plane = self.appearances.image_plane(image, view)
        return replace(plane, embeddings=self.imported_embeddings.of(image, view))

    def stack(self, image: Image, view: PlaneView) -> ImageStack | None:
        """Return the planes at all positions of the slider next to a plane; None without one."""
        if not view.axes_of_planes:
            return None
        plane_at = self.appearances.planes(image, view)

        def embedded_plane_at(view: PlaneView) -> ImagePlane:
            return replace(plane_at(view), embeddings=self.imported_embeddings.of(image, view))

        return ImageStack(image, view, embedded_plane_at)

    def fingerprint(self, image: Image, view: PlaneView) -> Fingerprint:
        """Return the fingerprint of a plane that is shown."""
        return plane_fingerprint(image, self.appearances.image_plane(image, view))

    def request(
        self,
        image: Image,
        view: PlaneView,
        previous: PlaneView | None,
        visible: Box,
        digest: Hashable = None,
    ) -> PlaneRequest:
        """Return the request that shows a plane; target and prompts are added by their bindings."""
        if digest == self._late_digests.get(image, {}).get(view.unsized):
            digest = None  # as when the plane was first shown
        return PlaneRequest(
            plane=self.image_plane(image, view),
            key=self.key_of(image, view),
            version=(self._versions.get(image, 0), digest),
            view=visible,
            stack=self.stack(image, view),
            slice_index=view.slice_index,
            neighbors=tuple(self.image_plane(image, near) for near in view.following(previous)),
        )

    def key_of(self, image: Image, view: PlaneView) -> PlaneKey:
        """Return how the session identifies a plane of an image."""
        return self._identities.setdefault(image, object()), view.unsized

    def view_at(
        self, image: Image, index: Sequence[int], axes: tuple[int, int]
    ) -> PlaneView | None:
        """Return the plane with these displayed axes at this position; None if there is none."""
        shape = list(levels(image)[0].shape)[: image.ndim]
        channel_axis, channel_count = self.appearances.of(image).channel_axis, 1
        if channel_axis is not None:
            channel_count, shape[channel_axis] = int(shape[channel_axis]), 1
        if len(index) != len(shape) or max(axes) >= len(shape) or channel_axis in axes:
            return None
        if any(position >= length for position, length in zip(index, shape, strict=True)):
            return None
        shape_nd = tuple(int(length) for length in shape)
        return PlaneView(shape_nd, *axes, tuple(index), channel_axis, channel_count)

    def image_of(self, key: PlaneKey) -> Image | None:
        """Return the image of a plane; None if it is gone."""
        images = self._identities.items()
        return next((image for image, identity in images if identity is key[0]), None)

    def count_version(self, image: Image) -> None:
        """Note that the pixels or the appearance of an image have changed."""
        self._versions[image] = self._versions.get(image, 0) + 1
        self._late_digests.pop(image, None)

    def has_late_digest(self, image: Image, view: PlaneView, digest: Hashable) -> bool:
        """Whether these are the pixels of a plane that was shown before they were known."""
        return self._late_digests.setdefault(image, {}).setdefault(view.unsized, digest) == digest

    def set_appearance(self, image: Image, appearance: Appearance) -> bool:
        """Choose what the model sees of an image; return whether that changes its planes."""
        if appearance.channel_axis != self.appearances.of(image).channel_axis:
            self._identities.pop(image, None)  # objects parked on its planes lie on others now
        return self.appearances.choose(image, appearance)
