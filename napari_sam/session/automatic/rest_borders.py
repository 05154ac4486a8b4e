"""Where the objects of a plane end: masks of the rest are made to end there, too.

The model refines the outlines of objects as it refines the regions of the rest, and places around
these masks tell where the objects end (`session/decoding/border.py`). What most of the objects tell
is tried on the others first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.session.batch_prompts.decode import Report, decode_batch_prompts, prompt_of_region
from napari_sam.session.decoding.border import Samples, fitted, moved, samples_of
from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.cleaning import Cell
from napari_sam.session.decoding.expected import innermost_xy, overlap_of
from napari_sam.session.decoding.mask_prompts import logits_of_region
from napari_sam.session.decoding.ranking import MAX_EXAMPLES
from napari_sam.session.decoding.recipe import BorderWeights, with_logits
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.objects.measuring import add_parts, find_in_array
from napari_sam.session.objects.packed import region_of
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.prompts.prompts import FOREGROUND

LEAST_OBJECTS: Final = 5
"""Objects from which on these tell where others end."""
_ROWS: Final = 256
"""That are read at once."""
_SAMPLES: Final = 240
"""Places around the mask of each."""
_PARTS: Final = 5
"""What all objects but one of so many parts tell is tried on these."""
_MOST_LOST: Final = 0.01
"""The overlap with objects that moving borders may cost. A mask that was refined from the very
outline of its object is nearly right, unlike those of the rest."""
_SAME: Final = 0.6
"""Overlap from which on a mask with its border moved is of the same object."""


class _Known(NamedTuple):
    """An object, and what the model makes of its outline."""

    mask: Candidate
    crop: MaskCrop  # of the object
    samples: Samples

    def overlap(self, mask: Candidate) -> float:
        """Return how much a mask has in common with the object."""
        logits = logits_of_region(self.crop, mask.tile, mask.logits.shape[-1])
        return overlap_of(mask.logits > 0, logits > 0)


def border_of(
    embedder: Embedder, plane: ImagePlane, target: LabelsPlane, report: Report
) -> BorderWeights:
    """Return what the objects of a target tell of where they end; empty if it would not help."""
    crops = _objects_on(target)
    if len(crops) < LEAST_OBJECTS:
        return ()
    known: list[_Known] = []

    def keep(index: int, candidates: Candidates) -> Candidates:
        mask = candidates.masks[candidates.best]
        if (mask.logits > 0).any():
            samples = samples_of(mask, _innermost(mask), crops[index], _SAMPLES)
            if samples is not None:
                known.append(_Known(mask, crops[index], samples))
        return candidates

    prompts = [prompt_of_region(crop) for crop in crops]
    decode_batch_prompts(embedder, plane, prompts, report=report, finish=keep)
    if len(known) < LEAST_OBJECTS:
        return ()
    gains: list[float] = []
    for part in range(_PARTS):
        tried = known[part::_PARTS]
        border = fitted([one.samples for n, one in enumerate(known) if n % _PARTS != part])
        gains += [one.overlap(_ending(one.mask, border)) - one.overlap(one.mask) for one in tried]
    return fitted([one.samples for one in known]) if np.mean(gains) >= -_MOST_LOST else ()


def ending_alike(candidates: Candidates, border: BorderWeights) -> Candidates:
    """Return candidates of which the best mask ends where objects do, as `border_of` tells."""
    masks, index = list(candidates.masks), candidates.best
    masks[index] = _ending(masks[index], border)
    return replace(candidates, masks=tuple(masks))


def _objects_on(target: LabelsPlane) -> list[MaskCrop]:
    """Return the objects of a plane with the highest label_ids: the newest, as a rule."""
    objects: dict[int, ObjectRecord] = {}
    height, width = target.shape
    for top in range(0, height, _ROWS):
        labels = target.read(slice(top, min(top + _ROWS, height)), slice(0, width))
        add_parts(objects, find_in_array(labels, (top, 0)))
    crops = []
    for label_id in sorted(objects)[-MAX_EXAMPLES:]:
        record = objects[label_id]
        labels = target.read(*region_of(record.start, record.shape))
        crops.append(tight_crop(labels == label_id, *record.start))
    return crops


def _ending(mask: Candidate, border: BorderWeights) -> Candidate:
    """Return a mask with its border moved; the same one if that would be of another object."""
    inside = mask.logits > 0
    there = moved(mask, [(_innermost(mask), FOREGROUND)], border) if inside.any() else None
    if there is None or overlap_of(inside, there.logits > 0) < _SAME:
        return mask
    return with_logits(mask, there.logits)


def _innermost(mask: Candidate) -> Cell:
    """Return the cell of low-res logits that is deepest inside a mask, not an empty one."""
    column, row = innermost_xy(MaskCrop(mask.logits > 0, 0, 0))
    return int(row), int(column)
