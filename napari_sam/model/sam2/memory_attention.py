"""How an image looks at what is remembered of other slices.

Sources: N. Ravi et al., "SAM 2: Segment Anything in Images and Videos" (ICLR 2025,
arXiv:2408.00714), section 4, "Memory attention", and appendix D.1; B. Heo et al., "Rotary Position
Embedding for Vision Transformer" (ECCV 2024, arXiv:2403.13298).

Rotary encoding turns pairs of channels of queries and keys by angles that grow with their place, so
that their products depend on how far they are apart. Half of the pairs turn with the column, half
with the row. A pair is a complex number here, and turning it a product.

Matrix products associate: values `m Wv` that are summed with weights P are `(P m) Wv`. Memories
have a quarter of the channels of their values, so on a processor the weighted sum is that of the
memories themselves: exact, and a third of the work less. Weights are never written out as a whole,
but for some cells and some memories at a time, so that they stay in the processor's cache: what has
been summed is scaled down when a larger score comes (T. Dao et al., "FlashAttention", NeurIPS 2022,
arXiv:2205.14135).

Shapes: L cells of the image, M rows of memory, C channels, D of them in a memory.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from napari_sam.model.sam.common import goes_by_pieces
from napari_sam.model.sam.linear import Linear
from napari_sam.model.sam2.config import MemoryConfig

TILE_CELLS, TILE_ROWS = 1024, 512
"""Size of the weights that are written out at a time; two megabytes in float32."""
STRIP_CELLS = 512
"""Cells that go through an MLP at a time; its widest activation is four megabytes then."""
ROTARY_BASE = 10_000.0
"""Ratio of the fastest and the slowest angle."""


def rotary_angles(dim: int, side: int) -> npt.NDArray[np.float32]:
    """Return the angles of the pairs of channels at the cells of a square: (L, dim / 2)."""
    count = dim // 4
    speeds = np.float32(ROTARY_BASE) ** (-np.arange(count, dtype=np.float32) / count)
    angles = np.arange(side, dtype=np.float32)[:, None] * speeds  # (side, count)
    return np.hstack([np.tile(angles, (side, 1)), np.repeat(angles, side, axis=0)])


def turn_(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn the pairs of channels of (n L, C) by the angles of L cells, n times over, in place."""
    pairs = x.float().view(-1, len(cosines), x.shape[-1] // 2, 2)
    if goes_by_pieces(x):
        torch.view_as_complex(pairs).mul_(torch.complex(cosines, sines))
        return x if x.dtype == pairs.dtype else x.copy_(pairs.view(x.shape))
    first, second = pairs.unbind(-1)
    parts = first * cosines - second * sines, second * cosines + first * sines
    return x.copy_(torch.stack(parts, dim=-1).view(x.shape))


class RotaryAttention(nn.Module):
    """Attention with rotary encoding, of a single head.

    Parameters
    ----------
    dim : int
        Channels C of queries and output.
    key_dim : int
        Channels of what keys and values are made from.
    """

    def __init__(self, dim: int, key_dim: int) -> None:
        super().__init__()
        self.q_proj = Linear(dim, dim)
        self.k_proj = Linear(key_dim, dim)
        self.v_proj = Linear(key_dim, dim)
        self.out_proj = Linear(dim, dim)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, angles: tuple[Tensor, Tensor], plain: int
    ) -> Tensor:
        """Attend; the last `plain` keys are not turned.

        `query` is (L, C), `key` and `value` are (M, key_dim), `angles` cosines and sines of
        (L, C / 2); returns (L, C).
        """
        queries, keys = turn_(self.q_proj(query), *angles), self.k_proj(key)
        turn_(keys[: len(keys) - plain], *angles)
        if goes_by_pieces(query) and value.shape[1] < keys.shape[1]:
            out = self.v_proj(_weighted_sums(queries, keys, value))
        else:
            values = self.v_proj(value)
            out = F.scaled_dot_product_attention(
                queries[None, None], keys[None, None], values[None, None]
            )[0, 0]
        result: Tensor = self.out_proj(out)
        return result


def _weighted_sums(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attend of (L, C) to (M, C), with values of fewer channels: (M, D) to (L, D)."""
    scaled = queries * queries.shape[1] ** -0.5
    tiles = list(zip(torch.split(keys, TILE_ROWS), torch.split(values, TILE_ROWS), strict=True))
    return torch.cat([_weighted_sum(cells, tiles) for cells in torch.split(scaled, TILE_CELLS)])


def _weighted_sum(queries: Tensor, tiles: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Attend of some cells (l, C) to all memories, tile by tile: (l, D)."""
    count, dim = len(queries), tiles[0][1].shape[1]
    sums = queries.new_zeros(count, dim, dtype=torch.float32)
    total = queries.new_zeros(count, 1, dtype=torch.float32)
    largest = torch.full_like(total, -torch.inf)
    for keys, values in tiles:
        scores = (queries @ keys.T).float()
        before, largest = largest, torch.maximum(largest, scores.amax(1, keepdim=True))
        weights = scores.sub_(largest).exp_()
        shrinking = torch.exp(before - largest)
        total.mul_(shrinking).add_(weights.sum(1, keepdim=True))
        sums.mul_(shrinking).add_(weights.to(values.dtype) @ values)
    return (sums / total).to(queries.dtype)


class MemoryAttentionLayer(nn.Module):
    """Cells of the image attend to each other, then to memories; then comes an MLP."""

    def __init__(self, dim: int, memory: MemoryConfig) -> None:
        super().__init__()
        self.self_attn = RotaryAttention(dim, dim)
        self.cross_attn_image = RotaryAttention(dim, memory.dim)
        self.linear1 = Linear(dim, memory.mlp_dim)
        self.linear2 = Linear(memory.mlp_dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def attend_to_itself(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """Apply what comes before the memories."""
        own = self.norm1(x)
        result: Tensor = x + self.self_attn(own, own, own, angles, 0)
        return result

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, angles: tuple[Tensor, Tensor], plain: int
    ) -> Tensor:
        """Apply the layer to (L, C), for which `attend_to_itself` is done."""
        x = x + self.cross_attn_image(self.norm2(x), keys, values, angles, plain)
        strips = torch.split(x, STRIP_CELLS) if goes_by_pieces(x) else (x,)
        return torch.cat([strip + self._widened(self.norm3(strip)) for strip in strips])

    def _widened(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear2(F.relu(self.linear1(x), inplace=True))
        return result


class MemoryAttention(nn.Module):
    """Conditions an image embedding on memories.

    Parameters
    ----------
    dim : int
        Channels C of the image embedding.
    side : int
        Side of the image embedding, in cells.
    memory : MemoryConfig
        Shape of the memories and of the layers.
    """

    cosines: Tensor
    sines: Tensor

    def __init__(self, dim: int, side: int, memory: MemoryConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(dim, memory) for _ in range(memory.layers))
        self.norm = nn.LayerNorm(dim)
        angles = rotary_angles(dim, side)
        self.register_buffer("cosines", torch.tensor(np.cos(angles)), persistent=False)
        self.register_buffer("sines", torch.tensor(np.sin(angles)), persistent=False)

    def prepare(self, x: Tensor) -> Tensor:
        """Do the work that all objects in one image share.

        `x` is (L, C), image tokens with a tenth of their position; returns what `forward` takes.
        """
        first = self.layers[0]
        assert isinstance(first, MemoryAttentionLayer)
        return first.attend_to_itself(x, self._angles())

    def forward(
        self, prepared: Tensor, memories: Tensor, positions: Tensor, pointer_rows: int
    ) -> Tensor:
        """Condition an image on memories.

        Parameters
        ----------
        prepared : Tensor
            (L, C), from `prepare`.
        memories, positions : Tensor
            (M, D), memories of slices row by row, then pointers; and where and when they are.
        pointer_rows : int
            How many of the rows are pointers, which are nowhere.

        Returns
        -------
        Tensor
            (L, C).
        """
        x, angles = prepared, self._angles()
        keys = memories + positions
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, MemoryAttentionLayer)
            if number:
                x = layer.attend_to_itself(x, angles)
            x = layer(x, keys, memories, angles, pointer_rows)
        result: Tensor = self.norm(x)
        return result

    def _angles(self) -> tuple[Tensor, Tensor]:
        return self.cosines.float(), self.sines.float()


def sine_grid(dim: int, side: int) -> Tensor:
    """Return the positions of the cells of a square as sines and cosines: (L, dim), row by row."""
    places = torch.arange(1, side + 1, dtype=torch.float32)
    phases = places / (side + 1e-6) * (2 * math.pi)
    half = dim // 2
    pairs = phases[:, None] / _periods(half)
    waves = torch.stack([pairs[:, 0::2].sin(), pairs[:, 1::2].cos()], dim=2).flatten(1)
    rows = waves[:, None].expand(side, side, half)
    columns = waves[None].expand(side, side, half)
    return torch.cat([rows, columns], dim=-1).reshape(side * side, dim)


def sine_ages(ages: Tensor, dim: int) -> Tensor:
    """Return how long ago something was, (n,) shares of the longest, as (n, dim)."""
    phases = ages[:, None] / _periods(dim // 2).to(ages.device)
    return torch.cat([phases.sin(), phases.cos()], dim=-1)


def _periods(count: int) -> Tensor:
    steps = torch.arange(count, dtype=torch.float32) // 2
    return torch.as_tensor(ROTARY_BASE ** (2 * steps / count))
