"""Find the instances of a plane, of which parts may be decoded one by one and stitched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.instance_settings import InstanceSettings
from napari_sam.engine.instances import InstanceDecoder, InstanceMaps, instance_decoder_of
from napari_sam.engine.methods import Method
from napari_sam.engine.protocols import MaskDecoder
from napari_sam.engine.spec import resized_size
from napari_sam.session.image.tiles import Tile

if TYPE_CHECKING:
    from napari_sam.model.automatic.instance_set import InstanceSet, PromptedMask

_BATCH: Final = 16
"""Clicks decoded at a time; between two batches, masks appear and other clicks are answered."""
_MAPS_SHARE: Final = 0.7
"""Of the time, where clicks follow."""
_MOST_PX: Final = 2**27
"""Pixels of the maps; each takes about 30 bytes while they are segmented."""


class _Span(NamedTuple):
    """A part along one axis of the maps."""

    start: int
    stop: int
    inner_start: int  # from here on it is used, in place of the part before
    inner_stop: int


def _spans(ranges: Sequence[tuple[int, int]]) -> dict[tuple[int, int], _Span]:
    """Cut overlapping ranges, in their order, in the middle of what they have in common."""
    ordered = sorted(set(ranges))
    cuts = [(stop + start) // 2 for (_, stop), (start, _) in pairwise(ordered)]
    inner = zip([ordered[0][0], *cuts], [*cuts, ordered[-1][1]], strict=True)
    return {
        (start, stop): _Span(start, stop, *within)
        for (start, stop), within in zip(ordered, inner, strict=True)
    }


class InstanceFinder:
    """Decodes the maps of a tile, or of its parts, and the clicks that they suggest.

    Parameters
    ----------
    decoder : MaskDecoder
        Of a model with an instance decoder.
    obtain : callable
        Returns the embedding of a part; may be called again for the clicks.
    whole : Tile
        What the maps show.
    parts : sequence of Tile
        The parts that the model sees, which overlap; the tile itself if there is only one.
    longest_px : int, optional
        Longest side of the maps of a part; by default they have all pixels of the plane.

    Raises
    ------
    ValueError
        If the model has no instance decoder, or the maps would be too large.
    """

    def __init__(
        self,
        decoder: MaskDecoder,
        obtain: Callable[[Tile], ImageEmbedding],
        whole: Tile,
        parts: Sequence[Tile],
        longest_px: int | None = None,
    ) -> None:
        instance_decoder = instance_decoder_of(decoder)
        if instance_decoder is None:
            raise ValueError(
                "This model has no instance decoder: choose one of micro-sam's models, or find "
                "masks with a grid of clicks."
            )
        self._decoder, self._obtain = decoder, obtain
        self._instance_decoder: InstanceDecoder = instance_decoder
        self._whole, self._parts = whole, tuple(parts)
        self._size = whole.size
        side = max(part.side for part in parts)
        if longest_px is not None and side > longest_px:
            self._size = resized_size(whole.size, round(longest_px * whole.side / side))
        if self._size[0] * self._size[1] > _MOST_PX:
            raise ValueError(
                f"The image has {self._size[0] * self._size[1] / 1e6:,.0f} million pixels at this "
                f"detail; instances are found in up to {_MOST_PX / 1e6:.0f}. Choose larger tiles, "
                "or a preview of a region."
            )
        places = [self._place(part) for part in parts]
        self._rows = _spans([place[0] for place in places])
        self._columns = _spans([place[1] for place in places])
        self._by_place = dict(zip(places, self._parts, strict=True))

    def _place(self, part: Tile) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the rows and columns of a part in the maps."""
        ranges = []
        for size, length, first, start, extent in zip(
            *(self._size, self._whole.size, (self._whole.top, self._whole.left)),
            *((part.top, part.left), part.size),
            strict=True,
        ):
            factor = size / length
            begin = round((start - first) * factor)
            ranges.append((begin, round((start - first + extent) * factor)))
        return ranges[0], ranges[1]

    def find(
        self,
        method: Method,
        settings: InstanceSettings,
        is_wanted: Callable[[NDArray[np.float64]], NDArray[np.bool_]],
        on_progress: Callable[[float, InstanceSet | None], None],
    ) -> InstanceSet:
        """Decode all that is needed for settings, and for others at once.

        `is_wanted` tells of points (N, 2) in the plane which objects to keep; `on_progress` gets
        the share that is done, and what has been found so far.
        """
        from napari_sam.model.automatic.instance_set import InstanceSet

        share = 1.0 if method is Method.AIS else _MAPS_SHARE
        maps = self._maps(lambda done: on_progress(share * done, None))
        found = InstanceSet(
            method,
            maps,
            None if method is Method.AIS else self._decode_prompts,
            lambda xy: is_wanted(self._whole.in_plane(xy, maps.size)),
        )
        points = found.points(settings) if method is Method.APG else np.empty((0, 2))
        # Part after part: its embedding may have to be read or computed again.
        points = np.array(sorted(points.tolist(), key=self._part_at)).reshape(-1, 2)
        batches = np.split(points, range(_BATCH, len(points), _BATCH)) if len(points) else []
        rounds = [found.add, found.add_boxes] if settings.box_rounds else [found.add]
        steps = list(product(rounds, batches))
        for number, (add, batch) in enumerate(steps, start=1):
            add(batch)
            if number < len(steps):
                so_far = replace(
                    found, decode=None, known=dict(found.known), boxed=dict(found.boxed)
                )
                on_progress(share + (1 - share) * number / len(steps), so_far)
        on_progress(1.0, found)
        return found

    def _maps(self, on_progress: Callable[[float], None]) -> InstanceMaps:
        n_done, n_parts = 0, len(self._by_place)

        def on_block(done: int, total: int) -> None:
            on_progress((n_done + done / total) / (n_parts + 1))

        if n_parts == 1:
            embedding = self._obtain(self._parts[0])
            return self._instance_decoder.decode(embedding, self._size, on_block)
        maps = InstanceMaps(*np.zeros((3, *self._size), np.float32))
        for place, part in self._by_place.items():
            rows, columns = self._rows[place[0]], self._columns[place[1]]
            size = rows.stop - rows.start, columns.stop - columns.start
            of_part = self._instance_decoder.decode(self._obtain(part), size, on_block)
            for target, values in zip(maps, of_part, strict=True):
                target[
                    rows.inner_start : rows.inner_stop, columns.inner_start : columns.inner_stop
                ] = values[
                    rows.inner_start - rows.start : rows.inner_stop - rows.start,
                    columns.inner_start - columns.start : columns.inner_stop - columns.start,
                ]
            n_done += 1
        return maps

    def _part_at(self, point_xy: Sequence[float]) -> tuple[_Span, _Span]:
        x, y = point_xy
        return _holding(self._rows, y), _holding(self._columns, x)

    def _decode_prompts(
        self, points_xy: NDArray[np.float64], boxes_xyxy: NDArray[np.float64] | None
    ) -> list[PromptedMask]:
        """Decode points in the maps, or boxes around them, each on the part that it lies in."""
        from napari_sam.model.automatic.instance_set import decode_prompts

        by_part: defaultdict[tuple[_Span, _Span], list[int]] = defaultdict(list)
        for index, point in enumerate(points_xy.tolist()):
            by_part[self._part_at(point)].append(index)
        decoded: dict[int, PromptedMask] = {}
        for (rows, columns), indices in by_part.items():
            part = self._by_place[(rows.start, rows.stop), (columns.start, columns.stop)]
            size = rows.stop - rows.start, columns.stop - columns.start
            corner = np.array((columns.start, rows.start))
            boxes = None if boxes_xyxy is None else boxes_xyxy[indices] - np.tile(corner, 2)
            masks = decode_prompts(
                *(self._decoder, self._obtain(part), points_xy[indices] - corner, size, boxes)
            )
            for index, mask in zip(indices, masks, strict=True):
                crop = mask.crop._replace(
                    top=mask.crop.top + rows.start, left=mask.crop.left + columns.start
                )
                decoded[index] = replace(mask, crop=crop)
        return [decoded[index] for index in range(len(points_xy))]


def _holding(spans: dict[tuple[int, int], _Span], place: float) -> _Span:
    """Return the part whose inner range holds a place."""
    return next(span for span in spans.values() if place < span.inner_stop)
