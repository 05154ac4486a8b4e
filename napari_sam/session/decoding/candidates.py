"""The masks predicted for the prompts of one object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.session.decoding.features import measure_features
from napari_sam.session.decoding.mask_prompts import limit_of_outline
from napari_sam.session.decoding.ranking import AcceptedExamples, Ranking, rank
from napari_sam.session.image.tiles import Box, Tile
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts
from napari_sam.session.prompts.shapes import Outline

if TYPE_CHECKING:
    from napari_sam.session.embedding.embeddings import EmbeddedTile


@dataclass(frozen=True, eq=False)
class Candidates:
    """The masks predicted for some prompts, in the model's order.

    Parameters
    ----------
    prompts : Prompts
        The prompts that they were decoded from.
    prediction : MaskPrediction
        The model's answer, in the pixels of the tile as the model got it: those of the plane, or
        larger ones.
    tile : Tile
        Where it lies in the plane.
    weights : Path, optional
        The model's checkpoint; None: the one inside the package.
    ranking : Ranking, optional
        Their order by the objects accepted before; None: by the predicted IoU.
    """

    prompts: Prompts
    prediction: MaskPrediction
    tile: Tile
    weights: Path | None = None
    ranking: Ranking | None = None

    def __len__(self) -> int:
        return len(self.prediction.iou_predictions)

    @property
    def iou_predictions(self) -> tuple[float, ...]:
        """The model's own guess of each mask's intersection over union with the object."""
        return tuple(float(value) for value in self.prediction.iou_predictions)

    @property
    def best(self) -> int:
        """Index of the mask that is preselected."""
        if self.ranking is None:
            return int(np.argmax(self.prediction.iou_predictions))
        return self.ranking.order[0]

    def chosen(self, choice: int | None) -> int:
        """Return the index that the user chose; the preselected one if there is no such mask.

        A choice from a file may be of a model with more masks, or of none.
        """
        return self.best if choice is None or choice >= len(self) else choice

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Height and width of the tile in the pixels of its masks."""
        return self.prediction.original_size

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Height and width of a pixel of the masks in pixels of the plane."""
        height, width = self.grid_shape
        return self.tile.height / height, self.tile.width / width

    def crop(self, index: int) -> MaskCrop:
        """Return mask `index` within its bounding box: `mask` (h, w) bool, `top`, `left`.

        In the pixels of the tile's masks, from its first one.
        """
        return self.prediction.mask_crop(index)

    def bounds_xyxy(self, index: int) -> Box | None:
        """Return the bounding box of mask `index` in the plane; None if the mask is empty."""
        mask, top, left = self.crop(index)
        if not mask.size:
            return None
        (dy, dx), (height, width) = self.pixel_size, mask.shape
        x0, y0 = self.tile.left - 0.5 + left * dx, self.tile.top - 0.5 + top * dy
        return x0, y0, x0 + width * dx, y0 + height * dy

    def area_bound_px(self, index: int) -> float:
        """Return how many pixels of the plane mask `index` has at most."""
        box = self.bounds_xyxy(index)
        return 0 if box is None else (box[2] - box[0]) * (box[3] - box[1])

    def blocks(self, index: int) -> Iterator[MaskCrop]:
        """Yield mask `index` in pixels of the plane: crops that follow each other without overlap.

        One for most objects; for a very large one many, each computed when it is asked for.
        """
        size = self.tile.height, self.tile.width
        for mask, top, left in self.prediction.mask_blocks(index, size):
            yield type(self.crop(index))(mask, top + self.tile.top, left + self.tile.left)

    def logits(self, index: int) -> NDArray[np.float32]:
        """Return the low-res logits of mask `index`."""
        logits: NDArray[np.float32] = self.prediction.low_res_logits[index]
        return logits


def decode(
    embedded: EmbeddedTile,
    prompts: Prompts,
    usable: Prompts,
    mask_prompt: NDArray[np.float32] | None,
    choice: int | None,
    examples: AcceptedExamples = (),
    *,
    multimask: bool = True,
) -> Candidates:
    """Compute the masks of some prompts; a pure function, for the decode thread."""
    prediction = embedded.decoder.decode(
        embedded.embedding,
        points_xy=embedded.to_pixels(usable.points_array()),
        point_labels=usable.labels_array(),
        box_xyxy=embedded.to_pixels(usable.box_array()),
        mask_input=mask_prompt,
        multimask_output=multimask,
    )
    candidates = ranked(embedded, prompts, usable, prediction, examples)
    candidates.crop(candidates.chosen(choice))
    return candidates


def ranked(
    embedded: EmbeddedTile,
    prompts: Prompts,
    usable: Prompts,
    prediction: MaskPrediction,
    examples: AcceptedExamples = (),
) -> Candidates:
    """Cut masks off where an outline ends, and put them in order; parameters as of `decode`."""
    if usable.outline is not None:
        prediction = _within(prediction, usable, usable.outline, embedded.tile)
    tile, has_box = embedded.tile, usable.box_xyxy is not None
    features = measure_features(
        prediction, embedded.content.thumbnail, tile.height * tile.width, has_box=has_box
    )
    return Candidates(prompts, prediction, tile, embedded.weights, rank(features, examples))


def _within(
    prediction: MaskPrediction, usable: Prompts, outline: Outline, tile: Tile
) -> MaskPrediction:
    """Cut masks off where an outline ends, unless there is a foreground click beyond it."""
    limit = limit_of_outline(outline, tile, prediction.low_res_logits.shape[-1])
    cell = tile.side / limit.shape[0]
    for (x, y), label in zip(usable.points_xy, usable.point_labels, strict=True):
        row, column = (y + 0.5 - tile.top) / cell, (x + 0.5 - tile.left) / cell
        inside = 0 <= row < limit.shape[0] and 0 <= column < limit.shape[1]
        if label == FOREGROUND and not (inside and limit[int(row), int(column)] > 0):
            return prediction
    return replace(prediction, low_res_logits=np.minimum(prediction.low_res_logits, limit))
