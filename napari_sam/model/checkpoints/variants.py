"""The variants of SAM, and how to detect them from weights."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from napari_sam.model.checkpoints.files import CheckpointError, name_some
from napari_sam.model.instance_decoder.config import is_instance_decoder
from napari_sam.model.sam.config import SegmentAnythingConfig
from napari_sam.model.sam.tiny_vit import TinyViTConfig
from napari_sam.model.sam.vit import ViTConfig
from napari_sam.model.sam2.config import SAM2_VARIANTS, Sam2Config

WEIGHTS = Path(__file__).parents[1] / "weights"
_TRUNK = "image_encoder.trunk."
"""What the names of SAM 2's image encoder begin with."""
STEM_STRIDE = 4  # of the first two convolutions of TinyViT


@dataclass(frozen=True)
class SamConfig(SegmentAnythingConfig[TinyViTConfig | ViTConfig]):
    """The shape of a variant of SAM."""

    @property
    def patch_px(self) -> int:
        """Input pixels per cell of the image embedding, along each side."""
        encoder = self.image_encoder
        if isinstance(encoder, ViTConfig):
            return encoder.patch_px
        return STEM_STRIDE * math.prod(encoder.strides)


VARIANTS: dict[str, SamConfig | Sam2Config] = {
    "vit_t": SamConfig(
        TinyViTConfig(),
        bundled_checkpoint=WEIGHTS / "mobile_sam.safetensors",
        ignored_prefixes=("image_encoder.norm_head.", "image_encoder.head."),
    ),
    "vit_b": SamConfig(ViTConfig(dim=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11))),
    "vit_l": SamConfig(ViTConfig(dim=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23))),
    "vit_h": SamConfig(ViTConfig(dim=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31))),
    **SAM2_VARIANTS,
}


def detect_variant(
    state_dict: Mapping[str, Tensor], source: str | Path
) -> tuple[str, SamConfig | Sam2Config]:
    """Detect the variant of a model from the shapes of its weights.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Published key names.
    source : str or Path
        Named in messages.

    Returns
    -------
    tuple of str and SamConfig or Sam2Config
        A key of `VARIANTS`, and its value for the input size and the parts of the weights.

    Raises
    ------
    CheckpointError
        If the weights are of no known variant.
    """
    if any(key.startswith("image_encoder.layers.") for key in state_dict):
        return "vit_t", VARIANTS["vit_t"]
    if any(key.startswith(_TRUNK) for key in state_dict):
        return _detect_sam2(state_dict, source)
    if is_instance_decoder(state_dict):
        raise CheckpointError(
            f"{source} is an instance decoder of micro-sam, not a model. Choose the model's file "
            "with this one beside it: X_decoder.pt beside X.pt."
        )
    patches = state_dict.get("image_encoder.patch_embed.proj.weight")
    if patches is None or patches.ndim != 4:
        raise CheckpointError(
            f"{source} is not a Segment Anything model: it has no known image encoder (its first "
            f"keys are {name_some(state_dict)}). Choose a checkpoint of SAM, SAM 2.1, MobileSAM, "
            "MedSAM or micro-sam."
        )
    for name, config in VARIANTS.items():
        encoder = config.image_encoder
        if not isinstance(config, SamConfig) or not isinstance(encoder, ViTConfig):
            continue
        if encoder.dim == patches.shape[0]:
            return name, replace(config, image_size=_image_size(state_dict, config))
    raise CheckpointError(
        f"{source} has an image encoder of {patches.shape[0]} channels, unlike the supported "
        f"variants {', '.join(VARIANTS)}. Choose a checkpoint of one of them."
    )


def _detect_sam2(state_dict: Mapping[str, Tensor], source: str | Path) -> tuple[str, Sam2Config]:
    """Detect a variant of SAM 2.1, and whether it is made for sequences."""
    patches = state_dict.get(f"{_TRUNK}patch_embed.proj.weight")
    dim = 0 if patches is None or patches.ndim != 4 else patches.shape[0]
    found = (re.match(rf"{re.escape(_TRUNK)}blocks\.(\d+)\.", key) for key in state_dict)
    depth = 1 + max((int(block[1]) for block in found if block), default=-1)
    for name, config in VARIANTS.items():
        if not isinstance(config, Sam2Config):
            continue
        encoder = config.image_encoder
        if (encoder.dim, sum(encoder.depths)) == (dim, depth):
            has_memory = any(key.startswith("memory_attention.") for key in state_dict)
            if has_memory and "no_obj_embed_spatial" not in state_dict:
                raise CheckpointError(
                    f"{source} is of SAM 2, the version before SAM 2.1, which is not supported. "
                    f"Choose {name} of SAM 2.1; 'napari-sam models' lists it."
                )
            return name, config if has_memory else replace(config, memory=None)
    raise CheckpointError(
        f"{source} has a Hiera encoder of {dim} channels and {depth} blocks, unlike the supported "
        f"variants {', '.join(SAM2_VARIANTS)}. Choose a checkpoint of one of them."
    )


def _image_size(state_dict: Mapping[str, Tensor], config: SamConfig) -> int:
    positions = state_dict.get("image_encoder.pos_embed")
    if positions is None or positions.ndim != 4:
        return config.image_size  # loading names the missing key
    rows, columns = positions.shape[1:3]
    # Otherwise loading names the misshapen key.
    return rows * config.patch_px if rows == columns > 0 else config.image_size
