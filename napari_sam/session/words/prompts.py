"""The prompts of the objects that words name, chosen among and corrected by clicks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from napari_sam.engine.detection import Detection
from napari_sam.session.batch_prompts.decode import BatchPrompt
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND, Prompts

Point = tuple[float, float]
NO_CLICKS: Final = Prompts()


def prompts_of_words(
    detections: Sequence[Detection], clicks: Prompts = NO_CLICKS
) -> list[tuple[Detection, BatchPrompt]]:
    """Return each detection with the prompts of its object, whose class is the word.

    Foreground clicks choose: only the boxes that hold one are used, of several the surest. A
    background click corrects each chosen object whose box holds it.

    Raises
    ------
    ValueError
        If no box holds a foreground click.
    """
    labelled = list(zip(clicks.points_xy, clicks.point_labels, strict=True))
    foreground = [point for point, label in labelled if label == FOREGROUND]
    background = [point for point, label in labelled if label == BACKGROUND]
    chosen = _chosen(detections, foreground) if foreground else {}
    prompts = []
    for number, detection in enumerate(detections):
        if foreground and number not in chosen:
            continue
        inside = [point for point in background if _holds(detection, point)]
        points = [*chosen.get(number, ()), *inside]
        labels = [FOREGROUND] * len(chosen.get(number, ())) + [BACKGROUND] * len(inside)
        box = Prompts(tuple(points), tuple(labels), detection.box_xyxy)
        prompts.append((detection, BatchPrompt(box, detection.word, detection.region)))
    return prompts


def box_for_click(detections: Sequence[Detection], prompts: Prompts) -> Prompts:
    """Return a first click together with the surest box that holds it, if there is one."""
    is_first_click = prompts.is_single and bool(prompts.points_xy)
    holding = [one for one in detections if is_first_click and _holds(one, prompts.points_xy[0])]
    if not holding:
        return prompts
    return replace(prompts, box_xyxy=_surest(holding).box_xyxy)


def _chosen(detections: Sequence[Detection], points: Sequence[Point]) -> dict[int, list[Point]]:
    """Return the foreground clicks on each chosen detection, by its index."""
    chosen = defaultdict[int, list[Point]](list)
    for point in points:
        holding = [index for index, one in enumerate(detections) if _holds(one, point)]
        if not holding:
            msg = f"No box of these words holds {point[0]:g},{point[1]:g}: lower the threshold, or "
            raise ValueError(f"{msg}click without words.")
        chosen[max(holding, key=lambda index: detections[index].score)].append(point)
    return chosen


def _surest(detections: Sequence[Detection]) -> Detection:
    return max(detections, key=lambda detection: detection.score)


def _holds(detection: Detection, point: Point) -> bool:
    x0, y0, x1, y1 = detection.box_xyxy
    return x0 <= point[0] <= x1 and y0 <= point[1] <= y1
