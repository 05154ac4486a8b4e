"""What a model saw of a tile, about as fine as its low-res logits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.session.image.pixels import means

_SIDE_PX: Final = 384
"""The longer side of a picture is this long, or up to twice as long; of small tiles shorter."""
_BLUR_PX: Final = 1.2


@dataclass(frozen=True, eq=False)
class TilePicture:
    """Means of the pixels of a tile, (h, w, 3) uint8, kept with its image embedding."""

    pixels: NDArray[np.uint8]

    @classmethod
    def of(cls, image: NDArray[np.uint8]) -> TilePicture:
        """Return the picture of what the model saw, (H, W, 3) uint8."""
        return cls(means(image, max(1, *(n // _SIDE_PX for n in image.shape[:2]))).copy())

    @property
    def nbytes(self) -> int:
        """What it takes, with its edges."""
        return self.pixels.nbytes + self.pixels[..., 0].size * np.dtype(np.float16).itemsize

    @cached_property
    def edges(self) -> NDArray[np.float16]:
        """The length (h, w) of the gradient of gray, in medians; computed at the first access."""
        gray = self.pixels.mean(axis=2, dtype=np.float32)
        lengths = ndimage.gaussian_gradient_magnitude(gray, _BLUR_PX)
        return np.asarray(lengths / max(1.0, float(np.median(lengths))), np.float16)
