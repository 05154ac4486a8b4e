"""Prompts as a user would give them for an object whose mask is known.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix A, "Training
algorithm": a click or a jittered box, then corrections where the mask is wrong. All places are in
pixels of the model's square input; masks are on the grid of its low-resolution logits.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_sam.engine.probes import SHARES
from napari_sam.model.prompts import PromptBatch
from napari_sam.model.sam.prompt_encoder import BACKGROUND, FOREGROUND

Mask = npt.NDArray[np.bool_]
Place = tuple[float, float]
"""x and y in pixels of the square input."""

CELL_PX: Final = 4
"""Input pixels per cell of the low-resolution logits, along each axis."""
_CLICKS, _BOXES = 0.5, 0.25
"""Shares of objects that begin with a click, and with a box; the others begin with a probe."""
_JITTER, _MAX_JITTER_PX = 0.1, 20
"""Standard deviation of a box's sides, as a share of their length, and its bound."""


def first_prompt(mask: Mask, rng: np.random.Generator) -> PromptBatch:
    """Return what a user may begin with: a click on an object, or a box that is not exact.

    Or a probe (`engine.probes`), which the window adds to a click whose masks are doubtful: a
    square that is not the object must not become the mask, and its score has to be right, too.
    """
    kind = rng.random()
    if kind < _CLICKS:
        return _click(place_inside(mask, rng), is_foreground=True)
    if kind < _CLICKS + _BOXES:
        return _jittered_box(mask, rng)
    place = place_inside(mask, rng)
    half = mask.shape[0] * CELL_PX * rng.choice(SHARES) / 2
    box = np.array([place[0] - half, place[1] - half, place[0] + half, place[1] + half])
    return _click(place, is_foreground=True)._replace(boxes_xyxy=box[None])


def _jittered_box(mask: Mask, rng: np.random.Generator) -> PromptBatch:
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    corners = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    box = corners * CELL_PX - 0.5
    noise = rng.normal(0, _JITTER * np.tile(box[2:] - box[:2], 2))
    box += np.clip(noise, -_MAX_JITTER_PX, _MAX_JITTER_PX)
    return PromptBatch(None, None, np.clip(box, -0.5, mask.shape[0] * CELL_PX - 0.5)[None])


def corrected(
    prompt: PromptBatch, mask: Mask, predicted: Mask, rng: np.random.Generator
) -> PromptBatch | None:
    """Add a click in the largest region where a prediction is wrong; None if it is right."""
    missing, excess = _largest_piece(mask & ~predicted), _largest_piece(predicted & ~mask)
    is_foreground = int(np.count_nonzero(missing)) >= int(np.count_nonzero(excess))
    region = missing if is_foreground else excess
    if not region.any():
        return None
    click = _click(place_inside(region, rng), is_foreground=is_foreground)
    if prompt.points_xy is None or prompt.point_labels is None:
        return click._replace(boxes_xyxy=prompt.boxes_xyxy)
    assert click.points_xy is not None
    assert click.point_labels is not None
    return PromptBatch(
        np.concatenate([prompt.points_xy, click.points_xy], axis=1),
        np.concatenate([prompt.point_labels, click.point_labels], axis=1),
        prompt.boxes_xyxy,
    )


def place_inside(mask: Mask, rng: np.random.Generator) -> Place:
    """Return a random place in a mask: the deeper inside, the likelier."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    cell = rng.choice(mask.size, p=(depth / depth.sum()).ravel())
    row, column = np.unravel_index(cell, mask.shape)
    x, y = np.array([column, row]) * CELL_PX + rng.uniform(0, CELL_PX, 2) - 0.5
    return float(x), float(y)


def _click(place: Place, *, is_foreground: bool) -> PromptBatch:
    label = FOREGROUND if is_foreground else BACKGROUND
    return PromptBatch(np.array([[place]]), np.array([[float(label)]]), None)


def _largest_piece(mask: Mask) -> Mask:
    pieces, _ = ndimage.label(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    largest = int(sizes.argmax())
    return np.asarray((pieces == largest) & (largest > 0))
