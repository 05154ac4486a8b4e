"""The mask decoder of SAM: image and prompt tokens become masks and their predicted quality.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix A,
"Lightweight mask decoder" and "Resolving ambiguity".
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from napari_sam.model.sam.common import MLP, LayerNorm2d, gelu_
from napari_sam.model.sam.linear import linear
from napari_sam.model.sam.transformer import ImageTokens, TwoWayTransformer

FinerMaps = tuple[Tensor, Tensor]
"""What a decoder adds to its tokens while they are upscaled: (4 L, C / 4) and (16 L, C / 8)."""

STRIP_ROWS = 4096
"""Tokens upscaled at a time in the last step; two megabytes of float32 come out."""


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
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(count, dim)
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

    def prepare(self, image_embedding: Tensor, dense: Tensor, image_pe: Tensor) -> ImageTokens:
        """Do the work that all prompts on one image share.

        Parameters
        ----------
        image_embedding : Tensor
            (L, C), the image tokens row by row.
        dense : Tensor
            ``dense_embeddings``, (L, C), or (1, C) without a mask prompt.
        image_pe : Tensor
            (L, C) positional encoding.

        Returns
        -------
        ImageTokens
            What `forward` takes.
        """
        return self.transformer.prepare(image_embedding + dense, image_pe)

    def forward(
        self, image: ImageTokens, image_pe: Tensor, sparse: Tensor, multimask_output: bool
    ) -> tuple[Tensor, Tensor]:
        """Decode prompts.

        Parameters
        ----------
        image : ImageTokens
            From `prepare`.
        image_pe : Tensor
            (L, C) positional encoding; L must be a square number.
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
        tokens, image_tokens = self.transformer(
            image, image_pe, torch.cat([output_tokens, sparse], dim=1)
        )
        # Mask token 0 answers clear prompts; the others answer ambiguous ones.
        wanted = slice(1, self.mask_tokens.num_embeddings) if multimask_output else slice(0, 1)
        mask_tokens = tokens[:, 1 : 1 + self.mask_tokens.num_embeddings][:, wanted]
        low_res_logits = self.masks(image_tokens, self.hypernetworks(mask_tokens, wanted))
        return low_res_logits, self.qualities(tokens[:, 0])[:, wanted]

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

    def masks(self, image_tokens: Tensor, hyper: Tensor, finer: FinerMaps | None = None) -> Tensor:
        """Upscale (B, L, C) image tokens and weigh their channels by `hyper` (B, K, C / 8).

        A transposed convolution whose stride is its kernel size is a linear layer per token. Done
        that way, the channels stay innermost throughout, and only the finished logits, a few
        hundred kilobytes, are brought into image order: (B, K, 4 e, 4 e).
        """
        batch, length, _ = image_tokens.shape
        side = math.isqrt(int(length))
        if hyper.requires_grad:  # training: what is written into a buffer has no gradient
            pairs = zip(image_tokens, hyper, strict=True)
            logits = torch.stack([self._with_gradient(*pair, finer) for pair in pairs])
        else:
            logits = hyper.new_empty(batch, hyper.shape[1], length * 16)
            for tokens, weights, out in zip(image_tokens, hyper, logits, strict=True):
                self._into(out, tokens, weights, finer)
        # Axes: mask, then row and column of the token, of its quarter, of the pixel in it.
        logits = logits.view(-1, side, side, 2, 2, 2, 2).permute(0, 1, 3, 5, 2, 4, 6)
        return logits.reshape(batch, -1, 4 * side, 4 * side)

    def _into(self, out: Tensor, tokens: Tensor, hyper: Tensor, finer: FinerMaps | None) -> None:
        """Write the logits of one prompt, with (L, C) image tokens, to `out` (K, 16 L)."""
        done = 0
        for pixels in self._upscaled(tokens, finer):
            torch.mm(hyper, pixels.T, out=out[:, done : done + len(pixels)])
            done += len(pixels)

    def _with_gradient(self, tokens: Tensor, hyper: Tensor, finer: FinerMaps | None) -> Tensor:
        """Return the logits of one prompt, with (L, C) image tokens, as (K, 16 L)."""
        return torch.cat([hyper @ pixels.T for pixels in self._upscaled(tokens, finer)], dim=1)

    def _upscaled(self, image_tokens: Tensor, finer: FinerMaps | None) -> Iterator[Tensor]:
        """Upscale (L, C) tokens of one prompt; yield (n, C / 8) pixels, strip by strip."""
        first, norm, _, second, _ = self.output_upscaling
        assert isinstance(norm, LayerNorm2d)
        x = _transposed_convolution(image_tokens, first)  # (4 L, C / 4)
        if finer is not None:
            x += finer[0]
        x = gelu_(F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps))
        # The last activation is the largest by far; on a processor it had better stay in cache.
        rows = STRIP_ROWS if x.device.type == "cpu" else len(x)
        finest = None if finer is None else torch.split(finer[1], 4 * rows)
        for number, strip in enumerate(torch.split(x, rows)):
            pixels = _transposed_convolution(strip, second)  # (4 rows, C / 8)
            if finest is not None:
                pixels += finest[number]
            yield gelu_(pixels)


def _transposed_convolution(x: Tensor, conv: nn.Module) -> Tensor:
    """Apply a 2 x 2 transposed convolution of stride 2 to each of n tokens: (n, C) to (4 n, C')."""
    assert isinstance(conv, nn.ConvTranspose2d)
    assert conv.bias is not None
    weight = conv.weight.permute(2, 3, 1, 0).flatten(0, 2)  # (4 C', C)
    return linear(x, weight, conv.bias.repeat(4)).view(4 * len(x), -1)
