"""What existing objects have in common, for finding only masks that are like them."""

from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.automatic.likeness import NO_EXAMPLES, Examples, Likeness
from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.objects.records import ObjectRecord

_SIZE_FACTOR: Final = 2.0
"""How much larger or smaller a mask may be than the largest or smallest existing object."""
_BRIGHTNESS_STEP: Final = 25.0
"""How much brighter or darker a mask may be than existing objects, of 255."""


@dataclass(frozen=True)
class ExistingObjects:
    """The objects that a plane has already; a run with them finds only the remaining ones."""

    target: LabelsPlane  # the labels of the plane
    records: tuple[ObjectRecord, ...]  # their objects when the run began
    match_size: bool = True  # whether masks have to be about as large as these objects
    match_brightness: bool = True  # whether masks have to be about as bright
    examples: tuple[ObjectRecord, ...] = ()  # if there are any, masks are ranked by likeness
    other_examples: Examples = NO_EXAMPLES  # likewise; these are of other planes


class SimilarityLimits(NamedTuple):
    """The areas and the brightness that masks may have, and what ranks them by examples."""

    area_px: tuple[float, float] = (0, inf)
    brightness: tuple[float, float] = (-inf, inf)
    likeness: Likeness | None = None

    def admit(self, area_px: float, brightness: float) -> bool:
        """Whether a mask lies within the limits."""
        return (
            self.area_px[0] <= area_px <= self.area_px[1]
            and self.brightness[0] <= brightness <= self.brightness[1]
        )


def similarity_limits(existing: ExistingObjects, image: NDArray[np.uint8]) -> SimilarityLimits:
    """Return the limits that existing objects set; for a background thread."""
    gray = np.asarray(image.mean(axis=2)).astype(np.uint8)
    target = existing.target
    areas, means = [], []
    for record in existing.records:
        box = target.to_plane(record.start, record.stop)
        if box is not None:
            crop = MaskCrop(target.read(*box) == record.label_id, box[0].start, box[1].start)
            if not crop.mask.any():
                continue
            areas.append(np.count_nonzero(crop.mask))
            means.append(mean_inside(gray, target.shape, crop))
    limits = SimilarityLimits()
    if areas and existing.match_size:
        limits = limits._replace(area_px=(min(areas) / _SIZE_FACTOR, max(areas) * _SIZE_FACTOR))
    if areas and existing.match_brightness:
        limits = limits._replace(
            brightness=(min(means) - _BRIGHTNESS_STEP, max(means) + _BRIGHTNESS_STEP)
        )
    return limits


def mean_inside(gray: NDArray[np.uint8], size: tuple[int, int], crop: MaskCrop) -> float:
    """Return the mean of a gray image inside a mask, which has pixels of an image of `size`."""
    indices, (mask, *corner) = [], crop
    for length, small, first, extent in zip(size, gray.shape, corner, mask.shape, strict=True):
        step = max(1, length // (2 * small))  # finer steps would tell no more
        index = np.arange(0, extent, step)
        indices.append((index, ((first + index + 0.5) * small / length).astype(int)))
    (rows, gray_rows), (columns, gray_columns) = indices
    inside = mask[rows[:, None], columns]
    if not inside.any():  # thinner than the steps
        inside[:] = True
    return float(gray[gray_rows[:, None], gray_columns][inside].mean())
