"""Masks of everything in many images, here or on a cluster; what is complete is not done again."""

from napari_sam.batch.images import ImageFile, find_images
from napari_sam.batch.records import Records, RunError
from napari_sam.batch.run import run_here
from napari_sam.batch.task import Outcome, Task

__all__ = ["ImageFile", "Outcome", "Records", "RunError", "Task", "find_images", "run_here"]
