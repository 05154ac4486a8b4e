"""Compute the answer to a request."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping
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
    from napari_sam.request.words import WordFinder

_AT_ONCE: Final = 32
"""Prompts whose masks are in memory at the same time."""
DEFAULT_RULES: Final = Rules()


def answer_request(
    request: Any,
    predictor: Predictor,
    rules: Rules = DEFAULT_RULES,
    on_row: Callable[[int, int], None] = lambda done, total: None,
    finder: WordFinder | None = None,
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
        ``input_text`` has words that name objects, separated by commas; points choose among what
        they name.
        ``multimask_output`` is true by default.
    predictor : Predictor
        Encodes and decodes; keeps nothing of the request.
    rules : Rules
        Which images are allowed.
    on_row : callable, optional
        Called as ``on_row(done, total)`` after each row; its exceptions end the request.
    finder : WordFinder, optional
        Finds what words name. Without one, rows with words have an error.

    Returns
    -------
    list of dict
        For each row ``{"predictions": [{"mask_per_prediction": [{"encoded_binary_mask": ...,
        "iou_score": ...}, ...]}, ...]}``, one prediction for each object, masks being base64 PNG
        of the image's size, and for words each with ``class_name``, ``text_score`` and
        ``text_box_xyxy``; or ``{"error": {"row": ..., "message": ...}}``.

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
            answers.append({"predictions": _predictions_of(values, predictor, embed, finder)})
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
        self._last: tuple[str, NDArray[np.uint8], ImageEmbedding] | None = None

    def __call__(self, image: str) -> tuple[NDArray[np.uint8], ImageEmbedding]:
        """Return the pixels of an image, and its embedding."""
        if self._last is None or self._last[0] != image:
            self._last = None  # before the next one takes memory
            pixels = read_image(image, self._rules)
            self._last = image, pixels, self._predictor.encode(pixels)
        return self._last[1:]


def _predictions_of(
    values: Mapping[str, Any],
    predictor: Predictor,
    embed: _LastEmbedding,
    finder: WordFinder | None,
) -> list[dict[str, Any]]:
    """Return the predictions for the values of a row."""
    row = parse_row(values)
    pixels, embedding = embed(row.image)
    if not row.words:
        return list(_predictions(row, predictor, embedding))
    if finder is None:
        raise RequestError("Words need a detector: give answer_request a finder.")
    row, about = finder.find(row, pixels)
    predictions = _predictions(row, predictor, embedding)
    return [entries | one for entries, one in zip(about, predictions, strict=True)]


def _predictions(
    row: Row, predictor: Predictor, embedding: ImageEmbedding
) -> Iterator[dict[str, Any]]:
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
