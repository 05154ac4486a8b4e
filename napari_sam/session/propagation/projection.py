"""Carry an object from slice to slice with any promptable model, one decode a slice.

On the next slice the object is expected where that looks most alike. The model decodes the box of
the expected mask, its innermost point and its logits at a quarter of their strength: at full
strength it copies the mask even where the object has ended.

What it gives on the annotated slice itself tells how the user wants masks cut: models make some
objects systematically too large or too small, and the mask there may be smaller or larger than
published, or painted. The masks of the other slices are cut out of their logits alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.spec import Capability
from napari_sam.session.decoding.candidates import Candidates, masks_of
from napari_sam.session.decoding.cut import pieces_with
from napari_sam.session.decoding.expected import (
    STRENGTH,
    cut_alike,
    cut_at,
    innermost_xy,
    overlap_of,
)
from napari_sam.session.decoding.mask_prompts import logits_of_region
from napari_sam.session.decoding.segment import whole_crop
from napari_sam.session.decoding.tile_choice import initial_tile
from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Box, Tile
from napari_sam.session.objects.slices import Origin
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts
from napari_sam.session.propagation.ahead import Ahead, Obtain
from napari_sam.session.propagation.borders import Border
from napari_sam.session.propagation.evidence import Evidence
from napari_sam.session.propagation.meeting import overlap
from napari_sam.session.propagation.patches import in_memory
from napari_sam.session.propagation.shifting import shifted
from napari_sam.session.propagation.slice_mask import SliceMask

_GROWN: Final = 0.05
"""How much larger than the expected mask the box is on each side."""
_ENDED: Final = 0.5
"""Confidence below which the object has ended."""
_ALIKE: Final = 0.9
"""Overlap with the expected mask below which one that is larger may be of several objects."""
_MOST_PLANES: Final = 4
"""Of so many, the pixels stay in memory: two at either end that objects are carried to."""


class _Known(NamedTuple):
    """What an object looks like on an annotated slice, and how its mask is cut there."""

    evidence: Evidence
    cut: float
    border: Border


class Projection:
    """Carries masks on with the model that embeds the slices.

    Parameters
    ----------
    embedder : Embedder
        Embeds slices as they are reached, the next one meanwhile, or finds their embeddings.
    report : callable
        Called with the share of a slice that is embedded, 0 to 1, on the thread that embeds it;
        what it raises ends that.
    n_objects : int
        How many objects are carried on at a time: of several, the model prepares each slice once
        for all.
    """

    def __init__(
        self,
        embedder: Embedder,
        report: Callable[[float], None] = lambda share: None,
        n_objects: int = 1,
    ) -> None:
        self._embedder, self._n_objects = embedder, n_objects
        self._ahead = Ahead(embedder, report)
        self._in_memory = lru_cache(_MOST_PLANES)(in_memory)
        self._begun: tuple[SliceMask, _Known] | None = None

    def outward(
        self,
        planes: Sequence[ImagePlane],
        start: SliceMask,
        slices: Sequence[int],
        *,
        is_forced: bool = False,
    ) -> Iterator[SliceMask]:
        """Yield the object on slices that follow each other from a start, until it ends.

        `is_forced`: only where there is no mask at all.
        """
        with self._ahead.along(planes, (start.slice_index, *slices)) as obtain:
            before, plane = start, planes[start.slice_index]
            known = self._measured(start, plane, obtain)
            for index in slices:
                next_plane = planes[index]
                pixels, next_pixels = self._in_memory(plane), self._in_memory(next_plane)
                expected = shifted(before.crop, pixels, next_pixels)
                if not expected.mask.size:
                    return
                embedded = obtain(index, self._tile(next_plane, expected))
                surest = self._surest(index, before.crop, expected, embedded, next_pixels, known)
                if surest is None or (surest.confidence < _ENDED and not is_forced):
                    return
                before, plane = surest, next_plane
                yield before

    def _surest(
        self,
        index: int,
        before: MaskCrop,
        expected: MaskCrop,
        embedded: EmbeddedTile,
        pixels: ImagePlane,
        known: _Known,
    ) -> SliceMask | None:
        """Return the first mask with which the object goes on, or else the surest one, if any."""

        def judged(crop: MaskCrop, iou: float) -> SliceMask | None:
            crop = known.border.followed(crop, pixels)
            if not crop.mask.size:
                return None
            evidence = Evidence.of(crop, pixels, embedded)
            if known.border.walls is None:
                confidence = evidence.confidence(known.evidence, iou)
            else:
                overlaps = [overlap(crop, other) for other in (expected, before)]
                confidence = evidence.confidence_at_walls(known.evidence, min(overlaps))
            return SliceMask(index, crop, Origin.PROPAGATED, confidence)

        surest = None
        for crop, iou in self._decoded(expected, embedded, known.cut):
            mask = judged(crop, iou)
            if mask is not None and (surest is None or mask.confidence > surest.confidence):
                surest = mask
            if surest is not None and surest.confidence >= _ENDED:
                break
        if surest is not None and known.border.is_told:
            mask = judged(expected, 1.0)
            if mask is not None and mask.confidence >= surest.confidence:
                return mask if _has_spread(surest.crop, mask.crop) else surest
        return surest

    def _measured(self, start: SliceMask, plane: ImagePlane, obtain: Obtain) -> _Known:
        """Return what an object looks like at a start and how it is cut; once for both ways."""
        if self._begun is None or self._begun[0] is not start:
            embedded = obtain(start.slice_index, self._tile(plane, start.crop))
            pixels = self._in_memory(plane)
            known = _Known(
                Evidence.of(start.crop, pixels, embedded),
                self._cut_of(start.crop, embedded),
                Border.of(start.crop, pixels),
            )
            self._begun = start, known
        return self._begun[1]

    def _tile(self, plane: ImagePlane, crop: MaskCrop) -> Tile:
        pyramid = plane.pyramid(self._embedder.load().encoder.spec)
        box = Prompts(box_xyxy=crop.edges_xyxy)
        return initial_tile(pyramid, box, pyramid.whole, None)

    def _decoded(
        self, expected: MaskCrop, embedded: EmbeddedTile, cut: float
    ) -> Iterator[tuple[MaskCrop, float]]:
        """Yield the model's masks, cut like this, and their overlaps with the expected one.

        The most alike comes first. Where an object shrinks fast, as at its end, that is the
        expected mask itself, and a tighter one has its borders at the edges of the image.
        """
        prediction, order, ious = self._predicted(expected, embedded)
        logits = np.stack([cut_at(mask, cut) for mask in prediction.low_res_logits])
        masks = masks_of(embedded, replace(prediction, low_res_logits=logits))
        candidates = Candidates(Prompts(), embedded.tile, masks)
        for number in order:
            crop = _touching(whole_crop(candidates, number), expected)
            if crop.mask.size:
                yield crop, float(ious[number])

    def _cut_of(self, crop: MaskCrop, embedded: EmbeddedTile) -> float:
        """Return where the model's mask of a known one is most like it when it is cut there."""
        prediction, (best, *_), _ = self._predicted(crop, embedded)
        logits = prediction.low_res_logits[best]
        mask = logits_of_region(crop, embedded.tile, logits.shape[-1]) > 0
        return cut_alike(logits, mask)

    def _predicted(
        self, expected: MaskCrop, embedded: EmbeddedTile
    ) -> tuple[MaskPrediction, list[int], NDArray[np.float64]]:
        """Return the model's masks, their numbers, the most alike first, and their overlaps."""
        spec = embedded.decoder.spec
        logits = logits_of_region(expected, embedded.tile, spec.low_res_side)
        is_asked = Capability.MASK_PROMPT in spec.capabilities
        is_only = self._n_objects == 1 and Capability.SINGLE_PROMPT in spec.capabilities
        prompts = Prompts((innermost_xy(expected),), (FOREGROUND,), _grown(expected.edges_xyxy))
        prediction = embedded.decoder.decode(
            embedded.embedding,
            points_xy=embedded.to_pixels(prompts.points_array()),
            point_labels=prompts.labels_array(),
            box_xyxy=embedded.to_pixels(prompts.box_array()),
            mask_input=STRENGTH * logits if is_asked else None,
            **({"is_only": True} if is_only else {}),
        )
        ious = np.array([overlap_of(mask > 0, logits > 0) for mask in prediction.low_res_logits])
        worth = ious * np.clip(prediction.iou_predictions, 0.01, 1)
        return prediction, np.argsort(-worth, kind="stable").tolist(), ious


def _has_spread(crop: MaskCrop, expected: MaskCrop) -> bool:
    """Whether a mask is larger than the expected one, and little like it, as beside a neighbor."""
    is_larger = np.count_nonzero(crop.mask) > np.count_nonzero(expected.mask)
    return bool(is_larger and overlap(crop, expected) < _ALIKE)


def _grown(box: Box) -> Box:
    dx, dy = _GROWN * (box[2] - box[0]), _GROWN * (box[3] - box[1])
    return box[0] - dx, box[1] - dy, box[2] + dx, box[3] + dy


def _touching(crop: MaskCrop, expected: MaskCrop) -> MaskCrop:
    """Return the pieces of a mask that touch the expected one."""
    cells = expected.within(crop.top, crop.left, crop.mask.shape)
    return tight_crop(pieces_with(crop.mask, cells), crop.top, crop.left)
