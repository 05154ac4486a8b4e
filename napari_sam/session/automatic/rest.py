"""Everything on a plane that is like the objects it has already: the rest of them.

Pixels like theirs make regions, one around each place that is deep inside, and the model refines
each region, and moves the border to where the objects end (`rest_borders`). The masks are reviewed
like other automatic ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.session.automatic.likeness import most_similar
from napari_sam.session.automatic.masks import AutomaticMask
from napari_sam.session.automatic.pixels import PixelGrid, cells_across, pixels_like
from napari_sam.session.automatic.request import AutomaticRequest, TileMasks, small_gray
from napari_sam.session.automatic.rest_borders import LEAST_OBJECTS, border_of, ending_alike
from napari_sam.session.automatic.settings import LEAST_LIKENESS
from napari_sam.session.automatic.similarity import ExistingObjects, mean_inside
from napari_sam.session.batch_prompts.decode import (
    BatchResult,
    Report,
    decode_batch_prompts,
    prompt_of_region,
    result_of,
)
from napari_sam.session.decoding.candidates import decode
from napari_sam.session.decoding.expected import innermost_xy
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.objects.packed import covered_by
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts

_SMOOTHING: Final = 0.1
"""Standard deviation, in radii of small objects."""
_LEAST_DEPTH: Final = 0.3
"""How deep in radii of small objects a place is inside that is one of its own."""
_SMALL, _LARGE = 20, 80
"""Percentiles of the areas that tell how large small and large objects are."""
_VARIED: Final = 3.0
"""Ratio of these areas from which on large objects would come in pieces as small as small ones."""
_SIZE_FACTOR: Final = 2.0
"""How much smaller or larger than all objects the others may be; by more, if the smallest or the
largest differs from the median one by more."""
_FAR_LARGER: Final = 1.5
"""How much larger than a region a mask is at least for the region to be a piece of an object..."""
_LEAST_SCORE: Final = 0.8
"""...and the least score of the mask."""
_CLICKED_CELLS: Final = 2.0
"""How many cells of the image embedding an object spans at least for a grid of clicks to find it.
Nuclei in stroma span one: with any score, a grid found 2 of 30, and 4 on finer tiles; by their
pixels, with ten examples, 18 of the other 20 are found."""
_PIXELS_SHARE: Final = 0.5
"""Of the work."""

_Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Alike:
    """Pixels that are like those of objects, and the regions that they make."""

    grid: PixelGrid
    values: NDArray[np.float32]  # (h, w), of each place of the grid, about -1 to 1
    regions: list[MaskCrop]  # in pixels of the plane
    areas_px: tuple[float, float]  # of the smallest and the largest object that is expected

    def fits(self, area_px: float) -> bool:
        """Whether an object may be of a size."""
        return self.areas_px[0] <= area_px <= self.areas_px[1]

    def likeness(self, crop: MaskCrop) -> float:
        """Return how much the pixels of a mask are like those of objects, 0 to 1."""
        rows, columns = (
            ((first + np.arange(extent)) // self.grid.step).clip(0, length - 1)
            for first, extent, length in zip(
                (crop.top, crop.left), crop.mask.shape, self.values.shape, strict=True
            )
        )
        inside = self.values[rows[:, None], columns][crop.mask]
        return float((inside.clip(-1, 1).mean() + 1) / 2)


def are_too_small(target: LabelsPlane, tiles: Sequence[Tile], pyramid: TilePyramid) -> bool:
    """Whether clicks on tiles would hardly find objects, of which there are enough for a rest."""
    records = _records_on(target)
    if len(records) < LEAST_OBJECTS or not tiles:
        return False
    area_px = float(np.median([record.area_px for record in records]))
    return max(cells_across(area_px, tile, pyramid) for tile in tiles) < _CLICKED_CELLS


def rest_request(request: AutomaticRequest, target: LabelsPlane) -> AutomaticRequest:
    """Return a request like another one, but for what is like the objects of a target.

    Raises
    ------
    TargetError
        If there are too few of them on its plane.
    """
    records = _records_on(target)
    if len(records) < LEAST_OBJECTS:
        raise TargetError(
            f"Too little is known of what you look for: accept {LEAST_OBJECTS} objects of it "
            "here first."
        )
    existing = ExistingObjects(target, records, match_size=False, match_brightness=False)
    return replace(request, existing=existing, is_rest=True)


def _records_on(target: LabelsPlane) -> tuple[ObjectRecord, ...]:
    """Return the objects of a target that are on its plane."""
    return tuple(
        record
        for record in target.labels.registry
        if target.to_plane(record.start, record.stop) is not None
    )


def generate_rest(
    request: AutomaticRequest,
    embedder: Embedder,
    yield_to_foreground: Callable[[], None],
    on_masks: Callable[[int, float, TileMasks | None], None],
) -> None:
    """Find what is like the objects of a request's target; as `generate_tile_masks`."""
    assert request.existing is not None

    plane, target = request.plane, request.existing.target
    found: list[AutomaticMask] = []

    def report(share: float) -> bool:
        if share > 0:
            on_masks(0, share, masks_of(_distinct(found)) if found else None)
        yield_to_foreground()
        return True

    yield_to_foreground()
    embedder.load()  # only then its sizes are known
    tile = plane.pyramid(embedder.spec).whole
    gray = small_gray(plane.read(embedder.spec.input_side, tile, yield_to_foreground))

    def masks_of(masks: list[AutomaticMask]) -> TileMasks:
        return TileMasks(tile, None, gray, found=masks)

    masks = _found(embedder, plane, target, gray, request.unlike, report, found.append)
    on_masks(0, 1.0, masks_of(masks))


def find_rest(
    embedder: Embedder,
    plane: ImagePlane,
    target: LabelsPlane,
    unlike: Sequence[MaskCrop] = (),
    report: Report = lambda _: True,
    on_mask: Callable[[AutomaticMask], None] = lambda _: None,
) -> list[AutomaticMask]:
    """Find what is like the objects of a target; may run on any thread.

    Parameters
    ----------
    embedder : Embedder
        The model.
    plane : ImagePlane
        The image.
    target : LabelsPlane
        Its objects, one at least; they are left alone.
    unlike : sequence of MaskCrop
        Masks that were rejected.
    report : callable
        Called with the share that is done; returns whether to go on.
    on_mask : callable
        Called with each mask as it is found; another one of the same object may follow.

    Returns
    -------
    list of AutomaticMask
        The best first, each with its likeness.
    """
    embedder.load()
    gray = small_gray(plane.read(embedder.spec.input_side))
    return _found(embedder, plane, target, gray, unlike, report, on_mask)


def _found(
    embedder: Embedder,
    plane: ImagePlane,
    target: LabelsPlane,
    gray: NDArray[np.uint8],
    unlike: Sequence[MaskCrop],
    report: Report,
    on_mask: Callable[[AutomaticMask], None],
) -> list[AutomaticMask]:
    """Find what is like the objects of a target, given the plane in gray as the model sees it."""
    alike = _alike(embedder, plane, target, unlike, lambda share: report(_PIXELS_SHARE * share))
    if alike is None or not alike.regions:
        return []
    masks: list[AutomaticMask] = []

    def add(result: BatchResult, least_likeness: float = 0.0) -> None:
        mask = _mask_of(result, alike, gray, embedder)
        if (mask.likeness or 0.0) >= least_likeness:
            masks.append(mask)
            on_mask(mask)

    for result in _clicked(alike, embedder, report):
        add(result, LEAST_LIKENESS)
    border = border_of(embedder, plane, target, lambda _: report(_PIXELS_SHARE))
    decode_batch_prompts(
        embedder,
        plane,
        [prompt_of_region(region) for region in alike.regions],
        report=lambda share: report(_PIXELS_SHARE + (1 - _PIXELS_SHARE) * share),
        on_result=add,
        finish=lambda _, candidates: ending_alike(candidates, border) if border else candidates,
    )
    return _distinct(masks)


def _clicked(alike: _Alike, embedder: Embedder, report: Report) -> Iterator[BatchResult]:
    """Yield the masks of clicks into the middle of regions that are far larger than these.

    The pixels of a large object are not all alike, but a click into a piece of it may show all.
    """
    plane, regions = alike.grid.plane, alike.regions
    whole = plane.pyramid(embedder.spec).whole

    def on_step(_: float) -> None:
        report(_PIXELS_SHARE)

    embedded = embedder.embed(plane, whole, on_step)
    for index, region in enumerate(regions):
        if not report(_PIXELS_SHARE):
            return
        click = Prompts((innermost_xy(region),), (FOREGROUND,))
        candidates = decode(embedded, click, click)
        assert candidates.ranking is not None
        features = candidates.ranking.features
        least_px = _FAR_LARGER * np.count_nonzero(region.mask)
        for n, area_px in enumerate(features.area_px):
            is_sure = features.iou_predictions[n] >= _LEAST_SCORE
            if is_sure and area_px >= least_px and alike.fits(area_px):
                yield result_of(index, candidates, n)


def _distinct(masks: Sequence[AutomaticMask]) -> list[AutomaticMask]:
    """Return one mask for each object, the best first."""
    scores = np.array([mask.record.predicted_iou for mask in masks])
    return [masks[index] for index in most_similar(scores, -np.inf, lambda n: masks[n].record.crop)]


def _mask_of(
    result: BatchResult, alike: _Alike, gray: NDArray[np.uint8], embedder: Embedder
) -> AutomaticMask:
    """Return a decoded region as an automatic mask."""
    from napari_sam.model.automatic.mask_ops import box_of
    from napari_sam.model.automatic.mask_set import MaskRecord

    plane = alike.grid.plane
    top, left = (min(mask.start[axis] for mask in result.masks) for axis in (0, 1))
    bottom, right = (
        max(mask.start[axis] + mask.mask.shape[axis] for mask in result.masks) for axis in (0, 1)
    )
    pixels = covered_by(result.masks, (top, left), (bottom - top, right - left))
    crop, (height, width) = tight_crop(pixels, top, left), plane.shape
    record = MaskRecord(
        crop,
        box_of(crop),
        int(np.count_nonzero(crop.mask)),
        result.predicted_iou,
        result.stability,
        innermost_xy(alike.regions[result.index]),
        (0, 0, width, height),
        candidate=None,
    )
    tile, size = plane.pyramid(embedder.spec).whole, (height, width)
    brightness = mean_inside(gray, size, crop)
    return AutomaticMask(record, tile, size, brightness, likeness=alike.likeness(crop))


def _alike(
    embedder: Embedder,
    plane: ImagePlane,
    target: LabelsPlane,
    unlike: Sequence[MaskCrop],
    report: Report,
) -> _Alike | None:
    """Find pixels that are like those of the objects of a target; None if there are none."""
    areas_px = _areas_px(target)
    pyramid = plane.pyramid(embedder.load().encoder.spec)
    grid = PixelGrid.of(plane, pyramid, float(np.median(areas_px)))
    taken = _on_grid(target, grid)
    if not taken.any() or taken.all():
        return None
    values = pixels_like(grid, embedder, taken, _rejected(unlike, grid) & ~taken, report)
    if values is None:
        return None
    small_px, large_px = np.percentile(areas_px, (_SMALL, _LARGE))
    sizes_px = (small_px, large_px) if large_px > _VARIED * small_px else (small_px,)
    radii = [float((size_px / np.pi) ** 0.5 / grid.step) for size_px in sizes_px]
    parts = (part for radius in radii for part in _parts(values, taken, radius))
    alike = _Alike(grid, values, [], _limits_px(areas_px))
    regions = (_enlarged(part, grid) for part in parts)
    fitting = [one for one in regions if alike.fits(float(np.count_nonzero(one.mask)))]
    return replace(alike, regions=fitting)


def _rejected(unlike: Sequence[MaskCrop], grid: PixelGrid) -> _Mask:
    """Return which pixels of a grid are of masks that were rejected."""
    rejected = np.zeros(grid.shape, bool)
    for mask, top, left in unlike:
        rows, columns = np.nonzero(mask)
        places = (rows + top) // grid.step, (columns + left) // grid.step
        height, width = grid.shape
        rejected[places[0].clip(0, height - 1), places[1].clip(0, width - 1)] = True
    return rejected


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


def _limits_px(areas_px: NDArray[np.float64]) -> tuple[float, float]:
    """Return how small and how large other objects may be."""
    smallest, median, largest = map(float, np.quantile(areas_px, (0, 0.5, 1)))
    factors = max(_SIZE_FACTOR, median / smallest), max(_SIZE_FACTOR, largest / median)
    return smallest / factors[0], largest * factors[1]


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
