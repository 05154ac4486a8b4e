"""The shapes of the models of SAM 2.1."""

from dataclasses import dataclass
from typing import Final

from napari_sam.model.sam.config import SegmentAnythingConfig
from napari_sam.model.sam2.hiera import PATCH_PX, HieraConfig


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
class Sam2Config(SegmentAnythingConfig[HieraConfig]):
    """The shape of a variant of SAM 2.1.

    Attributes
    ----------
    memory : MemoryConfig or None
        Shape of what sequences need; None in models for images alone.
    """

    memory: MemoryConfig | None = MemoryConfig()

    @property
    def patch_px(self) -> int:
        """Input pixels per cell of the image embedding, which has the size of the third stage."""
        return PATCH_PX * 2**2


SAM2_VARIANTS: Final[dict[str, Sam2Config]] = {
    "hiera_tiny": Sam2Config(HieraConfig(96, 1, (1, 2, 7, 2), (5, 7, 9))),
    "hiera_small": Sam2Config(HieraConfig(96, 1, (1, 2, 11, 2), (7, 10, 13))),
    "hiera_base_plus": Sam2Config(HieraConfig(112, 2, (2, 3, 16, 3), (12, 16, 20), background=14)),
    "hiera_large": Sam2Config(HieraConfig(144, 2, (2, 6, 36, 4), (23, 33, 43), (8, 4, 16, 8))),
}
