"""Building models from the table of variants, and loading their weights."""

from pathlib import Path
from typing import overload

import torch
from torch import nn

from napari_sam.model.checkpoints.files import CheckpointError
from napari_sam.model.checkpoints.instance_decoders import (
    check_instance_decoder,
    load_instance_decoder,
)
from napari_sam.model.checkpoints.state_dicts import (
    Checkpoint,
    check_keys,
    check_values,
    read_checkpoint,
)
from napari_sam.model.checkpoints.variants import VARIANTS, SamConfig, detect_variant
from napari_sam.model.sam.mask_decoder import MaskDecoder
from napari_sam.model.sam.prompt_encoder import PromptEncoder
from napari_sam.model.sam.sam import Sam
from napari_sam.model.sam.tiny_vit import TinyViT
from napari_sam.model.sam.transformer import TwoWayTransformer
from napari_sam.model.sam.vit import ViT, ViTConfig
from napari_sam.model.sam2.config import Sam2Config
from napari_sam.model.sam2.sam2 import Sam2

DEFAULT_VARIANT = "vit_t"


def _image_encoder(config: SamConfig) -> nn.Module:
    shape = config.image_encoder
    if isinstance(shape, ViTConfig):
        return ViT(shape, config.image_size)
    return TinyViT(shape)


@overload
def build_model(config: SamConfig) -> Sam: ...


@overload
def build_model(config: Sam2Config) -> Sam2: ...


def build_model(config: SamConfig | Sam2Config) -> Sam | Sam2:
    """Build a model with random weights and separate batch-norms, as checkpoints store them."""
    if isinstance(config, Sam2Config):
        return Sam2(config)
    prompt_encoder = PromptEncoder(
        config.embed_dim, config.image_size, config.embedding_size, config.mask_channels
    )
    transformer = TwoWayTransformer(
        config.decoder_depth, config.embed_dim, config.decoder_heads, config.decoder_mlp_dim
    )
    mask_decoder = MaskDecoder(
        config.embed_dim, transformer, config.iou_head_depth, config.iou_head_hidden_dim
    )
    return Sam(_image_encoder(config), prompt_encoder, mask_decoder)


def load_model(variant: str | None = None, checkpoint: str | Path | None = None) -> Sam | Sam2:
    """Load a model, ready for inference, on the CPU.

    Parameters
    ----------
    variant : str, optional
        A key of `VARIANTS`, which names an architecture and not a file: MobileSAM is one of
        several ``"vit_t"``, SAM and MedSAM are ``"vit_b"``, SAM 2.1 and MedSAM2 ``"hiera_tiny"``.
        By default it is detected from the checkpoint.
    checkpoint : str or Path, optional
        A file or Hugging Face folder in any layout that `read_checkpoint` accepts. By default the
        weights inside the package: MobileSAM, a ``"vit_t"``.

    Returns
    -------
    Sam or Sam2
        In evaluation mode, without gradients, batch-norms folded into the convolutions, with the
        instance decoder of the checkpoint, if there is one.

    Raises
    ------
    ValueError
        If the variant is unknown.
    CheckpointError
        If the checkpoint is missing, unreadable, of another model, or has NaN or infinite
        values.
    """
    if variant is not None and variant not in VARIANTS:
        raise ValueError(
            f"Unknown model variant {variant!r}; choose one of {', '.join(VARIANTS)}. For another "
            "model, pass the path of its file as 'checkpoint'."
        )
    path = Path(checkpoint) if checkpoint is not None else _embedded(variant or DEFAULT_VARIANT)
    found = read_checkpoint(path)
    detected, config = detect_variant(found.state_dict, path)
    if variant not in (None, detected):
        raise CheckpointError(
            f"{path} is a {detected}, not a {variant}. Omit the variant to detect it."
        )
    model = build_model(config)
    model.load_state_dict(check_keys(model, found.state_dict, path, config.ignored_prefixes))
    model.fold()
    check_values(model.state_dict(), path)
    model.take_instance_decoder(load_instance_decoder(found, path, config.embed_dim))
    return model.eval().requires_grad_(False)


def _embedded(variant: str) -> Path:
    path = VARIANTS[variant].bundled_checkpoint
    if path is None:
        raise CheckpointError(
            f"This package contains no weights for the variant {variant!r}; download a checkpoint "
            "and pass its path as 'checkpoint'."
        )
    return path


def check_complete(checkpoint: Checkpoint, source: str | Path) -> str:
    """Return the variant of a checkpoint after checking all keys and shapes, without loading it.

    Raises
    ------
    CheckpointError
        If it is of no known variant, or keys are missing, unexpected, or of another shape or type.
    """
    variant, config = detect_variant(checkpoint.state_dict, source)
    with torch.device("meta"):
        model = build_model(config)
    check_keys(model, checkpoint.state_dict, source, config.ignored_prefixes)
    return variant


def check_loadable(checkpoint: Checkpoint, source: str | Path) -> str:
    """Return the variant of a checkpoint after checking it and its instance decoder.

    Raises
    ------
    CheckpointError
        As `check_complete` and `check_instance_decoder`.
    """
    variant = check_complete(checkpoint, source)
    check_instance_decoder(checkpoint, source, VARIANTS[variant].embed_dim)
    return variant
