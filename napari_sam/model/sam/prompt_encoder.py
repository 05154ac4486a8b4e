"""The prompt encoder of SAM: points, boxes and masks become embeddings.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix A, "Prompt
encoder"; the positional encoding is that of Tancik et al., "Fourier Features" (2020).
"""

import math

import torch
from torch import Tensor, nn

from napari_sam.model.sam.common import LayerNorm2d, learned_tokens

PADDING, BACKGROUND, FOREGROUND = -1, 0, 1
"""Values of `point_labels`."""


class PositionEmbeddingRandom(nn.Module):
    """Positional encoding with random spatial frequencies.

    Parameters
    ----------
    half_dim : int
        Half the embedding's width: as many sines and as many cosines.
    """

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, half_dim: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, half_dim))

    def forward(self, xy: Tensor) -> Tensor:
        """Encode positions (..., 2), (x, y) from 0 to 1, as (..., 2 * half_dim)."""
        phase: Tensor = 2 * math.pi * ((2 * xy - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([phase.sin(), phase.cos()], dim=-1)

    def grid(self, size: int) -> Tensor:
        """Encode the cell centers of a square grid, row by row: (size * size, 2 * half_dim)."""
        device = self.positional_encoding_gaussian_matrix.device
        centers = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) / size
        y, x = torch.meshgrid(centers, centers, indexing="ij")
        encoded: Tensor = self(torch.stack([x, y], dim=-1).view(-1, 2))
        return encoded


class PromptEncoder(nn.Module):
    """Encodes prompts given in the pixels of the padded square input.

    Parameters
    ----------
    embed_dim : int
        Width C of all embeddings.
    image_size : int
        Side S of the square input, in pixels.
    embedding_size : int
        Side of the image embedding, in cells.
    mask_channels : int
        Hidden channels of the mask encoder.
    """

    pads_boxes = False
    """Whether a padding point follows a box, as it does points without one."""

    def __init__(
        self, embed_dim: int, image_size: int, embedding_size: int, mask_channels: int
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.embedding_size = embedding_size
        self.pe_layer = PositionEmbeddingRandom(embed_dim // 2)
        # In this order: background point, foreground point, top-left and bottom-right corner.
        self.point_embeddings = nn.ModuleList(learned_tokens(1, embed_dim) for _ in range(4))
        self.not_a_point_embed = learned_tokens(1, embed_dim)
        self.no_mask_embed = learned_tokens(1, embed_dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_channels // 4, kernel_size=2, stride=2),
            LayerNorm2d(mask_channels // 4),
            nn.GELU(),
            nn.Conv2d(mask_channels // 4, mask_channels, kernel_size=2, stride=2),
            LayerNorm2d(mask_channels),
            nn.GELU(),
            nn.Conv2d(mask_channels, embed_dim, kernel_size=1),
        )

    @property
    def mask_input_size(self) -> int:
        """Side of a mask prompt, in pixels."""
        return 4 * self.embedding_size

    def image_pe(self) -> Tensor:
        """Return the positional encoding of the image tokens, (cells, C), row by row."""
        return self.pe_layer.grid(self.embedding_size)

    def sparse(
        self, points_xy: Tensor | None, point_labels: Tensor | None, boxes_xyxy: Tensor | None
    ) -> Tensor:
        """Encode points and boxes.

        Parameters
        ----------
        points_xy : Tensor or None
            (B, N, 2) float32, (x, y) in input pixels.
        point_labels : Tensor or None
            (B, N): 1 foreground, 0 background, -1 padding.
        boxes_xyxy : Tensor or None
            (B, 4) float32, (x0, y0, x1, y1) in input pixels.

        Returns
        -------
        Tensor
            ``sparse_embeddings`` (B, n, C); n counts points, the padding point that stands in
            for a missing box, and two corners per box. Without any prompt it is (1, 0, C).
        """
        parts = []
        if points_xy is not None and point_labels is not None:
            if boxes_xyxy is None:
                # The network was trained to see one padding point wherever there is no box.
                points_xy = nn.functional.pad(points_xy, (0, 0, 0, 1))
                point_labels = nn.functional.pad(point_labels, (0, 1), value=PADDING)
            parts.append(self._embed_points(points_xy, point_labels))
        if boxes_xyxy is not None:
            corners = self._embed_positions(boxes_xyxy.view(-1, 2, 2))
            parts.append(corners + torch.stack([self._kind(2), self._kind(3)]))
        if not parts:
            return self.no_mask_embed.weight.new_zeros(1, 0, self.no_mask_embed.embedding_dim)
        return torch.cat(parts, dim=1)

    def sparse_uniform(self, positions_xy: Tensor, kinds: Tensor) -> Tensor:
        """Encode points and box corners alike, without a branch: what `sparse` gives for them.

        Parameters
        ----------
        positions_xy : Tensor
            (B, n, 2) float32, (x, y) in input pixels.
        kinds : Tensor
            (B, n) int64: -1 padding, 0 background, 1 foreground, 2 and 3 the corners of a box.
        """
        kinds_in_order = range(len(self.point_embeddings))
        table = torch.stack(
            [self.not_a_point_embed.weight[0], *(self._kind(kind) for kind in kinds_in_order)]
        )
        kind_embeddings = table[kinds + 1]  # (B, n, C)
        placed = self._embed_positions(positions_xy) + kind_embeddings
        return torch.where(kinds[..., None] == PADDING, kind_embeddings, placed)

    def dense(self, mask_input: Tensor | None) -> Tensor:
        """Encode a mask prompt.

        Parameters
        ----------
        mask_input : Tensor or None
            (1, 1, 4 e, 4 e) float32 logits, where e is the side of the image embedding.

        Returns
        -------
        Tensor
            ``dense_embeddings`` (cells, C), row by row; (1, C) if there is no mask.
        """
        if mask_input is None:
            return self.no_mask_embed.weight
        encoded: Tensor = self.mask_downscaling(mask_input)
        return encoded.permute(0, 2, 3, 1).reshape(-1, encoded.shape[1])

    def mask_columns(self, mask_input: Tensor) -> Tensor:
        """Encode a mask prompt, as `dense` does, up to its last layer.

        Parameters
        ----------
        mask_input : Tensor
            As for `dense`.

        Returns
        -------
        Tensor
            (r, cells); their products with `mask_rows` are the difference that the mask makes.
        """
        hidden = self.mask_downscaling[:-1](mask_input)[0].flatten(1)
        return torch.cat([hidden, torch.ones_like(hidden[:1])])

    def mask_rows(self) -> Tensor:
        """Return what `mask_columns` weigh, (r, C): the last layer, and no longer no mask."""
        last = self.mask_downscaling[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        return torch.cat([last.weight.flatten(1).T, last.bias[None] - self.no_mask_embed.weight])

    def _embed_positions(self, xy: Tensor) -> Tensor:
        # A pixel's position is its center.
        encoded: Tensor = self.pe_layer((xy + 0.5) / self.image_size)
        return encoded

    def _embed_points(self, points_xy: Tensor, point_labels: Tensor) -> Tensor:
        labels = point_labels[..., None]
        position = self._embed_positions(points_xy)
        kind = torch.where(labels == FOREGROUND, self._kind(FOREGROUND), self._kind(BACKGROUND))
        return torch.where(labels == PADDING, self.not_a_point_embed.weight[0], position + kind)

    def _kind(self, index: int) -> Tensor:
        weight = self.point_embeddings[index].weight
        assert isinstance(weight, Tensor)
        return weight[0]
