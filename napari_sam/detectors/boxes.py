"""Detectors that give boxes: Grounding DINO, OWL-ViT and OWLv2."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_sam.detectors.checks import checked
from napari_sam.engine.detection import LEAST_SCORE, Detection

_GROUNDED: Final = frozenset({"grounding-dino", "mm-grounding-dino"})
"""Types of models that look at the image by the text, so once for each word."""
_THRESHOLD: Final = 0.2
_THRESHOLD_OF_GROUNDED: Final = 0.3


class BoxDetector:
    """A `Detector` that gives boxes, by a model and a processor of transformers."""

    model_types: Final = _GROUNDED | {"owlvit", "owlv2"}

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        self.name, self._model, self._processor = name, model, processor
        self.revision: str | None = getattr(model.config, "_commit_hash", None)
        self.side = longest_input(processor.image_processor)
        self._is_grounded = model.config.model_type in _GROUNDED
        self.default_threshold = _THRESHOLD_OF_GROUNDED if self._is_grounded else _THRESHOLD

    def detect(
        self,
        image: npt.NDArray[np.uint8],
        words: Sequence[str],
        check: Callable[[], None] = lambda: None,
    ) -> list[Detection]:
        """Find what the words name; see `Detector.detect`."""
        import torch
        from PIL import Image

        images = self._processor.image_processor
        size = torch.tensor([image.shape[:2]])
        detections: list[Detection] = []
        with torch.inference_mode(), checked(self._model, check):
            inputs = images(images=Image.fromarray(image), return_tensors="pt")
            for word, outputs in self._outputs(inputs.to(self._model.device), words):
                (found,) = images.post_process_object_detection(
                    outputs, threshold=LEAST_SCORE, target_sizes=size
                )
                scores, boxes = found["scores"].tolist(), found["boxes"].tolist()
                # transformers counts from the edge of the first pixel.
                detections += [
                    Detection(word, score, (x0 - 0.5, y0 - 0.5, x1 - 0.5, y1 - 0.5))
                    for score, (x0, y0, x1, y1) in zip(scores, boxes, strict=True)
                ]
        return detections

    def _outputs(self, inputs: Any, words: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Yield the logits and boxes for each word."""
        if self._is_grounded:
            for word in words:
                # As it was trained: lower case, and a period after each name.
                outputs = self._model(**inputs, **self._tokens([f"{word.lower()}."]))
                yield word, _on_cpu(outputs.logits, outputs.pred_boxes)
        else:
            outputs = self._model(**inputs, **self._tokens(words))
            for number, word in enumerate(words):
                logits = outputs.logits[..., number : number + 1]
                yield word, _on_cpu(logits, outputs.pred_boxes)

    def _tokens(self, texts: Sequence[str]) -> Any:
        most = self._model.config.text_config.max_position_embeddings
        tokens = self._processor.tokenizer(
            list(texts), padding=True, truncation=True, max_length=most, return_tensors="pt"
        )
        return tokens.to(self._model.device)


def _on_cpu(logits: Any, boxes: Any) -> SimpleNamespace:
    return SimpleNamespace(logits=logits.float().cpu(), pred_boxes=boxes.float().cpu())


def longest_input(image_processor: Any) -> int:
    """Return how many pixels of a square image a processor keeps along a side."""
    size = dict(image_processor.size)
    lengths = (size.get(name) for name in ("height", "width", "shortest_edge", "longest_edge"))
    return int(next(filter(None, lengths)))
