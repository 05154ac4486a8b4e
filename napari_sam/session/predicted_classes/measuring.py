"""Measure the objects of a target, on one slice each; for a background thread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.embedding.pooling import grid_of
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.objects.features import ObjectFeatures, SeenTile, features_of
from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.objects.slice_planning import crop_of, indices_of, slice_index_of
from napari_sam.session.plane_request import PlaneRequest

_LEAST_CELLS: Final = 1.5
"""Cells of the embedding that objects extend over, if there are tiles that are fine enough."""

_Key = tuple[object, ...]
Report = Callable[[int, int], None]
"""Called with the objects that are measured, and with all that are to be."""


@dataclass(eq=False)
class Measured:
    """The features of objects by one model; belongs to the thread that measures."""

    features: dict[_Key, ObjectFeatures] = field(default_factory=dict)
    extent_px: float = 0.0
    """How large most objects are, from the first ones on: all are seen at one resolution."""

    def get(self, record: ObjectRecord) -> ObjectFeatures | None:
        """Return the features of an object as it is now; None if they are unknown."""
        return self.features.get(_key(record))


@dataclass(frozen=True, eq=False)
class Scene:
    """What is shown of an image, its target, and the model."""

    request: PlaneRequest
    target: LabelsPlane
    embedder: Embedder

    def image_plane(self, slice_index: int) -> ImagePlane | None:
        """Return the image on a slice of the target."""
        if slice_index == slice_index_of(self.target):
            return self.request.plane
        stack = self.request.stack
        return None if stack is None else stack.image_plane(slice_index)


class _Placed(NamedTuple):
    """An object on one of its slices."""

    record: ObjectRecord
    crop: MaskCrop


def _key(record: ObjectRecord) -> _Key:
    return record.uid, record.start, record.stop, record.area_px


def measure_objects(
    records: Sequence[ObjectRecord],
    scene: Scene,
    measured: Measured,
    rest: Callable[[], None],
    report: Report,
) -> None:
    """Measure the objects that are not yet; those that are on no plane of the stack are left out.

    `rest` is called often, and what it raises ends the work; what was measured stays.
    """
    missing = [record for record in records if measured.get(record) is None]
    if missing:
        scene.embedder.load()  # only then its sizes are known
    by_slice: dict[int, list[_Placed]] = defaultdict(list)
    for record in missing:
        rest()
        for slice_index, crop in _on_slice(record, scene):
            by_slice[slice_index].append(_Placed(record, crop))
    sides = [max(one.crop.mask.shape) for placed in by_slice.values() for one in placed]
    if sides and not measured.extent_px:
        measured.extent_px = float(np.median(sides))
    done, total = 0, len(sides)
    for slice_index, placed in by_slice.items():
        plane = scene.image_plane(slice_index)
        if plane is None:
            continue
        pyramid = plane.pyramid(scene.embedder.spec)
        for tile, there in _by_tile(placed, pyramid, measured.extent_px).items():
            report(done, total)
            seen = _seen(scene.embedder, plane, tile, rest)
            for one in there:
                rest()
                measured.features[_key(one.record)] = features_of(one.crop, seen)
            done += len(there)


def _on_slice(record: ObjectRecord, scene: Scene) -> Iterator[tuple[int, MaskCrop]]:
    """Yield a slice that an object is on, and its mask there: the shown one, or in its middle."""
    target, axis = scene.target, scene.target.slice_axis
    shown = slice_index_of(target)
    indices = [shown]
    if axis is not None and scene.request.stack is not None:
        indices = indices_of(record, axis)
        middle = (indices[0] + indices[-1]) / 2
        indices.sort(key=lambda index: (index != shown, abs(index - middle)))
    for index in indices:
        crop = crop_of(record, target if index == shown else target.at_slice(index))
        if crop.mask.size:
            yield index, crop
            return


def _by_tile(
    placed: Sequence[_Placed], pyramid: TilePyramid, extent_px: float
) -> Mapping[Tile, list[_Placed]]:
    """Return the objects of a plane by the tiles in which they are seen."""
    level, spec = pyramid.whole.level, pyramid.spec
    cells = spec.arrays[0].shape[-1]
    while level and extent_px * cells < _LEAST_CELLS * _side(pyramid, level):
        level -= 1
    by_tile: dict[Tile, list[_Placed]] = defaultdict(list)
    for one in placed:
        by_tile[pyramid.around(one.crop.edges_xyxy, level)].append(one)
    return by_tile


def _side(pyramid: TilePyramid, level: int) -> int:
    return pyramid.at(level, 0, 0).side


def _seen(embedder: Embedder, plane: ImagePlane, tile: Tile, rest: Callable[[], None]) -> SeenTile:
    embedded = embedder.obtain(plane, tile, lambda _: rest())
    return SeenTile(tile, grid_of(embedded), plane.read(embedder.spec.input_side, tile, rest))
