"""Prompt encoder and mask decoder as a single call that does not hold the interpreter lock."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from napari_sam.model.mask_decoder import MaskDecoder
from napari_sam.model.prompt_encoder import FOREGROUND, PADDING, PromptEncoder
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
        positions_xy: Tensor,
        kinds: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return ``low_res_logits`` (1, 3, 4 e, 4 e) and ``iou_predictions`` (1, 3)."""


class _ThreeMasks(nn.Module):
    """A prompt encoder and a mask decoder with nothing but tensors going in and out."""

    def __init__(self, encoder: PromptEncoder, decoder: MaskDecoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(
        self,
        tokens: Tensor,
        first_keys: Tensor,
        first_values: Tensor,
        first_queries: Tensor,
        image_pe: Tensor,
        positions_xy: Tensor,
        kinds: Tensor,
    ) -> tuple[Tensor, Tensor]:
        sparse = self.encoder.sparse_uniform(positions_xy, kinds).to(tokens.dtype)
        image = ImageTokens(tokens, first_keys, first_values, first_queries)
        result: tuple[Tensor, Tensor] = self.decoder(image, image_pe, sparse, True)
        return result


def trace_decoder(
    encoder: PromptEncoder, decoder: MaskDecoder, image: ImageTokens, image_pe: Tensor
) -> DecodeCall:
    """Trace a decoder on an example, which takes some tenths of a second, once per model.

    Run step by step, a decode asks for Python's interpreter lock after each of its some two
    hundred small steps, and each time waits for the GUI thread to give it away: while napari
    repaints, a decode of 40 ms was measured to take ten times as long. The trace takes the lock
    once. Its results are the same bit by bit.

    Parameters
    ----------
    encoder : PromptEncoder
        See `PromptEncoder.sparse_uniform` for what the trace takes in place of prompts; any number.
    decoder : MaskDecoder
        Both stay as they are and share their weights with the trace.
    image : ImageTokens
        An example of an image.
    image_pe : Tensor
        (L, C) positional encoding.

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
        image_pe.new_zeros(1, 2, 2, dtype=torch.float32),
        torch.tensor([[FOREGROUND, PADDING]], device=image_pe.device),
    )
    with warnings.catch_warnings():
        # What depends on sizes depends on those of the image's tokens alone, which never change;
        # and torch would rather have models compiled, for which most people have no compiler.
        warnings.simplefilter("ignore")
        trace: Callable[..., DecodeCall] = torch.jit.trace
        traced = trace(_ThreeMasks(encoder, decoder), example, check_trace=False)
        for _ in range(3):  # torch optimises it in its first runs
            traced(*example)
    return traced
