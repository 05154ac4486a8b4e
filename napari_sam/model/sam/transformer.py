"""The layers of the two-way transformer of SAM's mask decoder, on the side of the prompt tokens.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix A,
"Lightweight mask decoder" and figure 14.

A prompt has T tokens, some seven; the image has L, four thousand. What happens to the image tokens
is in `napari_sam.model.sam.factored`.

Shapes: B prompts, T prompt tokens, L image tokens, C channels, h heads of d channels each.
"""

from collections.abc import Callable

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention with an optional smaller inner width.

    Parameters
    ----------
    dim : int
        Width C of queries, keys, values and output.
    heads : int
        Number of heads h.
    downsample_rate : int
        The heads share ``dim // downsample_rate`` channels.
    """

    def __init__(self, dim: int, heads: int, downsample_rate: int = 1) -> None:
        super().__init__()
        inner = dim // downsample_rate
        self.heads = heads
        self.scale = (inner // heads) ** -0.5
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend among few tokens, plainly: three times (B, T, C) to (B, T, C)."""
        q, k = self._split(self.q_proj(query)), self._split(self.k_proj(key))
        return self.merge(F.scaled_dot_product_attention(q, k, self.values(value)))

    def scaled_queries(self, x: Tensor) -> Tensor:
        """Project (B, T, C) to queries (B, h, T, d), for keys that are not scaled."""
        return self._split(self.q_proj(x) * self.scale)

    def scaled_keys(self, x: Tensor) -> Tensor:
        """Project (B, T, C) to keys (B, h, T, d), for queries that are not scaled."""
        return self._split(self.k_proj(x) * self.scale)

    def values(self, x: Tensor) -> Tensor:
        """Project (B, T, C) to values (B, h, T, d)."""
        return self._split(self.v_proj(x))

    def _split(self, projected: Tensor) -> Tensor:
        batch, count, _ = projected.shape
        return projected.view(batch, count, self.heads, -1).transpose(1, 2)

    def merge(self, out: Tensor) -> Tensor:
        """Project heads (B, h, T, d) to the output (B, T, C)."""
        result: Tensor = self.out_proj(out.transpose(1, 2).flatten(2))
        return result


class MLPBlock(nn.Module):
    """Widen, ReLU, narrow."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, hidden_dim)
        self.lin2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        result: Tensor = self.lin2(F.relu(self.lin1(x)))
        return result


MakeMlp = Callable[[int, int], nn.Module]
"""Makes an MLP of a width and a hidden width."""


class TwoWayAttentionBlock(nn.Module):
    """Self-attention, tokens to image, MLP, image to tokens.

    Parameters
    ----------
    dim, heads, mlp_dim : int
        Width, heads and hidden width of the MLP.
    make_mlp : callable
        Makes the MLP, whose layers have other names in SAM 2.
    """

    def __init__(self, dim: int, heads: int, mlp_dim: int, make_mlp: MakeMlp = MLPBlock) -> None:
        super().__init__()
        self.self_attn = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, heads, downsample_rate=2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = make_mlp(dim, mlp_dim)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, heads, downsample_rate=2)

    def begin(self, token_pe: Tensor) -> Tensor:
        """Attend among prompt tokens (B, T, C) in the first layer.

        It replaces the tokens: they carry nothing but their positional encoding yet.
        """
        result: Tensor = self.norm1(self.self_attn(token_pe, token_pe, token_pe))
        return result

    def attend(self, tokens: Tensor, token_pe: Tensor) -> Tensor:
        """Attend among prompt tokens (B, T, C), which are placed by `token_pe`, in later layers."""
        placed = tokens + token_pe
        result: Tensor = self.norm1(tokens + self.self_attn(placed, placed, tokens))
        return result

    def digest(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Add to prompt tokens (B, T, C) what they have seen of the image, and run the MLP."""
        tokens = self.norm2(tokens + seen)
        result: Tensor = self.norm3(tokens + self.mlp(tokens))
        return result


class TwoWayTransformer(nn.Module):
    """The weights of the transformer of the mask decoder, two layers as in all published models.

    Parameters
    ----------
    depth, dim, heads, mlp_dim : int
        Layers, width, heads, hidden width of the MLPs.
    make_mlp : callable
        Makes the MLPs.
    """

    def __init__(
        self, depth: int, dim: int, heads: int, mlp_dim: int, make_mlp: MakeMlp = MLPBlock
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayAttentionBlock(dim, heads, mlp_dim, make_mlp) for _ in range(depth)
        )
        self.final_attn_token_to_image = Attention(dim, heads, downsample_rate=2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def two_layers(self) -> tuple[TwoWayAttentionBlock, TwoWayAttentionBlock]:
        """Return both layers."""
        first, second = self.layers
        assert isinstance(first, TwoWayAttentionBlock)
        assert isinstance(second, TwoWayAttentionBlock)
        return first, second
