"""What decodes the only prompt on an image, in place of `napari_sam.model.sam.factored`."""

from dataclasses import dataclass, replace

from torch import Tensor, nn

from napari_sam.model.sam.factored import FactoredTransformer, Upscalable
from napari_sam.model.sam.folding import as_linear, pixel_order
from napari_sam.model.sam.two_way import two_way


@dataclass(frozen=True)
class SingleTokens:
    """What decodes the only prompt on an image.

    Attributes
    ----------
    tokens : Tensor
        (L, C), the image tokens with all that the prompt encoder adds to them.
    wanted : Tensor
        (M,), the numbers of those that become logits: a square of them, row by row.
    """

    tokens: Tensor
    wanted: Tensor


class SingleTransformer(nn.Module):
    """Runs a two-way transformer for a single prompt, and prepares nothing.

    Parameters
    ----------
    factored : FactoredTransformer
        Shares its weights.
    upscaling : nn.ConvTranspose2d
        What upscales the image tokens first.
    image_pe : Tensor
        (L, C) positional encoding.
    side : int
        Of the square of tokens that become logits.
    """

    def __init__(
        self,
        factored: FactoredTransformer,
        upscaling: nn.ConvTranspose2d,
        image_pe: Tensor,
        side: int,
    ) -> None:
        super().__init__()
        weight, bias = as_linear(upscaling)
        self.transformer, self._image_pe = factored.transformer, image_pe
        self._upscaled = weight.to(image_pe.dtype)
        self.folded = replace(
            factored.folded,
            upscaled_bias=bias.to(image_pe.dtype),  # without what normalization adds
            pixel_order=pixel_order(side).to(image_pe.device),
        )

    def forward(self, image: SingleTokens, token_pe: Tensor) -> tuple[Tensor, Upscalable]:
        """Run both layers and the last attention: as `FactoredTransformer`, for (1, T, C)."""
        tokens, grid = two_way(self.transformer, image.tokens, self._image_pe, token_pe)
        base = grid[image.wanted] @ self._upscaled.T
        length, width = base.shape
        nothing = base.new_empty(1, 0, length), base.new_empty(1, 0, width)
        return tokens, Upscalable(base, base.new_ones(1, length, 1), *nothing)
