"""Compute the answer to a request."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam.request.images import Rules, read_image
from napari_sam.request.rows import Prompt, RequestError, Row, parse_row, rows_of
from napari_sam.session.jobs import is_out_of_memory

if TYPE_CHECKING:
    from napari_sam.engine.embeddings import ImageEmbedding
    from napari_sam.engine.prediction import MaskPrediction
    from napari_sam.model import Predictor

_AT_ONCE: Final = 32
"""Prompts whose masks are in memory at the same time."""
DEFAULT_RULES: Final = Rules()


def answer_request(
    request: Any,
    predictor: Predictor,
    rules: Rules = DEFAULT_RULES,
    on_row: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Answer a request of the form that hosted SAM endpoints take.

    Parameters
    ----------
    request : Any
        Parsed JSON: ``{"input_data": {"columns": [...], "index": [...], "data":
        [[...], ...]}, "params": {}}`` with some of `COLUMNS`. ``image`` is base64, a path or a
        data URL. JSON strings hold ``input_points``, [[[x, y], ...], ...] for each object or
        [[x, y], ...] for one, ``input_labels``, one for each point (by default 1), and
        ``input_boxes``, [[x0, y0, x1, y1], ...] for each object; an empty string is none.
        ``multimask_output`` is true by default.
    predictor : Predictor
        Encodes and decodes; keeps nothing of the request.
    rules : Rules
        Which images are allowed.
    on_row : callable, optional
        Called as ``on_row(done, total)`` after each row; its exceptions end the request.

    Returns
    -------
    list of dict
        For each row ``{"predictions": [{"mask_per_prediction": [{"encoded_binary_mask": ...,
        "iou_score": ...}, ...]}, ...]}``, one prediction for each object, masks being base64 PNG
        of the image's size; or ``{"error": {"row": ..., "message": ...}}``.

    Raises
    ------
    RequestError
        If this is not such a request at all.
    """
    rows = list(rows_of(request))
    embed = _LastEmbedding(predictor, rules)
    answers: list[dict[str, Any]] = []
    for number, values in enumerate(rows):
        try:
            if isinstance(values, RequestError):
                raise values
            answers.append({"predictions": list(_predictions(parse_row(values), predictor, embed))})
        except (ValueError, MemoryError, RuntimeError) as error:
            message = str(error)
            if is_out_of_memory(error):
                message = "Not enough memory for this image: give a smaller one."
            elif not isinstance(error, ValueError):
                raise
            answers.append({"error": {"row": number, "message": message}})
        on_row(number + 1, len(rows))
    return answers


class _LastEmbedding:
    """Embeds images; remembers the last one, because rows often share an image."""

    def __init__(self, predictor: Predictor, rules: Rules) -> None:
        self._predictor, self._rules = predictor, rules
        self._last: tuple[str, ImageEmbedding] | None = None

    def __call__(self, image: str) -> ImageEmbedding:
        if self._last is None or self._last[0] != image:
            self._last = None  # before the next one takes memory
            embedding = self._predictor.encode(read_image(image, self._rules))
            self._last = image, embedding
        return self._last[1]


def _predictions(
    row: Row, predictor: Predictor, embed: Callable[[str], ImageEmbedding]
) -> Iterator[dict[str, Any]]:
    embedding = embed(row.image)
    # Prompts that are decoded together need the same number of points.
    for (count, has_box), prompts in groupby(row.prompts, key=_size):
        while batch := list(islice(prompts, _AT_ONCE)):
            for prediction in predictor.decode_batch(
                embedding,
                np.stack([prompt.points_xy for prompt in batch]) if count else None,
                np.stack([prompt.point_labels for prompt in batch]) if count else None,
                np.array([prompt.box_xyxy for prompt in batch]) if has_box else None,
                row.multimask_output,
            ):
                yield {"mask_per_prediction": _encoded_masks(prediction)}


def _size(prompt: Prompt) -> tuple[int, bool]:
    return len(prompt.points_xy), prompt.box_xyxy is not None


def _encoded_masks(prediction: MaskPrediction) -> list[dict[str, Any]]:
    return [
        {"encoded_binary_mask": encode_mask(mask), "iou_score": float(score)}
        for mask, score in zip(prediction.masks, prediction.iou_predictions, strict=True)
    ]


def encode_mask(mask: NDArray[np.bool_]) -> str:
    """Return an (H, W) mask as a base64 PNG of black and white."""
    file = io.BytesIO()
    Image.fromarray(mask).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
