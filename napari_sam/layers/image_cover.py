"""Which image layer lies over another one, so that it cannot be seen."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from napari_sam.session.connections import Connections

_HIDING: Final = ("translucent", "translucent_no_depth", "opaque")
"""The kinds of blending with which an opaque layer hides what is below it."""
_LEAST_SHARE: Final = 0.5
"""The share of an image that another one lies over if it hides it."""
_RGBA: Final = 4


class ImageCover:
    """Finds the image that hides another one, and tells when that may have changed."""

    def __init__(self, viewer: ViewerModel, on_changed: Callable[[], None]) -> None:
        self._viewer, self._on_changed = viewer, on_changed
        self._images: list[Image] = []
        self._connections = Connections()

    def follow(self, images: Sequence[Image]) -> None:
        """Follow these images of the viewer, the topmost first."""
        self.close()
        self._images = list(images)
        self._connections = Connections(
            *(
                (emitter, lambda _: self._on_changed())
                for image in images
                for emitter in (image.events.visible, image.events.opacity, image.events.blending)
            )
        )

    def close(self) -> None:
        """Follow no image any more."""
        self._connections.close()

    def over(self, image: Image) -> Image | None:
        """Return the topmost image that hides another one; None if none does."""
        axes = self._viewer.dims.displayed
        above = list[Image]()
        for layer in self._images:
            if layer is image:
                break
            above.append(layer)
        else:
            return None
        if not image.visible or len(axes) != 2:  # in 3-D, all may be seen
            return None
        return next((layer for layer in above if self._hides(layer, image)), None)

    def _hides(self, layer: Image, image: Image) -> bool:
        if not layer.visible or layer.opacity < 1 or layer.blending not in _HIDING:
            return False
        if layer.rgb and layer.data.shape[-1] == _RGBA:
            return False
        if not layer.rgb and np.min(layer.colormap.colors[:, 3]) < 1:
            return False
        (top, bottom), (low, high) = self._box_of(layer), self._box_of(image)
        shared = np.maximum(np.minimum(bottom, high) - np.maximum(top, low), 0)
        return bool(np.prod(shared) >= _LEAST_SHARE * np.prod(high - low))

    def _box_of(self, image: Image) -> np.ndarray:
        """Return the first and last corner of an image along the displayed axes; (2, 2)."""
        missing = self._viewer.dims.ndim - image.ndim
        axes = [axis - missing for axis in self._viewer.dims.displayed if axis >= missing]
        return np.asarray(image.extent.world[:, axes])
