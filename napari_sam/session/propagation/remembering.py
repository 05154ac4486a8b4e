"""Carry an object from slice to slice with a model that remembers slices, such as SAM 2.1."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.sequences import SequenceModel, SequenceState, memory_of
from napari_sam.session.decoding.candidates import Candidates, masks_of
from napari_sam.session.decoding.segment import whole_crop
from napari_sam.session.decoding.tile_choice import initial_tile
from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.objects.slices import Origin
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.propagation.ahead import Ahead
from napari_sam.session.propagation.slice_mask import SliceMask

_OBJECT: Final = 1
"""The number of the only object."""
_ENDED: Final = 0.5
"""The score below which the object is not on a slice."""


class Remembering:
    """Carries masks on with the memory of the model that embeds the slices.

    Parameters
    ----------
    embedder : Embedder
        Embeds slices as they are reached, the next one meanwhile, or finds their embeddings.
    report : callable
        Called with the share of a slice that is embedded, 0 to 1, on the thread that embeds it;
        what it raises ends that.

    Raises
    ------
    ValueError
        When it is used, if the model remembers nothing.
    """

    def __init__(
        self, embedder: Embedder, report: Callable[[float], None] = lambda share: None
    ) -> None:
        self._embedder, self._ahead = embedder, Ahead(embedder, report)

    def outward(
        self,
        planes: Sequence[ImagePlane],
        start: SliceMask,
        slices: Sequence[int],
        *,
        is_forced: bool = False,
    ) -> Iterator[SliceMask]:
        """Yield the object on slices that follow each other from a start, until it ends.

        Where it leaves the tile that the model sees, a larger one takes over, and what is
        remembered begins anew. `is_forced`: only where there is no mask at all.
        """
        model, spec = self._model(), self._embedder.load().encoder.spec
        before, state, tile = start, None, None
        with self._ahead.along(planes, (start.slice_index, *slices)) as obtain:
            for index in slices:
                pyramid = planes[index].pyramid(spec)
                if state is None or tile is None:
                    tile = _tile_for(pyramid, before.crop, tile)
                    state = _started(model, obtain(before.slice_index, tile), before)
                embedded = obtain(index, tile)
                direction = 1 if index > before.slice_index else -1
                ((_, masks),) = model.propagate(state, [(index, embedded.embedding)], direction)
                prediction, score = masks[_OBJECT]
                crop = _crop(embedded, prediction)
                if not crop.mask.size or (score < _ENDED and not is_forced):
                    return
                before = SliceMask(index, crop, Origin.PROPAGATED, score)
                yield before
                if pyramid.cuts(tile, crop.edges_xyxy):
                    state = None

    def _model(self) -> SequenceModel:
        model = memory_of(self._embedder.load().decoder)
        if model is None:
            raise ValueError("This model remembers no slices; choose one of SAM 2.1.")
        return model


def _started(model: SequenceModel, embedded: EmbeddedTile, start: SliceMask) -> SequenceState:
    state = model.start(embedded.embedding)
    mask = _sampled(start.crop, embedded.tile, embedded.embedding.original_size)
    model.add_prompt(state, start.slice_index, _OBJECT, embedded.embedding, mask=mask)
    return state


def _tile_for(pyramid: TilePyramid, crop: MaskCrop, before: Tile | None) -> Tile:
    """Return the tile for an object: larger than the one before, if there was one."""
    if before is not None:
        return pyramid.around(crop.edges_xyxy, min(before.level + 1, pyramid.whole.level))
    return initial_tile(pyramid, Prompts(box_xyxy=crop.edges_xyxy), pyramid.whole, None)


def _sampled(crop: MaskCrop, tile: Tile, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the part of a mask in a tile, as (H, W) of the tile as it was read."""
    window = crop.within(tile.top, tile.left, tile.size)
    rows, columns = (
        ((np.arange(count) + 0.5) * length / count).astype(np.intp)
        for count, length in zip(size, tile.size, strict=True)
    )
    return window[rows[:, None], columns]


def _crop(embedded: EmbeddedTile, prediction: MaskPrediction) -> MaskCrop:
    return whole_crop(Candidates(Prompts(), embedded.tile, masks_of(embedded, prediction)), 0)
