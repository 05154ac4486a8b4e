"""The two-way transformer of SAM's mask decoder, with its image tokens in factored form.

No prompt makes L x C numbers of its own. What it adds to the image tokens is A U: the weights A of
its h T tokens and heads ("columns"), and what each of those adds ("rows", C wide). Normalization is
linear but for a number per token, the length of what it normalizes. With U and the image t centered
over the channels, and G = "times g1, then centered", the two layers give

    x1 = g1 (t + A1 U1) / s1 + b1
    x2 = g2 (t G / s1 + (A1 / s1) (U1 G) + A2 U2) / s2 + b2        where U2 includes b1.

All that follows reads them through some matrix W, and x W consists of t W, computed once per image
(`ImageTokens`), times a scale, and of A (U W), which is thin. So are the lengths: that of t + A U
is |t|^2 + 2 A (U t) + A (U U') A, and U t is a projection of t, too. A mask prompt adds to t in
the same way: the channels of its encoding are columns, the weights of the last layer are rows.
Nothing is approximated.

Shapes: B prompts, T prompt tokens, L image tokens, C channels, h heads of d channels, n columns.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_sam.model.sam.folding import Folded, centered, precise
from napari_sam.model.sam.transformer import TwoWayTransformer


@dataclass(frozen=True)
class ImageTokens:
    """Everything the transformer can know of an image before there is a prompt.

    Attributes
    ----------
    first, second : Tensor
        (3, h, d, L), keys, queries and values of the image in each layer. Those of the second
        lack what depends on the prompt or on the model alone.
    last : Tensor
        (2, h, d, L), likewise the keys and values for the last attention.
    products : Tensor
        (3, h, d, L), with output weights: of the first layer, before and after it is normalized,
        and of the second.
    mask_products : Tensor
        (2, r, L), with the rows of mask prompts, before and after the first layer is normalized.
    lengths : Tensor
        (3, L) float32: of the first layer; and of the second, what goes with the square of the
        scale and with the scale.
    upscaled : Tensor
        (L, 4 C'), what is upscaled first.
    columns : Tensor
        (r, L), of a mask prompt; (0, L) without one.
    """

    first: Tensor
    second: Tensor
    last: Tensor
    products: Tensor
    mask_products: Tensor
    lengths: Tensor
    upscaled: Tensor
    columns: Tensor

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(tensor.nbytes for tensor in vars(self).values())


class Upscalable(NamedTuple):
    """The transformer's image tokens as the first transposed convolution reads them.

    Attributes
    ----------
    base : Tensor
        (L, 4 C'), of the image.
    scale : Tensor
        (B, L, 1), of the base.
    columns, rows : Tensor
        (B, n, L) and (B, n, 4 C'), whose product is added.
    """

    base: Tensor
    scale: Tensor
    columns: Tensor
    rows: Tensor


class _Layers(NamedTuple):
    """Image tokens but for gain and bias: the scaled image plus columns' rows.

    The scale is (B, 1, L), columns (B, n, L), rows (B, n, C). `values` (B, h, T, d) of the prompt
    made the last rows.
    """

    scale: Tensor
    columns: Tensor
    rows: Tensor
    values: Tensor


class FactoredTransformer(nn.Module):
    """Runs a two-way transformer.

    Parameters
    ----------
    transformer : TwoWayTransformer
        Shares its weights.
    folded : Folded
        Their products.
    """

    def __init__(self, transformer: TwoWayTransformer, folded: Folded) -> None:
        super().__init__()
        self.transformer, self.folded = transformer, folded
        last = transformer.final_attn_token_to_image
        self._heads, self._inner = last.heads, last.q_proj.out_features

    @property
    def dtype(self) -> torch.dtype:
        """The precision it computes in."""
        return self.folded.first.dtype

    def prepare(self, tokens: Tensor) -> ImageTokens:
        """Do the work that all prompts on an image (L, C) share."""
        folded, inner, length = self.folded, self._inner, len(tokens)
        image = centered(precise(tokens))
        lengths = 2 * (precise(folded.of_image_lengths) @ image.T)
        lengths[0] += image.square().sum(1)
        lengths[1] += centered(image * precise(folded.gain)).square().sum(1)
        image = image.to(tokens.dtype)
        first = torch.addmm(folded.first_offset, folded.first, tokens.T)
        second, last, products, of_masks = torch.split(
            folded.of_image @ image.T,
            [3 * inner, 2 * inner, 3 * inner, 2 * len(folded.mask_rows)],
        )
        split = (-1, self._heads, inner // self._heads, length)
        return ImageTokens(
            first=first.view(split),
            second=second.view(split),
            last=last.view(split),
            products=products.view(split),
            mask_products=of_masks.view(2, -1, length),
            lengths=lengths,
            upscaled=image @ folded.of_image_upscaled.T,
            columns=first.new_empty(0, length),
        )

    def forward(self, image: ImageTokens, token_pe: Tensor) -> tuple[Tensor, Upscalable]:
        """Run both layers and the last attention.

        Parameters
        ----------
        image : ImageTokens
            From `prepare`; shared by all prompts.
        token_pe : Tensor
            (B, T, C) prompt tokens.

        Returns
        -------
        tuple
            Prompt tokens (B, T, C), and the image tokens.
        """
        tokens, layers = self._first_layer(image, token_pe)
        tokens, layers = self._second_layer(image, token_pe, tokens, layers)
        folded, reading = self.folded, self.transformer.final_attn_token_to_image
        scale, columns = layers.scale, layers.columns
        keyed, valued, upscaled = torch.split(
            layers.rows @ folded.last.T,
            [self._inner, self._inner, len(folded.upscaled_bias)],
            dim=2,
        )
        queries = reading.scaled_queries(tokens + token_pe)
        scores = _scores(queries, image.last[0], scale, columns, keyed, folded.last_offset)
        weights = torch.softmax(scores, dim=-1)
        seen = _sums(weights, image.last[1], scale, columns, valued) + folded.last_bias
        tokens = self.transformer.norm_final_attn(tokens + reading.merge(seen))
        scale = scale.transpose(1, 2)
        return tokens, Upscalable(image.upscaled, scale, columns, upscaled)

    def _first_layer(self, image: ImageTokens, token_pe: Tensor) -> tuple[Tensor, _Layers]:
        layer, _ = self.transformer.two_layers()
        folded, batch, mask_count = self.folded, token_pe.shape[0], image.columns.shape[0]
        columns = image.columns.expand(batch, -1, -1)
        of_mask = folded.mask_first[:mask_count].expand(batch, -1, -1)
        keyed, queried, valued = torch.split(of_mask, self._inner, dim=2)
        tokens = layer.begin(token_pe)
        reading, writing = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        queries = reading.scaled_queries(tokens + token_pe)
        scores = _scores(queries, image.first[0], None, columns, keyed)
        weights = torch.softmax(scores, dim=-1)
        seen = _sums(weights, image.first[2], None, columns, valued)
        tokens = layer.digest(tokens, reading.merge(seen))
        keys = writing.scaled_keys(tokens + token_pe)
        scores = _scores(keys, image.first[1], None, columns, queried)
        weights = torch.softmax(scores, dim=2)
        values = writing.values(tokens)
        added = _added(values, folded.first_added, folded.first_added_bias)
        columns = torch.cat([columns, weights.flatten(1, 2)], dim=1)
        rows = torch.cat([folded.mask_rows[:mask_count].expand(batch, -1, -1), added], dim=1)
        products = self._products(image, 0, values)
        scale = _scale(image.lengths[0], products, columns, rows, layer.norm4.eps)
        return tokens, _Layers(scale, columns * scale, rows, values)

    def _second_layer(
        self, image: ImageTokens, token_pe: Tensor, tokens: Tensor, layers: _Layers
    ) -> tuple[Tensor, _Layers]:
        _, layer = self.transformer.two_layers()
        folded, (scale, columns, rows, values) = self.folded, layers
        keyed, queried, valued = torch.split(rows @ folded.second.T, self._inner, dim=2)
        tokens = layer.attend(tokens, token_pe)
        reading, writing = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        queries = reading.scaled_queries(tokens + token_pe)
        scores = _scores(queries, image.second[0], scale, columns, keyed, folded.second_offset[0])
        weights = torch.softmax(scores, dim=-1)
        seen = _sums(weights, image.second[2], scale, columns, valued) + folded.second_bias
        tokens = layer.digest(tokens, reading.merge(seen))
        keys = writing.scaled_keys(tokens + token_pe)
        scores = _scores(keys, image.second[1], scale, columns, queried, folded.second_offset[1])
        weights = torch.softmax(scores, dim=2)
        products = self._products(image, 1, values)
        values = writing.values(tokens)
        products = torch.cat([products, torch.matmul(values, image.products[2]).flatten(1, 2)], 1)
        added = _added(values, folded.second_added, folded.second_added_bias)
        columns = torch.cat([columns, weights.flatten(1, 2)], dim=1)
        rows = torch.cat([centered(rows * folded.gain), added], dim=1)
        before = precise(scale)
        lengths = before * (before * image.lengths[1] + image.lengths[2])
        now = _scale(lengths, products * scale, columns, rows, layer.norm4.eps)
        return tokens, _Layers(scale * now, columns * now, rows, values)

    def _products(self, image: ImageTokens, which: int, values: Tensor) -> Tensor:
        """Multiply the rows of the first layer with the image, before or after normalization."""
        of_mask = image.mask_products[which, : image.columns.shape[0]].expand(len(values), -1, -1)
        of_prompt = torch.matmul(values, image.products[which]).flatten(1, 2)
        return torch.cat([of_mask, of_prompt], dim=1)


def _scores(
    heads: Tensor,
    image: Tensor,
    scale: Tensor | None,
    columns: Tensor,
    rows: Tensor,
    offset: Tensor | None = None,
) -> Tensor:
    """Multiply heads of prompt tokens (B, h, T, d) with those of image tokens: (B, h, T, L).

    The image is (h, d, L), times a scale (B, 1, L), with columns (B, n, L) times rows (B, n, h d)
    and an offset (h, d, L) added.
    """
    scores = torch.matmul(heads, image)
    through = torch.matmul(heads, _per_head(rows, heads.shape[1]).transpose(2, 3))
    tokens = scores.flatten(1, 2)
    if scale is not None:
        tokens.mul_(scale)
    tokens.baddbmm_(through.flatten(1, 2), columns)
    if offset is not None:
        offsets = offset.expand(len(heads), *offset.shape).flatten(0, 1)
        scores.flatten(0, 1).baddbmm_(heads.flatten(0, 1), offsets)
    return scores


def _sums(
    weights: Tensor, image: Tensor, scale: Tensor | None, columns: Tensor, rows: Tensor
) -> Tensor:
    """Sum image tokens by weights (B, h, T, L): (B, h, T, d).

    The image is (h, d, L), times a scale (B, 1, L), with columns (B, n, L) and rows (B, n, h d)
    added.
    """
    through = torch.bmm(weights.flatten(1, 2), columns.transpose(1, 2))  # (B, h T, n)
    through = through.view(*weights.shape[:3], -1)
    scaled = weights if scale is None else weights * scale[:, None]
    sums = torch.matmul(scaled, image.transpose(1, 2))
    return sums + torch.matmul(through, _per_head(rows, weights.shape[1]))


def _per_head(rows: Tensor, heads: int) -> Tensor:
    """Split (B, n, h d) into (B, h, n, d)."""
    batch, count, width = rows.shape
    return rows.view(batch, count, heads, width // heads).transpose(1, 2)


def _added(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return what the values (B, h, T, d) of a prompt add to image tokens, (B, h T, C)."""
    per_head = weight.view(values.shape[1], -1, weight.shape[1])
    return (torch.matmul(values, per_head) + bias).flatten(1, 2)


def _scale(lengths: Tensor, products: Tensor, columns: Tensor, rows: Tensor, eps: float) -> Tensor:
    """Return what normalization multiplies image tokens with, (B, 1, L). It takes `products`.

    `lengths` (L or B, 1, L) are the squares of their own, and `products` (B, n, L) those with rows
    (B, n, C), which columns (B, n, L) weigh.
    """
    weighed, precise_rows = precise(columns), precise(rows)
    gram = precise_rows @ precise_rows.transpose(1, 2)
    squares = precise(products).baddbmm_(gram, weighed, beta=2)
    total = squares.mul_(weighed).sum(1, keepdim=True).add_(lengths)
    variance = total.clamp_min_(0) / rows.shape[2]  # rounding may make it negative
    return torch.rsqrt(variance + eps).to(columns.dtype)
