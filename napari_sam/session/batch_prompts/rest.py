"""Everything on a plane that is like the objects it has already: the rest of them.

Pixels like theirs make regions, one around each place that is deep inside, and the model refines
each region.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.session.batch_prompts.decode import (
    BatchResult,
    Report,
    decode_batch_prompts,
    prompt_of_region,
)
from napari_sam.session.batch_prompts.pixels import PixelGrid, pixels_like
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.objects.packed import covered_by

LEAST_OBJECTS: Final = 5
"""Objects from which on the rest can be found."""
_SMOOTHING: Final = 0.1
"""Standard deviation, in radii of small objects."""
_LEAST_DEPTH: Final = 0.3
"""How deep in radii of small objects a place is inside that is one of its own."""
_SMALL: Final = 20
"""Percentile of the areas that tells how large small objects are."""
_SIZE_FACTOR: Final = 2.0
"""How much smaller or larger than all objects the others may be."""
_SAME_IOU: Final = 0.5
"""IoU of two masks from which on they are of one object."""
_PIXELS_SHARE: Final = 0.5
"""Of the work."""

_Mask = NDArray[np.bool_]


def decode_rest(
    embedder: Embedder,
    plane: ImagePlane,
    target: LabelsPlane,
    *,
    report: Report = lambda _: True,
    **options: Any,
) -> list[BatchResult]:
    """Segment what is like the objects of a target; may run on any thread.

    Parameters
    ----------
    embedder : Embedder
        The model.
    plane : ImagePlane
        The image.
    target : LabelsPlane
        Its objects, one at least; they are left alone.
    report : callable
        Called with the share that is done; returns whether to go on.
    **options
        See `decode_batch_prompts`.
    """
    regions = regions_like(embedder, plane, target, lambda share: report(_PIXELS_SHARE * share))
    if not regions:
        return []
    results = decode_batch_prompts(
        embedder,
        plane,
        [prompt_of_region(region) for region in regions],
        report=lambda share: report(_PIXELS_SHARE + (1 - _PIXELS_SHARE) * share),
        **options,
    )
    return _distinct(results)


def regions_like(
    embedder: Embedder,
    plane: ImagePlane,
    target: LabelsPlane,
    report: Report = lambda _: True,
) -> list[MaskCrop]:
    """Return regions of pixels that are like those of the objects of a target, without these."""
    areas_px = _areas_px(target)
    pyramid = plane.pyramid(embedder.load().encoder.spec)
    grid = PixelGrid.of(plane, pyramid, float(np.median(areas_px)))
    taken = _on_grid(target, grid)
    if not taken.any() or taken.all():
        return []
    values = pixels_like(grid, embedder, taken, report)
    if values is None:
        return []
    small = float(np.percentile(areas_px, _SMALL)) / grid.step**2
    low, high = areas_px.min() / _SIZE_FACTOR, areas_px.max() * _SIZE_FACTOR
    regions = (_enlarged(part, grid) for part in _parts(values, taken, (small / np.pi) ** 0.5))
    return [region for region in regions if low <= np.count_nonzero(region.mask) <= high]


def _areas_px(target: LabelsPlane) -> NDArray[np.float64]:
    """Return the areas of the objects of a plane."""
    counts: dict[int, int] = {}
    height, width = target.shape
    for top in range(0, height, 256):
        labels = target.read(slice(top, min(top + 256, height)), slice(0, width))
        for label_id, count in zip(*np.unique(labels, return_counts=True), strict=True):
            counts[int(label_id)] = counts.get(int(label_id), 0) + int(count)
    counts.pop(0, None)
    return np.array(list(counts.values()), np.float64)


def _on_grid(target: LabelsPlane, grid: PixelGrid) -> _Mask:
    """Return which pixels of a grid are of objects."""
    rows, columns = (range(grid.step // 2, length, grid.step) for length in grid.plane.shape)
    width = grid.plane.shape[1]
    lines = [target.read(slice(row, row + 1), slice(0, width))[0] for row in rows]
    return np.stack([line[columns.start :: columns.step] != 0 for line in lines])


def _parts(values: NDArray[np.float32], taken: _Mask, radius: float) -> Iterator[MaskCrop]:
    """Yield the parts of what is inside, one around each place deep in it."""
    sigma = max(0.5, _SMOOTHING * radius)
    inside = (ndimage.gaussian_filter(values, sigma) > 0) & ~taken
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    depth = ndimage.gaussian_filter(depth, sigma)
    centers = _centers(depth, radius)
    if not centers:
        return
    numbers = np.zeros(inside.shape, np.intp)
    numbers[tuple(np.transpose(centers))] = range(1, len(centers) + 1)
    nearest = ndimage.distance_transform_edt(
        numbers == 0, return_distances=False, return_indices=True
    )
    owned = np.where(inside, numbers[tuple(nearest)], 0)
    for number, (box, (row, column)) in enumerate(
        zip(ndimage.find_objects(owned), centers, strict=False), 1
    ):
        if box is not None:
            pieces, _ = ndimage.label(owned[box] == number)
            piece = pieces[row - box[0].start, column - box[1].start]
            if piece:
                yield tight_crop(pieces == piece, box[0].start, box[1].start)


def _centers(depth: NDArray[np.float64], radius: float) -> list[tuple[int, int]]:
    """Return the deepest places, none of them in the circle that fits in around a deeper one."""
    size = 2 * max(1, round(0.6 * radius)) + 1
    is_peak = (depth == ndimage.maximum_filter(depth, size)) & (depth > _LEAST_DEPTH * radius)
    places = np.argwhere(is_peak)
    places = places[np.argsort(-depth[is_peak], kind="stable")]
    stays = np.ones(len(places), bool)
    for rank, place in enumerate(places):
        if stays[rank]:
            away = np.hypot(*(places - place).T)
            stays &= (away == 0) | (away >= depth[tuple(place)]) | (np.arange(len(places)) < rank)
    return [(int(row), int(column)) for row, column in places[stays]]


def _enlarged(part: MaskCrop, grid: PixelGrid) -> MaskCrop:
    """Return a mask of pixels of a grid in those of the plane."""
    mask = part.mask.repeat(grid.step, axis=0).repeat(grid.step, axis=1)
    top, left = part.top * grid.step, part.left * grid.step
    height, width = grid.plane.shape
    return tight_crop(mask[: height - top, : width - left], top, left)


def _distinct(results: Sequence[BatchResult]) -> list[BatchResult]:
    """Leave out the masks of what has a better one."""
    kept: list[BatchResult] = []
    for result in sorted(results, key=lambda result: -result.predicted_iou):
        if all(_iou(result, better) < _SAME_IOU for better in kept):
            kept.append(result)
    return sorted(kept, key=lambda result: result.index)


def _iou(first: BatchResult, other: BatchResult) -> float:
    """Return the intersection over union of two masks."""
    common = sum(
        np.count_nonzero(covered_by(other.masks, mask.start, mask.mask.shape) & mask.mask)
        for mask in first.masks
    )
    areas_px = sum(mask.area_px for result in (first, other) for mask in result.masks)
    return float(common / max(1, areas_px - common))
