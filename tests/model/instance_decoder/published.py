"""The instance decoder as it is described: names and shapes of its weights, and step by step."""

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812

from napari_sam.model import Predictor

EMBED_DIM, WIDTH = 256, 64


def published_shapes(is_transposed, embed_dim=EMBED_DIM, width=WIDTH):
    """Return the shapes of all weights by their published names."""
    widths = [8 * width, 4 * width, 2 * width, width]
    shapes = {}

    def conv(name, given, made, side):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (made, given, side, side), (made,)

    def sampler(name, given, made):
        if is_transposed:
            shapes[f"{name}.block.weight"] = (given, made, 2, 2)
            shapes[f"{name}.block.bias"] = (made,)
        else:
            conv(f"{name}.conv", given, made, 1)

    def block(name, given, made):
        conv(f"{name}.block.1", given, made, 3)
        conv(f"{name}.block.4", made, made, 3)

    for number, (given, made) in enumerate(
        zip([embed_dim, *widths[:3]], widths, strict=True), start=1
    ):
        name = f"deconv{number}.block"
        sampler(f"{name}.0", given, made)
        conv(f"{name}.1.block", made, made, 3)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.2.{part}"] = (made,)
        shapes[f"{name}.2.num_batches_tracked"] = ()
    block("base", embed_dim, widths[0])
    for number, (given, made) in enumerate(pairwise(widths)):
        sampler(f"decoder.samplers.{number}", given, made)
        block(f"decoder.blocks.{number}", given, made)
    sampler("deconv_out", width, width)
    block("decoder_head", 2 * width, width)
    conv("out_conv", width, 3, 1)
    return shapes


def random_state(is_transposed, embed_dim=EMBED_DIM, width=WIDTH):
    """Return random weights, large enough for maps with contrast."""
    generator = torch.Generator().manual_seed(1)
    state = {}
    for name, shape in published_shapes(is_transposed, embed_dim, width).items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = 0.5 + torch.rand(shape, generator=generator)
        else:
            fan = shape[1] * shape[2] * shape[3] if len(shape) == 4 else 4
            state[name] = torch.randn(shape, generator=generator) * (2 / fan) ** 0.5
    return state


def balanced_decoder(embedding):
    """Return random weights of a small decoder, which finds some objects in an image.

    Each map is as often above a half as below, in the image with this embedding (C, e, e).
    """
    state = random_state(False, len(embedding), 4)
    medians = published_maps(state, embedding).flatten(1).median(dim=1).values
    state["out_conv.bias"] -= torch.logit(medians)
    return state


def save_model(folder, model, image):
    """Write a model as micro-sam's training does, with a decoder that finds objects in an image."""
    path = folder / "cells.pt"
    named = {f"sam.{name}": value for name, value in model.state_dict().items()}
    embedding = Predictor(model, device="cpu").encode(image).image_embedding
    torch.save({"model_state": named, "decoder_state": balanced_decoder(embedding)}, path)
    return path


def published_maps(state, embedding):
    """Compute the maps (3, 16 e, 16 e) of an embedding (C, e, e)."""
    is_transposed = "deconv_out.block.weight" in state

    def conv(x, name, padding):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    def sampler(x, name):
        if is_transposed:
            weight, bias = state[f"{name}.block.weight"], state[f"{name}.block.bias"]
            return F.conv_transpose2d(x, weight, bias, stride=2)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return conv(x, f"{name}.conv", 0)

    def block(x, name):
        for number in (1, 4):
            mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), False, keepdim=True)
            x = F.relu(conv((x - mean) / torch.sqrt(variance + 1e-5), f"{name}.block.{number}", 1))
        return x

    def deconv(x, name):
        x = conv(sampler(x, f"{name}.block.0"), f"{name}.block.1.block", 1)
        parts = (state[f"{name}.block.2.{part}"][:, None, None] for part in _NORM)
        mean, variance, weight, bias = parts
        return F.relu((x - mean) / torch.sqrt(variance + 1e-5) * weight + bias)

    finer, x = embedding[None], block(embedding[None], "base")
    skipped = []
    for number in range(1, 5):
        finer = deconv(finer, f"deconv{number}")
        skipped.append(finer)
    for number in range(3):
        x = sampler(x, f"decoder.samplers.{number}")
        skip = skipped[number]
        outer = (skip.shape[1] - x.shape[1]) // 2
        x = block(
            torch.cat([x, skip[:, outer : outer + x.shape[1]]], 1), f"decoder.blocks.{number}"
        )
    x = torch.cat([sampler(x, "deconv_out"), skipped[3]], 1)
    return torch.sigmoid(conv(block(x, "decoder_head"), "out_conv", 0))[0]


_NORM = ("running_mean", "running_var", "weight", "bias")
