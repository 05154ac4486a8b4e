"""Automatic masks as a picture of labels, small enough to be drawn at once, and as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.automatic.label_ids import LabelIds
from napari_sam.session.automatic.masks import AutomaticMask, smaller_first

_LONGEST_PX: Final = 2048
"""Longest side of a picture; that of a larger plane shows every n-th pixel."""
_MAX_MASKS: Final = int(np.iinfo(np.uint16).max)


@dataclass(frozen=True, eq=False)
class AutomaticPicture:
    """Automatic masks, and what they look like."""

    masks: tuple[AutomaticMask, ...]  # the highest predicted IoU first
    label_ids: tuple[int, ...]  # of each mask, in the picture
    labels: NDArray[np.uint16]  # the picture
    step: int  # pixels of the plane, along each axis, that a pixel of the picture stands for
    covered_count: int  # masks without a pixel in the picture, because others cover them
    table: dict[str, list[Any]]  # a column each; all masks, also those that are covered


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
    }


def step_for(shape: tuple[int, int]) -> int:
    """Return how many pixels of a plane a pixel of its picture stands for, along each axis."""
    return -(-max(shape) // _LONGEST_PX)


class Painter:
    """Paints automatic masks of a plane; what is painted again keeps its color. For one thread."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._step = step_for(shape)
        self._shape = tuple(-(-length // self._step) for length in shape)
        self._label_ids = LabelIds(_MAX_MASKS)

    def paint(self, masks: Sequence[AutomaticMask]) -> AutomaticPicture:
        """Return a picture of masks; of those that overlap, the smaller one is on top."""
        masks = masks[:_MAX_MASKS]
        label_ids = self._label_ids.of(masks)
        by_key = dict(zip((mask.key for mask in masks), label_ids, strict=True))
        labels = np.zeros(self._shape, np.uint16)
        for mask in reversed(smaller_first(masks)):
            region, pixels = sampled(mask, self._step)
            labels[region][pixels] = by_key[mask.key]
        shown_px = np.bincount(labels.ravel(), minlength=_MAX_MASKS + 1) * self._step**2
        rows = [
            _row(mask, label_id, int(shown_px[label_id]))
            for mask, label_id in zip(masks, label_ids, strict=True)
        ]
        return AutomaticPicture(
            tuple(masks),
            tuple(label_ids),
            labels,
            self._step,
            sum(row["shown_px"] == 0 for row in rows),
            {name: [row[name] for row in rows] for name in (rows[0] if rows else ())},
        )


def sampled(mask: AutomaticMask, step: int) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Return where a mask lies in a picture, and its pixels (h, w) there."""
    spans = [slice(span.start // step, -(-span.stop // step)) for span in mask.span]
    rows, columns = (np.arange(span.start, span.stop) * step + step // 2 for span in spans)
    return (spans[0], spans[1]), mask.at(rows, columns)
