"""What the models of the family have in common, as a predictor uses them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from napari_sam.engine.protocols import ProgressCallback
from napari_sam.model.instance_decoder.unetr import Unetr
from napari_sam.model.sam.factored import FactoredTransformer, ImageTokens
from napari_sam.model.sam.mask_decoder import MaskDecoder
from napari_sam.model.sam.prompt_encoder import PromptEncoder
from napari_sam.model.sam.single import SingleTokens

# Mean and standard deviation of ImageNet's RGB values, 0 to 255.
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
IMAGE_EMBEDDING = "image_embedding"
"""The name of the map that all models give, (C, e, e)."""


class SegmentAnything(nn.Module, ABC):
    """An image encoder, a prompt encoder and a mask decoder.

    It holds weights only, nothing of any image, so threads may share it.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    map_names: ClassVar[tuple[str, ...]] = (IMAGE_EMBEDDING,)
    """The maps that `encode` gives, the image embedding first."""

    upscales_at_once: ClassVar[bool] = False
    """Whether logits are enlarged to the image in one step, not by way of the square input."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)
        self.instance_decoder: Unetr | None = None
        """The decoder of all objects, if there is one for the weights; always in float32."""

    def take_instance_decoder(self, decoder: Unetr | None) -> None:
        """Have a decoder of all objects, or none."""
        self.instance_decoder = decoder

    @property
    @abstractmethod
    def prompts(self) -> PromptEncoder:
        """The prompt encoder."""

    @property
    @abstractmethod
    def decoder(self) -> MaskDecoder:
        """The mask decoder."""

    @property
    def image_size(self) -> int:
        """Side S of the square input, in pixels."""
        return self.prompts.image_size

    @property
    def map_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the maps that `encode` gives."""
        side = self.prompts.embedding_size
        return ((self.prompts.no_mask_embed.embedding_dim, side, side),)

    def preprocess(self, image: Tensor) -> Tensor:
        """Normalize an image and pad it to the square input.

        Parameters
        ----------
        image : Tensor
            (3, h, w), any real dtype, values 0 to 255; neither side longer than S.

        Returns
        -------
        Tensor
            (1, 3, S, S) float32. Padding, at the bottom and the right, is zero
            after normalization.
        """
        height, width = image.shape[-2:]
        padded = self.pixel_mean.new_zeros(1, 3, self.image_size, self.image_size)
        pixels = padded[0, :, :height, :width]
        pixels.copy_(image).sub_(self.pixel_mean).div_(self.pixel_std)
        return padded

    @abstractmethod
    def encode(self, image: Tensor, on_block: ProgressCallback | None = None) -> tuple[Tensor, ...]:
        """Encode a normalized, padded image (1, 3, S, S): its maps, (C, H, W) each."""

    @property
    def dense_offset(self) -> Tensor | None:
        """What is added to every image token of an image on its own, (1, C) float32."""
        return None

    def factored(self, image_pe: Tensor) -> FactoredTransformer:
        """Make what decodes, once per model; `image_pe` (L, C) has the precision to compute in."""
        return self.decoder.factored(image_pe, self.prompts.mask_rows())

    def prepare(self, maps: tuple[Tensor, ...], factored: FactoredTransformer) -> ImageTokens:
        """Do the work that all prompts share.

        Parameters
        ----------
        maps : tuple of Tensor
            From `encode`.
        factored : FactoredTransformer
            Of this model.

        Returns
        -------
        ImageTokens
            What the mask decoder takes.
        """
        return prepare_tokens(maps[0], self._dense(), factored)

    def single_tokens(
        self, maps: tuple[Tensor, ...], columns: Tensor | None, wanted: Tensor
    ) -> SingleTokens:
        """Return what decodes the only prompt on an image.

        Parameters
        ----------
        maps : tuple of Tensor
            From `encode`.
        columns : Tensor, optional
            From `PromptEncoder.mask_columns`.
        wanted : Tensor
            (M,), see `SingleTokens`.
        """
        tokens = maps[0].flatten(1).T
        tokens = tokens + self._dense().to(tokens.dtype)
        if columns is not None:
            tokens = torch.addmm(tokens, columns.T, self.prompts.mask_rows().to(tokens.dtype))
        return SingleTokens(tokens.contiguous(), wanted)

    def _dense(self) -> Tensor:
        """Return what is added to every image token of an image without a mask prompt, (1, C)."""
        dense, offset = self.prompts.dense(None), self.dense_offset
        return dense if offset is None else dense + offset

    @abstractmethod
    def encoding_state(self) -> dict[str, Tensor]:
        """Return the weights that the maps depend on."""

    @abstractmethod
    def compute_in(self, dtype: torch.dtype) -> None:
        """Encode and decode in a precision; coordinates and scores stay in float32."""

    @abstractmethod
    def fold(self) -> None:
        """Compute once what depends on the weights alone; they are not to be saved after that."""


def prepare_tokens(embedding: Tensor, dense: Tensor, factored: FactoredTransformer) -> ImageTokens:
    """Prepare the tokens of an image embedding (C, e, e), each with ``dense`` (1, C) added."""
    tokens: Tensor = embedding.flatten(1).T
    return factored.prepare(tokens + dense.to(tokens.dtype))
