"""Instances in the maps of an instance decoder, and clicks into them.

Source: A. Archit et al., "Segment Anything for Microscopy" (Nature Methods 2025,
doi:10.1038/s41592-024-02580-4), "Automatic instance segmentation", and micro-sam's documentation.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label
from skimage.segmentation import find_boundaries, watershed

from napari_sam.engine.instance_settings import InstanceSettings
from napari_sam.engine.instances import InstanceMaps
from napari_sam.engine.masks import MaskCrop
from napari_sam.model.automatic.mask_ops import box_of
from napari_sam.model.automatic.mask_set import MaskRecord

_WITH_CORNERS: Final = 2
"""Pixels that touch at corners belong together in seeds of AIS; all else goes across edges."""
_TRUNCATE: Final = 3.0
_SHIFT: Final = 0.1
"""How far the threshold of the foreground is raised to measure the stability of an object."""


def smoothed(values: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    """Return a map after a Gaussian filter as micro-sam has it."""
    if sigma == 0:
        return values
    filtered: npt.NDArray[np.float32] = ndimage.gaussian_filter(
        values, sigma, mode="mirror", truncate=_TRUNCATE
    )
    return filtered


def segmented(maps: InstanceMaps, settings: InstanceSettings) -> list[MaskRecord]:
    """Segment all objects by a watershed from their seeds.

    Parameters
    ----------
    maps : InstanceMaps
        Of an image (H, W).
    settings : InstanceSettings
        Thresholds, smoothing and the smallest size.

    Returns
    -------
    list of MaskRecord
        Masks that do not overlap, by label. The score of each is the mean foreground inside, its
        stability the share that remains with a higher threshold, its point lies deepest inside.
    """
    foreground = smoothed(maps.foreground, settings.foreground_smoothing)
    center = smoothed(maps.center_distances, settings.distance_smoothing)
    boundary = smoothed(maps.boundary_distances, settings.distance_smoothing)
    mask = foreground > settings.foreground_threshold
    seeds = label(_inside(center, boundary, settings) & mask, connectivity=_WITH_CORNERS)
    labels = watershed(boundary, seeds, mask=mask)
    return [
        _record(crop, foreground, boundary, settings)
        for crop in instances(labels, settings.min_size)
    ]


def _record(
    crop: MaskCrop,
    foreground: npt.NDArray[np.float32],
    boundary: npt.NDArray[np.float32],
    settings: InstanceSettings,
) -> MaskRecord:
    region, (height, width) = _region(crop), foreground.shape
    inside = foreground[region][crop.mask]
    deepest = np.where(crop.mask, boundary[region], np.inf).argmin()
    y, x = divmod(int(deepest), crop.mask.shape[1])
    return MaskRecord(
        crop,
        box_of(crop),
        inside.size,
        float(inside.mean()),
        float((inside > settings.foreground_threshold + _SHIFT).mean()),
        (float(crop.left + x), float(crop.top + y)),
        (0, 0, width, height),
        candidate=None,
    )


def instances(labels: npt.NDArray[Any], min_size: int) -> Iterator[MaskCrop]:
    """Yield the mask of each label that has enough pixels, one after the other."""
    for label_id, region in enumerate(ndimage.find_objects(labels), start=1):
        if region is None:
            continue
        rows, columns = region
        mask = labels[region] == label_id
        if np.count_nonzero(mask) >= min_size:
            yield MaskCrop(mask, rows.start, columns.start)


def _region(crop: MaskCrop) -> tuple[slice, slice]:
    height, width = crop.mask.shape
    return slice(crop.top, crop.top + height), slice(crop.left, crop.left + width)


def _inside(
    center: npt.NDArray[np.float32],
    boundary: npt.NDArray[np.float32],
    settings: InstanceSettings,
) -> npt.NDArray[np.bool_]:
    """Tell which pixels lie well inside an object by both distances.

    The first alone would join narrow objects that touch, the second find several in a concave one.
    """
    return np.asarray(
        (center < settings.center_distance_threshold)
        & (boundary < settings.boundary_distance_threshold)
    )


def point_prompts(maps: InstanceMaps, settings: InstanceSettings) -> npt.NDArray[np.float64]:
    """Return a point deep inside each object that the maps show, before any smoothing.

    Parameters
    ----------
    maps : InstanceMaps
        Of an image (H, W).
    settings : InstanceSettings
        The thresholds.

    Returns
    -------
    ndarray
        (N, 2), (x, y) in pixels of the image, on its border only where an object lies there alone.
    """
    inside = _inside(maps.center_distances, maps.boundary_distances, settings)
    inside &= maps.foreground >= settings.foreground_threshold
    components = label(inside, connectivity=1)
    free = ~find_boundaries(components, mode="outer")
    free[[0, -1]] = free[:, [0, -1]] = False
    depths = ndimage.distance_transform_edt(free)
    points = []
    for crop in instances(components, 1):
        deepest = np.where(crop.mask, depths[_region(crop)], -1).argmax()
        y, x = divmod(int(deepest), crop.mask.shape[1])
        points.append((crop.left + x, crop.top + y))
    return np.array(points, np.float64).reshape(-1, 2)
