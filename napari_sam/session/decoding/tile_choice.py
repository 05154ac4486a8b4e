"""Which tile of a large image an object is decoded on."""

from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.image.tiles import Box, Tile, TilePyramid
from napari_sam.session.prompts.prompts import Prompts


def initial_tile(
    pyramid: TilePyramid,
    prompts: Prompts,
    in_sight: Tile,
    before: Tile | None,
    of_last_object: Tile | None = None,
) -> Tile:
    """Choose the tile on which prompts are decoded before they have a mask."""
    bounds = prompts.bounds_xyxy
    if before is not None and pyramid.holds(before, bounds):
        return before
    level = in_sight.level
    if of_last_object is not None:
        level = min(level, of_last_object.level)
    if prompts.box_xyxy is not None and pyramid.is_tiny(in_sight, prompts.box_xyxy):
        level = pyramid.level_for(prompts.box_xyxy)
    if level == in_sight.level and pyramid.holds(in_sight, bounds):
        return in_sight
    return pyramid.around(bounds, level)


def refined_tile(
    pyramid: TilePyramid, state: ObjectState, candidates: Candidates, index: int, in_sight: Tile
) -> Tile | None:
    """Return the tile on which to decode an object again, given its mask; None: it is fine."""
    tile, box = candidates.masks[index].tile, candidates.bounds_xyxy(index)
    if box is None:
        return None
    needed, better = union(box, state.prompts.bounds_xyxy), None
    if pyramid.cuts(tile, box):
        better = pyramid.around(needed, max(tile.level + 1, in_sight.level))
    # Once raised it is not lowered: it would go to and fro between two tiles.
    elif not state.is_raised and pyramid.is_tiny(tile, box):
        finer = pyramid.around(needed, pyramid.level_for(box))
        better = finer if finer.level < tile.level else None
    return None if better == candidates.tile else better


def union(box: Box, other: Box) -> Box:
    """Return the smallest box around two."""
    return (
        min(box[0], other[0]),
        min(box[1], other[1]),
        max(box[2], other[2]),
        max(box[3], other[3]),
    )
