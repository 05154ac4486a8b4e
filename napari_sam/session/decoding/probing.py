"""Look for a small object under a click, which the model misses beside larger ones.

For a single click the model tends to large masks: of an object a few of its cells wide it may offer
three times the field around. With a box as small as the object it finds that, so the click is
decoded again with boxes of a few sizes around it. Such a mask is as large as the box rather than
as the object, but its logits are highest on the object: what is above half of the logit at the
click is another mask to choose from (benchmarks/small_objects.py).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.probes import HEIGHT, SHARES
from napari_sam.session.decoding.candidate import Candidate, cell_at
from napari_sam.session.decoding.candidates import masks_of
from napari_sam.session.decoding.features import MaskFeatures, joined, measure_features
from napari_sam.session.decoding.ranking import AcceptedExamples
from napari_sam.session.embedding.embeddings import EmbeddedTile
from napari_sam.session.image.tiles import Tile

_LEAST_PX: Final = 12.0
"""Side of the smallest box in pixels of the plane; less is no object but a spot."""
_AROUND_ACCEPTED: Final = 1.3
"""Side of the box for an object as large as those accepted, in square roots of their area."""


def probe(
    embedded: EmbeddedTile, click_xy: tuple[float, float], examples: AcceptedExamples
) -> tuple[list[Candidate], MaskFeatures]:
    """Return the likeliest small masks under a click, with their features."""
    predictions = _decode_in_boxes(embedded, click_xy, _sides_px(embedded.tile, examples))
    measured = [_measure(embedded, prediction) for prediction in predictions]
    likely = [part.iou_predictions * part.stability_score for part in measured]
    to_cut = int(np.argmax([row.max() for row in likely]))
    cut = _cut(predictions[to_cut], click_xy, embedded.tile)
    candidates, features = [], [measured[0].take([])]  # the masks of a box may all be empty
    for prediction, part, k in (
        (predictions[0], measured[0], int(np.argmin(measured[0].area_px))),
        (cut, _measure(embedded, cut), int(np.argmax(likely[to_cut]))),
    ):
        if part.area_px[k]:
            candidates.append(masks_of(embedded, prediction)[k])
            features.append(part.take([k]))
    return candidates, joined(features)


def _sides_px(tile: Tile, examples: AcceptedExamples) -> list[float]:
    """Return the sides of the boxes in pixels of the plane, the likeliest one first."""
    sides_px = [share * tile.side for share in SHARES if share * tile.side >= _LEAST_PX]
    if examples:
        areas_px = [example.features.area_px[example.accepted] for example in examples]
        sides_px.insert(0, _AROUND_ACCEPTED * float(np.median(areas_px)) ** 0.5)
    return sides_px or [_LEAST_PX]


def _decode_in_boxes(
    embedded: EmbeddedTile, click_xy: tuple[float, float], sides_px: Sequence[float]
) -> list[MaskPrediction]:
    """Decode a click once with each of some square boxes around it."""
    click, half = np.array(click_xy, np.float32), np.array(sides_px, np.float32)[:, None] / 2
    clicks = np.repeat(click[None, None], len(half), axis=0)
    return embedded.decoder.decode_batch(
        embedded.embedding,
        points_xy=embedded.to_pixels(clicks),
        point_labels=np.ones(clicks.shape[:2], np.int64),
        boxes_xyxy=embedded.to_pixels(np.concatenate([click - half, click + half], axis=1)),
    )


def _measure(embedded: EmbeddedTile, prediction: MaskPrediction) -> MaskFeatures:
    tile = embedded.tile
    thumbnail, area_px = embedded.content.thumbnail, tile.height * tile.width
    return measure_features(prediction, thumbnail, area_px, edges=embedded.edges)


def _cut(prediction: MaskPrediction, click_xy: tuple[float, float], tile: Tile) -> MaskPrediction:
    """Keep of each mask the piece under a click where its logits are high."""
    logits = prediction.low_res_logits
    row, column = cell_at(tile, logits.shape[-1], *click_xy)
    heights = HEIGHT * np.maximum(logits[:, row, column], 0)
    return replace(
        prediction,
        low_res_logits=np.stack(
            [
                piece_at(mask - height, (row, column))
                for mask, height in zip(logits, heights, strict=True)
            ]
        ),
    )


def piece_at(logits: NDArray[np.float32], cell: tuple[int, int]) -> NDArray[np.float32]:
    """Make the logits of all pieces of a mask negative but those of the piece at a cell."""
    pieces, _ = ndimage.label(logits > 0)
    is_other = (pieces > 0) & (pieces != pieces[cell])
    return np.asarray(np.where(is_other, -logits, logits), np.float32)
