"""The progress of the current image's embedding."""

from enum import StrEnum


class Phase(StrEnum):
    """The progress of the current image."""

    NO_IMAGE = "no image"
    LOADING = "loading the model"
    EMBEDDING = "embedding"
    READY = "ready"
    CANCELLED = "cancelled"
    FAILED = "failed"
