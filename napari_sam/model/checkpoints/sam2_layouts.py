"""The names of SAM 2's weights in Hugging Face's checkpoints, and the published names.

The two directions are exact inverses. Hugging Face stores the embeddings of the kinds of points as
one tensor, and the positional encoding twice.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

import torch
from torch import Tensor

from napari_sam.model.checkpoints.layouts import POSITION_KEYS

_DEEP_MLPS: Final = (
    ("sam_mask_decoder.iou_prediction_head", "mask_decoder.iou_prediction_head"),
    ("sam_mask_decoder.pred_obj_score_head", "mask_decoder.pred_obj_score_head"),
    (
        "sam_mask_decoder.output_hypernetworks_mlps.{n}",
        "mask_decoder.output_hypernetworks_mlps.{n}",
    ),
    ("obj_ptr_proj", "object_pointer_proj"),
)
_BLOCKS: Final = (
    ("image_encoder.trunk.blocks.{n}", "vision_encoder.backbone.blocks.{n}"),
    ("sam_mask_decoder.transformer.layers.{n}", "mask_decoder.transformer.layers.{n}"),
    ("memory_attention.layers.{n}", "memory_attention.layers.{n}"),
)
_DOWNSAMPLER: Final = "memory_encoder.mask_downsampler"
_FUSER: Final = ("memory_encoder.fuser.layers.{n}", "memory_encoder.memory_fuser.layers.{n}")

# Published name and Hugging Face name, the more special first; each also stands for names that
# continue after a dot. {n} and {k} are numbers, {a} is one word.
_PAIRS: Final[tuple[tuple[str, str], ...]] = (
    *((f"{ours}.layers.0", f"{theirs}.proj_in") for ours, theirs in _DEEP_MLPS),
    *((f"{ours}.layers.1", f"{theirs}.layers.0") for ours, theirs in _DEEP_MLPS),
    *((f"{ours}.layers.2", f"{theirs}.proj_out") for ours, theirs in _DEEP_MLPS),
    *((f"{ours}.norm{{k}}", f"{theirs}.layer_norm{{k}}") for ours, theirs in _BLOCKS),
    *((f"{ours}.mlp.layers.0", f"{theirs}.mlp.proj_in") for ours, theirs in _BLOCKS[:2]),
    *((f"{ours}.mlp.layers.1", f"{theirs}.mlp.proj_out") for ours, theirs in _BLOCKS[:2]),
    *((f"{ours}.{{a}}.out_proj", f"{theirs}.{{a}}.o_proj") for ours, theirs in _BLOCKS[1:]),
    *_BLOCKS,
    ("image_encoder.trunk.patch_embed.proj", "vision_encoder.backbone.patch_embed.projection"),
    ("image_encoder.trunk", "vision_encoder.backbone"),
    ("image_encoder.neck.convs.{n}.conv", "vision_encoder.neck.convs.{n}"),
    ("sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", POSITION_KEYS[0]),
    ("sam_prompt_encoder.mask_downscaling.0", "prompt_encoder.mask_embed.conv1"),
    ("sam_prompt_encoder.mask_downscaling.1", "prompt_encoder.mask_embed.layer_norm1"),
    ("sam_prompt_encoder.mask_downscaling.3", "prompt_encoder.mask_embed.conv2"),
    ("sam_prompt_encoder.mask_downscaling.4", "prompt_encoder.mask_embed.layer_norm2"),
    ("sam_prompt_encoder.mask_downscaling.6", "prompt_encoder.mask_embed.conv3"),
    ("sam_prompt_encoder", "prompt_encoder"),
    (
        "sam_mask_decoder.transformer.final_attn_token_to_image.out_proj",
        "mask_decoder.transformer.final_attn_token_to_image.o_proj",
    ),
    (
        "sam_mask_decoder.transformer.norm_final_attn",
        "mask_decoder.transformer.layer_norm_final_attn",
    ),
    ("sam_mask_decoder.output_upscaling.0", "mask_decoder.upscale_conv1"),
    ("sam_mask_decoder.output_upscaling.1", "mask_decoder.upscale_layer_norm"),
    ("sam_mask_decoder.output_upscaling.3", "mask_decoder.upscale_conv2"),
    ("sam_mask_decoder", "mask_decoder"),
    ("memory_attention.norm", "memory_attention.layer_norm"),
    *((f"{_DOWNSAMPLER}.encoder.{3 * i}", f"{_DOWNSAMPLER}.layers.{i}.conv") for i in range(4)),
    *(
        (f"{_DOWNSAMPLER}.encoder.{3 * i + 1}", f"{_DOWNSAMPLER}.layers.{i}.layer_norm")
        for i in range(4)
    ),
    (f"{_DOWNSAMPLER}.encoder.12", f"{_DOWNSAMPLER}.final_conv"),
    ("memory_encoder.pix_feat_proj", "memory_encoder.feature_projection"),
    ("memory_encoder.out_proj", "memory_encoder.projection"),
    (f"{_FUSER[0]}.gamma", f"{_FUSER[1]}.scale"),
    (f"{_FUSER[0]}.dwconv", f"{_FUSER[1]}.depthwise_conv"),
    (f"{_FUSER[0]}.norm", f"{_FUSER[1]}.layer_norm"),
    (f"{_FUSER[0]}.pwconv{{k}}", f"{_FUSER[1]}.pointwise_conv{{k}}"),
    ("obj_ptr_tpos_proj", "temporal_positional_encoding_projection_layer"),
    ("maskmem_tpos_enc", "memory_temporal_positional_encoding"),
    ("no_mem_embed", "no_memory_embedding"),
    ("no_mem_pos_enc", "no_memory_positional_encoding"),
    ("no_obj_ptr", "no_object_pointer"),
    ("no_obj_embed_spatial", "occlusion_spatial_embedding_parameter"),
)
_OUR_POINT: Final = "sam_prompt_encoder.point_embeddings.{}.weight"
_THEIR_POINTS: Final = "prompt_encoder.point_embed.weight"
_POINT_KINDS: Final = 4


def is_hugging_face_2(names: Iterable[str]) -> bool:
    """Whether these are names of transformers' ``Sam2Model`` or ``Sam2VideoModel``."""
    return any(name.startswith("vision_encoder.backbone.") for name in names)


def from_hugging_face_2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the entries of a ``Sam2Model`` or ``Sam2VideoModel``; unknown names stay."""
    entries = dict(state)
    copy = entries.pop(POSITION_KEYS[1], None)
    if copy is not None:
        entries.setdefault(POSITION_KEYS[0], copy)
    points = entries.pop(_THEIR_POINTS, None)
    renamed = {_renamed(name, to_ours=True): tensor for name, tensor in entries.items()}
    if points is not None:
        parts = enumerate(torch.split(points, 1))
        renamed |= {_OUR_POINT.format(kind): part for kind, part in parts}
    return renamed


def to_hugging_face_2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the published entries to those of a ``Sam2VideoModel``, or of a ``Sam2Model``."""
    entries = dict(state)
    points = [entries.pop(_OUR_POINT.format(kind)) for kind in range(_POINT_KINDS)]
    renamed = {_renamed(name, to_ours=False): tensor for name, tensor in entries.items()}
    renamed[POSITION_KEYS[1]] = renamed[POSITION_KEYS[0]].clone()
    return renamed | {_THEIR_POINTS: torch.cat(points)}


def _renamed(name: str, *, to_ours: bool) -> str:
    """Replace the beginning of a dotted name by the first matching pair."""
    for pattern, replacement in _patterns(to_ours):
        if match := pattern.fullmatch(name):
            return replacement.format(**match.groupdict()) + match["rest"]
    return name


@cache
def _patterns(to_ours: bool) -> list[tuple[re.Pattern[str], str]]:
    pairs = ((theirs, ours) if to_ours else (ours, theirs) for ours, theirs in _PAIRS)
    return [(re.compile(_expression(old)), new) for old, new in pairs]


def _expression(template: str) -> str:
    numbered = re.sub(r"\\\{([nk])\\\}", r"(?P<\1>\\d+)", re.escape(template))
    named = re.sub(r"\\\{a\\\}", r"(?P<a>\\w+)", numbered)
    return rf"{named}(?P<rest>(\..*)?)"
