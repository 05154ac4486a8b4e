"""Fingerprints of shown planes, as arrays may be edited in place and data replaced by the same."""

from typing import Any, Final, NamedTuple

import numpy as np
import xxhash
from napari.layers import Image
from numpy.typing import NDArray

from napari_sam.layers.napari_workarounds import shown_pixels
from napari_sam.layers.plane_view import levels
from napari_sam.session.image.image_plane import ImagePlane

_MAX_BYTES: Final = 2**25
"""Of a larger plane only every n-th row counts, so that this takes hundredths of a second."""
_CACHE_LINE_BYTES: Final = 64
"""What is read at least, however far pixels lie apart."""


class Fingerprint(NamedTuple):
    """What tells the pixels of a plane from others."""

    digest: tuple[str, int] | None = None  # None if they are not known
    is_whole: bool = False  # whether all pixels of all channels count


def plane_fingerprint(image: Image, plane: ImagePlane) -> Fingerprint:
    """Return the fingerprint of a plane that is shown; reads no lazy data."""
    is_in_memory = isinstance(levels(image)[0], np.ndarray) and not image.multiscale
    pixels: NDArray[Any] | None = None
    if is_in_memory:
        pixels = plane.data[:, :]
    elif not plane.channels:  # of which napari shows one
        pixels = shown_pixels(image)
    if pixels is None:
        return Fingerprint()
    # In the order in which they lie in memory, which is many times as fast.
    strides = [abs(stride) for stride in pixels.strides]
    pixels = pixels.transpose(np.argsort(strides)[::-1])
    apart = min(max(min(strides), pixels.itemsize), _CACHE_LINE_BYTES)
    step = max(1, -(-pixels.size * apart // _MAX_BYTES))
    digest = xxhash.xxh3_64_intdigest(np.ascontiguousarray(pixels[::step]).view(np.uint8).data)
    return Fingerprint((str(pixels.dtype), digest), step == 1 and not image.multiscale)
