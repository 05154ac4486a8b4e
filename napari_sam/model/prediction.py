"""Upscale predictions with torch, which is faster than NumPy except for small masks."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.spec import Size
from napari_sam.engine.upscaling import Region, ScaledLogits, one_step_filter


def upscale_strips(logits: ScaledLogits, region: Region) -> Iterator[tuple[slice, Tensor]]:
    """Upscale logits within a region, some columns at a time.

    Parameters
    ----------
    logits : ScaledLogits
        Of one mask.
    region : Region
        Not empty.

    Yields
    ------
    tuple of slice and Tensor
        Some columns, counted from the left of the region, and their values (height, columns).
    """
    for strip, tall, block in logits.products(region):
        yield strip, torch.from_numpy(tall) @ torch.from_numpy(block).T


class TorchPrediction(MaskPrediction):
    """A `MaskPrediction` that upscales with torch."""

    def _positive(self, logits: ScaledLogits, region: Region) -> npt.NDArray[np.bool_]:
        mask = np.empty(region.shape, bool)
        out = torch.from_numpy(mask)
        for strip, values in upscale_strips(logits, region):
            torch.gt(values, 0, out=out[:, strip])
        return mask


class OneStepPrediction(TorchPrediction):
    """A prediction that is enlarged to the image in one step, as SAM 2 does it."""

    def scaled_logits(self, k: int, size: Size) -> ScaledLogits:
        """Return the logits of mask `k` with what upscales them to an image of (H, W) pixels."""
        logits = self.low_res_logits[k]
        rows, columns = (
            one_step_filter(len(logits), inner / self.input_side, outer)
            for inner, outer in zip(self.input_size, size, strict=True)
        )
        return ScaledLogits(logits, rows, columns)
