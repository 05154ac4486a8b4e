"""What finds objects by words, as the session sees it, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from napari_sam.engine.masks import MaskCrop, scaled_crop

LEAST_SCORE: Final = 0.05
"""Detections with lower scores are not kept: no threshold shows them."""


@dataclass(frozen=True, eq=False)
class Detection:
    """An object that a word names.

    Parameters
    ----------
    word : str
        The word, as the user wrote it.
    score : float
        How surely the word names it, 0 to 1.
    box_xyxy : tuple of four floats
        x0, y0, x1, y1 (columns and rows) of its edges, where pixels have their centers at whole
        numbers.
    region : MaskCrop, optional
        About its pixels, by a detector that has a map of them.
    """

    word: str
    score: float
    box_xyxy: tuple[float, float, float, float]
    region: MaskCrop | None = None

    @property
    def extent(self) -> float:
        """The longer side of its box."""
        x0, y0, x1, y1 = self.box_xyxy
        return max(x1 - x0, y1 - y0)

    @property
    def entries(self) -> dict[str, Any]:
        """What JSON says of it."""
        box = [round(edge, 2) for edge in self.box_xyxy]
        return {"class_name": self.word, "text_score": self.score, "text_box_xyxy": box}

    def placed(self, scale_yx: tuple[float, float], top: int = 0, left: int = 0) -> Detection:
        """Return it in the pixels of an image in which its own are so many pixels high and wide.

        `top` and `left` are the row and column of the first of its own pixels there.
        """
        scale_y, scale_x = scale_yx
        x0, y0, x1, y1 = self.box_xyxy
        xs = [left + (x + 0.5) * scale_x - 0.5 for x in (x0, x1)]
        ys = [top + (y + 0.5) * scale_y - 0.5 for y in (y0, y1)]
        region = self.region
        if region is not None:
            region = scaled_crop(region, scale_yx)
            region = MaskCrop(region.mask, top + region.top, left + region.left)
        return Detection(self.word, self.score, (xs[0], ys[0], xs[1], ys[1]), region)


class Detector(Protocol):
    """Finds objects by words; may be called on any thread, by one at a time."""

    @property
    def name(self) -> str:
        """The repository or the folder that it is from."""

    @property
    def revision(self) -> str | None:
        """The commit of its repository; None for a folder."""

    @property
    def side(self) -> int:
        """How many pixels of an image it sees along the longer side; more are reduced."""

    @property
    def default_threshold(self) -> float:
        """The score from which on its detections are usually right."""

    def detect(
        self,
        image: npt.NDArray[np.uint8],
        words: Sequence[str],
        check: Callable[[], None] = lambda: None,
    ) -> list[Detection]:
        """Find what the words name.

        Parameters
        ----------
        image : ndarray
            (H, W, 3) uint8, RGB.
        words : sequence of str
            Names of objects, one or more.
        check : callable, optional
            Called now and then, on this thread; it may wait. An exception it raises ends the
            search.

        Returns
        -------
        list of Detection
            In pixels of the image, each with a score of `LEAST_SCORE` or more; in no order, and
            several may be of one object.
        """
