"""The two-way transformer of SAM's mask decoder, arranged for few prompt tokens.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix A,
"Lightweight mask decoder" and figure 14.

A prompt has T tokens, some seven; the image has L, four thousand. The plain formulation projects
all L image tokens to keys, values and queries in every attention. Matrix products associate, so
the projections can be moved over to the thin side instead:

- scores      (t Wq) (x Wk)' = (t Wq Wk') x'     fold the key projection into the prompt tokens;
- output      P (x Wv)       = (P x) Wv          project after the weighted sum;
- image side  (P v) Wo       = P (v Wo)          fold the output projection into the values.

A key bias shifts all scores of one prompt token alike, which the softmax over image tokens
ignores, and an output bias may be spread over the heads, whose weights sum to one each. Nothing
is approximated. The first layer sees image tokens that no prompt has touched; their projections
are computed once per image (`ImageTokens`).

Shapes: B prompts, T prompt tokens, L image tokens, C channels, h heads of d channels each.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


@dataclass(frozen=True)
class ImageTokens:
    """Everything the transformer can know of an image before there is a prompt.

    Attributes
    ----------
    tokens : Tensor
        (L, C), the image embedding plus the dense embedding.
    first_keys, first_queries : Tensor
        (h, d, L), projections of tokens plus positions for the first layer.
    first_values : Tensor
        (h, L, d), projection of the tokens for the first layer.
    """

    tokens: Tensor
    first_keys: Tensor
    first_values: Tensor
    first_queries: Tensor

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(tensor.nbytes for tensor in vars(self).values())

    @property
    def maps(self) -> dict[str, Tensor]:
        """Maps of the image beside its embedding, (C', H, W), by name."""
        return {}


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
        q, k, v = self.q_proj(query), self.k_proj(key), self.v_proj(value)
        q, k, v = (x.view(*x.shape[:2], self.heads, -1).transpose(1, 2) for x in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v)  # (B, h, T, d)
        result: Tensor = self.out_proj(out.transpose(1, 2).flatten(2))
        return result

    def split_rows(self, projected: Tensor) -> Tensor:
        """Split (..., h d) into heads of rows, (h, n, d); n runs over all leading axes."""
        return projected.view(-1, self.heads, projected.shape[-1] // self.heads).transpose(0, 1)

    def _per_head(self, projection: nn.Linear) -> Tensor:
        """View the weight (h d, C) of an input projection as (h, d, C)."""
        return projection.weight.view(self.heads, -1, projection.in_features)

    def _merge(self, out: Tensor, batch: int) -> Tensor:
        """Project the heads (h, B T, d) to the output (B, T, C)."""
        merged = out.transpose(0, 1).reshape(batch, -1, self.out_proj.in_features)
        result: Tensor = self.out_proj(merged)
        return result

    def tokens_to_cached_image(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Let prompt tokens (B, T, C) attend to projected image tokens that prompts share.

        `keys` is (h, d, L) and `values` (h, L, d); returns (B, T, C).
        """
        q = self.split_rows(self.q_proj(query) * self.scale)  # (h, B T, d)
        weights = torch.softmax(torch.bmm(q, keys), dim=-1)  # (h, B T, L)
        return self._merge(torch.bmm(weights, values), query.shape[0])

    def tokens_to_image(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Let prompt tokens (B, T, C) attend to image tokens, `keys` and `values` (B, L, C)."""
        batch = query.shape[0]
        q = self.split_rows(self.q_proj(query) * self.scale)  # (h, B T, d)
        folded = torch.bmm(q, self._per_head(self.k_proj))  # (h, B T, C)
        folded = _swap_leading(folded, batch)  # (B, h T, C)
        weights = torch.softmax(torch.bmm(folded, keys.transpose(1, 2)), dim=-1)
        summed = torch.bmm(weights, values)  # (B, h T, C)
        summed = _swap_leading(summed, self.heads)
        bias = self.v_proj.bias.view(self.heads, 1, -1)
        out = torch.baddbmm(bias, summed, self._per_head(self.v_proj).transpose(1, 2))
        return self._merge(out, batch)

    def _add_to_image(self, image: Tensor, scores: Tensor, value: Tensor) -> Tensor:
        """Finish the attention of image tokens to prompt tokens.

        `image` (B or 1, L, C) receives the attention's output; `scores` is (B, h, T, L) and
        `value` (B, T, C).
        """
        batch = value.shape[0]
        weights = torch.softmax(scores, dim=2).flatten(1, 2)  # (B, h T, L)
        v = self.split_rows(self.v_proj(value))  # (h, B T, d)
        out_weight = self.out_proj.weight.T.view(self.heads, -1, self.out_proj.out_features)
        shared_bias = (self.out_proj.bias / self.heads).view(1, 1, -1)
        folded = torch.baddbmm(shared_bias, v, out_weight)  # (h, B T, C)
        folded = _swap_leading(folded, batch)  # (B, h T, C)
        return torch.baddbmm(image, weights.transpose(1, 2), folded)

    def cached_image_to_tokens(
        self, image: Tensor, queries: Tensor, key: Tensor, value: Tensor
    ) -> Tensor:
        """Let shared image tokens (1, L, C), projected to `queries` (h, d, L), attend to a prompt.

        `key` and `value` are (B, T, C). Returns the image tokens plus the attention, (B, L, C).
        """
        k = self.split_rows(self.k_proj(key) * self.scale)  # (h, B T, d)
        batch, count, _ = key.shape
        scores = torch.bmm(k, queries).view(self.heads, batch, count, -1).transpose(0, 1)
        return self._add_to_image(image, scores, value)

    def image_to_tokens(self, image: Tensor, queries: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Let image tokens attend to prompt tokens.

        `image` and `queries`, the same with positions, are (B, L, C); `key` and `value` are
        (B, T, C). Returns the image tokens plus the attention, (B, L, C).
        """
        batch, count, _ = key.shape
        k = self.split_rows(self.k_proj(key) * self.scale)  # (h, B T, d)
        folded = torch.bmm(k, self._per_head(self.q_proj))  # (h, B T, C)
        bias = torch.bmm(k, self.q_proj.bias.view(self.heads, -1, 1))  # (h, B T, 1)
        folded, bias = _swap_leading(folded, batch), _swap_leading(bias, batch)
        scores = torch.baddbmm(bias, folded, queries.transpose(1, 2))  # (B, h T, L)
        return self._add_to_image(image, scores.view(batch, self.heads, count, -1), value)


def _swap_leading(x: Tensor, groups: int) -> Tensor:
    """Regroup (a, groups * b, n) as (groups, a * b, n)."""
    outer, middle, inner = x.shape
    split = x.view(outer, groups, middle // groups, inner)
    return split.transpose(0, 1).reshape(groups, -1, inner)


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

    def first(self, image: ImageTokens, token_pe: Tensor) -> tuple[Tensor, Tensor]:
        """Run as first layer.

        Parameters
        ----------
        image : ImageTokens
            Shared by all prompts.
        token_pe : Tensor
            (B, T, C), the prompt tokens, which are their own positional encoding too.

        Returns
        -------
        tuple of Tensor
            Prompt tokens (B, T, C) and image tokens (B, L, C).
        """
        # The first self-attention replaces the tokens: they carry nothing but their encoding yet.
        tokens = self.norm1(self.self_attn(token_pe, token_pe, token_pe))
        attended = self.cross_attn_token_to_image.tokens_to_cached_image(
            tokens + token_pe, image.first_keys, image.first_values
        )
        tokens = self.norm2(tokens + attended)
        tokens = self.norm3(tokens + self.mlp(tokens))
        updated = self.cross_attn_image_to_token.cached_image_to_tokens(
            image.tokens[None], image.first_queries, tokens + token_pe, tokens
        )
        return tokens, self.norm4(updated)

    def forward(
        self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run as later layer.

        Parameters
        ----------
        tokens, token_pe : Tensor
            (B, T, C) prompt tokens and their positional encoding.
        image : Tensor
            (B, L, C) image tokens.
        image_pe : Tensor
            (L, C) positional encoding of the image tokens.

        Returns
        -------
        tuple of Tensor
            Prompt tokens (B, T, C) and image tokens (B, L, C).
        """
        placed = tokens + token_pe
        tokens = self.norm1(tokens + self.self_attn(placed, placed, tokens))
        placed_image = image + image_pe
        attended = self.cross_attn_token_to_image.tokens_to_image(
            tokens + token_pe, placed_image, image
        )
        tokens = self.norm2(tokens + attended)
        tokens = self.norm3(tokens + self.mlp(tokens))
        updated = self.cross_attn_image_to_token.image_to_tokens(
            image, placed_image, tokens + token_pe, tokens
        )
        return tokens, self.norm4(updated)


class TwoWayTransformer(nn.Module):
    """The transformer of the mask decoder.

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

    def prepare(self, tokens: Tensor, image_pe: Tensor) -> ImageTokens:
        """Project the image tokens (L, C), with positions (L, C), for the first layer."""
        first = self.layers[0]
        assert isinstance(first, TwoWayAttentionBlock)
        to_image, to_tokens = first.cross_attn_token_to_image, first.cross_attn_image_to_token
        placed = tokens + image_pe
        keys = to_image.split_rows(to_image.k_proj(placed)).transpose(1, 2).contiguous()
        values = to_image.split_rows(to_image.v_proj(tokens)).contiguous()
        queries = to_tokens.split_rows(to_tokens.q_proj(placed)).transpose(1, 2).contiguous()
        return ImageTokens(tokens, keys, values, queries)

    def forward(
        self, image: ImageTokens, image_pe: Tensor, token_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run all layers.

        Parameters
        ----------
        image : ImageTokens
            From `prepare`; shared by all prompts.
        image_pe : Tensor
            (L, C) positional encoding of the image tokens.
        token_pe : Tensor
            (B, T, C) prompt tokens.

        Returns
        -------
        tuple of Tensor
            Prompt tokens (B, T, C) and image tokens (B, L, C).
        """
        first, *later = self.layers
        assert isinstance(first, TwoWayAttentionBlock)
        tokens, image_tokens = first.first(image, token_pe)
        for layer in later:
            tokens, image_tokens = layer(tokens, image_tokens, token_pe, image_pe)
        attended = self.final_attn_token_to_image.tokens_to_image(
            tokens + token_pe, image_tokens + image_pe, image_tokens
        )
        return self.norm_final_attn(tokens + attended), image_tokens
