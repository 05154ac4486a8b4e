"""The only prompt on an image: decoded at once, to logits around its box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam.model.sam.base import SegmentAnything
from napari_sam.model.sam.factored import FactoredTransformer
from napari_sam.model.sam.traced import ThreeMasks, traced

_AROUND: Final = 2.0
"""How many times as long and as wide as its box the logits of a prompt reach at least."""
_FAR: Final = -10.0
"""The logit farther away: about what SAM gives where an object surely is not."""


class SingleDecoder:
    """Decodes a prompt to three masks with nothing prepared, and enlarges no more than it must.

    A quarter of the time goes to the last layers, which enlarge each token of the image by itself.
    Where the surroundings of a box fit into half of the image's side, that half is enough.

    Parameters
    ----------
    model : SegmentAnything
        The model.
    factored : FactoredTransformer
        Of the model.
    image_pe : Tensor
        (L, C) positional encoding, in the precision to compute in.
    """

    def __init__(
        self, model: SegmentAnything, factored: FactoredTransformer, image_pe: Tensor
    ) -> None:
        self._model, self._side = model, model.prompts.embedding_size
        self._dtype = image_pe.dtype
        self._transformers = {
            side: model.decoder.single(factored, image_pe, side)
            for side in (self._side // 2, self._side)
        }
        self._numbers = torch.arange(self._side**2, device=image_pe.device).view(self._side, -1)
        self._traces: dict[int, Callable[..., tuple[Tensor, Tensor]]] = {}

    def three_masks(
        self,
        maps: tuple[Tensor, ...],
        columns: Tensor | None,
        positions: tuple[Tensor, Tensor],
        boxes_xyxy: NDArray[np.floating] | None,
        *,
        is_traced: bool,
    ) -> tuple[Tensor, Tensor]:
        """Return logits (1, 3, 4 e, 4 e) and scores (1, 3).

        Parameters
        ----------
        maps : tuple of Tensor
            Of the image.
        columns : Tensor, optional
            Of a mask prompt.
        positions : tuple of Tensor
            Positions and kinds, as `PromptEncoder.sparse_uniform` has them.
        boxes_xyxy : ndarray, optional
            (1, 4), the box among them, in input pixels.
        is_traced : bool
            Whether to run without Python, which takes a few tenths of a second at first.
        """
        top, left, side = self._window(boxes_xyxy)
        wanted = self._numbers[top : top + side, left : left + side].flatten()
        tokens = self._model.single_tokens(maps, columns, wanted)
        inputs = (*positions, *vars(tokens).values())
        decode = self._traces.get(side) if is_traced else None
        if decode is None:
            decode = ThreeMasks(self._model, self._transformers[side], type(tokens), self._dtype)
            if is_traced:
                decode = self._traces[side] = traced(decode, *inputs)
        logits, scores = decode(*inputs)
        if side == self._side:
            return logits, scores
        whole = logits.new_full((*logits.shape[:2], 4 * self._side, 4 * self._side), _FAR)
        whole[..., 4 * top : 4 * (top + side), 4 * left : 4 * (left + side)] = logits
        return whole, scores

    def _window(self, boxes_xyxy: NDArray[np.floating] | None) -> tuple[int, int, int]:
        """Return the first row and column, and the side, of the tokens that become logits."""
        half = self._side // 2
        if boxes_xyxy is None:
            return 0, 0, self._side
        corners = boxes_xyxy.reshape(2, 2) * (self._side / self._model.image_size)
        if _AROUND * np.ptp(corners, axis=0).max() > half:
            return 0, 0, self._side
        left, top = np.rint(corners.mean(axis=0) - half / 2).clip(0, half).astype(int).tolist()
        return top, left, half
