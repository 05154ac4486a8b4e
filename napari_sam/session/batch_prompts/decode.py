"""One object per prompt, decoded in batches, on as few tiles as possible."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Final

import numpy as np

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.decoding.candidates import Candidates, ranked
from napari_sam.session.decoding.mask_prompts import logits_of_region
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.decoding.pool import is_ambiguous
from napari_sam.session.decoding.ranking import NO_CONTEXT, DecodeContext
from napari_sam.session.decoding.recipe import tile_for
from napari_sam.session.decoding.request import DecodeRequest
from napari_sam.session.decoding.tile_choice import initial_tile, refined_tile, union
from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Box, Tile, TilePyramid
from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord, score_of
from napari_sam.session.objects.trimming import NOT_TRIMMED, Trim
from napari_sam.session.prompts.prompts import Prompts

_BATCH: Final = 32
"""Prompts decoded between two checks whether to stop."""
_MAX_ROUNDS: Final = 3
"""Tiles per object at most: a mask that is cut off or tiny is decoded on another tile."""

_REGION_BATCH: Final = 2
"""The same for regions, which are decoded one by one."""

Report = Callable[[float], bool]
"""Called with the share that is done; returns whether to go on. May wait, or raise."""


@dataclass(frozen=True, eq=False)
class BatchPrompt:
    """The prompts of one object."""

    prompts: Prompts
    class_name: str | None = None
    region: MaskCrop | None = None  # pixels to start from, which the model refines
    object_id: int | None = None  # the same for prompts on several slices that are of one object


def prompt_of_region(
    region: MaskCrop, class_name: str | None = None, object_id: int | None = None
) -> BatchPrompt:
    """Return a prompt that refines a region."""
    return BatchPrompt(Prompts(box_xyxy=region.edges_xyxy), class_name, region, object_id)


@dataclass(frozen=True, eq=False)
class BatchResult:
    """A segmented object."""

    index: int  # of its prompt
    predicted_iou: float  # may exceed 1
    stability: float  # the stability score of its mask
    masks: tuple[PackedMask, ...]  # its pixels in the plane, in parts that do not overlap
    class_name: str | None = None
    # its prompts, with which it is re-edited; None if it started from a region
    state: ObjectState | None = None
    trim: Trim = NOT_TRIMMED  # where other objects keep their pixels

    @property
    def n_prompts(self) -> int:
        """From how many prompts it was made."""
        return 1

    def record(
        self, plane: LabelsPlane, label_id: int = 0, class_name: str | None = None
    ) -> ObjectRecord:
        """Return it as an object to be written on a plane."""
        parts = (plane.to_nd(mask.mask, *mask.start) for mask in self.masks)
        return ObjectRecord(
            label_id,
            score=score_of(self.predicted_iou),
            stability=self.stability,
            class_name=self.class_name or class_name,
            state=self.state,
            masks=tuple(PackedMask(start, mask) for mask, start in parts),
        )


@dataclass(frozen=True, eq=False)
class _Item:
    """A prompt that is being decoded."""

    index: int
    prompt: BatchPrompt
    usable: Prompts
    state: ObjectState
    level: int
    bounds: Box
    before: Candidates | None = None  # its masks on another tile
    learnt_tile: Tile | None = None  # on which a learned mask of its click is made

    def on_tile(self, tile: Tile) -> _Item:
        """Return it on a tile, which serves what was learned if it is of the level for that."""
        learnt_tile = self.learnt_tile
        if learnt_tile is not None and learnt_tile.level == tile.level:
            learnt_tile = tile
        return replace(self, state=self.state.on_tile(tile), learnt_tile=learnt_tile)


def decode_batch_prompts(
    embedder: Embedder,
    plane: ImagePlane,
    prompts: Sequence[BatchPrompt],
    *,
    in_sight: Tile | None = None,
    context: DecodeContext = NO_CONTEXT,
    report: Report = lambda _: True,
    on_result: Callable[[BatchResult], None] = lambda _: None,
    finish: Callable[[int, Candidates], Candidates] = lambda _, candidates: candidates,
) -> list[BatchResult]:
    """Segment one object per prompt; may run on any thread.

    Each prompt is decoded like a click or box of a user, on a tile that suits the size of the
    object, and yields the mask that would be preselected. `on_result` gets each one as it is made,
    from what `finish` returns, given the index of a prompt and its masks.
    """
    pyramid = plane.pyramid(embedder.load().encoder.spec)
    in_sight = in_sight or pyramid.whole
    items = list(_items(pyramid, prompts, in_sight, context))
    results: dict[int, BatchResult] = {}
    done = len(prompts) - len(items)

    def on_step(_: float) -> None:
        report(done / len(prompts))

    obtain = partial(embedder.obtain, plane, report=on_step)
    for turn in range(_MAX_ROUNDS):
        again: list[_Item] = []
        for tile, members in _tiles_for(pyramid, items):
            embedded = embedder.embed(plane, tile, on_step)
            for batch in _batches([item.on_tile(tile) for item in members]):
                if not report(done / len(prompts)):
                    return [results[index] for index in sorted(results)]
                for item, candidates in zip(
                    batch, _decode_batch(embedded, batch, context, obtain), strict=True
                ):
                    moved = _moved(pyramid, item, candidates, in_sight)
                    if moved is not None and turn + 1 < _MAX_ROUNDS:
                        again.append(moved)
                        continue
                    done += 1
                    result = _result(item, finish(item.index, candidates))
                    if result.masks:
                        results[item.index] = result
                        on_result(result)
        items = again
    report(1)
    return [results[index] for index in sorted(results)]


def _items(
    pyramid: TilePyramid, prompts: Sequence[BatchPrompt], in_sight: Tile, context: DecodeContext
) -> Iterator[_Item]:
    learnt = context.learnt
    policy = learnt.recipe.policy if learnt is not None and learnt.is_preselected else None
    for index, prompt in enumerate(prompts):
        usable, _ = prompt.prompts.within(pyramid.shape)
        if usable.has_foreground:
            learnt_tile = None
            if policy is not None and is_ambiguous(usable):
                learnt_tile = tile_for(pyramid, usable.points_xy[0], policy.level)
            tile = initial_tile(pyramid, usable, in_sight, None, learnt_tile)
            state = ObjectState(prompt.prompts)
            bounds = usable.bounds_xyxy
            yield _Item(index, prompt, usable, state, tile.level, bounds, learnt_tile=learnt_tile)


def _tiles_for(pyramid: TilePyramid, items: Sequence[_Item]) -> Iterator[tuple[Tile, list[_Item]]]:
    """Yield few tiles that together hold all items, each tile with the items to decode there.

    The tile that holds most items comes first (greedy set cover), as embedding takes far longer
    than decoding.
    """
    holders: defaultdict[Tile, dict[int, _Item]] = defaultdict(dict)
    for item in items:
        for tile in _holding(pyramid, item.level, item.bounds):
            holders[tile][item.index] = item
    while holders:
        fullest = max(holders, key=lambda tile: len(holders[tile]))
        members = holders.pop(fullest)
        yield fullest, list(members.values())
        for remaining in holders.values():
            for index in members.keys() & remaining.keys():
                del remaining[index]
        for tile in [tile for tile, remaining in holders.items() if not remaining]:
            del holders[tile]


def _batches(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """Yield items that are decoded between two checks whether to stop."""
    size = _REGION_BATCH if any(item.prompt.region is not None for item in items) else _BATCH
    for first in range(0, len(items), size):
        yield items[first : first + size]


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
    embedded: EmbeddedTile,
    batch: Sequence[_Item],
    context: DecodeContext,
    obtain: Callable[[Tile], EmbeddedTile],
) -> list[Candidates]:
    """Decode prompts with equal numbers of points and boxes together, regions one by one."""
    results: dict[int, Candidates] = {}
    groups: defaultdict[tuple[int, bool], list[_Item]] = defaultdict(list)
    for item in batch:
        region, usable = item.prompt.region, item.usable
        if region is not None:
            side = embedded.decoder.spec.low_res_side
            mask = logits_of_region(region, embedded.tile, side)
            request = DecodeRequest(embedded, item.prompt.prompts, usable, context, mask)
            results[item.index] = request.all_at_once()
        else:
            groups[len(usable.points_xy), usable.box_xyxy is not None].append(item)
    for (n_points, has_box), group in groups.items():
        group_prompts = [item.usable for item in group]
        points_xy = [prompts.points_xy for prompts in group_prompts]
        point_labels = [prompts.point_labels for prompts in group_prompts]
        boxes_xyxy = [prompts.box_xyxy for prompts in group_prompts]
        predictions = embedded.decoder.decode_batch(
            embedded.embedding,
            points_xy=embedded.to_pixels(np.array(points_xy, np.float32) if n_points else None),
            point_labels=np.array(point_labels) if n_points else None,
            boxes_xyxy=embedded.to_pixels(np.array(boxes_xyxy, np.float32) if has_box else None),
        )
        for item, prediction in zip(group, predictions, strict=True):
            about = embedded, item.prompt.prompts, item.usable
            learnt_tile, learnt_on = item.learnt_tile, None
            if learnt_tile is not None and learnt_tile != embedded.tile:
                learnt_on = obtain(learnt_tile)
            request = DecodeRequest(*about, context, before=item.before, learnt_on=learnt_on)
            results[item.index] = request.completed(ranked(*about, prediction, context))
    return [results[item.index] for item in batch]


def _moved(
    pyramid: TilePyramid, item: _Item, candidates: Candidates, in_sight: Tile
) -> _Item | None:
    """Return an item for the tile on which to decode again; None if the mask is fine."""
    index = candidates.best
    tile, box = refined_tile(pyramid, item.state, candidates, index, in_sight), None
    if tile is not None:
        box = candidates.bounds_xyxy(index)
    if tile is None or box is None:
        return None
    bounds = union(box, item.usable.bounds_xyxy)
    return replace(item, level=tile.level, bounds=bounds, before=candidates)


def _result(item: _Item, candidates: Candidates) -> BatchResult:
    best = candidates.best
    # The initial region is not kept: re-edited, the object starts from its own pixels.
    is_region = item.prompt.region is not None
    return replace(
        result_of(item.index, candidates, best),
        class_name=item.prompt.class_name,
        state=None if is_region else item.state.as_accepted(candidates, best),
        trim=Trim.of(candidates, best),
    )


def result_of(index: int, candidates: Candidates, chosen: int) -> BatchResult:
    """Return one of the masks of a prompt, without the prompt."""
    ranking = candidates.ranking
    masks = [PackedMask((top, left), mask) for mask, top, left in candidates.blocks(chosen)]
    return BatchResult(
        index,
        candidates.iou_predictions[chosen],
        0.0 if ranking is None else float(ranking.features.stability_score[chosen]),
        tuple(mask for mask in masks if mask.area_px),
    )
