"""An object is prompted and corrected as by a user; what the model gets wrong is its loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from napari_sam.engine.probes import HEIGHT
from napari_sam.model.prompts import PromptBatch
from napari_sam.model.sam.base import SegmentAnything
from napari_sam.model.sam.factored import FactoredTransformer, ImageTokens
from napari_sam.model.training.losses import Losses, losses
from napari_sam.model.training.simulated import CELL_PX, Mask, Place, corrected, first_prompt
from napari_sam.model.training.tiles import BEYOND, TrainingTile

MAX_CORRECTIONS: Final = 8
_CORRECTED: Final = 0.5
"""Share of objects whose first mask is corrected."""
_SINGLE_MASK: Final = 0.25
"""Share of decodes to one mask instead of several."""


@dataclass(frozen=True, eq=False)
class Decode:
    """The masks of one prompt."""

    logits: Tensor  # (K, s, s)
    scores: Tensor  # (K,)

    def as_probe(self, click_xy: Place) -> Decode:
        """Return the masks as the window cuts those of a probe, given its click."""
        column, row = (int((place + 0.5) / CELL_PX) for place in click_xy)
        heights = HEIGHT * self.logits[:, row, column].detach().clamp(min=0)
        return Decode(self.logits - heights[:, None, None], self.scores)

    @property
    def best(self) -> Tensor:
        """The logits of the mask with the highest score, (s, s), without gradients."""
        return self.logits[int(self.scores.argmax())].detach().float()


@dataclass(frozen=True, eq=False)
class Visit:
    """Objects of a tile, each prompted once or several times.

    Parameters
    ----------
    model : SegmentAnything
        The model that learns.
    factored : FactoredTransformer
        Of the model as it is now, with gradients.
    maps : tuple of Tensor
        The image embedding of the tile, and its finer maps.
    tile : TrainingTile
        The objects.
    rng : numpy.random.Generator
        Chooses prompts.
    """

    model: SegmentAnything
    factored: FactoredTransformer
    maps: tuple[Tensor, ...]
    tile: TrainingTile
    rng: np.random.Generator

    def losses(self) -> Iterator[list[Losses]]:
        """Yield the losses of each object: of its first masks, and of corrected ones."""
        tokens = self.model.prepare(self.maps, self.factored)
        labels = self.tile.labels
        valid = self._tensor(labels != BEYOND)
        for label_id in self.tile.label_ids:
            mask = labels == label_id
            target = self._tensor(mask)
            decodes = self._prompted(tokens, mask)
            yield [losses(part.logits, part.scores, target, valid) for part in decodes]

    def _prompted(self, tokens: ImageTokens, mask: Mask) -> list[Decode]:
        """Decode a first prompt, and maybe the last one of some corrections."""
        prompt = first_prompt(mask, self.rng)
        first = self._decode(tokens, prompt)
        if prompt.points_xy is not None and prompt.boxes_xyxy is not None:
            return [first.as_probe(prompt.points_xy[0, 0])]
        is_corrected = self.rng.random() < _CORRECTED
        count = int(self.rng.integers(1, MAX_CORRECTIONS + 1)) if is_corrected else 0
        last, decodes = first, [first]
        for number in range(1, count + 1):
            next_prompt = corrected(prompt, mask, last.best.cpu().numpy() > 0, self.rng)
            if next_prompt is None:
                break
            prompt = next_prompt
            # Gradients of the corrections between would take most of the time, and teach the same.
            with torch.set_grad_enabled(number == count):
                last = self._decode(self._with_mask(tokens, last.best), prompt)
        if last.logits.requires_grad and last is not first:
            decodes.append(last)
        return decodes

    def _decode(self, tokens: ImageTokens, prompt: PromptBatch) -> Decode:
        parts = (None if array is None else self._tensor(array) for array in prompt)
        sparse = self.model.prompts.sparse(*parts)
        is_single = self.rng.random() < _SINGLE_MASK
        logits, scores = self.model.decoder(self.factored, tokens, sparse, not is_single)
        return Decode(logits[0], scores[0])

    def _with_mask(self, tokens: ImageTokens, logits: Tensor) -> ImageTokens:
        """Return the tokens of the image with a mask prompt (s, s)."""
        return replace(tokens, columns=self.model.prompts.mask_columns(logits[None, None]))

    def _tensor(self, array: np.typing.NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array.astype(np.float32)).to(self.maps[0].device)
