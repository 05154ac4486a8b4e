"""Prompt encoder and mask decoder as a single call that does not hold the interpreter lock."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_sam.model.sam.mask_decoder import MaskDecoder
from napari_sam.model.sam.prompt_encoder import FOREGROUND, PADDING, PromptEncoder
from napari_sam.model.sam.transformer import ImageTokens


class _ThreeMasks(nn.Module):
    """The three masks of one prompt: what a `MaskDecoder` does for a batch of one.

    Only tensors go in and out: ``low_res_logits`` (1, 3, 4 e, 4 e) and ``iou_predictions`` (1, 3).
    """

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


class _MaskPrompt(nn.Module):
    """The parts of `ImageTokens` for an image with a mask prompt, from `MaskDecoder.prepare`."""

    def __init__(self, encoder: PromptEncoder, decoder: MaskDecoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(
        self, image_embedding: Tensor, mask_input: Tensor, image_pe: Tensor
    ) -> tuple[Tensor, ...]:
        flat = image_embedding.permute(1, 2, 0).flatten(0, 1)
        dense = self.encoder.dense(mask_input).to(image_embedding.dtype)
        return tuple(vars(self.decoder.prepare(flat, dense, image_pe)).values())


@dataclass(frozen=True)
class TracedDecoder:
    """Decodes one prompt without holding the interpreter lock.

    Run step by step, a decode asks for Python's interpreter lock after each of its some two
    hundred small steps, and each time waits for the GUI thread to give it away: while napari
    repaints, a decode of 40 ms was measured to take ten times as long. A trace takes the lock
    once. Its results are the same bit by bit.

    Parameters
    ----------
    three_masks : callable
        For any number of points and box corners, see `PromptEncoder.sparse_uniform`.
    mask_prompt : callable
        For a mask prompt, whose image tokens `three_masks` takes.
    """

    three_masks: Callable[..., tuple[Tensor, Tensor]]
    mask_prompt: Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]]

    @classmethod
    def of(
        cls,
        encoder: PromptEncoder,
        decoder: MaskDecoder,
        image_embedding: Tensor,
        image: ImageTokens,
        image_pe: Tensor,
    ) -> TracedDecoder:
        """Trace a decoder on an example, which takes some tenths of a second, once per model.

        Parameters
        ----------
        encoder : PromptEncoder
            Encodes the prompts.
        decoder : MaskDecoder
            Both stay as they are and share their weights with the traces.
        image_embedding : Tensor
            (C, e, e), an example.
        image : ImageTokens
            Prepared from it.
        image_pe : Tensor
            (L, C) positional encoding.
        """
        positions_xy = image_pe.new_zeros(1, 2, 2, dtype=torch.float32)
        kinds = torch.tensor([[FOREGROUND, PADDING]], device=image_pe.device)
        side = encoder.mask_input_size
        mask_input = image_pe.new_zeros(1, 1, side, side, dtype=torch.float32)
        parts, tokens = (encoder, decoder), vars(image).values()
        return cls(
            _traced(_ThreeMasks(*parts), *tokens, image_pe, positions_xy, kinds),
            _traced(_MaskPrompt(*parts), image_embedding, mask_input, image_pe),
        )


def _traced(module: nn.Module, *example: Tensor) -> Any:
    with warnings.catch_warnings():
        # What depends on sizes depends on those of the image's tokens alone, which never change;
        # and torch would rather have models compiled, for which most people have no compiler.
        warnings.simplefilter("ignore")
        trace: Callable[..., Any] = torch.jit.trace
        traced = trace(module, example, check_trace=False)
        for _ in range(3):  # torch optimizes it in its first runs
            traced(*example)
    return traced
