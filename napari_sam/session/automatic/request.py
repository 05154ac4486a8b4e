"""The request for an automatic run, and the run itself, tile by tile; for a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.methods import Method
from napari_sam.session.automatic.likeness import Examples, Likeness, examples_on
from napari_sam.session.automatic.settings import LOWEST_PRED_IOU, AutomaticRunSettings
from napari_sam.session.automatic.similarity import (
    ExistingObjects,
    SimilarityLimits,
    similarity_limits,
)
from napari_sam.session.decoding.recipe import Policy, decode_clicks
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.embedding.pooling import grid_of
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.pixels import means
from napari_sam.session.image.tiles import Box, Tile
from napari_sam.session.objects.features import SeenTile
from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.stack import SliceRange

if TYPE_CHECKING:
    from napari_sam.model.automatic.generate import ClickDecoder
    from napari_sam.model.automatic.instance_set import InstanceSet
    from napari_sam.model.automatic.mask_set import MaskSet

_OVERLAP: Final = 1 / 4
"""Share of a tile's side that neighbors have in common: smaller objects are whole in one."""
_GRAY_PX: Final = 512
"""About the longest side of the gray image of a tile, for the brightness of its masks."""


@dataclass(frozen=True, eq=False)
class AutomaticRequest:
    """Where and how to generate masks."""

    plane: ImagePlane  # the image; in a run through slices, that of one of them
    tiles: tuple[Tile, ...]  # its parts, each with a grid of points of its own
    settings: AutomaticRunSettings  # which points, and which masks stay at all
    view: Box | None = None  # x0, y0, x1, y1: only points there
    existing: ExistingObjects | None = None  # only points outside their labels, masks like them
    keep_logits: bool = False  # whether edges will be detected from the masks
    slices: SliceRange | None = None  # those to go through; None: the plane alone
    # for an instance decoder: parts of the only tile, whose maps are stitched
    parts: tuple[Tile, ...] = ()
    is_rest: bool = False  # whether what is like the existing objects is found by its pixels...
    unlike: tuple[MaskCrop, ...] = ()  # ...and is unlike these masks, which were rejected
    policy: Policy | None = None  # what makes one mask of each click, in place of all of the model

    @property
    def target(self) -> LabelsPlane | None:
        """The labels whose objects are found already."""
        return None if self.existing is None else self.existing.target

    @property
    def n_slices(self) -> int:
        """Through how many slices it goes."""
        return 1 if self.slices is None else len(self.slices.indices)

    def on_slices(self) -> Iterator[AutomaticRequest]:
        """Yield the request for each slice."""
        if self.slices is None:
            yield self
            return
        for index in self.slices.indices:
            existing = self.existing
            if existing is not None:
                existing = replace(existing, target=existing.target.at_slice(index))
            plane = self.slices.stack.image_plane(index)
            yield replace(self, plane=plane, existing=existing, slices=None)

    def is_wanted(self, points_xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which of (N, 2) points, x and y in the plane, are to be decoded."""
        wanted = np.ones(len(points_xy), bool)
        if self.view is not None:
            x0, y0, x1, y1 = self.view
            wanted &= ((points_xy >= (x0, y0)) & (points_xy <= (x1, y1))).all(axis=1)
        if self.existing is not None:
            wanted[wanted] = ~_are_labeled(self.existing.target, points_xy[wanted])
        return wanted


def _are_labeled(labels: LabelsPlane, points_xy: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which of (N, 2) points lie on a label; reads the rows of the points alone."""
    height, width = labels.shape
    columns, rows = np.rint(points_xy).astype(int).T.clip(0, [[width - 1], [height - 1]])
    labeled = np.zeros(len(points_xy), bool)
    for row in np.unique(rows):
        line = labels.read(slice(row, row + 1), slice(0, width))[0]
        labeled[rows == row] = line[columns[rows == row]] != 0
    return labeled


@dataclass(frozen=True, eq=False)
class TileMasks:
    """The masks of a tile so far, of a grid of clicks or of an instance decoder."""

    tile: Tile
    mask_set: MaskSet | None  # in the pixels of the tile as they were read
    gray: NDArray[np.uint8]  # the pixels that the model got, made small
    # the masks that published settings choose
    chosen: dict[Hashable, list[Any]] = field(default_factory=dict)
    instances: InstanceSet | None = None  # in pixels of its maps
    found: list[Any] | None = None  # masks that settings do not make, only filter


def automatic_tiles(whole: Tile, finest_px: int | None = None) -> tuple[Tile, ...]:
    """Return the tiles of a run: the whole plane, then smaller tiles."""
    tiles = [whole]
    if finest_px is not None and finest_px < whole.side:
        spans = [_spans(length, finest_px) for length in whole.size]
        tiles += [Tile(0, top, left, h, w) for top, h in spans[0] for left, w in spans[1]]
    return tuple(tiles)


def _spans(length: int, side: int) -> list[tuple[int, int]]:
    """Cover a length with overlapping spans of a side: start and length of each."""
    if length <= side:
        return [(0, length)]
    count = ceil((length - side * _OVERLAP) / (side * (1 - _OVERLAP)))
    return [(round(k * (length - side) / (count - 1)), side) for k in range(count)]


def all_tile_masks(
    request: AutomaticRequest,
    embedder: Embedder,
    on_progress: Callable[[float], None] = lambda share: None,
) -> list[TileMasks]:
    """Generate the masks of all tiles of a plane, without a window."""
    found: dict[int, TileMasks] = {}

    def keep(number: int, share: float, masks: TileMasks | None) -> None:
        if masks is not None:
            found[number] = masks
        on_progress((number + share) / len(request.tiles))

    generate_tile_masks(request, embedder, lambda: None, keep)
    return list(found.values())


class RequestLimits:
    """What masks of a request have in common with existing objects, on each of its slices.

    For one thread; `rest` is called now and then, and what it raises ends the work.
    """

    def __init__(
        self, request: AutomaticRequest, embedder: Embedder, rest: Callable[[], None]
    ) -> None:
        self._request, self._embedder, self._rest = request, embedder, rest
        self._known: dict[int, SimilarityLimits | None] = {}

    def at(self, position: int) -> SimilarityLimits | None:
        """Return those of a slice, counted from 0; None without existing objects."""
        if position not in self._known:
            self._known[position] = self._limits(position)
        return self._known[position]

    def _limits(self, position: int) -> SimilarityLimits | None:
        existing, plane = self._request.existing, self._request.plane
        if existing is None:
            return None
        if not (existing.examples or existing.other_examples.like):
            return self._of_existing
        slices = self._request.slices
        if slices is not None:
            plane = slices.stack.image_plane(slices.indices[position])
        seen = seen_whole(self._embedder, plane, self._rest)
        examples = self._examples
        return SimilarityLimits(likeness=Likeness(seen, examples) if examples.like else None)

    @cached_property
    def _of_existing(self) -> SimilarityLimits | None:
        """Those of sizes and brightness, which are the same for all slices."""
        assert self._request.existing is not None
        self._embedder.load()  # only then its sizes are known
        pixels = self._request.plane.read(self._embedder.spec.input_side)
        return similarity_limits(self._request.existing, pixels)

    @cached_property
    def _examples(self) -> Examples:
        """The examples of the plane that was shown, and others."""
        existing, plane = self._request.existing, self._request.plane
        assert existing is not None
        if not existing.examples:
            return existing.other_examples
        seen = seen_whole(self._embedder, plane, self._rest)
        return examples_on(existing.examples, existing.target, seen, existing.other_examples)


def seen_whole(
    embedder: Embedder, plane: ImagePlane, rest: Callable[[], None] = lambda: None
) -> SeenTile:
    """Return a plane as the model sees it; what `rest` raises ends that."""
    embedder.load()  # only then its sizes are known
    whole = plane.pyramid(embedder.spec).whole
    embedded = embedder.obtain(plane, whole, lambda _: rest())
    return SeenTile(whole, grid_of(embedded), plane.read(embedder.spec.input_side))


def generate_tile_masks(
    request: AutomaticRequest,
    embedder: Embedder,
    yield_to_foreground: Callable[[], None],
    on_masks: Callable[[int, float, TileMasks | None], None],
) -> None:
    """Generate masks in one tile after the other, slice by slice.

    `on_masks` gets the number of the tile, which goes on from slice to slice, the share of the tile
    that is done, and its masks so far, if there are any.
    """
    yield_to_foreground()
    embedder.load()
    is_grid = request.settings.method is Method.GRID
    generate = _generate_in_tile if is_grid else _find_instances
    number = 0
    for on_slice in request.on_slices():
        for tile in on_slice.tiles:
            generate(on_slice, tile, embedder, yield_to_foreground, partial(on_masks, number))
            number += 1


def _generate_in_tile(
    request: AutomaticRequest,
    tile: Tile,
    embedder: Embedder,
    yield_to_foreground: Callable[[], None],
    on_masks: Callable[[float, TileMasks | None], None],
) -> None:
    from napari_sam.model.automatic.generate import generate_masks

    plane, settings = request.plane, request.settings.published
    embedded = embedder.find(plane, tile)
    if embedded is None and tile.size == plane.shape:
        embedded = embedder.embed(plane, tile, lambda _: yield_to_foreground())
    image = plane.read(embedder.spec.input_side, tile, yield_to_foreground)
    # An imported one may be of other pixels.
    is_of_image = embedded is not None and embedded.embedding.original_size == image.shape[:2]
    gray = small_gray(image)
    mask_set: MaskSet | None = None

    def on_batch(done: int, total: int, new: MaskSet) -> None:
        nonlocal mask_set
        mask_set = new if mask_set is None else mask_set + new
        on_masks(done / total, TileMasks(tile, mask_set, gray))
        yield_to_foreground()

    complete = generate_masks(
        embedder.load(),
        image,
        settings,
        embedding=embedded.embedding if embedded is not None and is_of_image else None,
        lowest_pred_iou=LOWEST_PRED_IOU,
        keep_logits=request.keep_logits,
        decode_clicks=_clicks_of(request, embedder),
        is_wanted=lambda xy: request.is_wanted(tile.in_plane(xy, image.shape[:2])),
        is_spread=request.view is not None,  # so that a preview shows what to expect within seconds
        on_batch=on_batch,
        on_block=lambda *_: yield_to_foreground(),
    )
    on_masks(1.0, TileMasks(tile, complete, gray))


def _clicks_of(request: AutomaticRequest, embedder: Embedder) -> ClickDecoder | None:
    """Return what makes the masks of clicks; None: the model alone."""
    if request.policy is None:
        return None
    return partial(decode_clicks, embedder.load().decoder, request.policy)


def _find_instances(
    request: AutomaticRequest,
    tile: Tile,
    embedder: Embedder,
    yield_to_foreground: Callable[[], None],
    on_masks: Callable[[float, TileMasks | None], None],
) -> None:
    from napari_sam.session.automatic.instances import InstanceFinder

    plane, settings = request.plane, request.settings

    def obtain(part: Tile) -> ImageEmbedding:
        return embedder.obtain(plane, part, lambda _: yield_to_foreground()).embedding

    decoder, parts = embedder.load().decoder, request.parts or (tile,)
    finder = InstanceFinder(decoder, obtain, tile, parts, embedder.spec.input_side)
    gray = small_gray(plane.read(embedder.spec.input_side, tile, yield_to_foreground))

    def on_progress(share: float, instances: InstanceSet | None) -> None:
        on_masks(
            share, None if instances is None else TileMasks(tile, None, gray, instances=instances)
        )
        yield_to_foreground()

    finder.find(settings.method, settings.instances, request.is_wanted, on_progress)


def small_gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the gray image of a tile, for the brightness of masks."""
    small = means(image, max(1, max(image.shape) // _GRAY_PX))
    return np.asarray(small.mean(axis=2)).astype(np.uint8)
