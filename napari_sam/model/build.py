"""Building models: one table of variants, one function that puts the parts together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from napari_sam.model.checkpoints import CheckpointError, load_strictly, read_state_dict
from napari_sam.model.common import fold_batch_norms
from napari_sam.model.mask_decoder import MaskDecoder
from napari_sam.model.prompt_encoder import PromptEncoder
from napari_sam.model.sam import Sam
from napari_sam.model.tiny_vit import TinyViT, TinyViTConfig
from napari_sam.model.transformer import TwoWayTransformer
from napari_sam.model.vit import ViT, ViTConfig

PATCH_PX = 16  # input pixels per cell of the image embedding, the same in all variants
WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class SamConfig:
    """Everything that distinguishes one variant from another.

    Attributes
    ----------
    image_encoder : TinyViTConfig or ViTConfig
        Shape of the image encoder; its type tells the architecture.
    embedded_checkpoint : Path or None
        The file that ships inside the package.
    ignored_prefixes : tuple of str
        Keys that published checkpoints carry and SAM never uses.
    image_size : int
        Side of the square input, in pixels.
    embed_dim, mask_channels : int
        Widths of the embeddings and of the mask encoder.
    decoder_depth, decoder_heads, decoder_mlp_dim : int
        Shape of the mask decoder's transformer.
    iou_head_depth, iou_head_hidden_dim : int
        Shape of the MLP that predicts the masks' quality.
    """

    image_encoder: TinyViTConfig | ViTConfig
    embedded_checkpoint: Path | None = None
    ignored_prefixes: tuple[str, ...] = ()
    image_size: int = 1024
    embed_dim: int = 256
    mask_channels: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256


VARIANTS: dict[str, SamConfig] = {
    "vit_t": SamConfig(
        TinyViTConfig(),
        embedded_checkpoint=WEIGHTS / "mobile_sam.safetensors",
        ignored_prefixes=("image_encoder.norm_head.", "image_encoder.head."),
    ),
    "vit_b": SamConfig(ViTConfig(dim=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11))),
    "vit_l": SamConfig(ViTConfig(dim=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23))),
    "vit_h": SamConfig(ViTConfig(dim=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31))),
}


def _image_encoder(config: SamConfig) -> nn.Module:
    shape = config.image_encoder
    if isinstance(shape, ViTConfig):
        return ViT(shape, config.image_size)
    return TinyViT(shape)


def build_model(config: SamConfig) -> Sam:
    """Build a model with fresh weights, batch-norms still apart, as checkpoints store them."""
    prompt_encoder = PromptEncoder(
        config.embed_dim, config.image_size, config.image_size // PATCH_PX, config.mask_channels
    )
    transformer = TwoWayTransformer(
        config.decoder_depth, config.embed_dim, config.decoder_heads, config.decoder_mlp_dim
    )
    mask_decoder = MaskDecoder(
        config.embed_dim, transformer, config.iou_head_depth, config.iou_head_hidden_dim
    )
    return Sam(_image_encoder(config), prompt_encoder, mask_decoder)


def load_model(variant: str = "vit_t", checkpoint: str | Path | None = None) -> Sam:
    """Load a model, ready for inference, on the CPU.

    Parameters
    ----------
    variant : str
        A key of `VARIANTS`.
    checkpoint : str or Path, optional
        A ``.safetensors`` file or a published ``.pt`` / ``.pth`` file. Without it, the weights
        that ship inside the package are used.

    Returns
    -------
    Sam
        In evaluation mode, without gradients, batch-norms folded into the convolutions.

    Raises
    ------
    ValueError
        If there is no such variant.
    CheckpointError
        If the checkpoint is missing, unreadable, or of another model.
    """
    if variant not in VARIANTS:
        raise ValueError(f"No model variant {variant!r}; choose one of {', '.join(VARIANTS)}.")
    config = VARIANTS[variant]
    path = config.embedded_checkpoint if checkpoint is None else Path(checkpoint)
    if path is None:
        raise CheckpointError(
            f"No weights for {variant!r} ship with this package; "
            "download its checkpoint and pass the path as `checkpoint`."
        )
    model = build_model(config)
    load_strictly(model, read_state_dict(path), path, config.ignored_prefixes)
    fold_batch_norms(model)
    return model.eval().requires_grad_(False)
