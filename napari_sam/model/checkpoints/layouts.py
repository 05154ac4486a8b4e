"""The names of weights in checkpoints of other software, and the published names used here.

Names are mapped to names; tensors stay the same, so the two directions are exact inverses.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

PREFIXES = ("module.", "_orig_mod.", "model.", "sam.")
"""What training puts before all names: data parallelism, compilation, Lightning, micro-sam."""
_MAX_PREFIXES = 8

POSITION_KEYS = (
    "shared_image_embedding.positional_embedding",
    "prompt_encoder.shared_embedding.positional_embedding",
)
"""Where Hugging Face stores the positional encoding: at the first, at the second, or at both."""
_POSITIONS, _SHARED_POSITIONS = POSITION_KEYS

# Published name and Hugging Face name; each also stands for names that continue after a dot.
_HUGGING_FACE: tuple[tuple[str, str], ...] = (
    ("image_encoder.pos_embed", "vision_encoder.pos_embed"),
    ("image_encoder.patch_embed.proj", "vision_encoder.patch_embed.projection"),
    ("image_encoder.blocks", "vision_encoder.layers"),
    ("image_encoder.neck.0", "vision_encoder.neck.conv1"),
    ("image_encoder.neck.1", "vision_encoder.neck.layer_norm1"),
    ("image_encoder.neck.2", "vision_encoder.neck.conv2"),
    ("image_encoder.neck.3", "vision_encoder.neck.layer_norm2"),
    ("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", _POSITIONS),
    ("prompt_encoder.point_embeddings", "prompt_encoder.point_embed"),
    ("prompt_encoder.mask_downscaling.0", "prompt_encoder.mask_embed.conv1"),
    ("prompt_encoder.mask_downscaling.1", "prompt_encoder.mask_embed.layer_norm1"),
    ("prompt_encoder.mask_downscaling.3", "prompt_encoder.mask_embed.conv2"),
    ("prompt_encoder.mask_downscaling.4", "prompt_encoder.mask_embed.layer_norm2"),
    ("prompt_encoder.mask_downscaling.6", "prompt_encoder.mask_embed.conv3"),
    (
        "mask_decoder.transformer.norm_final_attn",
        "mask_decoder.transformer.layer_norm_final_attn",
    ),
    ("mask_decoder.output_upscaling.0", "mask_decoder.upscale_conv1"),
    ("mask_decoder.output_upscaling.1", "mask_decoder.upscale_layer_norm"),
    ("mask_decoder.output_upscaling.3", "mask_decoder.upscale_conv2"),
)
_BLOCK = r"(image_encoder\.blocks\.\d+|mask_decoder\.transformer\.layers\.\d+)\."
_OUR_NORM = re.compile(_BLOCK + r"norm(\d)\.")
_THEIR_NORM = re.compile(_BLOCK + r"layer_norm(\d)\.")
# The MLPs of the decoder: Hugging Face names the first and last layers, Meta numbers all.
_MLP = r"(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\."
_NUMBERED = re.compile(_MLP + r"layers\.(\d{1,4})\.")
_FIRST = re.compile(_MLP + r"proj_in\.")
_LAST = re.compile(_MLP + r"proj_out\.")


def is_hugging_face(names: Iterable[str]) -> bool:
    """Whether these are names of transformers' ``SamModel``."""
    return any(name.startswith("vision_encoder.") for name in names)


def to_published(state: Mapping[str, T]) -> dict[str, T]:
    """Return the entries under their published names, from any known layout.

    Examples
    --------
    >>> to_published({"vision_encoder.layers.0.layer_norm1.bias": 1})
    {'image_encoder.blocks.0.norm1.bias': 1}
    >>> to_published({"module.sam.image_encoder.pos_embed": 1})
    {'image_encoder.pos_embed': 1}
    >>> to_published({"image_encoder.pos_embed": 1})
    {'image_encoder.pos_embed': 1}
    """
    state = without_prefixes(state)
    if is_hugging_face(state):
        return from_hugging_face(state)
    return dict(state)


def without_prefixes(state: Mapping[str, T]) -> Mapping[str, T]:
    """Remove the prefixes that all names have."""
    for _ in range(_MAX_PREFIXES):
        prefix = next((prefix for prefix in PREFIXES if _all_begin_with(prefix, state)), "")
        if not prefix:
            break
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _all_begin_with(prefix: str, names: Iterable[str]) -> bool:
    return all(name.startswith(prefix) for name in names)


def from_hugging_face(state: Mapping[str, T]) -> dict[str, T]:
    """Rename the entries of a ``SamModel``; unknown names stay.

    Depending on the version, the positional encoding is stored once or twice; a second copy is
    dropped.
    """
    entries = dict(state)
    if _SHARED_POSITIONS in entries:
        shared = entries.pop(_SHARED_POSITIONS)
        entries.setdefault(_POSITIONS, shared)
    renamed = {_published_name(name): value for name, value in entries.items()}
    depths = _mlp_depths(renamed)
    return {
        _LAST.sub(lambda found: f"{found[1]}.layers.{depths.get(found[1], 0) + 1}.", name): value
        for name, value in renamed.items()
    }


def to_hugging_face(state: Mapping[str, T]) -> dict[str, T]:
    """Rename the published entries of a ViT-B, ViT-L or ViT-H to those of a ``SamModel``."""
    depths = _mlp_depths(state)
    return {_hugging_face_name(name, depths): value for name, value in state.items()}


def _mlp_depths(names: Iterable[str]) -> dict[str, int]:
    """Return the index of the last layer of each MLP of the decoder."""
    depths: dict[str, int] = {}
    for name in names:
        if found := _NUMBERED.match(name):
            depths[found[1]] = max(depths.get(found[1], 0), int(found[2]))
    return depths


def _published_name(name: str) -> str:
    """Rename everything except the last layers of MLPs, which depend on all names."""
    name = _exchange(name, ((theirs, ours) for ours, theirs in _HUGGING_FACE))
    name = _THEIR_NORM.sub(r"\1.norm\2.", name)
    name = _NUMBERED.sub(lambda found: f"{found[1]}.layers.{int(found[2]) + 1}.", name)
    return _FIRST.sub(r"\1.layers.0.", name)


def _hugging_face_name(name: str, depths: Mapping[str, int]) -> str:
    def mlp_layer(found: re.Match[str]) -> str:
        number = int(found[2])
        if number == 0:
            return f"{found[1]}.proj_in."
        if number == depths[found[1]]:
            return f"{found[1]}.proj_out."
        return f"{found[1]}.layers.{number - 1}."

    name = _NUMBERED.sub(mlp_layer, name)
    name = _OUR_NORM.sub(r"\1.layer_norm\2.", name)
    return _exchange(name, _HUGGING_FACE)


def _exchange(name: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Replace the beginning of a dotted name by the first matching pair."""
    for old, new in pairs:
        if name == old or name.startswith(f"{old}."):
            return new + name[len(old) :]
    return name
