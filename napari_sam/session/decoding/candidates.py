"""The masks predicted for the prompts of one object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.session.decoding.candidate import Candidate, cell_at
from napari_sam.session.decoding.cleaning import Cell
from napari_sam.session.decoding.cut import Cut
from napari_sam.session.decoding.features import measure_features
from napari_sam.session.decoding.honoring import honoring
from napari_sam.session.decoding.mask_prompts import limit_of_outline
from napari_sam.session.decoding.ranking import NO_CONTEXT, DecodeContext, Ranking, rank
from napari_sam.session.decoding.recipe import Recipe
from napari_sam.session.image.tiles import Box, Tile
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts
from napari_sam.session.prompts.shapes import Outline

if TYPE_CHECKING:
    from napari_sam.session.embedding.embeddings import EmbeddedTile


@dataclass(frozen=True, eq=False)
class Candidates:
    """The masks to choose from, from small to large as a rule.

    Parameters
    ----------
    prompts : Prompts
        The prompts that they were decoded from.
    tile : Tile
        Where they were decoded last; some masks may be of another tile.
    masks : tuple of Candidate
        The masks.
    ranking : Ranking, optional
        Their order by view and by the objects accepted before; None: by the predicted IoU.
    base : Candidates, optional
        The candidates as they would be if nothing had been learned; None: these.
    learnt : int, optional
        Index of the mask that follows from accepted objects; see `learnt.with_learnt`.
    recipe : Recipe, optional
        How that was made, if it is none of the model's own masks.
    """

    prompts: Prompts
    tile: Tile
    masks: tuple[Candidate, ...]
    ranking: Ranking | None = None
    base: Candidates | None = None
    learnt: int | None = None
    recipe: Recipe | None = None

    def __len__(self) -> int:
        return len(self.masks)

    @property
    def iou_predictions(self) -> tuple[float, ...]:
        """The model's own guess of each mask's intersection over union with the object."""
        return tuple(mask.iou_prediction for mask in self.masks)

    @property
    def best(self) -> int:
        """Index of the mask that is preselected."""
        if self.ranking is None:
            return int(np.argmax(self.iou_predictions))
        return self.ranking.order[0]

    @property
    def unlearnt(self) -> Candidates:
        """The candidates as they would be if nothing had been learned."""
        return self if self.base is None else self.base

    def recipe_of(self, index: int) -> Recipe | None:
        """Return how mask `index` was made, if it is none of the model's own."""
        return self.recipe if index == self.learnt else None

    def chosen(self, choice: int | None) -> int:
        """Return the index that the user chose; the preselected one if there is no such mask.

        A choice from a file may be of a model with more masks, or of none.
        """
        return self.best if choice is None or choice >= len(self) else choice

    def crop(self, index: int) -> MaskCrop:
        """Return mask `index` within its bounding box; see `Candidate.crop`."""
        return self.masks[index].crop

    def bounds_xyxy(self, index: int) -> Box | None:
        """Return the bounding box of mask `index` in the plane; None if the mask is empty."""
        return self.masks[index].bounds_xyxy

    def blocks(self, index: int) -> Iterator[MaskCrop]:
        """Return mask `index` in pixels of the plane; see `Candidate.blocks`."""
        return self.masks[index].blocks()

    def cut(self, clean_strength: float, chosen: int, level: float) -> Candidates:
        """Return the masks with outlines as clean as this, and one of them at a level."""
        cuts = [Cut(clean_strength, level if n == chosen else 0) for n in range(len(self))]
        return self._with_cuts(cuts)

    def all_cut(self, cut: Cut) -> Candidates:
        """Return the masks all cut alike."""
        return self._with_cuts([cut] * len(self))

    def _with_cuts(self, cuts: Sequence[Cut]) -> Candidates:
        if all(mask.cut == cut for mask, cut in zip(self.masks, cuts, strict=True)):
            return self
        clicks = self.clicks_xy
        masks = (mask.with_cut(clicks, cut) for mask, cut in zip(self.masks, cuts, strict=True))
        return replace(self, masks=tuple(masks))

    @property
    def clicks_xy(self) -> list[tuple[float, float]]:
        """The foreground clicks, and points along foreground scribbles."""
        prompts = self.prompts.as_points
        labels = (label == FOREGROUND for label in prompts.point_labels)
        return list(compress(prompts.points_xy, labels))

    def logits(self, index: int) -> NDArray[np.float32]:
        """Return the low-res logits of mask `index`."""
        return self.masks[index].logits


def decode(
    embedded: EmbeddedTile,
    prompts: Prompts,
    usable: Prompts,
    mask_prompt: NDArray[np.float32] | None = None,
    context: DecodeContext = NO_CONTEXT,
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
    return ranked(embedded, prompts, usable, prediction, context)


def ranked(
    embedded: EmbeddedTile,
    prompts: Prompts,
    usable: Prompts,
    prediction: MaskPrediction,
    context: DecodeContext = NO_CONTEXT,
) -> Candidates:
    """Cut masks off where an outline ends, and put them in order; parameters as of `decode`."""
    if usable.outline is not None:
        prediction = _within(prediction, usable, usable.outline, embedded.tile)
    prediction = _honored(prediction, usable, embedded.tile)
    tile, has_box = embedded.tile, usable.box_xyxy is not None
    features = measure_features(
        prediction,
        embedded.content.thumbnail,
        tile.height * tile.width,
        edges=embedded.edges,
        has_box=has_box,
    )
    masks = masks_of(embedded, prediction)
    bounds = [mask.rough_bounds_xyxy for mask in masks]
    sides = context.sides_beyond_view(bounds)
    ranking = rank(features, context.examples, sides, context.corrected_from)
    return Candidates(prompts, tile, masks, ranking)


def masks_of(embedded: EmbeddedTile, prediction: MaskPrediction) -> tuple[Candidate, ...]:
    """Return all masks of a prediction on a tile."""
    about, picture = (embedded.tile, embedded.weights), embedded.picture
    indices = range(len(prediction))
    return tuple(Candidate(prediction, n, *about, picture=picture) for n in indices)


def clicked_cells(usable: Prompts, tile: Tile, side: int) -> list[tuple[Cell, int]]:
    """Return the clicks as cells of low-res logits, `side` cells long, with their labels."""
    return [
        (cell_at(tile, side, *place_xy), label)
        for place_xy, label in zip(usable.points_xy, usable.point_labels, strict=True)
    ]


def _honored(prediction: MaskPrediction, usable: Prompts, tile: Tile) -> MaskPrediction:
    """Let masks keep to each click, unless that is all: then they are as published."""
    if usable.size < 2:
        return prediction
    clicks = clicked_cells(usable, tile, prediction.low_res_logits.shape[-1])
    masks = [honoring(logits, clicks) for logits in prediction.low_res_logits]
    return replace(prediction, low_res_logits=np.stack(masks))


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
