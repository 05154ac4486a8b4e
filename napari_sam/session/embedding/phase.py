"""How far the embedding of the current image is."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """How far the current image is."""

    NO_IMAGE = "no image"
    LOADING = "loading the model"
    EMBEDDING = "embedding"
    READY = "ready"
    CANCELLED = "cancelled"
    FAILED = "failed"
