"""The networks as the papers draw them, without any of the short cuts of the package.

They share the weights of the networks under test and none of their arithmetic, so the two can
only agree if the short cuts are the same algebra. They are also what the benchmark exports.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


def attend(attention, query, key, value):
    def heads(x):
        return x.reshape(x.shape[0], x.shape[1], attention.heads, -1).transpose(1, 2)

    q = heads(attention.q_proj(query))
    k = heads(attention.k_proj(key))
    v = heads(attention.v_proj(value))
    weights = torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, dim=-1)
    return attention.out_proj((weights @ v).transpose(1, 2).flatten(2))


def two_way(transformer, image, image_pe, token_pe):
    tokens = token_pe
    for i, layer in enumerate(transformer.layers):
        if i == 0:
            tokens = attend(layer.self_attn, tokens, tokens, tokens)
        else:
            placed = tokens + token_pe
            tokens = tokens + attend(layer.self_attn, placed, placed, tokens)
        tokens = layer.norm1(tokens)
        attended = attend(
            layer.cross_attn_token_to_image, tokens + token_pe, image + image_pe, image
        )
        tokens = layer.norm2(tokens + attended)
        tokens = layer.norm3(tokens + layer.mlp(tokens))
        attended = attend(
            layer.cross_attn_image_to_token, image + image_pe, tokens + token_pe, tokens
        )
        image = layer.norm4(image + attended)
    attended = attend(
        transformer.final_attn_token_to_image, tokens + token_pe, image + image_pe, image
    )
    return transformer.norm_final_attn(tokens + attended), image


class PlainDecoder(nn.Module):
    """Published arithmetic on the weights of `sam`.

    Takes the image embedding (1, C, e, e), sparse embeddings (B, n, C) and dense embeddings
    (1, C, e, e) or (1, C, 1, 1); returns logits of all four masks and their predicted IoUs.
    """

    def __init__(self, sam):
        super().__init__()
        self.decoder = sam.mask_decoder
        self.register_buffer("image_pe", sam.prompt_encoder.image_pe()[None])

    def forward(self, image_embedding, sparse, dense):
        decoder = self.decoder
        batch, side = sparse.shape[0], image_embedding.shape[-1]
        output_tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])[None]
        token_pe = torch.cat([output_tokens.expand(batch, -1, -1), sparse], dim=1)
        image = (image_embedding + dense).flatten(2).transpose(1, 2).expand(batch, -1, -1)
        tokens, image = two_way(decoder.transformer, image, self.image_pe, token_pe)

        first, norm, _, second, _ = decoder.output_upscaling
        x = image.transpose(1, 2).reshape(batch, -1, side, side)
        x = F.conv_transpose2d(x, first.weight, first.bias, stride=2)
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + norm.eps)
        x = F.gelu(x * norm.weight[:, None, None] + norm.bias[:, None, None])
        x = F.gelu(F.conv_transpose2d(x, second.weight, second.bias, stride=2))
        mlps = decoder.output_hypernetworks_mlps
        hyper = torch.stack([mlp(tokens[:, 1 + i]) for i, mlp in enumerate(mlps)], dim=1)
        logits = (hyper @ x.flatten(2)).reshape(batch, -1, *x.shape[-2:])
        return logits, decoder.iou_prediction_head(tokens[:, 0])


def window_attention(attention, x):
    _, height, width, dim = x.shape
    side, heads = attention.window, attention.heads
    x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
    rows, columns = x.shape[1] // side, x.shape[2] // side
    x = x.reshape(rows, side, columns, side, dim).transpose(1, 2).reshape(-1, side * side, dim)
    x = attention.qkv(attention.norm(x)).reshape(-1, side * side, heads, 3, dim // heads)
    q, k, v = (x[:, :, :, i].transpose(1, 2) for i in range(3))
    bias = attention.attention_biases[:, attention.attention_bias_idxs]
    weights = torch.softmax(q @ k.transpose(-2, -1) * (dim // heads) ** -0.5 + bias, dim=-1)
    x = attention.proj((weights @ v).transpose(1, 2).reshape(-1, side * side, dim))
    x = x.reshape(rows, columns, side, side, dim).transpose(1, 2)
    return x.reshape(1, rows * side, columns * side, dim)[:, :height, :width]


def channels_norm(norm, x):
    x = F.layer_norm(x.permute(0, 2, 3, 1), norm.weight.shape, norm.weight, norm.bias, norm.eps)
    return x.permute(0, 3, 1, 2)


class PlainEncoder(nn.Module):
    """Published arithmetic on the weights of `sam`: (1, 3, S, S) to (1, C, S / 16, S / 16)."""

    def __init__(self, sam):
        super().__init__()
        self.encoder = sam.image_encoder

    def forward(self, x):
        encoder = self.encoder
        x = encoder.patch_embed.seq[2](F.gelu(encoder.patch_embed.seq[0](x)))
        for i, stage in enumerate(encoder.layers):
            for block in stage["blocks"]:
                x = self.transformer_block(block, x) if i else self.conv_block(block, x)
            if "downsample" in stage:
                x = F.gelu(stage["downsample"].conv1(x))
                x = F.gelu(stage["downsample"].conv2(x))
                x = stage["downsample"].conv3(x)
        x = channels_norm(encoder.neck[1], encoder.neck[0](x))
        return channels_norm(encoder.neck[3], encoder.neck[2](x))

    @staticmethod
    def conv_block(block, x):
        hidden = F.gelu(block.conv2(F.gelu(block.conv1(x))))
        return F.gelu(x + block.conv3(hidden))

    @staticmethod
    def transformer_block(block, x):
        tokens = x.permute(0, 2, 3, 1)
        tokens = tokens + window_attention(block.attn, tokens)
        tokens = block.local_conv(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        hidden = F.gelu(block.mlp.fc1(block.mlp.norm(tokens)))
        return (tokens + block.mlp.fc2(hidden)).permute(0, 3, 1, 2)
