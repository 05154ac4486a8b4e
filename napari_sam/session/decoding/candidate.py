"""One mask that some prompts may mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop, extent
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.session.decoding.cleaning import Cell, cleaned
from napari_sam.session.decoding.cut import PUBLISHED, Cut, Levels
from napari_sam.session.decoding.features import inside
from napari_sam.session.image.picture import TilePicture
from napari_sam.session.image.tiles import Box, Tile


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mask of a prediction, and where it lies.

    Parameters
    ----------
    published : MaskPrediction
        The model's answer, in the pixels of the tile as the model got it: those of the plane, or
        larger ones.
    index : int
        Which of its masks.
    tile : Tile
        Where the prediction lies in the plane.
    weights : Path, optional
        The model's checkpoint; None: the bundled one.
    cut : Cut
        How the mask is cut out of the model's answer.
    clicks : sequence of (int, int)
        The foreground clicks that matter for that, as cells of the low-res logits.
    levels : dict
        What was measured for that, by clean strength.
    picture : TilePicture, optional
        What the model saw on the tile; None if the image embedding was imported.
    """

    published: MaskPrediction
    index: int
    tile: Tile
    weights: Path | None = None
    cut: Cut = PUBLISHED
    clicks: Sequence[Cell] = ()
    levels: dict[float, Levels] = field(default_factory=dict, repr=False)
    picture: TilePicture | None = field(default=None, repr=False)

    @property
    def iou_prediction(self) -> float:
        """The model's own guess of the intersection over union with the object."""
        return float(self.published.iou_predictions[self.index])

    @property
    def logits(self) -> NDArray[np.float32]:
        """The low-res logits as the model gave them."""
        logits: NDArray[np.float32] = self.published.low_res_logits[self.index]
        return logits

    @cached_property
    def prediction(self) -> MaskPrediction:
        """The model's answer with the mask cut as it is shown, computed at the first access."""
        strength, level = self.cut.clean_strength, self.cut.level
        if self.cut == PUBLISHED:
            return self.published
        if level == 0:
            logits = cleaned(self.logits, self.clicks, strength)
        else:
            if strength not in self.levels:
                self.levels[strength] = Levels.of(self.logits, self.clicks, strength)
            logits = self.levels[strength].at(level)
        stack = self.published.low_res_logits.copy()
        stack[self.index] = logits
        return replace(self.published, low_res_logits=stack)

    def with_cut(self, clicks_xy: Sequence[tuple[float, float]], cut: Cut) -> Candidate:
        """Return the mask that is cut like this out of the model's answer, given the clicks."""
        if cut == self.cut:
            return self
        side = self.logits.shape[-1]
        return replace(self, cut=cut, clicks=[cell_at(self.tile, side, *xy) for xy in clicks_xy])

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Height and width of the tile in the pixels of the mask."""
        return self.published.original_size

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
        return rough_bounds(self.logits, self.tile)

    @property
    def area_bound_px(self) -> float:
        """How many pixels of the plane it has at most."""
        box = self.bounds_xyxy
        return 0 if box is None else (box[2] - box[0]) * (box[3] - box[1])

    @property
    def area_px(self) -> float:
        """How many pixels of the plane it has as it is cut, about."""
        share = np.mean(inside(self.prediction)[self.index] > 0)
        return float(share * self.tile.height * self.tile.width)

    def blocks(self) -> Iterator[MaskCrop]:
        """Yield it in pixels of the plane: crops that follow each other without overlap.

        One for most objects; for a very large one many, each computed when it is asked for.
        """
        for mask, top, left in self.prediction.mask_blocks(self.index, self.tile.size):
            yield MaskCrop(mask, top + self.tile.top, left + self.tile.left)


def cell_at(tile: Tile, side: int, x: float, y: float) -> Cell:
    """Return row and column of low-res logits, `side` cells long, at a place in the plane."""
    cell_px = tile.side / side
    row, column = (y + 0.5 - tile.top) / cell_px, (x + 0.5 - tile.left) / cell_px
    return min(max(int(row), 0), side - 1), min(max(int(column), 0), side - 1)


def rough_bounds(logits: NDArray[np.float32], tile: Tile) -> Box | None:
    """Return about the bounding box of a mask in the plane, given its low-res logits on a tile."""
    mask = logits > 0
    if not mask.any():
        return None
    cell_px = tile.side / max(mask.shape)
    (top, bottom), (left, right) = extent(mask, 0), extent(mask, 1)
    x0, y0, x1, y1 = tile.box_xyxy
    return (
        x0 + left * cell_px,
        y0 + top * cell_px,
        min(x0 + right * cell_px, x1),
        min(y0 + bottom * cell_px, y1),
    )
