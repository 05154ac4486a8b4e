"""The settings of automatic mask generation, and where its points and crops lie.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix B,
"Cropping" and "Filtering". Names, meanings and defaults are the published ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from napari_sam.engine.masks import PixelBox
from napari_sam.engine.spec import Size

OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")

Grid = tuple[tuple[float, float], ...]
"""Points (x, y), from 0 to 1 across a crop."""


class Crop(NamedTuple):
    """A part of the image with a grid of points of its own.

    Attributes
    ----------
    layer : int
        0 for the whole image, which is split into 2**layer parts along each axis.
    box_xyxy : tuple of int
        x0, y0, x1, y1 in pixels of the image, the last excluded.
    """

    layer: int
    box_xyxy: PixelBox


class Setting(NamedTuple):
    """How a setting is offered in forms and on the command line.

    Attributes
    ----------
    lowest, highest : float
        The range that a form offers.
    step : float
        Of its spin box; an int for whole numbers.
    help : str
        What the setting does.
    decides_decoding : bool
        Whether another value needs other masks to be decoded.
    """

    lowest: float
    highest: float
    step: float
    help: str
    decides_decoding: bool = False


@dataclass(frozen=True)
class AutomaticSettings:
    """Published settings of automatic mask generation; annotations explain them.

    `point_grids` are an (N, 2) grid for each layer, (x, y) from 0 to 1 across a crop, in place of
    `points_per_side`. `output_mode`, one of `OUTPUT_MODES`, is how the published form has masks.

    Raises
    ------
    ValueError
        If a value makes no sense.
    """

    points_per_side: Annotated[
        int | None,
        Setting(1, 256, 4, "Points along each side of the grid (32 gives 32 x 32).", True),
    ] = 32
    points_per_batch: Annotated[
        int,
        Setting(
            *(1, 256, 8),
            "Points decoded at a time; between two batches, masks appear and clicks are answered. "
            "The published value is 64.",
        ),
    ] = 64
    pred_iou_thresh: Annotated[
        float, Setting(0, 1, 0.01, "Drop masks whose predicted IoU is lower than this.")
    ] = 0.88
    stability_score_thresh: Annotated[
        float, Setting(0, 1, 0.01, "Drop masks whose stability score is lower than this.")
    ] = 0.95
    stability_score_offset: Annotated[
        float,
        Setting(
            *(0, 10, 0.1),
            "How far the logit threshold is shifted to measure the stability of a mask.",
            True,
        ),
    ] = 1.0
    box_nms_thresh: Annotated[
        float,
        Setting(0, 1, 0.05, "Of two masks whose boxes overlap with a higher IoU, drop the worse."),
    ] = 0.7
    crop_n_layers: Annotated[
        int,
        Setting(
            *(0, 3, 1),
            "Layers of enlarged crops besides the whole image; layer i has 4**i crops, each with a "
            "grid of its own.",
            True,
        ),
    ] = 0
    crop_nms_thresh: Annotated[
        float,
        Setting(
            *(0, 1, 0.05),
            "Like box_nms_thresh, but between crops (and tiles), where masks of smaller ones stay.",
        ),
    ] = 0.7
    crop_overlap_ratio: Annotated[
        float,
        Setting(
            *(0, 0.9, 0.05),
            "Overlap of the first layer's crops, as a share of the shorter side of the image; it "
            "halves with each layer.",
            True,
        ),
    ] = 512 / 1500
    crop_n_points_downscale_factor: Annotated[
        int, Setting(1, 8, 1, "Divide points_per_side by this once per layer of crops.", True)
    ] = 1
    point_grids: Sequence[npt.ArrayLike] | None = None
    min_mask_region_area: Annotated[
        float,
        Setting(0, 100_000, 10, "Remove holes and islands of fewer pixels; 0 keeps them."),
    ] = 0
    output_mode: str = "binary_mask"

    def __post_init__(self) -> None:
        for name, (kind, setting) in _SETTINGS.items():
            value = getattr(self, name)
            if name != "points_per_side" or value is not None:
                check_number(name, value, kind, None if name in _UNBOUNDED else setting.lowest)
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
        if self.points_per_side is not None and self._points_per_side(self.crop_n_layers) < 1:
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
        """Return the names of the settings for which masks of `other` have to be decoded again."""
        return [name for name in _DECODING if getattr(self, name) != getattr(other, name)]


def offered_settings(settings_class: type) -> dict[str, tuple[type, Setting]]:
    """Return the settings of a class that carry a `Setting`, each with its type, by name."""
    offered: dict[str, tuple[type, Setting]] = {}
    for name, hint in get_type_hints(settings_class, include_extras=True).items():
        if get_origin(hint) is Annotated:
            kind, setting = get_args(hint)
            offered[name] = (float if kind is float else int), setting
    return offered


_SETTINGS = offered_settings(AutomaticSettings)
_DECODING = (
    "point_grids",
    *(name for name, (_, setting) in _SETTINGS.items() if setting.decides_decoding),
)
_UNBOUNDED = ("pred_iou_thresh", "stability_score_thresh")
"""A model may predict less than 0."""


def check_number(name: str, value: Any, kind: type, lowest: float | None) -> None:
    """Raise ValueError unless a setting is a finite number of its kind that is large enough."""
    try:
        is_good = math.isfinite(value) and (lowest is None or value >= lowest)
        is_good = is_good and (kind is float or value == int(value))
    except TypeError:
        is_good = False
    if not is_good:
        noun = "number" if kind is float else "whole number"
        bound = "" if lowest is None else f" of at least {lowest}"
        raise ValueError(f"{name} is {value!r}; choose a {noun}{bound}.")


def _as_grid(points: npt.ArrayLike) -> Grid:
    try:
        grid = np.asarray(points, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"A point grid is not an array of numbers ({error}).") from error
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
