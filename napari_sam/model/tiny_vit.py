"""TinyViT, the image encoder of MobileSAM.

Sources: K. Wu et al., "TinyViT: Fast Pretraining Distillation for Small Vision Transformers"
(ECCV 2022, arXiv:2207.10666), sections 3 and appendix; C. Zhang et al., "Faster Segment Anything"
(2023, arXiv:2306.14289) for the stride-16 output and the neck.

All activations are kept channels-last: as (1, C, H, W) tensors in channels-last memory for the
convolutions, which read the very same memory as (1, H, W, C) for the linear layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from napari_sam.model.common import ConvNorm, ProgressCallback, make_neck

EXPANSION = 4  # of the hidden channels, in convolution blocks and in MLPs alike


@dataclass(frozen=True)
class TinyViTConfig:
    """Shape of a TinyViT; one entry per stage, the first stage being convolutional."""

    dims: tuple[int, int, int, int] = (64, 128, 160, 320)
    depths: tuple[int, int, int, int] = (2, 2, 6, 2)
    heads: tuple[int, int, int, int] = (2, 4, 5, 10)
    windows: tuple[int, int, int, int] = (7, 7, 14, 7)
    # MobileSAM wants stride 16, so the step into the last stage keeps the resolution.
    strides: tuple[int, int, int] = (2, 2, 1)
    out_channels: int = 256


class PatchEmbed(nn.Module):
    """Two strided convolutions: (1, 3, S, S) to (1, C, S / 4, S / 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvNorm(3, channels // 2, 3, stride=2),
            nn.GELU(),
            ConvNorm(channels // 2, channels, 3, stride=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Embed the image."""
        result: Tensor = self.seq(x)
        return result


class MBConv(nn.Module):
    """Inverted bottleneck: widen, depthwise 3 x 3, narrow, add; (1, C, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels * EXPANSION
        self.conv1 = ConvNorm(channels, hidden)
        self.conv2 = ConvNorm(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvNorm(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block; the activation comes after the sum."""
        hidden = F.gelu(self.conv1(x))
        hidden = F.gelu(self.conv2(hidden))
        return F.gelu(x + self.conv3(hidden))


class PatchMerging(nn.Module):
    """The step into the next stage: (1, C, H, W) to (1, C', H / stride, W / stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, out_channels)
        self.conv2 = ConvNorm(out_channels, out_channels, 3, stride=stride, groups=out_channels)
        self.conv3 = ConvNorm(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Change channels and resolution."""
        x = F.gelu(self.conv1(x))
        x = F.gelu(self.conv2(x))
        result: Tensor = self.conv3(x)
        return result


class Attention(nn.Module):
    """Self-attention inside square windows, with a learned bias per offset.

    Parameters
    ----------
    dim : int
        Channels C.
    heads : int
        Number of heads h; each gets C / h channels.
    window : int
        Side of the window in tokens.
    """

    attention_bias_idxs: Tensor

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        # One bias per absolute offset (|dy|, |dx|), row by row.
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        places = list(product(range(window), repeat=2))
        offsets = [
            abs(y0 - y1) * window + abs(x0 - x1) for (y0, x0) in places for (y1, x1) in places
        ]
        index = torch.tensor(offsets).view(len(places), len(places))
        self.register_buffer("attention_bias_idxs", index, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each window of `x` (1, H, W, C)."""
        _, height, width, dim = x.shape
        side, heads = self.window, self.heads
        rows, columns = -(-height // side), -(-width // side)
        qkv = self._padded_qkv(x, rows * side, columns * side)

        # Windows become the batch. Each head's query, key and value lie side by side.
        windows = qkv.view(rows, side, columns, side, heads, 3, dim // heads)
        query, key, value = windows.permute(5, 0, 2, 4, 1, 3, 6).reshape(
            3, rows * columns, heads, side * side, dim // heads
        )
        bias = self.attention_biases[:, self.attention_bias_idxs]
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[None])

        out = out.view(rows, columns, heads, side, side, dim // heads).permute(0, 3, 1, 4, 2, 5)
        out = out.reshape(1, rows * side, columns * side, dim)[:, :height, :width]
        result: Tensor = self.proj(out)
        return result

    def _padded_qkv(self, x: Tensor, height: int, width: int) -> Tensor:
        """Project (1, H, W, C) and pad to (1, height, width, 3 C).

        TinyViT pads its *input* with zeros and lets them take part in the attention. All padded
        places share one projection, so it is computed once instead of at each of them.
        """
        qkv: Tensor = self.qkv(self.norm(x))
        if x.shape[1:3] == (height, width):
            return qkv
        padded: Tensor = self.qkv(self.norm.bias).expand(1, height, width, -1).contiguous()
        padded[:, : x.shape[1], : x.shape[2]] = qkv
        return padded


class Mlp(nn.Module):
    """Normalise, widen, narrow, for every token on its own."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, dim * EXPANSION)
        self.fc2 = nn.Linear(dim * EXPANSION, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        result: Tensor = self.fc2(F.gelu(self.fc1(self.norm(x))))
        return result


class TinyViTBlock(nn.Module):
    """Window attention, a depthwise convolution, and an MLP; (1, C, H, W) to the same."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.attn = Attention(dim, heads, window)
        self.local_conv = ConvNorm(dim, dim, 3, groups=dim)
        self.mlp = Mlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        tokens = x.permute(0, 2, 3, 1)
        tokens = tokens + self.attn(tokens)
        tokens = self.local_conv(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        tokens = tokens + self.mlp(tokens)
        result: Tensor = tokens.permute(0, 3, 1, 2)
        return result


class Stage(nn.Module):
    """Blocks of one resolution and, except in the last stage, the step to the next."""

    def __init__(self, blocks: list[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def steps(self) -> Iterator[Callable[[Tensor], Tensor]]:
        """Yield what the stage does, in order."""
        yield from self.blocks
        if self.downsample is not None:
            yield self.downsample


class TinyViT(nn.Module):
    """The encoder: (1, 3, S, S) to (1, out_channels, S / 16, S / 16).

    Parameters
    ----------
    config : TinyViTConfig
        Widths and depths.
    """

    def __init__(self, config: TinyViTConfig) -> None:
        super().__init__()
        dims = config.dims
        self.patch_embed = PatchEmbed(dims[0])
        self.layers = nn.ModuleList()
        for i, (dim, depth) in enumerate(zip(dims, config.depths, strict=True)):
            blocks: list[nn.Module] = [
                TinyViTBlock(dim, config.heads[i], config.windows[i]) if i else MBConv(dim)
                for _ in range(depth)
            ]
            last = i == len(dims) - 1
            downsample = None if last else PatchMerging(dim, dims[i + 1], config.strides[i])
            self.layers.append(Stage(blocks, downsample))
        self.neck = make_neck(dims[-1], config.out_channels)

    def steps(self) -> Iterator[Callable[[Tensor], Tensor]]:
        """Yield the steps of the encoder, in order; progress is reported between them."""
        yield self.patch_embed
        for stage in self.layers:
            assert isinstance(stage, Stage)
            yield from stage.steps()
        yield self.neck

    def forward(self, image: Tensor, on_block: ProgressCallback | None = None) -> Tensor:
        """Encode one image.

        Parameters
        ----------
        image : Tensor
            (1, 3, S, S), normalised and padded.
        on_block : callable, optional
            Called as ``on_block(done, total)`` after each step; what it raises stops the encode.

        Returns
        -------
        Tensor
            (1, out_channels, S / 16, S / 16).
        """
        x = image.contiguous(memory_format=torch.channels_last)
        steps = list(self.steps())
        for done, step in enumerate(steps, start=1):
            x = step(x)
            if on_block is not None:
                on_block(done, len(steps))
        return x
