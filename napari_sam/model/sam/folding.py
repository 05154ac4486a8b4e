"""What `FactoredTransformer` needs of a model's weights, multiplied with each other once."""

from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor, nn

from napari_sam.model.sam.transformer import TwoWayAttentionBlock, TwoWayTransformer


def precise(x: Tensor) -> Tensor:
    """Return a tensor in float32, or as it is if it is more precise."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def centered(x: Tensor) -> Tensor:
    """Subtract the mean over the last axis."""
    return x - x.mean(-1, keepdim=True)


@dataclass(frozen=True)
class Folded:
    """Products of weights; `napari_sam.model.sam.factored` has the mathematics.

    Attributes
    ----------
    first, second, last : Tensor
        (3 h d, C), (3 h d, C) and (2 h d + 4 C', C), what reads image tokens before the first
        layer, before the second and in the end: keys, queries and values, or keys, values and what
        is upscaled. With the gain of the normalization before them.
    first_offset, second_offset, last_offset : Tensor
        (3 h d, L), (2, h, d, L) and (h, d, L), what positions and biases add to keys and queries,
        and in the first layer to values.
    second_bias, last_bias, upscaled_bias : Tensor
        (h, 1, d), (h, 1, d) and (4 C',), biases of values and of what is upscaled.
    pixels, pixels_bias : Tensor
        (4 C'', C') and (4 C'',), what reads a quarter of a token to make its four pixels.
    pixel_order : Tensor
        (16 L,), for each pixel of the image row by row its number among those of all tokens.
    gain : Tensor
        (C,), of the normalization between the layers.
    first_added, second_added : Tensor
        (h d, C), what the values of a prompt add to the image tokens, centered.
    first_added_bias, second_added_bias : Tensor
        (C,), an h-th of the bias, as the weights of each head sum to one.
    mask_rows, mask_first : Tensor
        (r, C) centered, and (r, 3 h d): what the columns of a mask prompt weigh.
    of_image, of_image_upscaled, of_image_lengths : Tensor
        (8 h d + 2 r, C), (4 C', C) and (3, C), what is computed of a centered image.
    """

    first: Tensor
    first_offset: Tensor
    mask_first: Tensor
    second: Tensor
    second_offset: Tensor
    second_bias: Tensor
    last: Tensor
    last_offset: Tensor
    last_bias: Tensor
    upscaled_bias: Tensor
    pixels: Tensor
    pixels_bias: Tensor
    pixel_order: Tensor
    gain: Tensor
    first_added: Tensor
    first_added_bias: Tensor
    second_added: Tensor
    second_added_bias: Tensor
    mask_rows: Tensor
    of_image: Tensor
    of_image_upscaled: Tensor
    of_image_lengths: Tensor


def fold(
    transformer: TwoWayTransformer,
    upscaling: tuple[nn.ConvTranspose2d, nn.ConvTranspose2d],
    image_pe: Tensor,
    mask_rows: Tensor,
) -> Folded:
    """Multiply weights; see `MaskDecoder.factored`."""
    one, two = transformer.two_layers()
    pe = precise(image_pe)
    mask_rows = mask_rows.to(pe.dtype)
    constants = _of_first(one, pe, mask_rows)
    constants |= _of_second(two, one.norm4, pe)
    constants |= _of_last(transformer, upscaling[0], pe)
    constants |= _of_writing(one, two)
    constants |= {"gain": one.norm4.weight, "mask_rows": centered(mask_rows)}
    constants |= _of_image(constants, one.cross_attn_image_to_token.heads)
    constants["pixels"], constants["pixels_bias"] = as_linear(upscaling[1])
    kept = {name: part.to(image_pe.dtype).contiguous() for name, part in constants.items()}
    return Folded(**kept, pixel_order=pixel_order(isqrt(len(pe))).to(pe.device))


def _of_first(layer: TwoWayAttentionBlock, pe: Tensor, mask_rows: Tensor) -> dict[str, Tensor]:
    reading, writing = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
    weight, bias = _stacked(reading.k_proj, writing.q_proj, reading.v_proj)
    offset = bias[:, None].repeat(1, len(pe))
    placed = len(weight) * 2 // 3  # keys and queries, not values
    offset[:placed] += weight[:placed] @ pe.T
    return {"first": weight, "first_offset": offset, "mask_first": mask_rows @ weight.T}


def _of_second(layer: TwoWayAttentionBlock, norm: nn.LayerNorm, pe: Tensor) -> dict[str, Tensor]:
    reading, writing = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
    weight, bias = _stacked(reading.k_proj, writing.q_proj, reading.v_proj)
    bias = bias + weight @ precise(norm.bias)
    placed, heads = len(weight) * 2 // 3, reading.heads
    offset = weight[:placed] @ pe.T + bias[:placed, None]
    return {
        "second": weight * precise(norm.weight),
        "second_offset": offset.view(2, heads, -1, len(pe)),
        "second_bias": bias[placed:].view(heads, 1, -1),
    }


def _of_last(
    transformer: TwoWayTransformer, upscaling: nn.ConvTranspose2d, pe: Tensor
) -> dict[str, Tensor]:
    reading, norm = transformer.final_attn_token_to_image, transformer.two_layers()[1].norm4
    weight, bias = _stacked(reading.k_proj, reading.v_proj)
    inner, heads = len(weight) // 2, reading.heads
    upscaled, upscaled_bias = as_linear(upscaling)
    norm_bias = precise(norm.bias)
    return {
        "last": torch.cat([weight, upscaled]) * precise(norm.weight),
        "last_offset": (weight[:inner] @ pe.T).view(heads, -1, len(pe)),
        "last_bias": (bias + weight @ norm_bias)[inner:].view(heads, 1, -1),
        "upscaled_bias": upscaled @ norm_bias + upscaled_bias,
    }


def _of_writing(one: TwoWayAttentionBlock, two: TwoWayAttentionBlock) -> dict[str, Tensor]:
    first, second = one.cross_attn_image_to_token, two.cross_attn_image_to_token
    second_bias = precise(second.out_proj.bias) + precise(one.norm4.bias)
    return {
        "first_added": centered(precise(first.out_proj.weight).T),
        "first_added_bias": centered(precise(first.out_proj.bias)) / first.heads,
        "second_added": centered(precise(second.out_proj.weight).T),
        "second_added_bias": centered(second_bias) / second.heads,
    }


def _of_image(constants: dict[str, Tensor], heads: int) -> dict[str, Tensor]:
    gain = precise(constants["gain"])

    def scaled(rows: Tensor) -> Tensor:
        return centered(rows * gain)

    def before(weight: Tensor) -> Tensor:
        """Read an image that is not yet scaled as `weight` reads it after that."""
        return centered(weight) * gain

    last, inner = constants["last"], len(constants["first_added"])
    first_added, second_added = constants["first_added"], constants["second_added"]
    first_bias, second_bias = (constants[f"{n}_added_bias"] * heads for n in ("first", "second"))
    rows = constants["mask_rows"]
    return {
        "of_image": torch.cat(
            [
                constants["second"],
                before(last[: 2 * inner]),
                first_added,
                before(scaled(first_added)),
                before(second_added),
                rows,
                before(scaled(rows)),
            ]
        ),
        "of_image_upscaled": before(last[2 * inner :]),
        "of_image_lengths": torch.stack(
            [first_bias, before(scaled(first_bias)), before(second_bias)]
        ),
    }


def _stacked(*layers: nn.Linear) -> tuple[Tensor, Tensor]:
    """Return the weights (n, C) and biases (n,) of linear layers, one below the other."""
    weight = torch.cat([precise(layer.weight) for layer in layers])
    return weight, torch.cat([precise(layer.bias) for layer in layers])


def as_linear(conv: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    """Return a 2 x 2 transposed convolution of stride 2 as weight (4 C', C) and bias (4 C',).

    As its stride is the size of its kernel, it is a linear layer per token.
    """
    assert conv.bias is not None
    weight = precise(conv.weight).permute(2, 3, 1, 0).flatten(0, 2)
    return weight, precise(conv.bias).repeat(4)


def pixel_order(side: int) -> Tensor:
    """Return the numbers of pixels, counted token by token, in the order of the image."""
    # Axes: row and column of the token, of its quarter, of the pixel in that.
    numbers = torch.arange(16 * side * side).view(side, side, 2, 2, 2, 2)
    return numbers.permute(0, 2, 4, 1, 3, 5).flatten()
