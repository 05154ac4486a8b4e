"""Looking for everything in an image plane, tile by tile, on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.automatic.settings import LOWEST_PRED_IOU, AutomaticRunSettings
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane, means
from napari_sam.session.image.tiles import Box, Tile, TilePyramid
from napari_sam.session.jobs import Job
from napari_sam.session.objects.labels import LabelsPlane

if TYPE_CHECKING:
    from napari_sam.engine.automatic_settings import AutomaticSettings
    from napari_sam.engine.embeddings import ImageEmbedding
    from napari_sam.engine.protocols import Engine
    from napari_sam.model.automatic.mask_set import MaskSet

_OVERLAP: Final = 1 / 4
"""Share of a tile's side that neighbours have in common: what is smaller is whole in one."""
_GRAY_PX: Final = 512
"""Longest side, about, of what is kept of a tile to tell how bright its masks are."""


@dataclass(frozen=True, eq=False)
class AutomaticRequest:
    """What to look for, and where."""

    plane: ImagePlane  # the image
    tiles: tuple[Tile, ...]  # its parts that are looked at, each with a grid of points of its own
    settings: AutomaticRunSettings  # which points, and which masks are kept at all
    view: Box | None = None  # x0, y0, x1, y1: only points there
    free_of: LabelsPlane | None = None  # only points where these labels have none
    keep_logits: bool = False  # whether edges are to be drawn of the masks

    def is_wanted(self, points_xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which of (N, 2) points, x and y in the plane, are to be decoded."""
        wanted = np.ones(len(points_xy), bool)
        if self.view is not None:
            x0, y0, x1, y1 = self.view
            wanted &= ((points_xy >= (x0, y0)) & (points_xy <= (x1, y1))).all(axis=1)
        if self.free_of is not None:
            wanted[wanted] = ~_are_labelled(self.free_of, points_xy[wanted])
        return wanted


def _are_labelled(labels: LabelsPlane, points_xy: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which of (N, 2) points lie on a label; reads the rows of the points alone."""
    height, width = labels.shape
    columns, rows = np.rint(points_xy).astype(int).T.clip(0, [[width - 1], [height - 1]])
    labelled = np.zeros(len(points_xy), bool)
    for row in np.unique(rows):
        line = labels.read(slice(row, row + 1), slice(0, width))[0]
        labelled[rows == row] = line[columns[rows == row]] != 0
    return labelled


@dataclass(frozen=True, eq=False)
class TileMasks:
    """What was found in a tile so far."""

    tile: Tile  # where
    found: MaskSet  # in the pixels of the tile as they were read
    gray: NDArray[np.uint8]  # what the model got, made small
    # by published settings: what they choose
    chosen: dict[AutomaticSettings, list[Any]] = field(default_factory=dict)


def automatic_tiles(
    whole: Tile, finest_px: int | None = None, view: Box | None = None
) -> tuple[Tile, ...]:
    """Return the tiles in which a plane is looked at: the whole of it, then smaller ones."""
    tiles = [whole]
    if finest_px is not None and finest_px < whole.side:
        spans = [_spans(length, finest_px) for length in whole.size]
        tiles += [Tile(0, top, left, h, w) for top, h in spans[0] for left, w in spans[1]]
    return tuple(tile for tile in tiles if view is None or _meet(tile.box_xyxy, view))


def _spans(length: int, side: int) -> list[tuple[int, int]]:
    """Cover a length with overlapping spans of a side: start and length of each."""
    if length <= side:
        return [(0, length)]
    count = ceil((length - side * _OVERLAP) / (side * (1 - _OVERLAP)))
    return [(round(k * (length - side) / (count - 1)), side) for k in range(count)]


def _meet(box: Box, other: Box) -> bool:
    return all(max(box[n], other[n]) < min(box[n + 2], other[n + 2]) for n in (0, 1))


def generate_tile_masks(
    search: AutomaticRequest,
    embedder: Embedder,
    job: Job,
    yield_to_foreground: Callable[[], None],
    on_found: Callable[[int, float, TileMasks], None],
) -> None:
    """Find masks in one tile after the other."""
    yield_to_foreground()
    engine = embedder.load()
    for number, tile in enumerate(search.tiles):
        image, embedding = _read(search, tile, engine, embedder, job, yield_to_foreground)
        _search_tile(search, number, image, embedding, engine, yield_to_foreground, on_found)


def _read(
    search: AutomaticRequest,
    tile: Tile,
    engine: Engine,
    embedder: Embedder,
    job: Job,
    yield_to_foreground: Callable[[], None],
) -> tuple[NDArray[np.uint8], ImageEmbedding | None]:
    """Return the pixels of a tile, and its embedding if that is kept anyway."""
    plane = search.plane
    known = embedder.find(plane, tile)
    if known is None and tile == TilePyramid(plane.shape, embedder.spec).whole:
        known = embedder.embed(plane, tile, job, lambda _: yield_to_foreground())
    image = plane.read(embedder.spec.input_side, tile, yield_to_foreground)
    # One that was brought along may have been made of other pixels.
    is_of_image = known is not None and known.embedding.original_size == image.shape[:2]
    return image, known.embedding if known is not None and is_of_image else None


def _search_tile(
    search: AutomaticRequest,
    number: int,
    image: NDArray[np.uint8],
    embedding: ImageEmbedding | None,
    engine: Engine,
    yield_to_foreground: Callable[[], None],
    on_found: Callable[[int, float, TileMasks], None],
) -> None:
    from napari_sam.model.automatic.generate import generate_masks

    tile, settings = search.tiles[number], search.settings.published()
    gray = _small_gray(image)
    factor = np.array([tile.width / image.shape[1], tile.height / image.shape[0]])
    corner = np.array([tile.left, tile.top])
    so_far: list[MaskSet] = []

    def on_batch(done: int, total: int, new: MaskSet) -> None:
        so_far[:] = [so_far[0] + new] if so_far else [new]
        on_found(number, done / total, TileMasks(tile, so_far[0], gray))
        yield_to_foreground()

    found = generate_masks(
        engine,
        image,
        settings,
        embedding=embedding,
        lowest_pred_iou=LOWEST_PRED_IOU,
        keep_logits=search.keep_logits,
        is_wanted=lambda xy: search.is_wanted(xy * factor + (factor - 1) / 2 + corner),
        on_batch=on_batch,
        on_block=lambda *_: yield_to_foreground(),
    )
    on_found(number, 1.0, TileMasks(tile, found, gray))


def _small_gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    small = means(image, max(1, max(image.shape) // _GRAY_PX))
    return np.asarray(small.mean(axis=2)).astype(np.uint8)
