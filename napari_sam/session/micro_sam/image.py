"""What micro-sam makes of an image: its signature, and the pixels that the model gets."""

import hashlib
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ReportProgress = Callable[[float], None]
"""Called with the share that is done, 0 to 1; raising stops the work."""

_BLOCK_BYTES: Final = 64 * 2**20
"""Hashed between two reports of progress, unless one slice is larger."""


def data_signature(array: Any, on_progress: ReportProgress = lambda share: None) -> str:
    """Return micro-sam's signature of an image: hexadecimal SHA-1 of its bytes in C order."""
    length = array.shape[0]
    slice_bytes = np.dtype(array.dtype).itemsize * math.prod(array.shape[1:])
    step = max(1, _BLOCK_BYTES // max(1, slice_bytes))
    digest = hashlib.sha1(usedforsecurity=False)
    for start in range(0, length, step):
        on_progress(start / length)
        digest.update(np.ascontiguousarray(array[start : start + step]).data)
    on_progress(1.0)
    return digest.hexdigest()


def micro_sam_normalized(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a plane or tile as micro-sam passes it to the model since December 2025, exactly.

    Examples
    --------
    >>> micro_sam_normalized(np.array([[10, 20, 30]]))[0, :, 0]
    array([  0, 127, 255], dtype=uint8)
    """
    channels = _channels(plane)
    # In float32 and in the order of micro-sam: otherwise values round differently.
    stretched: NDArray[np.float32] = channels.astype(np.float32)
    stretched -= stretched.min(axis=(0, 1))
    stretched /= stretched.max(axis=(0, 1)) + np.float32(1e-7)
    image = np.zeros((*plane.shape[:2], 3), np.uint8)
    image[..., : stretched.shape[-1]] = (stretched * 255).astype(np.uint8)
    return image


def formerly_normalized(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a plane or tile as micro-sam passed it to the model before December 2025."""
    channels = _channels(plane)
    if channels.dtype != np.uint8:
        stretched: NDArray[np.float32] = channels.astype(np.float32)
        stretched -= stretched.min()
        # Where all values are equal, the division gave NaN in micro-sam, and that black.
        stretched /= stretched.max() or 1
        channels = (stretched * 255).astype(np.uint8)
    image = np.zeros((*plane.shape[:2], 3), np.uint8)
    image[..., : channels.shape[-1]] = channels
    return image


def _channels(plane: NDArray[Any]) -> NDArray[Any]:
    """Return the up to three channels that count; those of gray are equal."""
    if plane.ndim not in (2, 3) or plane.size == 0:
        raise ValueError(f"A plane is (H, W) or (H, W, C) with pixels; this is {plane.shape}.")
    channels = plane[..., np.newaxis] if plane.ndim == 2 else plane
    return np.repeat(channels, 3, axis=-1) if channels.shape[-1] == 1 else channels[..., :3]
