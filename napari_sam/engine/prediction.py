"""What a prompt yields: low-resolution logits, their scores, and masks of the image's size."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.engine.spec import Size
from napari_sam.engine.upscaling import Region, ScaledLogits, axis_filter

MAX_BLOCK = 2048
"""Longest side, in pixels, of the parts in which a very large mask is computed."""


@dataclass(frozen=True)
class MaskPrediction:
    """The candidate masks of one prompt.

    Attributes
    ----------
    low_res_logits : ndarray
        (K, low_res_side, low_res_side) float32; each may be passed on as ``mask_input``.
    iou_predictions : ndarray
        (K,) float32, the predicted quality of each mask.
    original_size, input_size : tuple of int
        (H, W) of the image and of its resized version.
    input_side : int
        Side of the model's square input.
    """

    low_res_logits: npt.NDArray[np.float32]
    iou_predictions: npt.NDArray[np.float32]
    original_size: Size
    input_size: Size
    input_side: int
    _crops: dict[int, MaskCrop] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.low_res_logits)

    def mask_crop(self, k: int) -> MaskCrop:
        """Return the bounding box of mask `k`, computed at the first call.

        Raises
        ------
        IndexError
            If there is no mask `k`.
        """
        k = range(len(self))[k]
        if k not in self._crops:
            self._crops[k] = self._crop(k)
        return self._crops[k]

    def mask_blocks(self, k: int, size: Size) -> Iterator[MaskCrop]:
        """Yield mask `k` at another size, block by block, without ever holding it whole.

        Parameters
        ----------
        k : int
            Which mask.
        size : tuple of int
            (H, W) in pixels to which the image is scaled.

        Yields
        ------
        MaskCrop
            Blocks of at most `MAX_BLOCK` pixels a side that do not overlap and together hold the
            whole mask; in the image's own size one, which is `mask_crop`.

        Raises
        ------
        IndexError
            If there is no mask `k`.
        """
        crop = self.mask_crop(k)
        if size == self.original_size and max(crop.mask.shape) <= MAX_BLOCK:
            yield crop
            return
        logits = self.scaled_logits(k, size)
        region = logits.region_above(0)
        if region is None:
            return
        for top, bottom in _pieces(region.top, region.bottom):
            for left, right in _pieces(region.left, region.right):
                mask = self._positive(logits, Region(top, bottom, left, right))
                if mask.any():
                    yield MaskCrop(mask, top, left)

    def scaled_logits(self, k: int, size: Size) -> ScaledLogits:
        """Return the logits of mask `k` with what upscales them to an image of (H, W) pixels."""
        logits = self.low_res_logits[k]
        rows, columns = (
            axis_filter(len(logits), self.input_side, inner, outer)
            for inner, outer in zip(self.input_size, size, strict=True)
        )
        return ScaledLogits(logits, rows, columns)

    def _crop(self, k: int) -> MaskCrop:
        """Upscale one mask within its bounding box."""
        logits = self.scaled_logits(k, self.original_size)
        region = logits.region_above(0)
        if region is None:
            return tight_crop(np.zeros((0, 0), bool))
        return tight_crop(self._positive(logits, region), region.top, region.left)

    def _positive(self, logits: ScaledLogits, region: Region) -> npt.NDArray[np.bool_]:
        """Return where in a region upscaled logits are positive; for faster ways to override."""
        mask = np.empty(region.shape, bool)
        for strip, tall, block in logits.products(region):
            np.greater(tall @ block.T, 0, out=mask[:, strip])
        return mask

    @cached_property
    def masks(self) -> npt.NDArray[np.bool_]:
        """(K, H, W) bool, computed at the first access."""
        masks = np.zeros((len(self), *self.original_size), bool)
        for k, mask in enumerate(masks):
            crop = self.mask_crop(k)
            height, width = crop.mask.shape
            mask[crop.top : crop.top + height, crop.left : crop.left + width] = crop.mask
        return masks


def _pieces(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a half-open range into pieces of at most `MAX_BLOCK`."""
    for first in range(begin, end, MAX_BLOCK):
        yield first, min(first + MAX_BLOCK, end)
