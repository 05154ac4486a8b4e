"""The two halves of a model with nothing but tensors going in and out, to make graphs of.

The names and shapes of what goes in and out are in `napari_sam.model.onnx.export`.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from napari_sam.model.onnx.two_way import two_way
from napari_sam.model.sam.sam import Sam


class EncoderGraph(nn.Module):
    """From a resized image to its embedding.

    Parameters
    ----------
    sam : Sam
        Shares its weights with the graph.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    outputs = ("image_embeddings",)
    free_axes = {"input_image": {0: "image_height", 1: "image_width"}}  # noqa: RUF012

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        # Under their published names, which the weights keep in the file.
        self.image_encoder = sam.image_encoder
        self.image_size = sam.image_size
        self.register_buffer("pixel_mean", sam.pixel_mean.flatten(), persistent=False)
        self.register_buffer("pixel_std", sam.pixel_std.flatten(), persistent=False)

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs to trace with."""
        return (torch.zeros(self.image_size * 2 // 3, self.image_size, 3),)

    def forward(self, input_image: Tensor) -> Tensor:
        """Normalize, pad, encode: (h, w, 3) to (1, C, S / 16, S / 16)."""
        side = self.image_size
        height, width = input_image.shape[:2]
        normalized = (input_image - self.pixel_mean) / self.pixel_std
        padded = F.pad(normalized, (0, 0, 0, side - width, 0, side - height))
        # The shapes are known again from here on, whatever the image's.
        square = padded.view(1, side, side, 3).permute(0, 3, 1, 2)
        embedding: Tensor = self.image_encoder(square)
        return embedding


class DecoderGraph(nn.Module):
    """From an image's embedding and a prompt to four masks.

    Parameters
    ----------
    sam : Sam
        Shares its weights with the graph.
    """

    image_pe: Tensor

    outputs = ("masks", "iou_predictions", "low_res_masks")
    free_axes = {  # noqa: RUF012
        "point_coords": {1: "num_points"},
        "point_labels": {1: "num_points"},
        "masks": {2: "height", 3: "width"},
    }

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.prompt_encoder = sam.prompt_encoder
        self.mask_decoder = sam.mask_decoder
        self.register_buffer("image_pe", sam.prompt_encoder.image_pe(), persistent=False)

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
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return masks (1, 4, H, W), their quality (1, 4), and logits (1, 4, 4 e, 4 e)."""
        encoder, decoder = self.prompt_encoder, self.mask_decoder
        sparse = encoder.sparse_uniform(point_coords, point_labels.long())
        dense = torch.where(has_mask_input > 0.5, encoder.dense(mask_input), encoder.dense(None))
        output_tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])[None]
        tokens, image_tokens = two_way(
            decoder.transformer,
            image_embeddings[0].flatten(1).T + dense,
            self.image_pe,
            torch.cat([output_tokens, sparse], dim=1),
        )
        low_res = self._masks(image_tokens, tokens)
        iou_predictions = decoder.iou_prediction_head(tokens[:, 0])
        return self._upscale(low_res, orig_im_size.long()), iou_predictions, low_res

    def _masks(self, image_tokens: Tensor, tokens: Tensor) -> Tensor:
        """Do for all masks in one go what `MaskDecoder` does in place, which no graph can hold."""
        decoder, side = self.mask_decoder, self.prompt_encoder.embedding_size
        grid = image_tokens.T.reshape(1, -1, side, side)
        upscaled = decoder.output_upscaling(grid).flatten(2)  # (1, C / 8, 16 L)
        mlps = decoder.output_hypernetworks_mlps
        hyper = torch.stack([mlp(tokens[:, 1 + i]) for i, mlp in enumerate(mlps)], dim=1)
        logits: Tensor = hyper @ upscaled
        return logits.view(1, -1, 4 * side, 4 * side)

    def _upscale(self, low_res: Tensor, size: Tensor) -> Tensor:
        """Bring logits to the image of `size` (2,), in the published two bilinear steps."""
        side = self.prompt_encoder.image_size
        square = F.interpolate(low_res, (side, side), mode="bilinear", align_corners=False)
        longest = size.max()
        # `resized_size` in whole numbers: not all that runs graphs has other exact ones.
        inner = ((2 * side * size + longest) // (2 * longest)).clamp(min=1)
        cropped = square[..., : inner[0], : inner[1]]
        whole: Tensor = F.interpolate(
            cropped,
            (size[0], size[1]),  # type: ignore[arg-type]  # numbers of the graph
            mode="bilinear",
            align_corners=False,
        )
        return whole
