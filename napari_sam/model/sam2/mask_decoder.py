"""The mask decoder of SAM 2: that of SAM, which also sees finer maps of the image.

Source: N. Ravi et al., "SAM 2: Segment Anything in Images and Videos" (ICLR 2025,
arXiv:2408.00714), section 4 and appendix D.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_sam.model.sam.common import MLP, learned_tokens
from napari_sam.model.sam.factored import FactoredTransformer, ImageTokens
from napari_sam.model.sam.mask_decoder import FinerMaps, MaskDecoder
from napari_sam.model.sam.single import SingleTokens, SingleTransformer
from napari_sam.model.sam.transformer import TwoWayTransformer

STABILITY_DELTA, STABILITY_THRESH = 0.05, 0.98
"""A single mask whose stability, with logits shifted by this, is lower gives way to another."""

FINE, FINEST = "high_res_1", "high_res_0"
"""Names of the finer maps, with two and four rows for one of the image embedding."""


@dataclass(frozen=True)
class FineImageTokens(ImageTokens):
    """What the decoder knows of an image before there is a prompt.

    Attributes
    ----------
    fine, finest : Tensor
        (4 L, C / 4) and (16 L, C / 8), the finer maps. Their rows have the order of what is
        upscaled: those of one token follow each other, and among them those of one of its quarters.
    """

    fine: Tensor
    finest: Tensor


@dataclass(frozen=True)
class FineSingleTokens(SingleTokens):
    """What decodes the only prompt, with the wanted rows of what `FineImageTokens` has."""

    fine: Tensor
    finest: Tensor


def rows_of_image(image: Tensor, halvings: int) -> Tensor:
    """Order the pixels of (C, H, W) by tokens, quarters, and quarters of these: (H W, C)."""
    channels, height, width = image.shape
    part = 2**halvings
    split = image.view(channels, height // part, *[2] * halvings, width // part, *[2] * halvings)
    axes = [axis for level in range(halvings + 1) for axis in (1 + level, 2 + halvings + level)]
    return split.permute(*axes, 0).reshape(-1, channels)


def finer_rows(images: Sequence[Tensor]) -> FinerMaps:
    """Order the pixels of both finer maps as `FineImageTokens` has them."""
    fine, finest = images
    return rows_of_image(fine, 1), rows_of_image(finest, 2)


class Decoded(NamedTuple):
    """The decoder's answer to B prompts.

    Attributes
    ----------
    low_res_logits : Tensor
        (B, K, 4 e, 4 e), where e is the side of the image embedding; K is 3 or 1.
    iou_predictions : Tensor
        (B, K).
    mask_tokens : Tensor
        (B, K, C), what the masks were made from.
    object_logits : Tensor
        (B, 1), positive if the object is in the image at all.
    """

    low_res_logits: Tensor
    iou_predictions: Tensor
    mask_tokens: Tensor
    object_logits: Tensor


class Sam2MaskDecoder(MaskDecoder):
    """Predicts masks, their quality, and whether there is anything to be segmented.

    Parameters
    ----------
    dim : int
        Width C of all tokens.
    transformer : TwoWayTransformer
        Of the same width.
    *shape : int
        What else `MaskDecoder` takes.
    """

    def __init__(self, dim: int, transformer: TwoWayTransformer, *shape: int) -> None:
        super().__init__(dim, transformer, *shape)
        self.obj_score_token = learned_tokens(1, dim)
        self.conv_s0 = nn.Conv2d(dim, dim // 8, kernel_size=1)
        self.conv_s1 = nn.Conv2d(dim, dim // 4, kernel_size=1)
        self.pred_obj_score_head = MLP(dim, dim, 1, depth=3)

    def forward(
        self,
        factored: FactoredTransformer | SingleTransformer,
        image: ImageTokens | SingleTokens,
        sparse: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Decode prompts; see `MaskDecoder.forward`."""
        decoded = self.decode(factored, image, sparse, multimask_output)
        return decoded.low_res_logits, decoded.iou_predictions

    def decode(
        self,
        factored: FactoredTransformer | SingleTransformer,
        image: ImageTokens | SingleTokens,
        sparse: Tensor,
        multimask_output: bool,
    ) -> Decoded:
        """Decode prompts.

        Parameters
        ----------
        factored : FactoredTransformer or SingleTransformer
            Of this decoder.
        image : ImageTokens or SingleTokens
            `FineImageTokens` of one image, prepared by it and shared by all prompts, or
            `FineSingleTokens`.
        sparse : Tensor
            ``sparse_embeddings`` (B, n, C).
        multimask_output : bool
            Three masks per prompt, or one: that for clear prompts, or the best of the others where
            it is not stable.

        Returns
        -------
        Decoded
            Masks and what else is known of them.
        """
        assert isinstance(image, FineImageTokens | FineSingleTokens)
        own = [self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight]
        own_tokens = torch.cat(own).expand(sparse.shape[0], -1, -1)
        tokens, upscalable = factored(image, torch.cat([own_tokens, sparse], dim=1))
        # With one mask wanted all are computed, as it may turn out to be another one.
        wanted = slice(1 if multimask_output else 0, self.multimask_count + 1)
        mask_tokens = tokens[:, 2 : 3 + self.multimask_count][:, wanted]
        hyper = self.hypernetworks(mask_tokens, wanted)
        logits = self.masks(factored.folded, upscalable, hyper, (image.fine, image.finest))
        ious = torch.sigmoid(self.qualities(tokens[:, 1]))[:, wanted]
        object_logits = self.pred_obj_score_head(tokens[:, 0])
        if not multimask_output:
            logits, ious = stable(logits, ious)
            mask_tokens = mask_tokens[:, :1]
        return Decoded(logits, ious, mask_tokens, object_logits)


def stable(logits: Tensor, ious: Tensor) -> tuple[Tensor, Tensor]:
    """Choose one of (B, K, h, w) masks: the first if it is stable, else the best of the others."""
    first = logits[:, 0].flatten(1)
    inner = (first > STABILITY_DELTA).sum(dim=1).float()
    outer = (first > -STABILITY_DELTA).sum(dim=1).float()
    stability = torch.where(outer > 0, inner / outer, 1.0)
    best = torch.where(stability >= STABILITY_THRESH, 0, 1 + ious[:, 1:].argmax(dim=1))
    rows = torch.arange(len(best), device=best.device)
    return logits[rows, best][:, None], ious[rows, best][:, None]
