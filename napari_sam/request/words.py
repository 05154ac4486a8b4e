"""The boxes of what the words of a row name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.request.rows import Prompt, RequestError, Row
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND, Prompts
from napari_sam.session.words.prompts import prompts_of_words
from napari_sam.session.words.search import at_least, search

if TYPE_CHECKING:
    from napari_sam.engine.detection import Detector


class WordFinder:
    """Finds what words name, by a detector that is loaded when it is first needed.

    Parameters
    ----------
    load : callable
        Returns the detector.
    threshold : float, optional
        Detections with lower scores are left out; by default the detector's own threshold.
    """

    def __init__(self, load: Callable[[], Detector], threshold: float | None = None) -> None:
        self._load, self._threshold = load, threshold

    @cached_property
    def _detector(self) -> Detector:
        return self._load()

    def find(self, row: Row, pixels: NDArray[np.uint8]) -> tuple[Row, list[dict[str, Any]]]:
        """Return a row with the boxes of its words, and what the answer tells of each."""
        detector = self._detector
        least = detector.default_threshold if self._threshold is None else self._threshold
        plane = ImagePlane(pixels, is_rgb=True)
        try:
            detections = at_least(search(detector, plane, row.words), least)
            found = prompts_of_words(detections, _clicks(row))
        except ValueError as error:
            raise RequestError(str(error)) from error
        prompts = tuple(_prompt(prompt.prompts) for _, prompt in found)
        return replace(row, prompts=prompts), [detection.entries for detection, _ in found]


def _clicks(row: Row) -> Prompts:
    """Return all points of a row."""
    points, labels = [], []
    for prompt in row.prompts:
        for point, label in zip(prompt.points_xy, prompt.point_labels, strict=True):
            if label in (FOREGROUND, BACKGROUND):
                points.append((float(point[0]), float(point[1])))
                labels.append(int(label))
    return Prompts(tuple(points), tuple(labels))


def _prompt(prompts: Prompts) -> Prompt:
    points_xy = np.array(prompts.points_xy, np.float64).reshape(-1, 2)
    point_labels = np.array(prompts.point_labels, np.float64)
    return Prompt(points_xy, point_labels, np.array(prompts.box_xyxy, np.float64))
