"""The mask decoder as a single call that does not hold the interpreter lock."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from napari_sam.model.mask_decoder import MaskDecoder
from napari_sam.model.transformer import ImageTokens


class DecodeCall(Protocol):
    """The three masks of one prompt: what a `MaskDecoder` does for a batch of one."""

    def __call__(
        self,
        tokens: Tensor,
        first_keys: Tensor,
        first_values: Tensor,
        first_queries: Tensor,
        image_pe: Tensor,
        sparse: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return ``low_res_logits`` (1, 3, 4 e, 4 e) and ``iou_predictions`` (1, 3)."""


class _ThreeMasks(nn.Module):
    """A `MaskDecoder` with nothing but tensors going in and out."""

    def __init__(self, decoder: MaskDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self,
        tokens: Tensor,
        first_keys: Tensor,
        first_values: Tensor,
        first_queries: Tensor,
        image_pe: Tensor,
        sparse: Tensor,
    ) -> tuple[Tensor, Tensor]:
        image = ImageTokens(tokens, first_keys, first_values, first_queries)
        result: tuple[Tensor, Tensor] = self.decoder(image, image_pe, sparse, True)
        return result


def trace_decoder(
    decoder: MaskDecoder, image: ImageTokens, image_pe: Tensor, sparse: Tensor
) -> DecodeCall:
    """Trace a decoder on an example, which takes some tenths of a second, once per model.

    Run step by step, a decode asks for Python's interpreter lock after each of its some two
    hundred small steps, and each time waits for the GUI thread to give it away: while napari
    repaints, a decode of 40 ms was measured to take ten times as long. The trace takes the lock
    once. Its results are the same bit by bit.

    Parameters
    ----------
    decoder : MaskDecoder
        The decoder, which stays as it is and shares its weights with the trace.
    image : ImageTokens
        An example of an image.
    image_pe : Tensor
        (L, C) positional encoding.
    sparse : Tensor
        (1, n, C) example of a prompt; the trace takes any n.

    Returns
    -------
    callable
        For one prompt and three masks.
    """
    example = (
        image.tokens,
        image.first_keys,
        image.first_values,
        image.first_queries,
        image_pe,
        sparse,
    )
    with warnings.catch_warnings():
        # What depends on sizes depends on those of the image's tokens alone, which never change;
        # and torch would rather have models compiled, for which most people have no compiler.
        warnings.simplefilter("ignore")
        trace: Callable[..., DecodeCall] = torch.jit.trace
        traced = trace(_ThreeMasks(decoder), example, check_trace=False)
        for _ in range(3):  # torch optimises it in its first runs
            traced(*example)
    return traced
