"""Search a plane for what words name: tile by tile, without finding an object twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Final

import numpy as np

from napari_sam.engine.detection import Detection, Detector
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile, clipped_box

_OVERLAP: Final = 1 / 4
"""Share of a tile that the next one has, too: an object of this size is whole in one of them."""
_LEAST_GAIN: Final = 1.2
"""Ratio of sides below which tiles show hardly more detail than the next coarser ones."""
_BORDER: Final = 0.01
"""Share of a tile's side within which an object at its border counts as cut off."""
_TINY_PX: Final = 24
"""Extent, in pixels that the detector sees, below which an object is left to finer tiles: its box
is too vague to tell whether it is the same as theirs."""
_SAME_OBJECT_IOU: Final = 0.5
"""Overlap of two boxes from which on they are of one object."""
_SEPARATORS: Final = re.compile(r"[,;.\n]")

Report = Callable[[int, int, Sequence[Detection]], bool]
"""Called with the tiles that are done, with all of them, and with what was found so far; returns
whether to go on. May wait, or raise."""


def words_in(text: str) -> tuple[str, ...]:
    """Return the words of a text, each once; commas separate them, and a word may have spaces."""
    words: dict[str, str] = {}
    for part in _SEPARATORS.split(text):
        word = " ".join(part.split())
        words.setdefault(word.lower(), word)
    return tuple(word for word in words.values() if word)


def search(
    detector: Detector,
    plane: ImagePlane,
    words: Sequence[str],
    *,
    region: Tile | None = None,
    report: Report = lambda done, total, found: True,
    check: Callable[[], None] = lambda: None,
) -> list[Detection]:
    """Find what words name in a plane, or in a region of it; may run on any thread.

    Each object is found once, by the word and in the tile where its score is highest.
    """
    tiles = tiles_of(plane.whole if region is None else region, detector.side)
    found: list[Detection] = []
    for done, tile in enumerate(tiles):
        if not report(done, len(tiles), found):
            return found
        pixels = plane.read(detector.side, tile, check)
        detections = detector.detect(pixels, words, check)
        height, width = (n / m for n, m in zip(tile.size, pixels.shape, strict=False))
        placed = (one.placed((height, width), tile.top, tile.left) for one in detections)
        least_px = _TINY_PX * height if tile.side > tiles[-1].side else 0
        whole = (one for one in placed if not _is_cut_off(one, tile, tiles[0]))
        inside = (_within(one, plane.shape) for one in whole)
        found = distinct([*found, *(one for one in inside if one and one.extent >= least_px)])
    report(len(tiles), len(tiles), found)
    return found


def tiles_of(region: Tile, side: int) -> list[Tile]:
    """Return a region, and smaller and smaller tiles of it down to the side of a detector."""
    sides = []
    while side * _LEAST_GAIN <= region.side:
        sides.append(side)
        side *= 2
    tiles = [region]
    for side in reversed(sides):
        rows, columns = _spans(region.height, side), _spans(region.width, side)
        tiles += (
            Tile(0, region.top + top, region.left + left, height, width)
            for (top, height), (left, width) in product(rows, columns)
        )
    return tiles


def _spans(length: int, side: int) -> Iterator[tuple[int, int]]:
    """Yield start and length of overlapping parts, which are equally far from each other."""
    if side >= length:
        return iter([(0, length)])
    n_steps = int(np.ceil((length - side) / (side * (1 - _OVERLAP))))
    return ((round(step * (length - side) / n_steps), side) for step in range(n_steps + 1))


def _is_cut_off(detection: Detection, tile: Tile, region: Tile) -> bool:
    """Whether a detection ends at a border of its tile inside the region, where another has more.

    The region itself is the coarsest tile.
    """
    if tile == region:
        return False
    margin = max(1.0, _BORDER * tile.side)
    edges = zip(detection.box_xyxy, tile.box_xyxy, region.box_xyxy, strict=True)
    return any(
        abs(edge - border) <= margin and abs(border - last) >= 1 for edge, border, last in edges
    )


def _within(detection: Detection, shape: tuple[int, int]) -> Detection | None:
    """Return a detection with the part of its box inside the plane; None if there is none."""
    x0, y0, x1, y1 = box = clipped_box(detection.box_xyxy, shape)
    return replace(detection, box_xyxy=box) if x0 < x1 and y0 < y1 else None


def distinct(detections: Sequence[Detection], iou: float = _SAME_OBJECT_IOU) -> list[Detection]:
    """Return the detections of different objects, the surest first.

    Of two whose boxes overlap by more than `iou`, the one with the higher score stays.
    """
    from napari_sam.model.automatic.mask_ops import non_maximum_suppression

    if not detections:
        return []
    boxes = np.array([detection.box_xyxy for detection in detections])
    scores = np.array([detection.score for detection in detections])
    return [detections[index] for index in non_maximum_suppression(boxes, scores, iou)]


def at_least(detections: Sequence[Detection], threshold: float) -> list[Detection]:
    """Return the detections with a score of a threshold or more."""
    return [detection for detection in detections if detection.score >= threshold]
