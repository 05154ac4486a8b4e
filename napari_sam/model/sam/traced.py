"""Prompt encoder and mask decoder as a single call that does not hold the interpreter lock."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_sam.model.sam.base import SegmentAnything
from napari_sam.model.sam.prompt_encoder import FOREGROUND, PADDING
from napari_sam.model.sam.transformer import ImageTokens

# Here as well as around the trace: when another thread leaves `catch_warnings` meanwhile, as napari
# does while it builds its window, the filters from before are back, and would let them through.
warnings.filterwarnings(
    "ignore",
    category=torch.jit.TracerWarning,  # type: ignore[attr-defined]
    module="napari_sam",
)


class _ThreeMasks(nn.Module):
    """The three masks of one prompt: what a `MaskDecoder` does for a batch of one.

    Only tensors go in and out: ``low_res_logits`` (1, 3, 4 e, 4 e) and ``iou_predictions`` (1, 3).
    """

    def __init__(self, model: SegmentAnything, tokens_type: type[ImageTokens]) -> None:
        super().__init__()
        self.encoder, self.decoder = model.prompts, model.decoder
        self.tokens_type = tokens_type

    def forward(
        self, image_pe: Tensor, positions_xy: Tensor, kinds: Tensor, *tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        sparse = self.encoder.sparse_uniform(positions_xy, kinds).to(image_pe.dtype)
        image = self.tokens_type(*tokens)
        result: tuple[Tensor, Tensor] = self.decoder(image, image_pe, sparse, True)
        return result


class _MaskPrompt(nn.Module):
    """The parts of `ImageTokens` for an image with a mask prompt.

    torch lets go of what is traced late, so this is not the whole model.
    """

    offset: Tensor | None

    def __init__(self, model: SegmentAnything) -> None:
        super().__init__()
        self.encoder, self.decoder = model.prompts, model.decoder
        self.register_buffer("offset", model.dense_offset)

    def forward(
        self, image_embedding: Tensor, mask_input: Tensor, image_pe: Tensor
    ) -> tuple[Tensor, ...]:
        flat = image_embedding.permute(1, 2, 0).flatten(0, 1)
        dense = self.encoder.dense(mask_input)
        if self.offset is not None:
            dense = dense + self.offset
        return tuple(vars(self.decoder.prepare(flat, dense.to(flat.dtype), image_pe)).values())


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
        Takes the positional encoding, any number of points and box corners as
        `PromptEncoder.sparse_uniform` has them, and the parts of `ImageTokens`.
    mask_prompt : callable
        For a mask prompt, whose image tokens `three_masks` takes.
    """

    three_masks: Callable[..., tuple[Tensor, Tensor]]
    mask_prompt: Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]]

    @classmethod
    def of(
        cls, model: SegmentAnything, maps: tuple[Tensor, ...], image_pe: Tensor
    ) -> TracedDecoder:
        """Trace a decoder on an example, which takes some tenths of a second, once per model.

        Parameters
        ----------
        model : SegmentAnything
            Stays as it is and shares its weights with the traces.
        maps : tuple of Tensor
            Of an image, an example.
        image_pe : Tensor
            (L, C) positional encoding.
        """
        positions_xy = image_pe.new_zeros(1, 2, 2, dtype=torch.float32)
        kinds = torch.tensor([[FOREGROUND, PADDING]], device=image_pe.device)
        side = model.prompts.mask_input_size
        mask_input = image_pe.new_zeros(1, 1, side, side, dtype=torch.float32)
        tokens = model.prepare(maps, image_pe)
        masks = _ThreeMasks(model, type(tokens))
        return cls(
            _traced(masks, image_pe, positions_xy, kinds, *vars(tokens).values()),
            _traced(_MaskPrompt(model), maps[0], mask_input, image_pe),
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
