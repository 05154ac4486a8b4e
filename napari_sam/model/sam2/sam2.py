"""SAM 2.1 as a whole.

Source: N. Ravi et al., "SAM 2: Segment Anything in Images and Videos" (ICLR 2025,
arXiv:2408.00714), section 4 and appendix D.1.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from napari_sam.engine.protocols import ProgressCallback
from napari_sam.model.sam.base import IMAGE_EMBEDDING, SegmentAnything
from napari_sam.model.sam.common import MLP
from napari_sam.model.sam.factored import FactoredTransformer, ImageTokens
from napari_sam.model.sam.single import SingleTokens
from napari_sam.model.sam.transformer import TwoWayTransformer
from napari_sam.model.sam2.config import MemoryConfig, Sam2Config
from napari_sam.model.sam2.hiera import FpnNeck, ImageEncoder
from napari_sam.model.sam2.mask_decoder import (
    FINE,
    FINEST,
    FineImageTokens,
    FineSingleTokens,
    Sam2MaskDecoder,
    finer_rows,
)
from napari_sam.model.sam2.memory_attention import MemoryAttention
from napari_sam.model.sam2.memory_encoder import MemoryEncoder
from napari_sam.model.sam2.prompt_encoder import Sam2PromptEncoder


class Sam2(SegmentAnything):
    """Image encoder, prompt encoder, mask decoder, and what remembers other slices.

    Parameters
    ----------
    config : Sam2Config
        Its shape.
    """

    map_names: ClassVar[tuple[str, ...]] = (IMAGE_EMBEDDING, FINE, FINEST)
    upscales_at_once: ClassVar[bool] = True

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        dim = config.embed_dim
        self.config = config
        self.image_encoder = ImageEncoder(config.image_encoder, dim)
        self.sam_prompt_encoder = Sam2PromptEncoder(
            dim, config.image_size, config.embedding_size, config.mask_channels
        )
        transformer = TwoWayTransformer(
            *(config.decoder_depth, dim, config.decoder_heads, config.decoder_mlp_dim),
            make_mlp=lambda width, hidden: MLP(width, hidden, width, depth=2),
        )
        self.sam_mask_decoder = Sam2MaskDecoder(
            dim, transformer, config.iou_head_depth, config.iou_head_hidden_dim
        )
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, dim))
        if config.memory is not None:
            self._add_memory(config.memory)

    def _add_memory(self, memory: MemoryConfig) -> None:
        """Add what sequences need, under the published names."""
        dim, side = self.config.embed_dim, self.config.embedding_size
        self.memory_attention = MemoryAttention(dim, side, memory)
        self.memory_encoder = MemoryEncoder(dim, memory)
        self.maskmem_tpos_enc = nn.Parameter(torch.zeros(memory.slots, 1, 1, memory.dim))
        self.no_mem_pos_enc = nn.Parameter(torch.zeros(1, 1, dim))  # published, and not used
        self.no_obj_ptr = nn.Parameter(torch.zeros(1, dim))
        self.no_obj_embed_spatial = nn.Parameter(torch.zeros(1, memory.dim))
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.obj_ptr_proj = MLP(dim, dim, dim, depth=3)
        self.obj_ptr_tpos_proj = nn.Linear(dim, memory.dim)

    @property
    def prompts(self) -> Sam2PromptEncoder:
        """The prompt encoder."""
        return self.sam_prompt_encoder

    @property
    def decoder(self) -> Sam2MaskDecoder:
        """The mask decoder."""
        return self.sam_mask_decoder

    @property
    def map_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the maps that `encode` gives."""
        (whole,) = super().map_shapes
        channels, side, _ = whole
        fine, finest = (channels // 4, 2 * side, 2 * side), (channels // 8, 4 * side, 4 * side)
        return whole, fine, finest

    def encode(self, image: Tensor, on_block: ProgressCallback | None = None) -> tuple[Tensor, ...]:
        """Encode a normalized, padded image (1, 3, S, S): its three maps, (C, H, W) each.

        The finer maps are what the decoder adds to its own, with an eighth and a quarter of the
        channels that the feature pyramid has: all that is needed of them, in the smallest form.
        """
        stages = self.image_encoder.trunk(image, on_block)
        maps = finished_maps(self.image_encoder.neck, self.sam_mask_decoder, stages)
        return tuple(part[0].permute(2, 0, 1) for part in maps)

    @property
    def dense_offset(self) -> Tensor:
        """That nothing is remembered, (1, C) float32."""
        return self.no_mem_embed[0].float()

    def prepare(self, maps: tuple[Tensor, ...], factored: FactoredTransformer) -> ImageTokens:
        """Do the work that all prompts share; see `SegmentAnything.prepare`."""
        tokens = super().prepare(maps, factored)
        fine, finest = finer_rows(maps[1:])
        return FineImageTokens(**vars(tokens), fine=fine, finest=finest)

    def single_tokens(
        self, maps: tuple[Tensor, ...], columns: Tensor | None, wanted: Tensor
    ) -> SingleTokens:
        """Return what decodes the only prompt; see `SegmentAnything.single_tokens`."""
        tokens = super().single_tokens(maps, columns, wanted)
        length, finer = len(tokens.tokens), finer_rows(maps[1:])
        rows = (part.view(length, -1, part.shape[1])[wanted].flatten(0, 1) for part in finer)
        return FineSingleTokens(tokens.tokens, wanted, *rows)

    def encoding_state(self) -> dict[str, Tensor]:
        """Return the weights of the image encoder, and of the layers that finish its maps."""
        decoder = self.sam_mask_decoder
        finishing = {"conv_s0": decoder.conv_s0, "conv_s1": decoder.conv_s1}
        return self.image_encoder.state_dict() | {
            f"{name}.{part}": tensor
            for name, conv in finishing.items()
            for part, tensor in conv.state_dict().items()
        }

    def compute_in(self, dtype: torch.dtype) -> None:
        """Encode and decode in a precision; coordinates and scores stay in float32."""
        self.image_encoder.to(dtype)
        self.sam_mask_decoder.to(dtype)
        self.sam_mask_decoder.iou_prediction_head.float()
        if self.config.memory is not None:
            attention = self.memory_attention
            angles = attention.cosines, attention.sines
            parts = attention, self.memory_encoder, self.obj_ptr_proj, self.obj_ptr_tpos_proj
            for part in parts:
                part.to(dtype)
            attention.cosines, attention.sines = angles

    def fold(self) -> None:
        """Compute once what depends on the weights alone."""
        trunk, side = self.image_encoder.trunk, 4 * self.prompts.embedding_size
        with torch.no_grad():
            trunk.positions = trunk.positions_of(side, side)


def finished_maps(
    neck: FpnNeck, decoder: Sam2MaskDecoder, stages: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Make the maps of an image, (1, H, W, C) each and the image embedding first, of its stages."""
    return (
        neck(stages),
        neck.level(1, stages[1], decoder.conv_s1),
        neck.level(0, stages[0], decoder.conv_s0),
    )
