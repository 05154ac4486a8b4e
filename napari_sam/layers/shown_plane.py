"""Which plane of which image is shown, and the request that shows it to a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari.layers import Image
from numpy.typing import NDArray

from napari_sam.layers.plane_source import PlaneSource
from napari_sam.layers.plane_view import PlaneView, placement
from napari_sam.session.image.tiles import Box
from napari_sam.session.plane_request import PlaneRequest


@dataclass(frozen=True)
class ShownPlane:
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


def plane_request(
    shown: ShownPlane, previous: PlaneView | None, source: PlaneSource, visible: Box
) -> PlaneRequest:
    """Return the request that shows a plane; target and prompts are added by their bindings."""
    image, view = shown.image, shown.view
    return PlaneRequest(
        plane=source.image_plane(image, view),
        key=source.key_of(image, view),
        version=source.version_of(image),
        view=visible,
        slice_index=view.slice_index,
        neighbours=tuple(source.image_plane(image, near) for near in view.following(previous)),
    )
