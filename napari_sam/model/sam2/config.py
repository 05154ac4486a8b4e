"""The shapes of the models of SAM 2.1."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from napari_sam.model.sam2.hiera import HieraConfig


@dataclass(frozen=True)
class MemoryConfig:
    """The shape of what remembers other slices.

    Attributes
    ----------
    dim : int
        Channels of a memory.
    slots : int
        Slices that are remembered, the prompted ones among them.
    pointers : int
        Slices whose objects are remembered by a single vector.
    layers, mlp_dim : int
        Shape of the attention to memories.
    fuser_layers, fuser_kernel, fuser_ratio : int
        Shape of the blocks that fuse an image with its mask, and how much wider they are inside.
    """

    dim: int = 64
    slots: int = 7
    pointers: int = 16
    layers: int = 4
    mlp_dim: int = 2048
    fuser_layers: int = 2
    fuser_kernel: int = 7
    fuser_ratio: int = 4


@dataclass(frozen=True)
class Sam2Config:
    """The shape of a variant.

    Attributes
    ----------
    image_encoder : HieraConfig
        Shape of the image encoder.
    memory : MemoryConfig or None
        Shape of what sequences need; None in models for images alone.
    bundled_checkpoint : None
        No file is inside the package.
    ignored_prefixes : tuple of str
        Prefixes of keys in published checkpoints that are not used.
    image_size, patch_px : int
        Side of the square input and of the part of it behind a cell of the image embedding, in
        pixels.
    embed_dim, mask_channels : int
        Widths of the embeddings and of the mask encoder.
    decoder_depth, decoder_heads, decoder_mlp_dim : int
        Shape of the mask decoder's transformer.
    iou_head_depth, iou_head_hidden_dim : int
        Shape of the MLP that predicts the masks' quality.
    """

    image_encoder: HieraConfig
    memory: MemoryConfig | None = MemoryConfig()
    bundled_checkpoint: Path | None = None
    ignored_prefixes: tuple[str, ...] = ()
    image_size: int = 1024
    patch_px: int = 16
    embed_dim: int = 256
    mask_channels: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256

    @property
    def embedding_size(self) -> int:
        """Side of the image embedding, in cells."""
        return self.image_size // self.patch_px


SAM2_VARIANTS: Final[dict[str, Sam2Config]] = {
    "hiera_tiny": Sam2Config(HieraConfig(96, 1, (1, 2, 7, 2), (5, 7, 9))),
    "hiera_small": Sam2Config(HieraConfig(96, 1, (1, 2, 11, 2), (7, 10, 13))),
    "hiera_base_plus": Sam2Config(HieraConfig(112, 2, (2, 3, 16, 3), (12, 16, 20), background=14)),
    "hiera_large": Sam2Config(HieraConfig(144, 2, (2, 6, 36, 4), (23, 33, 43), (8, 4, 16, 8))),
}
