"""What the shapes of all models of the family have in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

EncoderConfig = TypeVar("EncoderConfig")


@dataclass(frozen=True)
class SegmentAnythingConfig(ABC, Generic[EncoderConfig]):
    """The shape of a variant.

    Attributes
    ----------
    image_encoder : EncoderConfig
        Shape of the image encoder; its type is the architecture.
    bundled_checkpoint : Path or None
        The file inside the package.
    ignored_prefixes : tuple of str
        Prefixes of keys in published checkpoints that are not used.
    image_size : int
        Side of the square input, in pixels.
    embed_dim, mask_channels : int
        Widths of the embeddings and of the mask encoder.
    decoder_depth, decoder_heads, decoder_mlp_dim : int
        Shape of the mask decoder's transformer.
    iou_head_depth, iou_head_hidden_dim : int
        Shape of the MLP that predicts the masks' quality.
    """

    image_encoder: EncoderConfig
    bundled_checkpoint: Path | None = None
    ignored_prefixes: tuple[str, ...] = ()
    image_size: int = 1024
    embed_dim: int = 256
    mask_channels: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256

    @property
    @abstractmethod
    def patch_px(self) -> int:
        """Input pixels per cell of the image embedding, along each side."""

    @property
    def embedding_size(self) -> int:
        """Side of the image embedding, in cells."""
        return self.image_size // self.patch_px
