"""The prompt encoder of SAM 2: that of SAM, with another padding."""

import torch
from torch import Tensor

from napari_sam.model.sam.prompt_encoder import PADDING, PromptEncoder

_CORNERS = (2, 3)
"""Kinds of positions, beside the labels of points."""


class Sam2PromptEncoder(PromptEncoder):
    """Encodes prompts given in the pixels of the square input, as `PromptEncoder` does.

    SAM 2 was trained to see a padding point after all prompts, even a box, and two of them where
    there are neither points nor a box.
    """

    pads_boxes = True

    def sparse(
        self, points_xy: Tensor | None, point_labels: Tensor | None, boxes_xyxy: Tensor | None
    ) -> Tensor:
        """Encode points and boxes; see `PromptEncoder.sparse`."""
        given = points_xy if boxes_xyxy is None else boxes_xyxy
        matrix = self.pe_layer.positional_encoding_gaussian_matrix
        count, like = (1, matrix) if given is None else (len(given), given)
        positions = [like.new_zeros(count, 1 if given is not None else 2, 2)]
        kinds = [torch.full_like(positions[0][..., 0], PADDING, dtype=torch.int64)]
        if boxes_xyxy is not None:
            positions.insert(0, boxes_xyxy.view(-1, 2, 2))
            corners = torch.tensor(_CORNERS, device=like.device)
            kinds.insert(0, corners.expand(count, 2))
        if points_xy is not None and point_labels is not None:
            positions.insert(0, points_xy)
            kinds.insert(0, point_labels.long())
        return self.sparse_uniform(torch.cat(positions, dim=1), torch.cat(kinds, dim=1))
