"""Proposals as a picture of labels, small enough to be drawn at once, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.automatic.masks import AutomaticMask, Key, in_overlap_order
from napari_sam.session.automatic.settings import OverlapOrder

_LONGEST_PX: Final = 2048
"""Of a picture; that of a larger plane has every n-th pixel."""
_MOST: Final = int(np.iinfo(np.uint16).max)


@dataclass(frozen=True, eq=False)
class AutomaticPicture:
    """Proposals, and what they look like."""

    proposals: tuple[AutomaticMask, ...]  # the highest predicted IoU first
    label_ids: tuple[int, ...]  # of each, in the picture
    labels: NDArray[np.uint16]  # the picture
    step: int  # pixels of the plane, along each axis, that a pixel of the picture stands for
    covered: int  # how many proposals have no pixel in the picture, because others cover them
    table: dict[str, list[Any]]  # A column each; all proposals, also those that are covered


def _row(one: AutomaticMask, label_id: int, shown_px: int) -> dict[str, Any]:
    rows, columns = one.span
    x, y = one.point_xy
    return {
        "index": label_id,
        "predicted_iou": round(one.record.predicted_iou, 4),
        "stability_score": round(one.record.stability_score, 4),
        "area_px": round(one.area_px),
        "shown_px": shown_px,
        "box_x0": columns.start,
        "box_y0": rows.start,
        "box_x1": columns.stop - 1,
        "box_y1": rows.stop - 1,
        "point_x": round(x, 1),
        "point_y": round(y, 1),
        "tile": f"{one.tile.left},{one.tile.top} {one.tile.width}x{one.tile.height}",
    }


def step_for(shape: tuple[int, int]) -> int:
    """Return how many pixels of a plane a pixel of its picture stands for, along each axis."""
    return -(-max(shape) // _LONGEST_PX)


class Painter:
    """Paints proposals; one that comes again keeps its colour. For one thread."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._step = step_for(shape)
        self._shape = tuple(-(-length // self._step) for length in shape)
        self._label_ids: dict[Key, int] = {}

    def paint(self, proposals: Sequence[AutomaticMask], layering: OverlapOrder) -> AutomaticPicture:
        """Return a picture of proposals."""
        proposals = proposals[:_MOST]
        if len(self._label_ids) + len(proposals) > _MOST:
            self._label_ids.clear()
        label_ids = {one.key: self._label_id(one.key) for one in proposals}
        labels = np.zeros(self._shape, np.uint16)
        for one in reversed(in_overlap_order(proposals, layering)):
            self._paint(labels, one, label_ids[one.key])
        shown = np.bincount(labels.ravel(), minlength=len(self._label_ids) + 1) * self._step**2
        rows = [_row(one, label_ids[one.key], int(shown[label_ids[one.key]])) for one in proposals]
        return AutomaticPicture(
            tuple(proposals),
            tuple(label_ids[one.key] for one in proposals),
            labels,
            self._step,
            sum(row["shown_px"] == 0 for row in rows),
            {name: [row[name] for row in rows] for name in (rows[0] if rows else ())},
        )

    def _label_id(self, key: Key) -> int:
        return self._label_ids.setdefault(key, len(self._label_ids) + 1)

    def _paint(self, labels: NDArray[np.uint16], one: AutomaticMask, label_id: int) -> None:
        region, mask = sampled(one, self._step)
        labels[region][mask] = label_id


def sampled(one: AutomaticMask, step: int) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Return where a proposal lies in a picture, and its mask (h, w) there."""
    spans = [slice(span.start // step, -(-span.stop // step)) for span in one.span]
    rows, columns = (np.arange(span.start, span.stop) * step + step // 2 for span in spans)
    return (spans[0], spans[1]), one.at(rows, columns)
