"""The prompts of a predictor: checked, and scaled to the pixels of the square input."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_sam.engine.spec import Size
from napari_sam.model.transforms import scale_boxes, scale_points
from napari_sam.model.validation import FloatArray, check_boxes, check_points

_PADDING = -1
_CORNERS = (2, 3)
"""Kinds of positions, beside the labels of points; as `PromptEncoder.sparse_uniform` has them."""


class PromptBatch(NamedTuple):
    """B prompts with N points each; points and labels are both given or both None.

    Attributes
    ----------
    points_xy : ndarray or None
        (B, N, 2), (x, y).
    point_labels : ndarray or None
        (B, N), 1 for foreground, 0 for background, -1 for padding.
    boxes_xyxy : ndarray or None
        (B, 4), x0, y0, x1, y1.
    """

    points_xy: FloatArray | None
    point_labels: FloatArray | None
    boxes_xyxy: FloatArray | None

    @classmethod
    def of_one(cls, points_xy: Any, point_labels: Any, box_xyxy: Any) -> PromptBatch:
        """Check the prompt of `MaskDecoder.decode`; zero points count as None."""
        points, labels, boxes = None, None, None
        if points_xy is not None or point_labels is not None:
            points, labels = check_points(points_xy, point_labels, ndim=2)
            points, labels = (points[None], labels[None]) if len(points) else (None, None)
        if box_xyxy is not None:
            boxes = check_boxes(box_xyxy, ndim=1, name="box_xyxy")[None]
        return cls(points, labels, boxes)

    @classmethod
    def of_many(cls, points_xy: Any, point_labels: Any, boxes_xyxy: Any) -> PromptBatch:
        """Check the prompts of `MaskDecoder.decode_batch`."""
        points, labels, boxes = None, None, None
        if points_xy is not None or point_labels is not None:
            points, labels = check_points(points_xy, point_labels, ndim=3)
        if boxes_xyxy is not None:
            boxes = check_boxes(boxes_xyxy, ndim=2, name="boxes_xyxy")
        if boxes is None and (points is None or points.shape[1] == 0):
            raise ValueError("There is no prompt; pass points or boxes.")
        if points is not None and boxes is not None and len(points) != len(boxes):
            raise ValueError(
                f"There are {len(points)} point prompts and {len(boxes)} boxes; pass as many of "
                "one as of the other."
            )
        return cls(points, labels, boxes)

    @property
    def has_positions(self) -> bool:
        """Whether there are points or boxes."""
        return self.points_xy is not None or self.boxes_xyxy is not None

    @property
    def prompt_count(self) -> int:
        """Number of prompts B."""
        given = self.boxes_xyxy if self.points_xy is None else self.points_xy
        return 0 if given is None else len(given)

    def in_input(self, original_size: Size, input_size: Size) -> PromptBatch:
        """Scale prompts from pixels of an image to pixels of its resized version, as float32."""
        points, labels, boxes = self
        return PromptBatch(
            None if points is None else scale_points(points, original_size, input_size),
            None if labels is None else labels.astype(np.float32),
            None if boxes is None else scale_boxes(boxes, original_size, input_size),
        )

    def positions(
        self, pads_boxes: bool = False
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return points and box corners together: positions (B, n, 2) and kinds (B, n).

        A padding point follows points without a box; with `pads_boxes` it follows a box, too.
        """
        positions: list[npt.NDArray[Any]] = []
        kinds: list[npt.NDArray[Any]] = []
        if self.points_xy is not None and self.point_labels is not None:
            positions.append(self.points_xy)
            kinds.append(self.point_labels)
        if self.boxes_xyxy is not None:
            positions.append(self.boxes_xyxy.reshape(-1, 2, 2))
            kinds.append(np.tile([_CORNERS], (self.prompt_count, 1)))
        if self.boxes_xyxy is None or pads_boxes:
            # The network was trained to see it.
            positions.append(np.zeros((self.prompt_count, 1, 2)))
            kinds.append(np.full((self.prompt_count, 1), _PADDING))
        return (
            np.concatenate(positions, axis=1).astype(np.float32),
            np.concatenate(kinds, axis=1).astype(np.int64),
        )
