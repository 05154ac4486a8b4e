"""TinyViT, the image encoder of MobileSAM.

Sources: K. Wu et al., "TinyViT: Fast Pretraining Distillation for Small Vision Transformers"
(ECCV 2022, arXiv:2207.10666), sections 3 and appendix; C. Zhang et al., "Faster Segment Anything"
(2023, arXiv:2306.14289) for the stride-16 output and the neck.

All activations are kept channels-last: as (1, C, H, W) tensors in channels-last memory for the
convolutions, which read the very same memory as (1, H, W, C) for the linear layers.

On a processor the blocks run over a few rows of the image at a time. Their widened activations
then stay in its cache instead of going through main memory, which halves the time of the encoder.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from napari_sam.engine.protocols import ProgressCallback
from napari_sam.model.sam.common import (
    EXPORTING,
    ConvNorm,
    ceil_div,
    gelu_,
    goes_by_pieces,
    make_neck,
    pad_bottom_right,
    run_steps,
)
from napari_sam.model.sam.linear import Linear, linear

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


STRIP_ELEMENTS = 2**21
"""Size of the widest activation of one strip; eight megabytes in float32."""


def in_strips(
    block: Callable[[Tensor], Tensor], x: Tensor, hidden_channels: int, stride: int = 1
) -> Tensor:
    """Apply a block of convolutions to a few rows at a time.

    Parameters
    ----------
    block : callable
        Maps (1, C, H, W) to (1, C', H / stride, W / stride). Each output row may depend on its
        own `stride` input rows, on as many before them, and, if `stride` is 1, on one after them.
    x : Tensor
        (1, C, H, W); `stride` divides H.
    hidden_channels : int
        Of the widest activation, which is taken to have the resolution of the output.
    stride : int
        Input rows per output row.

    Returns
    -------
    Tensor
        (1, C', H / stride, W / stride), the same as ``block(x)``.
    """
    height, width = x.shape[2] // stride, x.shape[3] // stride
    rows = max(1, STRIP_ELEMENTS // (width * hidden_channels))
    if rows >= height or not goes_by_pieces(x):
        return block(x)
    whole: Tensor | None = None
    for first in range(0, height, rows):
        last = min(first + rows, height)
        # The padding of the convolutions is right at the edges of the image alone. Elsewhere a
        # strip takes along the neighboring rows, and what the padding spoiled is cut off.
        skip = int(first > 0)
        overlap = int(stride == 1)
        strip = block(x[:, :, (first - skip) * stride : last * stride + overlap])
        if whole is None:
            channels_last = strip.new_empty(1, height, width, strip.shape[1])
            whole = channels_last.permute(0, 3, 1, 2)
        # While the strip is still in the cache.
        whole[:, :, first:last] = strip[:, :, skip : skip + last - first]
    assert whole is not None
    return whole


def pointwise(conv: nn.Module, x: Tensor) -> Tensor:
    """Apply a 1 x 1 convolution to channels-last (1, C, H, W).

    Which is a linear layer, and may be faster as such; not in a graph, where it would cost two
    transpositions, as what runs graphs has the channels of images outermost.
    """
    if not isinstance(conv, nn.Conv2d) or EXPORTING.get():  # not folded yet, or a graph
        result: Tensor = conv(x)
        return result
    return linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)


class PatchEmbed(nn.Module):
    """Two strided convolutions: (1, 3, S, S) to (1, C, S / 4, S / 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The first activation has half the channels at four times the pixels of the output.
        self.hidden_channels = 2 * channels
        self.seq = nn.Sequential(
            ConvNorm(3, channels // 2, 3, stride=2),
            nn.GELU(),
            ConvNorm(channels // 2, channels, 3, stride=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Embed the image."""
        return in_strips(self.seq, x, self.hidden_channels, stride=4)


class MBConv(nn.Module):
    """Inverted bottleneck: widen, depthwise 3 x 3, narrow, add; (1, C, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden_channels = hidden = channels * EXPANSION
        self.conv1 = ConvNorm(channels, hidden)
        self.conv2 = ConvNorm(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvNorm(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return in_strips(self._convolve, x, self.hidden_channels)

    def _convolve(self, x: Tensor) -> Tensor:
        hidden = gelu_(pointwise(self.conv1, x))
        hidden = gelu_(self.conv2(hidden))
        # The last activation comes after the sum.
        return gelu_(pointwise(self.conv3, hidden).add_(x))


class PatchMerging(nn.Module):
    """The step into the next stage: (1, C, H, W) to (1, C', H / stride, W / stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.hidden_channels = out_channels * stride * stride
        self.conv1 = ConvNorm(in_channels, out_channels)
        self.conv2 = ConvNorm(out_channels, out_channels, 3, stride=stride, groups=out_channels)
        self.conv3 = ConvNorm(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Change channels and resolution."""
        return in_strips(self._convolve, x, self.hidden_channels, self.stride)

    def _convolve(self, x: Tensor) -> Tensor:
        x = gelu_(pointwise(self.conv1, x))
        x = gelu_(self.conv2(x))
        return pointwise(self.conv3, x)


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
        self.qkv = Linear(dim, 3 * dim)
        self.proj = Linear(dim, dim)
        # One bias per absolute offset (|dy|, |dx|), row by row.
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        places = np.indices((window, window)).reshape(2, -1)
        down, across = abs(places[:, :, None] - places[:, None])
        index = torch.tensor(down * window + across)
        self.register_buffer("attention_bias_idxs", index, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each window of `x` (1, H, W, C), a few rows of windows at a time."""
        bias = self.attention_biases[:, self.attention_bias_idxs][None]
        rows = max(1, STRIP_ELEMENTS // (x.shape[2] * self.qkv.out_features * self.window))
        if not goes_by_pieces(x):
            return self._attend(x, bias)
        attended = torch.empty_like(x)
        step = rows * self.window
        for first in range(0, x.shape[1], step):
            band = slice(first, first + step)
            attended[:, band] = self._attend(x[:, band], bias)
        return attended

    def _attend(self, x: Tensor, bias: Tensor) -> Tensor:
        _, height, width, dim = x.shape
        side, heads = self.window, self.heads
        rows, columns = ceil_div(height, side), ceil_div(width, side)
        qkv = self._padded_qkv(x, rows * side, columns * side)

        # Windows become the batch. Each head's query, key and value lie side by side.
        windows = qkv.view(rows, side, columns, side, 3 * dim).transpose(1, 2)
        windows = windows.reshape(rows * columns, side * side, heads, 3, dim // heads)
        query, key, value = windows.permute(3, 0, 2, 1, 4)  # each (windows, heads, side^2, d)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)

        out = out.transpose(1, 2).reshape(rows, columns, side, side, dim).transpose(1, 2)
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
        return pad_bottom_right(qkv, height, width, self.qkv(self.norm.bias))


class Mlp(nn.Module):
    """Normalize, widen, narrow, for every token on its own."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.hidden_channels = dim * EXPANSION
        self.fc1 = Linear(dim, dim * EXPANSION)
        self.fc2 = Linear(dim * EXPANSION, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        result: Tensor = self.fc2(gelu_(self.fc1(self.norm(x))))
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
        attended = self.attn(tokens).add_(tokens).permute(0, 3, 1, 2)
        return in_strips(self._mix, attended, self.mlp.hidden_channels)

    def _mix(self, x: Tensor) -> Tensor:
        tokens = self.local_conv(x).permute(0, 2, 3, 1)
        result: Tensor = self.mlp(tokens).add_(tokens).permute(0, 3, 1, 2)
        return result


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
            stage = nn.ModuleDict({"blocks": nn.ModuleList(blocks)})
            if i < len(config.strides):  # the step into the next stage
                stage["downsample"] = PatchMerging(dim, dims[i + 1], config.strides[i])
            self.layers.append(stage)
        self.neck = make_neck(dims[-1], config.out_channels)

    def steps(self) -> Iterator[Callable[[Tensor], Tensor]]:
        """Yield the steps of the encoder, in order; progress is reported between them."""
        yield self.patch_embed
        for stage in self.layers:
            assert isinstance(stage, nn.ModuleDict)
            yield from stage["blocks"].children()
            if "downsample" in stage:
                yield stage["downsample"]
        yield self.neck

    def forward(self, image: Tensor, on_block: ProgressCallback | None = None) -> Tensor:
        """Encode one image.

        Parameters
        ----------
        image : Tensor
            (1, 3, S, S), normalized and padded.
        on_block : callable, optional
            Called as ``on_block(done, total)`` after each step; what it raises stops the encode.

        Returns
        -------
        Tensor
            (1, out_channels, S / 16, S / 16).
        """
        x = image.contiguous(memory_format=torch.channels_last)
        return run_steps(x, list(self.steps()), on_block)
