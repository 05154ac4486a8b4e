"""The mask decoder of SAM: image and prompt tokens become masks and their predicted quality.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix A,
"Lightweight mask decoder" and "Resolving ambiguity".
"""

from math import isqrt

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from napari_sam.model.sam.common import MLP, LayerNorm2d, gelu_, learned_tokens
from napari_sam.model.sam.factored import FactoredTransformer, ImageTokens, Upscalable
from napari_sam.model.sam.folding import Folded, fold
from napari_sam.model.sam.linear import linear
from napari_sam.model.sam.single import SingleTokens, SingleTransformer
from napari_sam.model.sam.transformer import TwoWayTransformer

FinerMaps = tuple[Tensor, Tensor]
"""What a decoder adds to its tokens while they are upscaled: (4 L, C / 4) and (16 L, C / 8)."""

STRIP_TOKENS = 512
"""Image tokens upscaled at a time; one megabyte of float32 comes out."""


class MaskDecoder(nn.Module):
    """Predicts three masks for an ambiguous prompt, or one for a clear prompt.

    Parameters
    ----------
    dim : int
        Width C of all tokens.
    transformer : TwoWayTransformer
        Of the same width.
    iou_head_depth, iou_head_hidden_dim : int
        Shape of the MLP that predicts the masks' quality.
    multimask_count : int
        Masks per ambiguous prompt; the one mask of clear prompts comes on top.
    """

    def __init__(
        self,
        dim: int,
        transformer: TwoWayTransformer,
        iou_head_depth: int = 3,
        iou_head_hidden_dim: int = 256,
        multimask_count: int = 3,
    ) -> None:
        super().__init__()
        self.transformer = transformer
        self.multimask_count = multimask_count
        count = multimask_count + 1
        self.iou_token = learned_tokens(1, dim)
        self.mask_tokens = learned_tokens(count, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(dim, dim, dim // 8, depth=3) for _ in range(count)
        )
        self.iou_prediction_head = MLP(dim, iou_head_hidden_dim, count, iou_head_depth)

    def factored(self, image_pe: Tensor, mask_rows: Tensor) -> FactoredTransformer:
        """Make the transformer that decodes, once per model.

        Parameters
        ----------
        image_pe : Tensor
            (L, C) positional encoding, in the precision to compute in; L must be a square number.
        mask_rows : Tensor
            (r, C) from the prompt encoder.
        """
        first, _, _, second, _ = self.output_upscaling
        assert isinstance(first, nn.ConvTranspose2d)
        assert isinstance(second, nn.ConvTranspose2d)
        folded = fold(self.transformer, (first, second), image_pe, mask_rows)
        return FactoredTransformer(self.transformer, folded)

    def single(
        self, factored: FactoredTransformer, image_pe: Tensor, side: int
    ) -> SingleTransformer:
        """Make what decodes the only prompt on an image; see `factored`, `SingleTransformer`."""
        first = self.output_upscaling[0]
        assert isinstance(first, nn.ConvTranspose2d)
        return SingleTransformer(factored, first, image_pe, side)

    def forward(
        self,
        factored: FactoredTransformer | SingleTransformer,
        image: ImageTokens | SingleTokens,
        sparse: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Decode prompts.

        Parameters
        ----------
        factored : FactoredTransformer or SingleTransformer
            Of this decoder.
        image : ImageTokens or SingleTokens
            What it takes.
        sparse : Tensor
            ``sparse_embeddings`` (B, n, C).
        multimask_output : bool
            Three masks per prompt, or one.

        Returns
        -------
        tuple of Tensor
            ``low_res_logits`` (B, K, 4 e, 4 e), where e is the side of the image embedding, and
            ``iou_predictions`` (B, K); K is 3 or 1.
        """
        output_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        output_tokens = output_tokens.expand(sparse.shape[0], -1, -1)
        tokens, upscalable = factored(image, torch.cat([output_tokens, sparse], dim=1))
        # Mask token 0 answers clear prompts; the others answer ambiguous ones.
        wanted = slice(1, self.mask_tokens.num_embeddings) if multimask_output else slice(0, 1)
        mask_tokens = tokens[:, 1 : 1 + self.mask_tokens.num_embeddings][:, wanted]
        hyper = self.hypernetworks(mask_tokens, wanted)
        logits = self.masks(factored.folded, upscalable, hyper)
        return logits, self.qualities(tokens[:, 0])[:, wanted]

    def hypernetworks(self, mask_tokens: Tensor, wanted: slice) -> Tensor:
        """Turn the wanted mask tokens (B, K, C) into weights of channels, (B, K, C / 8)."""
        mlps = enumerate(self.output_hypernetworks_mlps[wanted])
        return torch.stack([mlp(mask_tokens[:, i]) for i, mlp in mlps], dim=1)

    def qualities(self, iou_token: Tensor) -> Tensor:
        """Predict the quality of all masks, (B, K), from a token (B, C)."""
        # Scores of good masks differ in the third digit, which half a precision does not have.
        head = self.iou_prediction_head
        scores: Tensor = head(iou_token.to(next(head.parameters()).dtype))
        return scores

    def masks(
        self, folded: Folded, tokens: Upscalable, hyper: Tensor, finer: FinerMaps | None = None
    ) -> Tensor:
        """Upscale image tokens and weigh their channels by `hyper` (B, K, C / 8).

        A transposed convolution whose stride is its kernel size is a linear layer per token. Done
        that way, the channels stay innermost throughout, and only the finished logits, a few
        hundred kilobytes, are brought into image order: (B, K, 4 e, 4 e).
        """
        base, *others = tokens
        logits = torch.stack(
            [
                self._upscaled(folded, Upscalable(base, *parts), weights, finer)
                for *parts, weights in zip(*others, hyper, strict=True)
            ]
        )
        batch, count, _ = hyper.shape
        side = isqrt(len(folded.pixel_order))
        ordered = logits.flatten(0, 1).index_select(1, folded.pixel_order)
        return ordered.view(batch, count, side, side)

    def _upscaled(
        self, folded: Folded, tokens: Upscalable, hyper: Tensor, finer: FinerMaps | None
    ) -> Tensor:
        """Upscale the image tokens of one prompt to logits (K, 16 L)."""
        norm = self.output_upscaling[1]
        assert isinstance(norm, LayerNorm2d)
        length = len(tokens.base)
        # The activations are by far the largest; on a processor they had better stay in cache.
        step = STRIP_TOKENS if tokens.base.device.type == "cpu" else length
        logits = []
        for start in range(0, length, step):
            strip, fine, finest = (slice(n * start, n * (start + step)) for n in (1, 4, 16))
            x = tokens.base[strip] * tokens.scale[strip]
            x = x.addmm_(tokens.columns[:, strip].T, tokens.rows).add_(folded.upscaled_bias)
            x = x.view(-1, *norm.weight.shape)  # a row for each quarter of a token
            if finer is not None:
                x += finer[0][fine]
            x = gelu_(F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps))
            x = linear(x, folded.pixels, folded.pixels_bias).view(-1, hyper.shape[1])
            if finer is not None:
                x += finer[1][finest]
            logits.append(hyper @ gelu_(x).T)
        return torch.cat(logits, dim=1)
