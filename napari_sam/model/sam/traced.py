"""Prompt encoder and mask decoder as a single call that does not hold the interpreter lock."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_sam.model.sam.base import SegmentAnything
from napari_sam.model.sam.factored import FactoredTransformer, ImageTokens
from napari_sam.model.sam.prompt_encoder import FOREGROUND, PADDING
from napari_sam.model.sam.single import SingleTokens, SingleTransformer


class ThreeMasks(nn.Module):
    """The three masks of one prompt: what a `MaskDecoder` does for a batch of one.

    Only tensors go in and out: ``low_res_logits`` (1, 3, 4 e, 4 e) and ``iou_predictions`` (1, 3).
    """

    def __init__(
        self,
        model: SegmentAnything,
        transformer: FactoredTransformer | SingleTransformer,
        tokens_type: type[ImageTokens] | type[SingleTokens],
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        # torch lets go of what is traced late, so this is not the whole model.
        self.encoder, self.decoder, self.transformer = model.prompts, model.decoder, transformer
        self.tokens_type, self.dtype = tokens_type, dtype

    def forward(
        self, positions_xy: Tensor, kinds: Tensor, *tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Decode a prompt with the parts of image tokens."""
        sparse = self.encoder.sparse_uniform(positions_xy, kinds).to(self.dtype)
        image = self.tokens_type(*tokens)
        result: tuple[Tensor, Tensor] = self.decoder(self.transformer, image, sparse, True)
        return result


class _MaskPrompt(nn.Module):
    """The columns of a mask prompt."""

    def __init__(self, model: SegmentAnything, dtype: torch.dtype) -> None:
        super().__init__()
        self.encoder, self.dtype = model.prompts, dtype

    def forward(self, mask_input: Tensor) -> Tensor:
        return self.encoder.mask_columns(mask_input).to(self.dtype)


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
        Takes any number of points and box corners as `PromptEncoder.sparse_uniform` has them, and
        the parts of `ImageTokens`.
    mask_columns : callable
        What `PromptEncoder.mask_columns` does.
    """

    three_masks: Callable[..., tuple[Tensor, Tensor]]
    mask_columns: Callable[[Tensor], Tensor]

    @classmethod
    def of(
        cls, model: SegmentAnything, factored: FactoredTransformer, maps: tuple[Tensor, ...]
    ) -> TracedDecoder:
        """Trace a decoder on an example, which takes a few tenths of a second, once per model.

        Parameters
        ----------
        model : SegmentAnything
            Stays as it is and shares its weights with the traces.
        factored : FactoredTransformer
            Of the model.
        maps : tuple of Tensor
            Of an image, an example.
        """
        device, dtype = maps[0].device, maps[0].dtype
        side = model.prompts.mask_input_size
        mask_input = torch.zeros(1, 1, side, side, device=device)
        tokens = model.prepare(maps, factored)
        masks = ThreeMasks(model, factored, type(tokens), dtype)
        positions_xy = torch.zeros(1, 2, 2, device=device)
        kinds = torch.tensor([[FOREGROUND, PADDING]], device=device)
        return cls(
            traced(masks, positions_xy, kinds, *vars(tokens).values()),
            traced(_MaskPrompt(model, dtype), mask_input),
        )


def traced(module: nn.Module, *example: Tensor) -> Any:
    """Trace a module on an example."""
    with warnings.catch_warnings():  # in the window, `napari_sam.widget` has to help
        # What depends on sizes depends on those of the image's tokens alone, which never change;
        # and torch would rather have models compiled, for which most people have no compiler.
        warnings.simplefilter("ignore")
        trace: Callable[..., Any] = torch.jit.trace
        result = trace(module, example, check_trace=False)
        for _ in range(3):  # torch optimizes it in its first runs
            result(*example)
    return result
