"""Automatic masks as a picture of labels, small enough to be drawn at once, and as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod, sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.automatic.label_ids import LabelIds
from napari_sam.session.automatic.masks import AutomaticMask, smaller_first

_LONGEST_PX: Final = 2048
"""Longest side of a picture; that of a larger plane shows every n-th pixel."""
_MOST_PX: Final = 2**27
"""Pixels of the pictures of all slices together."""
_MAX_MASKS: Final = int(np.iinfo(np.uint16).max)


@dataclass(frozen=True, eq=False)
class AutomaticPicture:
    """Automatic masks, and what they look like."""

    masks: tuple[AutomaticMask, ...]  # the highest predicted IoU first
    label_ids: tuple[int, ...]  # of each mask, in the picture
    labels: NDArray[np.uint16]  # the picture; of a run through slices, one for each of them
    step: int  # pixels of the plane, along each axis, that a pixel of the picture stands for
    covered_count: int  # masks without a pixel in the picture, because others cover them
    table: dict[str, list[Any]]  # a column each; all masks, also those that are covered
    first_slice: int = 0  # the first of several slices
    background_count: int = 0  # masks left out, as they are the background of the objects
    searched: range | None = None  # the slices that the run has come to; None for a single one

    def alone(self, mask: AutomaticMask) -> NDArray[np.uint16]:
        """Return the picture of a mask without all others."""
        labels = np.zeros_like(self.labels)
        label_id = self.label_ids[self.masks.index(mask)]
        paint_mask(labels, mask, label_id, self.step, self.first_slice)
        return labels


def _row(mask: AutomaticMask, label_id: int, shown_px: int) -> dict[str, Any]:
    rows, columns = mask.span
    x, y = mask.point_xy
    tile = mask.tile
    return {
        "index": label_id,
        "predicted_iou": round(mask.record.predicted_iou, 4),
        "stability_score": round(mask.record.stability_score, 4),
        "area_px": round(mask.area_px),
        "shown_px": shown_px,
        "box_x0": columns.start,
        "box_y0": rows.start,
        "box_x1": columns.stop - 1,
        "box_y1": rows.stop - 1,
        "point_x": round(x, 1),
        "point_y": round(y, 1),
        "tile": f"{tile.left},{tile.top} {tile.width}x{tile.height}",
        **mask.columns,
    }


def step_for(shape: tuple[int, int], n_slices: int = 1) -> int:
    """Return how many pixels of a plane a pixel of its picture stands for, along each axis."""
    step = ceil(sqrt(prod(shape) * n_slices / _MOST_PX))
    return max(step, -(-max(shape) // _LONGEST_PX))


def paint_mask(
    labels: NDArray[np.uint16], mask: AutomaticMask, label_id: int, step: int, first_slice: int
) -> None:
    """Paint a mask over a picture, or over those of several slices."""
    for (slice_index, rows, columns), pixels in mask.on_picture(step):
        plane = labels if labels.ndim == 2 else labels[slice_index - first_slice]
        plane[rows, columns][pixels] = label_id


class Painter:
    """Paints automatic masks of a plane; what is painted again keeps its color. For one thread."""

    def __init__(self, shape: tuple[int, int], slices: range | None = None) -> None:
        self.slices = slices
        """The slices of which there is a picture each; None for a single one."""
        self.step = step_for(shape, 1 if slices is None else len(slices))
        """Pixels of the plane that a pixel of the picture stands for, along each axis."""
        self._shape = tuple(-(-length // self.step) for length in shape)
        if slices is not None:
            self._shape = (len(slices), *self._shape)
        self._label_ids = LabelIds(_MAX_MASKS)

    def paint(self, masks: Sequence[AutomaticMask]) -> AutomaticPicture:
        """Return a picture of masks; of those that overlap, the smaller one is on top."""
        masks = masks[:_MAX_MASKS]
        label_ids = self._label_ids.of(masks)
        by_key = dict(zip((mask.key for mask in masks), label_ids, strict=True))
        labels = np.zeros(self._shape, np.uint16)
        first_slice = 0 if self.slices is None else self.slices.start
        for mask in reversed(smaller_first(masks)):
            paint_mask(labels, mask, by_key[mask.key], self.step, first_slice)
        shown_px = np.bincount(labels.ravel(), minlength=_MAX_MASKS + 1) * self.step**2
        rows = [
            _row(mask, label_id, int(shown_px[label_id]))
            for mask, label_id in zip(masks, label_ids, strict=True)
        ]
        return AutomaticPicture(
            tuple(masks),
            tuple(label_ids),
            labels,
            self.step,
            sum(row["shown_px"] == 0 for row in rows),
            {name: [row[name] for row in rows] for name in (rows[0] if rows else ())},
            first_slice,
        )
