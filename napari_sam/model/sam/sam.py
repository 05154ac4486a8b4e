"""The Segment Anything Model as a whole.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), section 3.
"""

import torch
from torch import Tensor, nn

from napari_sam.model.sam.mask_decoder import MaskDecoder
from napari_sam.model.sam.prompt_encoder import PromptEncoder

# Mean and standard deviation of ImageNet's RGB values, 0 to 255.
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


class Sam(nn.Module):
    """The three networks, built outside and put together here.

    It holds weights only, nothing of any image, so threads may share it.

    Parameters
    ----------
    image_encoder : nn.Module
        An `ImageEncoder`: (1, 3, S, S) to (1, C, S / 16, S / 16).
    prompt_encoder : PromptEncoder
        For the same S and C.
    mask_decoder : MaskDecoder
        For the same C.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self, image_encoder: nn.Module, prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)

    @property
    def image_size(self) -> int:
        """Side S of the square input, in pixels."""
        return self.prompt_encoder.image_size

    def preprocess(self, image: Tensor) -> Tensor:
        """Normalize an image and pad it to the square input.

        Parameters
        ----------
        image : Tensor
            (3, h, w), any real dtype, values 0 to 255; neither side longer than S.

        Returns
        -------
        Tensor
            (1, 3, S, S) float32. Padding, at the bottom and the right, is zero
            after normalization.
        """
        height, width = image.shape[-2:]
        padded = self.pixel_mean.new_zeros(1, 3, self.image_size, self.image_size)
        pixels = padded[0, :, :height, :width]
        pixels.copy_(image).sub_(self.pixel_mean).div_(self.pixel_std)
        return padded
