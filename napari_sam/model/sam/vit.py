"""The plain vision transformer: the image encoder of ViT-B, ViT-L and ViT-H.

Sources: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix A, "Image
encoder"; Y. Li et al., "Exploring Plain Vision Transformer Backbones for Object Detection"
(ECCV 2022, arXiv:2203.16527) for windows among global blocks; Y. Li et al., "MViTv2" (CVPR 2022,
arXiv:2112.01526), section 4.1, for the decomposed relative positions.

A relative position adds ``q . R_h[y, y'] + q . R_w[x, x']`` to the score of a query at (y, x) and a
key at (y', x'). Written out that is a bias per head and pair of tokens, 64 MB for each head of a
global block. It is a dot product already, though: if a query carries its products with all rows
and columns as further channels, and a key carries a one at its row and its column and zeros
elsewhere, then the ordinary score contains both terms, and fused attention does the rest. That is
what accelerators do. On a processor the further channels take longer than the bias, as long as
only so much of that is written out at a time as a band of queries needs: half the time, measured
in a global block. Both are exact.

Activations are kept channels-last, (1, H, W, C).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from napari_sam.engine.protocols import ProgressCallback
from napari_sam.model.sam.common import (
    ceil_div,
    gelu_,
    goes_by_pieces,
    make_neck,
    pad_bottom_right,
    run_steps,
)
from napari_sam.model.sam.linear import Linear

BIAS_ELEMENTS = 2**24
"""Size of the bias that is written out at a time; 64 megabytes in float32."""


@dataclass(frozen=True)
class ViTConfig:
    """Shape of a plain ViT.

    Attributes
    ----------
    dim, depth, heads : int
        Width, number of blocks, heads of each block.
    global_blocks : tuple of int
        Blocks in which every token sees every other one; the rest look inside windows.
    window : int
        Side of the windows, in tokens.
    patch_px : int
        Side of the patch behind one token, in input pixels.
    mlp_ratio : int
        Hidden width of the MLPs, in widths.
    out_channels : int
        Channels of the image embedding.
    """

    dim: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    window: int = 14
    patch_px: int = 16
    mlp_ratio: int = 4
    out_channels: int = 256


class PatchEmbed(nn.Module):
    """One token per patch: (1, 3, S, S) to (1, S / p, S / p, C)."""

    def __init__(self, dim: int, patch_px: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=patch_px, stride=patch_px)

    def forward(self, x: Tensor) -> Tensor:
        """Embed the image."""
        embedded: Tensor = self.proj(x)
        return embedded.permute(0, 2, 3, 1)


class Attention(nn.Module):
    """Self-attention among the tokens of a square, with decomposed relative positions.

    Parameters
    ----------
    dim : int
        Channels C.
    heads : int
        Number of heads h; each gets d = C / h channels.
    side : int
        Side of the square, in tokens.
    """

    row_offsets: Tensor
    places: Tensor

    def __init__(self, dim: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.side = side
        self.qkv = Linear(dim, 3 * dim)
        self.proj = Linear(dim, dim)
        # One row per offset between query and key, from -(side - 1) to side - 1.
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, dim // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, dim // heads))
        line = np.arange(side)
        offsets = torch.tensor(line[:, None] - line + side - 1)  # [query, key]
        self.register_buffer("row_offsets", offsets, persistent=False)
        one_hot = np.eye(side, dtype=np.float32)
        rows, columns = np.repeat(one_hot, side, axis=0), np.tile(one_hot, (side, 1))
        places = torch.tensor(np.hstack([rows, columns]))
        self.register_buffer("places", places, persistent=False)

    def forward(self, qkv: Tensor) -> Tensor:
        """Attend within each square.

        Parameters
        ----------
        qkv : Tensor
            (B, side, side, 3 C), projected by `self.qkv`.

        Returns
        -------
        Tensor
            (B, side, side, C), not yet projected by `self.proj`.
        """
        batch, side, _, width = qkv.shape
        split = qkv.view(batch, side * side, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (B, h, side^2, d)
        relative = self._relative(query)
        attend = self._in_bands if goes_by_pieces(qkv) else self._in_channels
        out = attend(query, key, value, relative)
        return out.transpose(1, 2).reshape(batch, side, side, width // 3)

    def _in_channels(self, query: Tensor, key: Tensor, value: Tensor, relative: Tensor) -> Tensor:
        """Attend with the relative positions as further channels of queries and keys.

        `query`, `key` and `value` are (B, h, side^2, d), `relative` (B, h, side^2, 2 side);
        returns (B, h, side^2, d).
        """
        places = self.places.expand(*key.shape[:2], -1, -1)
        query = torch.cat([query * query.shape[-1] ** -0.5, relative], dim=-1)
        key = torch.cat([key, places], dim=-1)
        return F.scaled_dot_product_attention(query, key, value, scale=1.0)

    def _in_bands(self, query: Tensor, key: Tensor, value: Tensor, relative: Tensor) -> Tensor:
        """Do the same with the relative positions as bias, a band of queries at a time."""
        batch, heads, count, _ = query.shape
        size = max(1, BIAS_ELEMENTS // (batch * heads * count))
        bands = []
        for part, offsets in zip(
            torch.split(query, size, dim=2), torch.split(relative, size, dim=2), strict=True
        ):
            rows, columns = torch.split(offsets, self.side, dim=-1)
            bias = (rows[..., :, None] + columns[..., None, :]).flatten(3)
            bands.append(F.scaled_dot_product_attention(part, key, value, attn_mask=bias))
        return torch.cat(bands, dim=2)

    def _relative(self, query: Tensor) -> Tensor:
        """Multiply queries (B, h, side^2, d) with all their offsets: (B, h, side^2, 2 side)."""
        batch, heads, _, channels = query.shape
        side = self.side
        grid = query.reshape(batch * heads, side, side, channels)
        to_rows = self.rel_pos_h[self.row_offsets].transpose(1, 2)  # (side, d, side)
        to_columns = self.rel_pos_w[self.row_offsets].transpose(1, 2)
        by_row = grid.transpose(0, 1).reshape(side, -1, channels) @ to_rows
        by_column = grid.permute(2, 0, 1, 3).reshape(side, -1, channels) @ to_columns
        rows = by_row.view(side, batch * heads, side, side).transpose(0, 1)
        columns = by_column.view(side, batch * heads, side, side).permute(1, 2, 0, 3)
        return torch.cat([rows, columns], dim=-1).view(batch, heads, side * side, 2 * side)


class Mlp(nn.Module):
    """Widen, GELU, narrow."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.lin1 = Linear(dim, hidden_dim)
        self.lin2 = Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        result: Tensor = self.lin2(gelu_(self.lin1(x)))
        return result


class Block(nn.Module):
    """Attention and an MLP, each on top of what there is; (1, H, W, C) to the same.

    Parameters
    ----------
    dim, heads, hidden_dim : int
        Width, heads, hidden width of the MLP.
    side : int
        Side of the windows, or of the whole grid in a global block.
    """

    def __init__(self, dim: int, heads: int, hidden_dim: int, side: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads, side)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, hidden_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        x = x + self.attn.proj(self._attend(self.attn.qkv(self.norm1(x))))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result

    def _attend(self, qkv: Tensor) -> Tensor:
        """Attend in windows, all of them in one batch: (1, H, W, 3 C) to (1, H, W, C)."""
        _, height, width, channels = qkv.shape
        side = self.attn.side
        rows, columns = ceil_div(height, side), ceil_div(width, side)
        if (rows, columns) == (1, 1) and height == width == side:
            attended: Tensor = self.attn(qkv)
            return attended
        # The published model pads normalized tokens with zeros and lets them take part in the
        # attention; projected, a zero is the bias.
        padded = pad_bottom_right(qkv, rows * side, columns * side, self.attn.qkv.bias)
        windows = padded.view(rows, side, columns, side, channels).transpose(1, 2)
        out: Tensor = self.attn(windows.reshape(rows * columns, side, side, channels))
        out = out.view(rows, columns, side, side, -1).transpose(1, 2)
        return out.reshape(1, rows * side, columns * side, -1)[:, :height, :width]


class ViT(nn.Module):
    """The encoder: (1, 3, S, S) to (1, out_channels, S / p, S / p).

    Parameters
    ----------
    config : ViTConfig
        Widths and depths.
    image_size : int
        Side S of the input, in pixels.
    """

    def __init__(self, config: ViTConfig, image_size: int) -> None:
        super().__init__()
        grid = image_size // config.patch_px
        self.patch_embed = PatchEmbed(config.dim, config.patch_px)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, config.dim))
        self.blocks = nn.ModuleList(
            Block(
                config.dim,
                config.heads,
                config.dim * config.mlp_ratio,
                grid if i in config.global_blocks else config.window,
            )
            for i in range(config.depth)
        )
        self.neck = make_neck(config.dim, config.out_channels)

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
            (1, out_channels, S / p, S / p).
        """
        return run_steps(image, [self._embed, *self.blocks, self._neck], on_block)

    def _embed(self, image: Tensor) -> Tensor:
        embedded: Tensor = self.patch_embed(image)
        return embedded + self.pos_embed

    def _neck(self, x: Tensor) -> Tensor:
        embedding: Tensor = self.neck(x.permute(0, 3, 1, 2))
        return embedding
