"""What remembers an image and the mask of an object in it.

Source: N. Ravi et al., "SAM 2: Segment Anything in Images and Videos" (ICLR 2025,
arXiv:2408.00714), section 4, "Memory encoder", and appendix D.1; its blocks are those of Z. Liu et
al., "A ConvNet for the 2020s" (CVPR 2022, arXiv:2201.03545).
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from napari_sam.model.sam.common import LayerNorm2d, gelu_
from napari_sam.model.sam.linear import Linear, linear
from napari_sam.model.sam2.config import MemoryConfig

_HALVINGS = 4  # from the pixels of the square input to the cells of the image embedding


class MaskDownSampler(nn.Module):
    """Brings a mask to the cells of the image embedding: (B, 1, S, S) to (B, C, e, e)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = [4**halving for halving in range(_HALVINGS + 1)]
        for number in range(_HALVINGS):
            n_in, n_out = channels[number : number + 2]
            conv = nn.Conv2d(n_in, n_out, kernel_size=3, stride=2, padding=1)
            layers += [conv, LayerNorm2d(n_out), nn.GELU()]
        self.encoder = nn.Sequential(*layers, nn.Conv2d(channels[-1], dim, kernel_size=1))

    def forward(self, masks: Tensor) -> Tensor:
        """Downsample masks."""
        x = masks
        for layer in self.encoder:
            x = gelu_(x) if isinstance(layer, nn.GELU) else layer(x)
        return x


class FuserBlock(nn.Module):
    """Mixes neighbors channel by channel, then channels: (B, C, e, e) to the same."""

    def __init__(self, dim: int, kernel: int, ratio: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = Linear(dim, ratio * dim)
        self.pwconv2 = Linear(ratio * dim, dim)
        self.gamma = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        tokens = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)
        mixed = self.gamma * self.pwconv2(gelu_(self.pwconv1(tokens)))
        result: Tensor = x + mixed.permute(0, 3, 1, 2)
        return result


class Fuser(nn.Module):
    """The blocks that fuse an image with a mask, under their published names."""

    def __init__(self, dim: int, memory: MemoryConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            FuserBlock(dim, memory.fuser_kernel, memory.fuser_ratio)
            for _ in range(memory.fuser_layers)
        )


class MemoryEncoder(nn.Module):
    """Makes the memory of an image and a mask.

    Parameters
    ----------
    dim : int
        Channels C of the image embedding.
    memory : MemoryConfig
        Shape of the memory.
    """

    def __init__(self, dim: int, memory: MemoryConfig) -> None:
        super().__init__()
        self.mask_downsampler = MaskDownSampler(dim)
        self.pix_feat_proj = nn.Conv2d(dim, dim, kernel_size=1)
        self.fuser = Fuser(dim, memory)
        self.out_proj = nn.Conv2d(dim, memory.dim, kernel_size=1)

    def forward(self, embedding: Tensor, masks: Tensor) -> Tensor:
        """Remember masks of one image.

        Parameters
        ----------
        embedding : Tensor
            (C, e, e) image embedding.
        masks : Tensor
            (B, 1, S, S), one for each object, in the range that the network was trained for.

        Returns
        -------
        Tensor
            (B, L, D), row by row.
        """
        x = F.conv2d(embedding[None], self.pix_feat_proj.weight, self.pix_feat_proj.bias)
        x = x + self.mask_downsampler(masks)
        for block in self.fuser.layers:
            x = block(x)
        tokens = x.permute(0, 2, 3, 1).flatten(1, 2)
        return linear(tokens, self.out_proj.weight.flatten(1), self.out_proj.bias)
