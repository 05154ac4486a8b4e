"""Detectors that give a map of how well a word fits each place: CLIPSeg."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_sam.detectors.boxes import longest_input
from napari_sam.detectors.checks import checked
from napari_sam.engine.detection import LEAST_SCORE, Detection
from napari_sam.engine.masks import MaskCrop, tight_crop

_SHARE_OF_PEAK: Final = 0.5
"""A region ends where the map falls below this share of its highest value."""
_LEAST_DEPTH: Final = 0.1
"""How far the map falls between two peaks that are of two objects."""


class HeatMapDetector:
    """A `Detector` that gives regions, by a model and a processor of transformers."""

    model_types: Final = frozenset({"clipseg"})
    default_threshold: Final = 0.4

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        self.name, self._model, self._processor = name, model, processor
        self.revision: str | None = getattr(model.config, "_commit_hash", None)
        self.side = longest_input(processor.image_processor)

    def detect(
        self,
        image: npt.NDArray[np.uint8],
        words: Sequence[str],
        check: Callable[[], None] = lambda: None,
    ) -> list[Detection]:
        """Find what the words name; see `Detector.detect`."""
        detections: list[Detection] = []
        for word in words:
            with checked(self._model, check):
                heat = self.heat_map(image, word)
            height, width = (n_px / n for n_px, n in zip(image.shape, heat.shape, strict=False))
            detections += [
                Detection(word, score, region.edges_xyxy, region).placed((height, width))
                for score, region in regions_of(heat)
            ]
        return detections

    def heat_map(self, image: npt.NDArray[np.uint8], word: str) -> npt.NDArray[np.float32]:
        """Return how well a word fits each place of an image, 0 to 1, as a square array."""
        import torch
        from PIL import Image

        most = self._model.config.text_config.max_position_embeddings
        inputs = self._processor.image_processor(images=Image.fromarray(image), return_tensors="pt")
        tokens = self._processor.tokenizer(
            [word], truncation=True, max_length=most, return_tensors="pt"
        )
        with torch.inference_mode():
            device = self._model.device
            logits = self._model(**tokens.to(device), **inputs.to(device)).logits
            heat = torch.sigmoid(logits.float()).cpu().numpy()
        return np.asarray(heat.reshape(heat.shape[-2:]), np.float32)


def regions_of(heat: npt.NDArray[np.float32]) -> list[tuple[float, MaskCrop]]:
    """Return the regions around the peaks of a map, with their highest values."""
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    seeds, _ = ndimage.label(h_maxima(heat, _LEAST_DEPTH))
    basins = watershed(-heat, seeds, mask=heat >= LEAST_SCORE)
    regions = []
    for number, place in enumerate(ndimage.find_objects(basins), start=1):
        if place is not None:
            inside = np.where(basins[place] == number, heat[place], 0)
            peak, corner = float(inside.max()), [part.start for part in place]
            regions.append((peak, tight_crop(inside >= _SHARE_OF_PEAK * peak, *corner)))
    return regions
