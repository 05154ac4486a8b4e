"""Which plane of which image is shown."""

from dataclasses import dataclass
from typing import Any

from napari.layers import Image

from napari_sam.layers.plane_view import PlaneView, placement


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
