"""Masks of everything in many images, here or on a cluster; what is complete is not done again."""

from napari_sam.batch.images import ImageFile, find_images
from napari_sam.batch.records import RunError, RunManifest
from napari_sam.batch.run import run_here
from napari_sam.batch.task import ImageResult, Task

__all__ = [
    "ImageFile",
    "ImageResult",
    "RunError",
    "RunManifest",
    "Task",
    "find_images",
    "run_here",
]
