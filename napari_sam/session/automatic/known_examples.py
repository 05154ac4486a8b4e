"""The examples of the last search for everything of a kind; another image can begin with them.

As JSON, `{"model": ..., "like": [...], "unlike": [...]}` with the features of each example as
base64 of half floats: what the model sees, then how the object looks.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np
from psygnal import Signal

from napari_sam.session.automatic.generator import AutomaticMaskGenerator
from napari_sam.session.automatic.likeness import NO_EXAMPLES, Examples
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.objects.features import N_LOOKS, ObjectFeatures

MAX_KEPT: Final = 64
"""Examples that are kept, and as many rejected masks."""


class KnownExamples:
    """Follows which objects masks are compared with, and which of these the user rejects.

    All methods belong to the owner's thread.
    """

    changed = Signal()
    """There are others."""

    def __init__(self, embedding: CurrentEmbedding, generator: AutomaticMaskGenerator) -> None:
        self._embedding, self._generator = embedding, generator
        self._model, self._examples = "", NO_EXAMPLES
        generator.picture_changed.connect(self._follow)

    @property
    def current(self) -> Examples:
        """Those of the model in use; they are of any image."""
        return self._examples if self._model == self._model_name else NO_EXAMPLES

    def forget(self) -> None:
        """Forget them."""
        self._examples = NO_EXAMPLES
        self.changed.emit()

    def to_json(self) -> dict[str, Any]:
        """Return them, to be kept; empty if there are none."""
        like, unlike = self._examples
        if not like:
            return {}
        return {"model": self._model, "like": _texts(like), "unlike": _texts(unlike)}

    def keep(self, content: Any) -> None:
        """Know what `to_json` returned for other images; none if it is invalid."""
        self._model, self._examples = "", NO_EXAMPLES
        with suppress(TypeError, ValueError, KeyError):
            examples = _examples(content["like"], content["unlike"])
            self._model, self._examples = str(content["model"]), examples
        self.changed.emit()

    @property
    def _model_name(self) -> str:
        return self._embedding.embedder.choice.name

    def _follow(self) -> None:
        like, unlike = self._generator.examples
        examples = Examples(like[:MAX_KEPT], unlike[-MAX_KEPT:])
        if like and [*map(id, (*examples.like, *examples.unlike))] != self._ids:
            self._model, self._examples = self._model_name, examples
            self.changed.emit()

    @property
    def _ids(self) -> list[int]:
        return [id(one) for one in (*self._examples.like, *self._examples.unlike)]


def _texts(examples: Sequence[ObjectFeatures]) -> list[str]:
    return [
        b64encode(np.concatenate(one).clip(-60000, 60000).astype("<f2").tobytes()).decode("ascii")
        for one in examples
    ]


def _examples(like: Sequence[str], unlike: Sequence[str]) -> Examples:
    examples = Examples(_features(like), _features(unlike))
    if len({len(one.embedding) for part in examples for one in part}) > 1:
        raise ValueError("they are of several models")
    return examples


def _features(texts: Sequence[str]) -> tuple[ObjectFeatures, ...]:
    examples = []
    for text in texts[:MAX_KEPT]:
        values = np.frombuffer(b64decode(text, validate=True), "<f2").astype(np.float32)
        if len(values) <= N_LOOKS or not np.isfinite(values).all():
            raise ValueError("these are no features of an object")
        examples.append(ObjectFeatures(values[:-N_LOOKS], values[-N_LOOKS:]))
    return tuple(examples)
