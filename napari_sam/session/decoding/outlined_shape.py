"""An object outlined on another slice, given what it looks like on those that are annotated.

An outline tells roughly where the object ends, also where it touches others, which a box does not.
The model is asked for what fills it, or, better, for the object's own mask on another slice, if
that fits in once it is turned and scaled, as that of a rod some slices on. Where the model sees
something else there, the mask that fits is taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import pi
from typing import Final, NamedTuple

import numpy as np
import skimage
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.spec import Capability
from napari_sam.session.decoding.candidates import Candidates, ranked
from napari_sam.session.decoding.expected import (
    STRENGTH,
    cut_alike,
    cut_at,
    direction_of,
    innermost_xy,
    overlap_of,
)
from napari_sam.session.decoding.mask_prompts import limit_of_outline, logits_of_region
from napari_sam.session.decoding.ranking import Ranking
from napari_sam.session.embedding.embeddings import EmbeddedTile
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts
from napari_sam.session.prompts.shapes import Outline

_BEYOND: Final = ((0.02, 1.0), (0.04, 2.0), (0.08, 4.0))
"""How far outlines may be drawn beyond an object: in sides of their box; at least, in pixels."""
_FITS: Final = 0.8
"""Overlap with what is outlined from which on a mask of another slice fits."""
_TURN_COST: Final = 0.02
"""The overlap that a turn of a radian must gain."""
_SCALE_COST: Final = 1.0
"""The overlap that a scale of e must gain."""
_AGREES: Final = 0.9
"""Overlap with a mask that fits from which on the model's is cut to be as large."""
_SEEN: Final = 0.75
"""Overlap with a mask that fits below which the model sees something else."""


def outlined_shape(
    embedded: EmbeddedTile, prompts: Prompts, usable: Prompts, shapes: Sequence[MaskCrop]
) -> Candidates | None:
    """Decode an outline, maybe with clicks, around an object with one of these shapes.

    Parameters
    ----------
    embedded : EmbeddedTile
        Where the outline is.
    prompts, usable : Prompts
        All prompts, and those of them that can be decoded.
    shapes : sequence of MaskCrop
        Masks of the object on other slices.

    Returns
    -------
    Candidates or None
        None without an outline, or without any shape.
    """
    outline = usable.outline
    if outline is None or not shapes:
        return None
    expected = [_expected(_outlined(outline, *beyond), shapes) for beyond in _BEYOND]
    answers = [_answer(embedded, usable, each) for each in expected if each.crop.mask.size]
    if not answers:
        return None
    prediction, order, _ = max(answers, key=lambda answer: answer.worth)
    limit = limit_of_outline(outline, embedded.tile, prediction.low_res_logits.shape[-1])
    logits = np.minimum(prediction.low_res_logits, limit)
    prediction = replace(prediction, low_res_logits=logits)
    found = ranked(embedded, prompts, replace(usable, outline=None), prediction)
    ranking = found.ranking
    if ranking is not None:
        ranking = Ranking(order, "most like the object on other slices", ranking.features)
    return replace(found, ranking=ranking)


class _Expected(NamedTuple):
    """A mask that is expected within an outline."""

    crop: MaskCrop
    fit: float  # how much it is like what is outlined, 0 to 1; less for what must be scaled
    is_known: bool  # from another slice


class _Answer(NamedTuple):
    """The model's masks where one is expected, and their order."""

    prediction: MaskPrediction
    order: tuple[int, ...]
    worth: float  # how well both fit the outline and each other


def _expected(outlined: MaskCrop, shapes: Sequence[MaskCrop]) -> _Expected:
    """Return the mask of another slice that fits what is outlined, or else that itself."""
    if not outlined.mask.size:
        return _Expected(outlined, 0, is_known=False)
    crop, fit = max((_fitted(shape, outlined) for shape in shapes), key=lambda one: one[1])
    return (
        _Expected(crop, fit, is_known=True)
        if fit >= _FITS
        else (_Expected(outlined, _FITS, is_known=False))
    )


def _answer(embedded: EmbeddedTile, usable: Prompts, expected: _Expected) -> _Answer:
    """Ask the model for an expected mask."""
    prediction = _predicted(embedded, usable, expected.crop)
    logits = prediction.low_res_logits.copy()
    region = logits_of_region(expected.crop, embedded.tile, logits.shape[-1])
    there = region > 0
    overlaps = np.array([overlap_of(mask > 0, there) for mask in logits])
    values = overlaps * np.clip(prediction.iou_predictions, 0.01, 1)
    order = tuple(int(number) for number in np.argsort(-values, kind="stable"))
    agreement = float(overlaps[order[0]])
    if expected.is_known:
        best = logits[order[0]]
        alike = cut_at(best, cut_alike(best, there))
        if overlap_of(alike > 0, there) >= _AGREES:
            logits[order[0]] = alike
        elif agreement < _SEEN:
            logits[order[0]] = region
    worth = expected.fit + agreement
    return _Answer(replace(prediction, low_res_logits=logits), order, worth)


def _outlined(outline: Outline, share: float, least_px: float) -> MaskCrop:
    """Return what an outline is around: what it encloses, but for its edge."""
    x0, y0, x1, y1 = outline.box_xyxy
    top, left = int(np.floor(y0)), int(np.floor(x0))
    shape = int(np.ceil(y1)) - top + 1, int(np.ceil(x1)) - left + 1
    places = outline.line_xy[:, ::-1] - (top, left)
    enclosed = skimage.draw.polygon2mask(shape, places)
    beyond = max(least_px, share * np.sqrt((x1 - x0) * (y1 - y0)))
    depths = ndimage.distance_transform_edt(np.pad(enclosed, 1))[1:-1, 1:-1]
    return tight_crop(depths > beyond, top, left)


def _predicted(embedded: EmbeddedTile, usable: Prompts, expected: MaskCrop) -> MaskPrediction:
    """Return what the model makes of an expected mask and the prompts."""
    spec = embedded.decoder.spec
    if FOREGROUND not in usable.point_labels:
        points = (*usable.points_xy, innermost_xy(expected))
        usable = replace(usable, points_xy=points, point_labels=(*usable.point_labels, FOREGROUND))
    logits = logits_of_region(expected, embedded.tile, spec.low_res_side)
    is_asked = Capability.MASK_PROMPT in spec.capabilities
    return embedded.decoder.decode(
        embedded.embedding,
        points_xy=embedded.to_pixels(usable.points_array()),
        point_labels=usable.labels_array(),
        box_xyxy=embedded.to_pixels(np.array(expected.edges_xyxy, np.float32)),
        mask_input=STRENGTH * logits if is_asked else None,
    )


def _fitted(shape: MaskCrop, outlined: MaskCrop) -> tuple[MaskCrop, float]:
    """Return a mask turned and scaled to fit another one, and how well it does."""
    areas = np.count_nonzero(shape.mask), np.count_nonzero(outlined.mask)
    scale = (areas[1] / areas[0]) ** 0.5
    middles = np.argwhere(shape.mask).mean(axis=0), np.argwhere(outlined.mask).mean(axis=0)
    start, end = direction_of(shape.mask), direction_of(outlined.mask)
    turns = () if start is None or end is None else (end - start, end - start + pi)
    fits = []
    for angle in (0.0, *((turn + pi) % (2 * pi) - pi for turn in turns)):
        mask = _turned(shape.mask, angle, scale, middles, outlined.mask.shape)
        fits.append((overlap_of(mask, outlined.mask), abs(angle), mask))
    overlap, _, mask = max(fits, key=lambda fit: fit[0] - _TURN_COST * fit[1])
    cost = _SCALE_COST * abs(float(np.log(scale)))
    return tight_crop(mask, outlined.top, outlined.left), overlap - cost


def _turned(
    mask: NDArray[np.bool_],
    angle: float,
    scale: float,
    middles: tuple[NDArray[np.float64], NDArray[np.float64]],
    shape: tuple[int, ...],
) -> NDArray[np.bool_]:
    """Return a mask turned and scaled around one place, which comes to lie in another."""
    sine, cosine = np.sin(angle), np.cos(angle)
    back = np.array([[cosine, sine], [-sine, cosine]]) / scale
    turned = ndimage.affine_transform(
        mask.astype(np.float32), back, middles[0] - back @ middles[1], shape, order=1
    )
    return np.asarray(turned > 0.5)
