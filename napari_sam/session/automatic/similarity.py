"""What the objects that are there already have in common, for finding the rest of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.objects.records import ObjectRecord

_SIZE_FACTOR: Final = 2.0
"""How much larger or smaller than the largest or smallest accepted object a like one may be."""
_BRIGHTNESS_STEP: Final = 25.0
"""How much brighter or darker than the accepted ones, of 255."""


@dataclass(frozen=True)
class ExistingObjects:
    """What is there already, beside which the rest is looked for."""

    target: LabelsPlane  # the labels of the plane
    records: tuple[ObjectRecord, ...]  # their objects when the search began
    like_size: bool = True  # whether only what is as large, and as bright, as these is wanted
    like_brightness: bool = True  # whether only what is as large, and as bright, as these is wanted


class SimilarityLimits(NamedTuple):
    """What proposals have to be like."""

    area_px: tuple[float, float] = (0, inf)
    brightness: tuple[float, float] = (-inf, inf)

    def admits(self, area_px: float, brightness: float) -> bool:
        """Whether a mask is like that."""
        return (
            self.area_px[0] <= area_px <= self.area_px[1]
            and self.brightness[0] <= brightness <= self.brightness[1]
        )


def similarity_limits(rest: ExistingObjects, image: NDArray[np.uint8]) -> SimilarityLimits:
    """Return what the rest has to be like; for a background thread."""
    gray = np.asarray(image.mean(axis=2)).astype(np.uint8)
    target = rest.target
    areas, means = [], []
    for record in rest.records:
        box = target.to_plane(record.start, record.stop)
        if box is not None:
            mask = target.read(*box) == record.label_id
            areas.append(record.area_px)
            means.append(mean_inside(gray, target.shape, mask, box[0].start, box[1].start))
    likeness = SimilarityLimits()
    if areas and rest.like_size:
        likeness = likeness._replace(area_px=(min(areas) / _SIZE_FACTOR, max(areas) * _SIZE_FACTOR))
    if areas and rest.like_brightness:
        likeness = likeness._replace(
            brightness=(min(means) - _BRIGHTNESS_STEP, max(means) + _BRIGHTNESS_STEP)
        )
    return likeness


def mean_inside(
    gray: NDArray[np.uint8], size: tuple[int, int], mask: NDArray[np.bool_], top: int, left: int
) -> float:
    """Return the mean of a gray image where a mask lies on the (H, W) pixels it stands for."""
    places = []
    for length, small, first, extent in zip(size, gray.shape, (top, left), mask.shape, strict=True):
        step = max(1, length // (2 * small))  # no more places than tell something
        index = np.arange(0, extent, step)
        places.append((index, ((first + index + 0.5) * small / length).astype(int)))
    (rows, gray_rows), (columns, gray_columns) = places
    inside = mask[rows[:, None], columns]
    if not inside.any():  # thinner than the steps
        inside[:] = True
    return float(gray[gray_rows[:, None], gray_columns][inside].mean())
