"""The two halves of a model with nothing but tensors going in and out, to make graphs of.

The names and shapes of what goes in and out are in `napari_sam.model.onnx.export`.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from napari_sam.model.sam.mask_decoder import MaskDecoder
from napari_sam.model.sam.sam import Sam
from napari_sam.model.sam.two_way import two_way
from napari_sam.model.sam2.hiera import ImageEncoder
from napari_sam.model.sam2.mask_decoder import Sam2MaskDecoder, stable
from napari_sam.model.sam2.sam2 import Sam2, finished_maps


class EncoderGraph(nn.Module):
    """From a resized image to its embedding.

    Parameters
    ----------
    model : Sam or Sam2
        Shares its weights with the graph.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    outputs: tuple[str, ...] = ("image_embeddings",)
    free_axes = {"input_image": {0: "image_height", 1: "image_width"}}  # noqa: RUF012

    def __init__(self, model: Sam | Sam2) -> None:
        super().__init__()
        # Under their published names, which the weights keep in the file.
        self.image_encoder = model.image_encoder
        self.image_size = model.image_size
        self.register_buffer("pixel_mean", model.pixel_mean.flatten(), persistent=False)
        self.register_buffer("pixel_std", model.pixel_std.flatten(), persistent=False)

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs to trace with."""
        return (torch.zeros(self.image_size * 2 // 3, self.image_size, 3),)

    def forward(self, input_image: Tensor) -> tuple[Tensor, ...]:
        """Normalize, pad, encode: (h, w, 3) to the maps of the image."""
        side = self.image_size
        height, width = input_image.shape[:2]
        normalized = (input_image - self.pixel_mean) / self.pixel_std
        padded = F.pad(normalized, (0, 0, 0, side - width, 0, side - height))
        # The shapes are known again from here on, whatever the image's.
        return self._encoded(padded.view(1, side, side, 3).permute(0, 3, 1, 2))

    def _encoded(self, square: Tensor) -> tuple[Tensor, ...]:
        return (self.image_encoder(square),)


class Sam2EncoderGraph(EncoderGraph):
    """From a resized image to its embedding and two finer maps."""

    outputs = ("image_embeddings", "high_res_feats_0", "high_res_feats_1")

    def __init__(self, model: Sam2) -> None:
        super().__init__(model)
        self.sam_mask_decoder, self.no_mem_embed = model.sam_mask_decoder, model.no_mem_embed

    def _encoded(self, square: Tensor) -> tuple[Tensor, ...]:
        assert isinstance(self.image_encoder, ImageEncoder)
        stages = self.image_encoder.trunk(square)
        whole, fine, finest = finished_maps(self.image_encoder.neck, self.sam_mask_decoder, stages)
        return tuple(part.permute(0, 3, 1, 2) for part in (whole + self.no_mem_embed, finest, fine))


class PromptInputs(NamedTuple):
    """What a prompt is to a graph."""

    point_coords: Tensor
    point_labels: Tensor
    mask_input: Tensor
    has_mask_input: Tensor


class DecoderGraph(nn.Module):
    """From an image's embedding and a prompt to four masks.

    Parameters
    ----------
    model : Sam or Sam2
        Shares its weights with the graph.
    """

    image_pe: Tensor

    outputs: tuple[str, ...] = ("masks", "iou_predictions", "low_res_masks")
    free_axes = {  # noqa: RUF012
        "point_coords": {1: "num_points"},
        "point_labels": {1: "num_points"},
        "masks": {2: "height", 3: "width"},
    }

    def __init__(self, model: Sam | Sam2) -> None:
        super().__init__()
        self.prompt_encoder = model.prompts
        self.mask_decoder: MaskDecoder = model.decoder
        self.register_buffer("image_pe", model.prompts.image_pe(), persistent=False)

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs to trace with."""
        encoder = self.prompt_encoder
        side = encoder.embedding_size
        return (
            torch.zeros(1, self.image_pe.shape[1], side, side),
            torch.zeros(1, 3, 2),
            torch.tensor([[1.0, 0.0, -1.0]]),
            torch.zeros(1, 1, encoder.mask_input_size, encoder.mask_input_size),
            torch.zeros(1),
            torch.tensor([1200.0, 1800.0]),
        )

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return masks (1, 4, H, W), their quality (1, 4), and logits (1, 4, 4 e, 4 e)."""
        decoder = self.mask_decoder
        prompt = PromptInputs(point_coords, point_labels, mask_input, has_mask_input)
        own = [decoder.iou_token.weight, decoder.mask_tokens.weight]
        tokens, grid = self._attended(image_embeddings, prompt, own)
        low_res = self._masks(decoder.output_upscaling(grid), tokens[:, 1:])
        iou_predictions = decoder.iou_prediction_head(tokens[:, 0])
        return self._upscale(low_res, orig_im_size.long()), iou_predictions, low_res

    def _attended(
        self, image_embeddings: Tensor, prompt: PromptInputs, own_tokens: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Run the transformer: tokens (1, T, C), the model's own first, and the image's grid."""
        encoder, side = self.prompt_encoder, self.prompt_encoder.embedding_size
        sparse = encoder.sparse_uniform(prompt.point_coords, prompt.point_labels.long())
        dense = torch.where(
            prompt.has_mask_input > 0.5, encoder.dense(prompt.mask_input), encoder.dense(None)
        )
        tokens, image_tokens = two_way(
            self.mask_decoder.transformer,
            image_embeddings[0].flatten(1).T + dense,
            self.image_pe,
            torch.cat([torch.cat(own_tokens)[None], sparse], dim=1),
        )
        return tokens, image_tokens.T.reshape(1, -1, side, side)

    def _masks(self, upscaled: Tensor, mask_tokens: Tensor) -> Tensor:
        """Do for all masks in one go what `MaskDecoder` does in place, which no graph can hold.

        `upscaled` is (1, C / 8, 4 e, 4 e), and `mask_tokens` begin with those of the masks.
        """
        mlps = self.mask_decoder.output_hypernetworks_mlps
        hyper = torch.stack([mlp(mask_tokens[:, i]) for i, mlp in enumerate(mlps)], dim=1)
        logits: Tensor = hyper @ upscaled.flatten(2)
        side = self.prompt_encoder.mask_input_size
        return logits.view(1, -1, side, side)

    def _upscale(self, low_res: Tensor, size: Tensor) -> Tensor:
        """Bring logits to the image of `size` (2,), in the published two bilinear steps."""
        side = self.prompt_encoder.image_size
        square = F.interpolate(low_res, (side, side), mode="bilinear", align_corners=False)
        inner = self._inner(size)
        cropped = square[..., : inner[0], : inner[1]]
        whole: Tensor = F.interpolate(
            cropped,
            (size[0], size[1]),  # type: ignore[arg-type]  # numbers of the graph
            mode="bilinear",
            align_corners=False,
        )
        return whole

    def _inner(self, size: Tensor) -> Tensor:
        """Do `resized_size` in whole numbers: not all that runs graphs has other exact ones."""
        longest = size.max()
        scaled = 2 * self.prompt_encoder.image_size * size + longest
        return (scaled // (2 * longest)).clamp(min=1)


class Sam2DecoderGraph(DecoderGraph):
    """From an image's three maps and a prompt to four masks, and whether there is an object."""

    outputs = (*DecoderGraph.outputs, "object_score_logits")

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs to trace with."""
        whole, *others = super().example()
        side, channels = whole.shape[-1], whole.shape[1]
        finest = torch.zeros(1, channels // 8, 4 * side, 4 * side)
        return whole, finest, torch.zeros(1, channels // 4, 2 * side, 2 * side), *others

    def forward(  # type: ignore[override]  # its inputs are the graph's
        self,
        image_embeddings: Tensor,
        high_res_feats_0: Tensor,
        high_res_feats_1: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return what `DecoderGraph` does, and a logit (1, 1)."""
        decoder = self.mask_decoder
        assert isinstance(decoder, Sam2MaskDecoder)
        prompt = PromptInputs(point_coords, point_labels, mask_input, has_mask_input)
        own = [decoder.obj_score_token, decoder.iou_token, decoder.mask_tokens]
        tokens, grid = self._attended(image_embeddings, prompt, [part.weight for part in own])
        enlarge, norm, gelu, enlarge_again, _ = decoder.output_upscaling
        finer = gelu(norm(enlarge(grid) + high_res_feats_1))
        low_res = self._masks(gelu(enlarge_again(finer) + high_res_feats_0), tokens[:, 2:])
        ious = torch.sigmoid(decoder.iou_prediction_head(tokens[:, 1]))
        clear, clear_iou = stable(low_res, ious)
        low_res = torch.cat([clear.view(low_res[:, :1].shape), low_res[:, 1:]], dim=1)
        ious = torch.cat([clear_iou, ious[:, 1:]], dim=1)
        there = decoder.pred_obj_score_head(tokens[:, 0])
        return self._upscale(low_res, orig_im_size.long()), ious, low_res, there

    def _upscale(self, low_res: Tensor, size: Tensor) -> Tensor:
        """Bring logits to the image of `size` (2,) in one bilinear step: rows, then columns."""
        shares = self._inner(size) / self.prompt_encoder.image_size
        rows, columns = (_tents(low_res.shape[-1], shares[axis], size[axis]) for axis in (0, 1))
        enlarged: Tensor = rows @ low_res @ columns.T
        return enlarged


def _tents(side: int, share: Tensor, count: Tensor) -> Tensor:
    """Return bilinear weights (count, side) that stretch a share of `side` over `count`."""
    numbers = torch.arange(count)  # type: ignore[call-overload]  # a number of the graph
    places = (numbers + 0.5) * (share * side / count) - 0.5
    distances: Tensor = places.clamp(0, side - 1)[:, None] - torch.arange(side)
    return (1 - distances.abs()).clamp(min=0)
