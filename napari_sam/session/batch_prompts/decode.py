"""One object for each of many prompts: decoded in batches, on as few tiles as will do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.decoding.candidates import Candidates, decode, ranked
from napari_sam.session.decoding.mask_prompts import logits_of_region
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.decoding.ranking import Memory
from napari_sam.session.decoding.segment import embed_now
from napari_sam.session.decoding.tile_choice import initial_tile, refined_tile, union
from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Box, Tile, TilePyramid
from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord, score_of
from napari_sam.session.prompts.prompts import Prompts

_BATCH: Final = 32
"""Prompts between two moments at which the work can be stopped."""
_MAX_ROUNDS: Final = 3
"""How often an object goes to another tile at most, its mask being cut off or tiny."""

Report = Callable[[float], bool]
"""Told the share of the work that is done; returns whether to go on. May wait, or raise."""


@dataclass(frozen=True, eq=False)
class BatchPrompt:
    """One of many objects that are wanted."""

    prompts: Prompts  # where it is
    class_name: str | None = None  # its class
    # its pixels as somebody else has found them, which the model improves on, and row and column
    # of the first of them in the plane
    region: tuple[NDArray[np.bool_], int, int] | None = None


def prompt_of_region(
    mask: NDArray[np.bool_], top: int, left: int, class_name: str | None = None
) -> BatchPrompt:
    """Return what asks for a region to be improved on."""
    height, width = mask.shape
    box = left - 0.5, top - 0.5, left + width - 0.5, top + height - 0.5
    return BatchPrompt(Prompts(box_xyxy=box), class_name, (mask, top, left))


@dataclass(frozen=True, eq=False)
class BatchResult:
    """One of many objects that were found."""

    index: int  # its place among those that were wanted
    # the predicted IoU, which may exceed 1, and the stability score of its mask
    predicted_iou: float
    stability: float  # the predicted IoU, which may exceed 1, and the stability score of its mask
    masks: tuple[PackedMask, ...]  # its pixels in the plane, in parts that do not overlap
    class_name: str | None = None  # its class
    # its prompts, with which it is reopened; None if it came from a region
    state: ObjectState | None = None

    def record(
        self, plane: LabelsPlane, label_id: int = 0, class_name: str | None = None
    ) -> ObjectRecord:
        """Return it as `AnnotationSession.add` takes it, to be written on a plane of labels."""
        places = (plane.to_nd(one.mask, *one.start) for one in self.masks)
        return ObjectRecord(
            label_id,
            (),
            (),
            0,
            score=score_of(self.predicted_iou),
            stability=self.stability,
            class_name=self.class_name or class_name,
            state=self.state,
            masks=tuple(PackedMask(start, mask) for mask, start in places),
        )


@dataclass(frozen=True, eq=False)
class _Item:
    """An object on its way."""

    index: int
    wanted: BatchPrompt
    usable: Prompts
    state: ObjectState
    level: int
    bounds: Box


def decode_batch_prompts(
    embedder: Embedder,
    plane: ImagePlane,
    objects: Sequence[BatchPrompt],
    *,
    in_sight: Tile | None = None,
    memory: Memory = (),
    report: Report = lambda _: True,
) -> list[BatchResult]:
    """Find one object for each of many prompts; may run on any thread.

    Each is decoded as a click or a box of a user would be, on a tile that suits its size, and
    the mask is taken that would be preselected.
    """
    pyramid = plane.pyramid(embedder.spec)
    in_sight = in_sight or pyramid.whole
    items = list(_items(pyramid, objects, in_sight))
    found: dict[int, BatchResult] = {}
    done = len(objects) - len(items)

    def on_step(_: float) -> None:
        report(done / len(objects))

    for turn in range(_MAX_ROUNDS):
        again: list[_Item] = []
        for tile, members in _tiles_for(pyramid, items):
            embedded = embed_now(embedder, plane, tile, on_step)
            for first in range(0, len(members), _BATCH):
                if not report(done / len(objects)):
                    return [found[index] for index in sorted(found)]
                batch = members[first : first + _BATCH]
                for item, candidates in zip(
                    batch, _decode_batch(embedded, batch, memory), strict=True
                ):
                    item = replace(item, state=item.state.on_tile(tile))
                    moved = _moved(pyramid, item, candidates, in_sight)
                    if moved is not None and turn + 1 < _MAX_ROUNDS:
                        again.append(moved)
                        continue
                    done += 1
                    one = _found(item, candidates)
                    if one.masks:
                        found[item.index] = one
        items = again
    report(1)
    return [found[index] for index in sorted(found)]


def _items(pyramid: TilePyramid, objects: Sequence[BatchPrompt], in_sight: Tile) -> Iterator[_Item]:
    for index, wanted in enumerate(objects):
        usable, _ = wanted.prompts.within(pyramid.shape)
        if usable.has_foreground:
            tile = initial_tile(pyramid, usable, in_sight, None)
            state = ObjectState(wanted.prompts)
            yield _Item(index, wanted, usable, state, tile.level, usable.bounds_xyxy)


def _tiles_for(pyramid: TilePyramid, items: Sequence[_Item]) -> Iterator[tuple[Tile, list[_Item]]]:
    """Yield few tiles that together hold all items, each with its own.

    The tile that holds most comes first (the greedy set cover): embedding takes far longer than
    decoding.
    """
    holders: defaultdict[Tile, dict[int, _Item]] = defaultdict(dict)
    for item in items:
        for tile in _holding(pyramid, item.level, item.bounds):
            holders[tile][item.index] = item
    while holders:
        fullest = max(holders, key=lambda tile: len(holders[tile]))
        members = holders.pop(fullest)
        yield fullest, list(members.values())
        for others in holders.values():
            for index in members.keys() & others.keys():
                del others[index]
        for tile in [tile for tile, others in holders.items() if not others]:
            del holders[tile]


def _holding(pyramid: TilePyramid, level: int, box: Box) -> list[Tile]:
    """Return the tiles of a level that hold a box, or else one of a coarser level that does."""
    around = pyramid.around(box, level)
    if around.level != level or around == pyramid.whole:
        return [around]
    x, y, half = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, around.side / 2
    shifts = product((0, -half, half), repeat=2)
    near = dict.fromkeys(pyramid.at(level, x + dx, y + dy) for dy, dx in shifts)
    return [tile for tile in near if pyramid.holds(tile, box)]


def _decode_batch(
    embedded: EmbeddedTile, batch: Sequence[_Item], memory: Memory
) -> list[Candidates]:
    """Decode together what has as many points and boxes; one by one what starts from a mask."""
    results: dict[int, Candidates] = {}
    alike: defaultdict[tuple[int, bool], list[_Item]] = defaultdict(list)
    for item in batch:
        region, usable = item.wanted.region, item.usable
        if region is not None:
            side = embedded.decoder.spec.low_res_side
            mask = logits_of_region(*region, embedded.tile, side)
            results[item.index] = decode(embedded, item.wanted.prompts, usable, mask, None, memory)
        else:
            alike[len(usable.points_xy), usable.box_xyxy is not None].append(item)
    for (n_points, has_box), group in alike.items():
        given = [one.usable for one in group]
        predictions = embedded.decoder.decode_batch(
            embedded.embedding,
            points_xy=_pixels(embedded, [one.points_xy for one in given]) if n_points else None,
            point_labels=np.array([one.point_labels for one in given]) if n_points else None,
            boxes_xyxy=_pixels(embedded, [one.box_xyxy for one in given]) if has_box else None,
        )
        for item, prediction in zip(group, predictions, strict=True):
            results[item.index] = ranked(
                embedded, item.wanted.prompts, item.usable, prediction, memory
            )
    return [results[item.index] for item in batch]


def _pixels(embedded: EmbeddedTile, places: Sequence[object]) -> NDArray[np.float64]:
    """Return points (B, N, 2) or boxes (B, 4) in the plane as pixels of a tile."""
    pixels = embedded.to_pixels(np.array(places, np.float32))
    assert pixels is not None
    return pixels


def _moved(
    pyramid: TilePyramid, item: _Item, candidates: Candidates, in_sight: Tile
) -> _Item | None:
    """Return an item for the tile on which it should be decoded once more; None: it is fine."""
    index = candidates.best
    tile, box = refined_tile(pyramid, item.state, candidates, index, in_sight), None
    if tile is not None:
        box = candidates.bounds_xyxy(index)
    if tile is None or box is None:
        return None
    return replace(item, level=tile.level, bounds=union(box, item.usable.bounds_xyxy))


def _found(item: _Item, candidates: Candidates) -> BatchResult:
    index, ranking = candidates.best, candidates.ranking
    masks = [PackedMask((top, left), mask) for mask, top, left in candidates.blocks(index)]
    stability = 0.0 if ranking is None else float(ranking.traits.stability_score[index])
    return BatchResult(
        item.index,
        candidates.iou_predictions[index],
        stability,
        tuple(one for one in masks if one.area_px),
        item.wanted.class_name,
        # What a mask was begun with is not kept: it opens with the region that it has now.
        None if item.wanted.region is not None else item.state.with_choice(index),
    )
