"""What automatic mask generation can be told, and where it puts its points.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix B,
"Cropping" and "Filtering". Names, meanings and defaults are the published ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_sam.engine.masks import PixelBox
from napari_sam.engine.spec import Size

OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")

Grid = tuple[tuple[float, float], ...]
"""Points (x, y), from 0 to 1 across a crop."""


class Crop(NamedTuple):
    """A part of the image that is looked at on its own.

    Attributes
    ----------
    layer : int
        0 for the whole image, which is split into 2**layer parts along each axis.
    box_xyxy : tuple of int
        x0, y0, x1, y1 in pixels of the image, the last excluded.
    """

    layer: int
    box_xyxy: PixelBox


@dataclass(frozen=True)
class AutomaticSettings:
    """Settings of automatic mask generation.

    Attributes
    ----------
    points_per_side : int or None
        The grid has its square of points; None if there are `point_grids`.
    points_per_batch : int
        Points decoded at a time, between two calls back.
    pred_iou_thresh : float
        Masks have to be predicted a better quality; 0 lets all pass.
    stability_score_thresh : float
        Masks have to be at least as stable; 0 lets all pass.
    stability_score_offset : float
        How far the threshold of the logits is shifted to see how stable a mask is.
    box_nms_thresh : float
        Of two boxes in a crop with a larger intersection over union, one goes.
    crop_n_layers : int
        Layers of crops beside the whole image; layer i has 4**i crops.
    crop_nms_thresh : float
        As `box_nms_thresh`, between crops; what was found in smaller crops stays.
    crop_overlap_ratio : float
        How far crops of the first layer overlap, as a share of the image's shorter side; the
        overlap halves with each layer.
    crop_n_points_downscale_factor : int
        Points per side are divided by it once for each layer.
    point_grids : sequence, optional
        For each layer an (N, 2) grid, (x, y) from 0 to 1 across a crop, in place of
        `points_per_side`.
    min_mask_region_area : float
        Holes and islands of fewer pixels are removed; 0 leaves them.
    output_mode : str
        "binary_mask", "uncompressed_rle" or "coco_rle": how the published form has masks.

    Raises
    ------
    ValueError
        If a value makes no sense.
    """

    points_per_side: int | None = 32
    points_per_batch: int = 64
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    point_grids: Sequence[npt.ArrayLike] | None = None
    min_mask_region_area: float = 0
    output_mode: str = "binary_mask"

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            _check_number(name, getattr(self, name), least)
        if not self.crop_overlap_ratio < 1:
            raise ValueError(
                f"crop_overlap_ratio is {self.crop_overlap_ratio}; choose less than 1."
            )
        if self.output_mode not in OUTPUT_MODES:
            raise ValueError(
                f"There is no output_mode {self.output_mode!r}; choose one of "
                f"{', '.join(OUTPUT_MODES)}."
            )
        if (self.points_per_side is None) == (self.point_grids is None):
            raise ValueError("Pass either points_per_side or point_grids, and None for the other.")
        if self.points_per_side is not None:
            _check_number("points_per_side", self.points_per_side, 1)
            if self._points_per_side(self.crop_n_layers) < 1:
                raise ValueError(
                    f"{self.points_per_side} points per side leave none for layer "
                    f"{self.crop_n_layers}; choose a smaller crop_n_points_downscale_factor."
                )
        if self.point_grids is not None:
            grids = tuple(_as_grid(grid) for grid in self.point_grids)
            if len(grids) <= self.crop_n_layers:
                raise ValueError(
                    f"There are {len(grids)} point_grids for {self.crop_n_layers + 1} layers; pass "
                    "one for the image and one for each layer of crops."
                )
            object.__setattr__(self, "point_grids", grids)  # compares, as arrays do not

    def _points_per_side(self, layer: int) -> int:
        assert self.points_per_side is not None
        return int(self.points_per_side / self.crop_n_points_downscale_factor**layer)

    def point_grid(self, layer: int) -> npt.NDArray[np.float64]:
        """Return the points of a layer, (N, 2), (x, y) from 0 to 1 across a crop, row by row."""
        if self.point_grids is not None:
            return np.asarray(self.point_grids[layer], np.float64)
        count = self._points_per_side(layer)
        places = (np.arange(count) + 0.5) / count
        return np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)

    def crops(self, size: Size) -> list[Crop]:
        """Return all crops of an image of (H, W) pixels, the whole image first."""
        height, width = size
        crops = [Crop(0, (0, 0, width, height))]
        for layer in range(1, self.crop_n_layers + 1):
            count = 2**layer
            overlap = int(self.crop_overlap_ratio * min(size) * 2 / count)
            spans = (_spans(length, count, overlap) for length in (width, height))
            crops += [Crop(layer, (x0, y0, x1, y1)) for (x0, x1), (y0, y1) in product(*spans)]
        return crops

    def needing_another_run(self, other: AutomaticSettings) -> list[str]:
        """Return the names of the settings in which masks of `other` cannot be found in ours."""
        return [
            setting.name
            for setting in fields(self)
            if setting.name in _DECIDE_WHAT_IS_DECODED
            and getattr(self, setting.name) != getattr(other, setting.name)
        ]


_LEAST = {
    "points_per_batch": 1,
    "pred_iou_thresh": None,
    "stability_score_thresh": None,
    "stability_score_offset": 0,
    "box_nms_thresh": 0,
    "crop_n_layers": 0,
    "crop_nms_thresh": 0,
    "crop_overlap_ratio": 0,
    "crop_n_points_downscale_factor": 1,
    "min_mask_region_area": 0,
}
_WHOLE = {
    "points_per_side",
    "points_per_batch",
    "crop_n_layers",
    "crop_n_points_downscale_factor",
}
_DECIDE_WHAT_IS_DECODED = {
    "points_per_side",
    "stability_score_offset",
    "crop_n_layers",
    "crop_overlap_ratio",
    "crop_n_points_downscale_factor",
    "point_grids",
}


def _check_number(name: str, value: Any, least: int | None) -> None:
    try:
        good = math.isfinite(value) and (least is None or value >= least)
        good = good and (name not in _WHOLE or value == int(value))
    except TypeError:
        good = False
    if not good:
        kind = "whole number" if name in _WHOLE else "number"
        bound = "" if least is None else f" of at least {least}"
        raise ValueError(f"{name} is {value!r}; choose a {kind}{bound}.")


def _as_grid(points: npt.ArrayLike) -> Grid:
    try:
        grid = np.asarray(points, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"A point grid is no array of numbers ({error}).") from error
    if grid.ndim != 2 or grid.shape[1] != 2 or len(grid) == 0:
        raise ValueError(f"A point grid has shape {grid.shape}; pass (N, 2) in (x, y) order.")
    if not ((grid >= 0) & (grid <= 1)).all():
        raise ValueError("A point grid has points outside the image; pass numbers from 0 to 1.")
    return tuple((float(x), float(y)) for x, y in grid)


def _spans(length: int, count: int, overlap: int) -> list[tuple[int, int]]:
    """Split a length into parts that overlap; as half-open ranges."""
    part = math.ceil((overlap * (count - 1) + length) / count)
    spans = [(start * (part - overlap), start * (part - overlap) + part) for start in range(count)]
    # Of images a few pixels wide, the last parts may lie outside.
    return [(begin, min(end, length)) for begin, end in spans if begin < length]
