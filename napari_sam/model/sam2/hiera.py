"""Hiera, the image encoder of SAM 2, with its feature pyramid.

Sources: C. Ryali et al., "Hiera: A Hierarchical Vision Transformer without the Bells-and-Whistles"
(ICML 2023, arXiv:2306.00989); D. Bolya et al., "Window Attention is Bugged" (ICLR 2024,
arXiv:2311.05613) for positions that are added once per window and once for the whole image;
N. Ravi et al., "SAM 2: Segment Anything in Images and Videos" (ICLR 2025, arXiv:2408.00714),
appendix D.1.

The first block of every stage but the first halves the resolution: its queries are pooled, so that
four tokens of a window are answered together.

Activations are windows, (n, s, s, C), row by row; an image is a single window. Where blocks follow
each other that look inside the same windows, nothing has to be rearranged between them, and halved
windows are those of the next stage. Windows do not see each other, so on a processor a block runs
over some of them at a time: what it computes in between then stays in the cache.
"""

import math
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from napari_sam.engine.protocols import ProgressCallback
from napari_sam.model.sam.common import ceil_div, gelu_, goes_by_pieces, pad_bottom_right
from napari_sam.model.sam.linear import Linear, linear

STRIP_ELEMENTS = 2**22
"""Size of the widest activation of one strip; 16 megabytes in float32."""
PATCH_PX, STEM_PX, STEM_PAD_PX = 4, 7, 3
"""Step from patch to patch, side of a patch, and how far it reaches beyond the image."""
MLP_RATIO = 4


@dataclass(frozen=True)
class HieraConfig:
    """Shape of a Hiera; one entry per stage, each half as fine and twice as wide as the one before.

    Attributes
    ----------
    dim, heads : int
        Width and heads of the first stage.
    depths : tuple of int
        Blocks per stage.
    global_blocks : tuple of int
        Blocks in which every token sees every other one; the rest look inside windows.
    windows : tuple of int
        Sides of the windows, in tokens. The first block of a stage has those of the stage before.
    background : int
        Side of the positions that are stretched over the whole image.
    """

    dim: int
    heads: int
    depths: tuple[int, int, int, int]
    global_blocks: tuple[int, ...]
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    background: int = 7

    @property
    def dims(self) -> tuple[int, ...]:
        """Widths of the stages."""
        return tuple(self.dim * 2**stage for stage in range(len(self.depths)))


class PatchEmbed(nn.Module):
    """One token per patch, of patches that overlap: (1, 3, S, S) to (1, S / 4, S / 4, C)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, STEM_PX, stride=PATCH_PX, padding=STEM_PAD_PX)

    def forward(self, x: Tensor) -> Tensor:
        """Embed the image."""
        embedded: Tensor = self.proj(x.contiguous(memory_format=torch.channels_last))
        return embedded.permute(0, 2, 3, 1)


class Attention(nn.Module):
    """Self-attention among the tokens of squares.

    Parameters
    ----------
    dim, out_dim : int
        Channels that come in, and that queries, keys and values have together.
    heads : int
        Number of heads h.
    halves : bool
        Whether four neighboring queries are pooled into one.
    """

    def __init__(self, dim: int, out_dim: int, heads: int, halves: bool) -> None:
        super().__init__()
        self.heads, self.halves = heads, halves
        self.qkv = Linear(dim, 3 * out_dim)
        self.proj = Linear(out_dim, out_dim)

    def forward(self, qkv: Tensor) -> Tensor:
        """Attend within each square: (B, y, x, 3 C), projected, to (B, y', x', C), not yet."""
        batch, height, width, _ = qkv.shape
        query, key, value = torch.chunk(qkv, 3, dim=-1)
        if self.halves:
            query, height, width = pool(query), height // 2, width // 2
        query, key, value = (
            part.reshape(batch, -1, self.heads, part.shape[-1] // self.heads).transpose(1, 2)
            for part in (query, key, value)
        )
        out = F.scaled_dot_product_attention(query, key, value)  # (B, h, y' x', d)
        return out.transpose(1, 2).reshape(batch, height, width, -1)


def pool(x: Tensor) -> Tensor:
    """Return the largest values of four neighbors: (B, H, W, C) to (B, H / 2, W / 2, C)."""
    rows = torch.maximum(x[:, ::2], x[:, 1::2])
    return torch.maximum(rows[:, :, ::2], rows[:, :, 1::2])


class Mlp(nn.Module):
    """Widen, GELU, narrow."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Linear(dim, hidden_dim), Linear(hidden_dim, dim)])

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        first, last = self.layers
        result: Tensor = last(gelu_(first(x)))
        return result


def windows_of(image: Tensor, side: int) -> Tensor:
    """Cut an image (1, H, W, C) into windows, (n, side, side, C); `side` divides H and W."""
    _, height, width, channels = image.shape
    split = image.view(height // side, side, width // side, side, channels)
    return split.transpose(1, 2).reshape(-1, side, side, channels)


def image_of(windows: Tensor) -> Tensor:
    """Put the windows (n, s, s, C) of a square image together: (1, H, W, C)."""
    count, side, _, channels = windows.shape
    if count == 1:
        return windows
    rows = math.isqrt(count)
    split = windows.view(rows, rows, side, side, channels)
    return split.transpose(1, 2).reshape(1, rows * side, rows * side, channels)


class Block(nn.Module):
    """Attention and an MLP, each on top of what there is: (n, s, s, C) to (n, s', s', C').

    Parameters
    ----------
    dim, out_dim, heads : int
        Widths and heads; where the widths differ, the block halves the resolution.
    window : int
        Side of the windows that it looks into, in tokens; 0: it sees all.
    """

    def __init__(self, dim: int, out_dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.window, self.halves = window, dim != out_dim
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, out_dim, heads, self.halves)
        self.norm2 = nn.LayerNorm(out_dim, eps=1e-6)
        self.mlp = Mlp(out_dim, MLP_RATIO * out_dim)
        if self.halves:
            self.proj = Linear(dim, out_dim)
        self._widest = max(3 * out_dim, MLP_RATIO * out_dim // (4 if self.halves else 1))

    def arranged(self, x: Tensor) -> Tensor:
        """Bring windows into those that the block looks into, if they fill the image."""
        if not self.window or x.shape[1] == self.window:
            return x
        image = image_of(x)
        return image if image.shape[1] % self.window else windows_of(image, self.window)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to windows from `arranged`."""
        if not (self.window and goes_by_pieces(x)):
            return self._on_windows(x)
        tokens = max(1, STRIP_ELEMENTS // self._widest)
        if x.shape[1] == self.window:
            parts = torch.split(x, max(1, tokens // self.window**2))
            return torch.cat([self._on_windows(part) for part in parts])
        rows = max(1, tokens // (x.shape[2] * self.window)) * self.window
        parts = torch.split(x, rows, dim=1)
        return torch.cat([self._on_windows(part) for part in parts], dim=1)

    def _on_windows(self, x: Tensor) -> Tensor:
        normalized = self.norm1(x)
        kept = pool(self.proj(normalized)) if self.halves else x
        x = kept + self.attn.proj(self._attend(self.attn.qkv(normalized)))
        result: Tensor = x + self._widened(self.norm2(x))
        return result

    def _widened(self, x: Tensor) -> Tensor:
        if self.window or not goes_by_pieces(x):
            result: Tensor = self.mlp(x)
            return result
        parts = torch.split(x.flatten(0, 2), max(1, STRIP_ELEMENTS // self._widest))
        return torch.cat([self.mlp(part) for part in parts]).view(x.shape)

    def _attend(self, qkv: Tensor) -> Tensor:
        """Attend in windows, (n, s, s, 3 C) to (n, s', s', C)."""
        if not self.window:
            whole: Tensor = self.attn(qkv.view(1, 1, -1, qkv.shape[-1]))
            return whole.view(*qkv.shape[:3], -1)
        if qkv.shape[1:3] == (self.window, self.window):
            attended: Tensor = self.attn(qkv)
            return attended
        return self._attend_padded(qkv)

    def _attend_padded(self, qkv: Tensor) -> Tensor:
        """Attend in windows that do not fill the image: (1, H, W, 3 C) to (1, H', W', C)."""
        _, height, width, channels = qkv.shape
        side = self.window
        rows, columns = ceil_div(height, side), ceil_div(width, side)
        # The published model pads normalized tokens with zeros and lets them take part in the
        # attention; projected, a zero is the bias.
        padded = pad_bottom_right(qkv, rows * side, columns * side, self.attn.qkv.bias)
        windows = padded.view(rows, side, columns, side, channels).transpose(1, 2)
        out: Tensor = self.attn(windows.reshape(rows * columns, side, side, channels))
        if self.halves:
            side, height, width = side // 2, height // 2, width // 2
        out = out.view(rows, columns, side, side, -1).transpose(1, 2)
        return out.reshape(1, rows * side, columns * side, -1)[:, :height, :width]


class Hiera(nn.Module):
    """The trunk of the encoder.

    Parameters
    ----------
    config : HieraConfig
        Widths and depths.
    """

    positions: Tensor | None

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        dims, ends = config.dims, list(accumulate(config.depths))
        self.stage_ends = tuple(end - 1 for end in ends)
        self.patch_embed = PatchEmbed(config.dim)
        side, window = config.background, config.windows[0]
        self.pos_embed = nn.Parameter(torch.zeros(1, config.dim, side, side))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, config.dim, window, window))
        self.register_buffer("positions", None, persistent=False)
        self.blocks = nn.ModuleList()
        for number in range(ends[-1]):
            stage = sum(number >= end for end in ends)
            before = sum(number > end for end in ends)  # that of the block before, at least 0
            window = 0 if number in config.global_blocks else config.windows[before]
            self.blocks.append(Block(dims[before], dims[stage], config.heads * 2**stage, window))

    def positions_of(self, height: int, width: int) -> Tensor:
        """Return the positions of a grid of tokens, (1, H, W, C)."""
        if self.positions is not None and self.positions.shape[1:3] == (height, width):
            return self.positions
        stretched = F.interpolate(self.pos_embed, (height, width), mode="bicubic")
        side = self.pos_embed_window.shape[-1]
        repeated = self.pos_embed_window.tile(1, 1, height // side, width // side)
        return (stretched + repeated).permute(0, 2, 3, 1).contiguous()

    def forward(self, image: Tensor, on_block: ProgressCallback | None = None) -> list[Tensor]:
        """Encode one image (1, 3, S, S); return what each stage gives, in windows."""
        total = len(self.blocks) + 1
        x = self.patch_embed(image)
        x = x + self.positions_of(x.shape[1], x.shape[2])
        stages = []
        for number, block in enumerate(self.blocks):
            if on_block is not None:
                on_block(number + 1, total)
            assert isinstance(block, Block)
            x = block(block.arranged(x))
            if number in self.stage_ends:
                stages.append(x)
        if on_block is not None:
            on_block(total, total)
        return stages


class FpnNeck(nn.Module):
    """The feature pyramid: all stages with the same number of channels.

    Parameters
    ----------
    dims : tuple of int
        Widths of the stages, the finest first.
    out_channels : int
        Channels of all levels.
    """

    def __init__(self, dims: tuple[int, ...], out_channels: int) -> None:
        super().__init__()
        # Published in the order of the computation, from the coarsest.
        self.convs = nn.ModuleList(nn.Sequential() for _ in dims)
        for level, dim in zip(self.convs, reversed(dims), strict=True):
            assert isinstance(level, nn.Sequential)
            level.add_module("conv", nn.Conv2d(dim, out_channels, kernel_size=1))

    def level(self, stage: int, x: Tensor, then: nn.Conv2d | None = None) -> Tensor:
        """Project what a stage gives, in windows, to an image (1, H, W, out_channels).

        A 1 x 1 convolution `then` of the result is made one with the projection, which is a
        fraction of the work.
        """
        conv = self.convs[len(self.convs) - 1 - stage].conv
        assert isinstance(conv, nn.Conv2d)
        assert conv.bias is not None
        weight, bias = conv.weight.flatten(1), conv.bias
        if then is not None:
            assert then.bias is not None
            last = then.weight.flatten(1)
            weight, bias = last @ weight, last @ bias + then.bias
        return image_of(linear(x, weight, bias))

    def forward(self, stages: list[Tensor]) -> Tensor:
        """Return the image embedding, (1, H, W, out_channels), from the two coarsest stages."""
        coarse, last = (self.level(stage, stages[stage]) for stage in (2, 3))
        larger = last.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
        return coarse + larger


class ImageEncoder(nn.Module):
    """Hiera and its feature pyramid, under their published names."""

    def __init__(self, config: HieraConfig, out_channels: int) -> None:
        super().__init__()
        self.trunk = Hiera(config)
        self.neck = FpnNeck(config.dims, out_channels)
