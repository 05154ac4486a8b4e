"""The Segment Anything Model as a whole.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), section 3.
"""

import torch
from torch import Tensor, nn

from napari_sam.engine.protocols import ProgressCallback
from napari_sam.model.sam.base import SegmentAnything
from napari_sam.model.sam.common import fold_batch_norms
from napari_sam.model.sam.mask_decoder import MaskDecoder
from napari_sam.model.sam.prompt_encoder import PromptEncoder


class Sam(SegmentAnything):
    """The three networks, built outside and put together here.

    Parameters
    ----------
    image_encoder : nn.Module
        An `ImageEncoder`: (1, 3, S, S) to (1, C, S / 16, S / 16).
    prompt_encoder : PromptEncoder
        For the same S and C.
    mask_decoder : MaskDecoder
        For the same C.
    """

    def __init__(
        self, image_encoder: nn.Module, prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder

    @property
    def prompts(self) -> PromptEncoder:
        """The prompt encoder."""
        return self.prompt_encoder

    @property
    def decoder(self) -> MaskDecoder:
        """The mask decoder."""
        return self.mask_decoder

    def encode(self, image: Tensor, on_block: ProgressCallback | None = None) -> tuple[Tensor, ...]:
        """Encode a normalized, padded image (1, 3, S, S) as (C, e, e)."""
        return (self.image_encoder(image, on_block)[0],)

    def encoding_state(self) -> dict[str, Tensor]:
        """Return the weights of the image encoder."""
        return dict(self.image_encoder.state_dict())

    def compute_in(self, dtype: torch.dtype) -> None:
        """Encode and decode in a precision; coordinates and scores stay in float32."""
        self.image_encoder.to(dtype)
        self.mask_decoder.to(dtype)
        self.mask_decoder.iou_prediction_head.float()

    def fold(self) -> None:
        """Make one convolution of each and the batch normalization after it."""
        fold_batch_norms(self)
