"""One mask that some prompts may mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop, extent
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.session.decoding.cleaning import cleaned
from napari_sam.session.decoding.cut import PUBLISHED, Cut, Levels
from napari_sam.session.image.tiles import Box, Tile


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mask of a prediction, and where it lies.

    Parameters
    ----------
    prediction : MaskPrediction
        The model's answer, in the pixels of the tile as the model got it: those of the plane, or
        larger ones.
    index : int
        Which of its masks.
    tile : Tile
        Where the prediction lies in the plane.
    weights : Path, optional
        The model's checkpoint; None: the bundled one.
    published : MaskPrediction, optional
        The model's answer, if `prediction` is cut in another way.
    cut : Cut
        How the mask is cut out of the model's answer.
    levels : Levels, optional
        What was measured for that.
    """

    prediction: MaskPrediction
    index: int
    tile: Tile
    weights: Path | None = None
    published: MaskPrediction | None = None
    cut: Cut = PUBLISHED
    levels: Levels | None = None

    @property
    def iou_prediction(self) -> float:
        """The model's own guess of the intersection over union with the object."""
        return float(self.prediction.iou_predictions[self.index])

    @property
    def logits(self) -> NDArray[np.float32]:
        """The low-res logits as the model gave them."""
        prediction = self.prediction if self.published is None else self.published
        logits: NDArray[np.float32] = prediction.low_res_logits[self.index]
        return logits

    def with_cut(self, clicks_xy: Sequence[tuple[float, float]], cut: Cut) -> Candidate:
        """Return the mask that is cut like this out of the model's answer, given the clicks."""
        if cut == self.cut:
            return self
        published = self.prediction if self.published is None else self.published
        if cut == PUBLISHED:
            return replace(self, prediction=published, published=None, cut=cut)
        clicks = [self.cell_at(x, y) for x, y in clicks_xy]
        levels, stack = self.levels, published.low_res_logits.copy()
        if cut.level == 0:
            stack[self.index] = cleaned(self.logits, clicks, cut.clean_strength)
        else:
            if levels is None or levels.clean_strength != cut.clean_strength:
                levels = Levels.of(self.logits, clicks, cut.clean_strength)
            stack[self.index] = levels.at(cut.level)
        shown = replace(published, low_res_logits=stack)
        return replace(self, prediction=shown, published=published, cut=cut, levels=levels)

    def cell_at(self, x: float, y: float) -> tuple[int, int]:
        """Return row and column of the low-res logits at a place in the plane."""
        side = self.logits.shape[-1]
        cell_px = self.tile.side / side
        row, column = (y + 0.5 - self.tile.top) / cell_px, (x + 0.5 - self.tile.left) / cell_px
        return min(max(int(row), 0), side - 1), min(max(int(column), 0), side - 1)

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Height and width of the tile in the pixels of the mask."""
        return self.prediction.original_size

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Height and width of a pixel of the mask in pixels of the plane."""
        height, width = self.grid_shape
        return self.tile.height / height, self.tile.width / width

    @property
    def crop(self) -> MaskCrop:
        """The mask within its bounding box: `mask` (h, w) bool, `top`, `left`.

        In the pixels of the tile's masks, from its first one.
        """
        return self.prediction.mask_crop(self.index)

    @property
    def bounds_xyxy(self) -> Box | None:
        """The bounding box in the plane; None if the mask is empty."""
        mask, top, left = self.crop
        if not mask.size:
            return None
        (dy, dx), (height, width) = self.pixel_size, mask.shape
        x0, y0 = self.tile.left - 0.5 + left * dx, self.tile.top - 0.5 + top * dy
        return x0, y0, x0 + width * dx, y0 + height * dy

    @cached_property
    def rough_bounds_xyxy(self) -> Box | None:
        """About `bounds_xyxy`, from the low-res logits alone."""
        mask = self.logits > 0
        if not mask.any():
            return None
        cell_px = self.tile.side / max(mask.shape)
        (top, bottom), (left, right) = extent(mask, 0), extent(mask, 1)
        x0, y0, x1, y1 = self.tile.box_xyxy
        return (
            x0 + left * cell_px,
            y0 + top * cell_px,
            min(x0 + right * cell_px, x1),
            min(y0 + bottom * cell_px, y1),
        )

    @property
    def area_bound_px(self) -> float:
        """How many pixels of the plane it has at most."""
        box = self.bounds_xyxy
        return 0 if box is None else (box[2] - box[0]) * (box[3] - box[1])

    def blocks(self) -> Iterator[MaskCrop]:
        """Yield it in pixels of the plane: crops that follow each other without overlap.

        One for most objects; for a very large one many, each computed when it is asked for.
        """
        for mask, top, left in self.prediction.mask_blocks(self.index, self.tile.size):
            yield MaskCrop(mask, top + self.tile.top, left + self.tile.left)
