"""The two-way transformer for one prompt on an image, and no other.

The factored form, in which `napari_sam.model.sam.factored` runs it, pays by the second prompt on an
image: slices of a stack are often given one only, and a graph keeps nothing of an image. This form
projects no image tokens either: matrix products associate, so the projections move over to the few
prompt tokens:

- scores      (t Wq) (x Wk)' = (t Wq Wk') x'     fold the key projection into the prompt tokens;
- output      P (x Wv)       = (P x) Wv          project after the weighted sum;
- image side  (P v) Wo       = P (v Wo)          fold the output projection into the values.

A key bias shifts all scores of one prompt token alike, which the softmax over image tokens ignores,
and an output bias may be spread over the heads, whose weights sum to one each.

Shapes: T prompt tokens, L image tokens, C channels, h heads of d channels each.
"""

import torch
from torch import Tensor, nn

from napari_sam.model.sam.transformer import Attention, TwoWayTransformer


def two_way(
    transformer: TwoWayTransformer, image: Tensor, image_pe: Tensor, token_pe: Tensor
) -> tuple[Tensor, Tensor]:
    """Run a transformer on image tokens (L, C) with positions (L, C) and prompt tokens (1, T, C).

    Returns both kinds of tokens, changed.
    """
    first, second = transformer.two_layers()
    tokens = first.begin(token_pe)
    for layer in (first, second):
        if layer is second:
            tokens = second.attend(tokens, token_pe)
        placed = image + image_pe
        reading, writing = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        tokens = layer.digest(tokens, _read(reading, tokens + token_pe, placed, image))
        image = layer.norm4(_write(writing, image, placed, tokens + token_pe, tokens))
    reading = transformer.final_attn_token_to_image
    seen = _read(reading, tokens + token_pe, image + image_pe, image)
    return transformer.norm_final_attn(tokens + seen), image


def _read(attention: Attention, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Let prompt tokens (1, T, C) attend to image tokens, `keys` and `values` (L, C)."""
    q = attention.scaled_queries(query)[0]  # (h, T, d)
    folded = q @ _per_head(attention, attention.k_proj)  # (h, T, C)
    weights = torch.softmax(folded.flatten(0, 1) @ keys.T, dim=-1)  # (h T, L)
    summed = (weights @ values).view(attention.heads, -1, values.shape[1])
    bias = attention.v_proj.bias.view(attention.heads, 1, -1)
    out = summed @ _per_head(attention, attention.v_proj).transpose(1, 2) + bias
    return attention.merge(out[None])


def _write(
    attention: Attention, image: Tensor, queries: Tensor, key: Tensor, value: Tensor
) -> Tensor:
    """Add to image tokens (L, C), placed in `queries`, what they see of a prompt (1, T, C)."""
    k = attention.scaled_keys(key)[0]  # (h, T, d)
    folded = (k @ _per_head(attention, attention.q_proj)).flatten(0, 1)  # (h T, C)
    bias = (k @ attention.q_proj.bias.view(attention.heads, -1, 1)).flatten(0, 1)  # (h T, 1)
    scores = torch.addmm(bias, folded, queries.T).view(attention.heads, -1, len(image))
    weights = torch.softmax(scores, dim=1).flatten(0, 1)  # (h T, L)
    v = attention.values(value)[0]
    out_weight = attention.out_proj.weight.T.view(attention.heads, -1, image.shape[1])
    added = v @ out_weight + attention.out_proj.bias / attention.heads  # (h, T, C)
    return torch.addmm(image, weights.T, added.flatten(0, 1))


def _per_head(attention: Attention, projection: nn.Linear) -> Tensor:
    """View the weight (h d, C) of an input projection as (h, d, C)."""
    return projection.weight.view(attention.heads, -1, projection.in_features)
