"""Real predictors that compute the same thing once for the whole suite."""

import hashlib
import os
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from safetensors.numpy import load_file, save_file

from napari_sam.engine.prediction import MaskPrediction
from napari_sam.model import Predictor, SamEmbedding
from napari_sam.model.sam.traced import TracedDecoder
from napari_sam.session.embedding.embeddings import content_key

LAST_MASKS = 200
"""Prompts whose masks are remembered, of 0.8 MB each."""


class RememberingPredictor(Predictor):
    """The real predictor; an image is encoded once, for all tests and processes of the suite."""

    folder: ClassVar[Path | None] = None
    """Where the processes find what the others have encoded; conftest.py sets it."""

    _embeddings: ClassVar[dict[str, SamEmbedding]] = {}
    _traces: ClassVar[dict[str, TracedDecoder]] = {}

    def encode(self, image, on_block=None):
        key = f"{self.device}-{self.fingerprint}-{content_key(np.asarray(image))}"
        if key not in self._embeddings:
            known = self._read(key, image)
            self._embeddings[key] = self._compute(key, image, on_block) if known is None else known
        return self._embeddings[key]

    def _path(self, key):
        return None if self.folder is None else self.folder / f"{key}.safetensors"

    def _read(self, key, image):
        path = self._path(key)
        if path is None or not path.exists():
            return None
        return self.from_arrays(load_file(path), np.shape(image)[:2])

    def _compute(self, key, image, on_block):
        embedding, path = super().encode(image, on_block), self._path(key)
        if path is not None:
            part = path.with_suffix(f".{os.getpid()}")
            save_file(embedding.to_arrays(), part)
            part.replace(path)  # whole, or not there
        return embedding

    def warm_up(self):
        if self._trace is None:
            key = f"{self.device}-{self._digest()}"
            self._trace = self._traces.get(key)
            super().warm_up()
            self._traces[key] = self._trace

    def _digest(self):
        """Identify the weights that decode."""
        digest = hashlib.blake2b(self.precision.encode())
        for part in (self._model.prompt_encoder, self._model.mask_decoder):
            for tensor in part.state_dict().values():
                digest.update(repr(tuple(tensor.shape)).encode())
                digest.update(tensor.float().numpy())
        return digest.hexdigest()


class MaskRememberingPredictor(RememberingPredictor):
    """It remembers masks, too, where tests are not about the decoder."""

    _masks: ClassVar[OrderedDict[str, MaskPrediction]] = OrderedDict()
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def decode(
        self,
        embedding,
        points_xy=None,
        point_labels=None,
        box_xyxy=None,
        mask_input=None,
        multimask_output=True,
        is_only=False,
    ):
        prompt = points_xy, point_labels, box_xyxy, mask_input, multimask_output, is_only
        key = self._key(embedding, "one", *prompt)
        prediction = self._recalled(key)
        if prediction is None:
            prediction = super().decode(embedding, *prompt)
            self._remember(key, prediction)
        return prediction

    def decode_batch(
        self,
        embedding,
        points_xy=None,
        point_labels=None,
        boxes_xyxy=None,
        multimask_output=True,
    ):
        batch = [
            None if part is None else np.asarray(part)
            for part in (points_xy, point_labels, boxes_xyxy)
        ]
        counts = {len(part) for part in batch if part is not None}
        if len(counts) != 1:  # which is refused
            return super().decode_batch(embedding, *batch, multimask_output)
        prompts = [_rows(batch, number) for number in range(*counts)]
        keys = [self._key(embedding, "many", *prompt, multimask_output) for prompt in prompts]
        predictions = [self._recalled(key) for key in keys]
        new = [number for number, known in enumerate(predictions) if known is None]
        computed = super().decode_batch(embedding, *_rows(batch, new), multimask_output)
        for number, prediction in zip(new, computed, strict=True):
            self._remember(keys[number], prediction)
            predictions[number] = prediction
        return predictions

    def _key(self, embedding, *prompt):
        """Return a key of a prompt on an image that is remembered, or else none."""
        if not any(embedding is known for known in tuple(self._embeddings.values())):
            return None
        # A trace of the decoder is not asked to give the masks of the decoder bit by bit.
        digest = hashlib.blake2b(repr((id(embedding), id(self._trace))).encode())
        for part in prompt:
            array = None if part is None else np.ascontiguousarray(part)
            digest.update(repr(array if array is None else (array.shape, array.dtype)).encode())
            digest.update(b"" if array is None else array)
        return digest.hexdigest()

    def _recalled(self, key):
        with self._lock:
            if key not in self._masks:
                return None
            self._masks.move_to_end(key)
            return replace(self._masks[key])  # nobody gets what another one has computed from it

    def _remember(self, key, prediction):
        if key is not None:
            with self._lock:
                self._masks[key] = replace(prediction)
                while len(self._masks) > LAST_MASKS:
                    self._masks.popitem(last=False)


def _rows(batch, numbers):
    return [None if part is None else part[numbers] for part in batch]
