"""Synthetic masks, and a session that reviews them: no model is needed."""

import numpy as np

from napari_sam.model import MaskCrop
from napari_sam.model.automatic.mask_set import MaskRecord
from napari_sam.session import AnnotationSession
from napari_sam.session.automatic.masks import AutomaticMask
from napari_sam.session.image.tiles import Tile

TIMEOUT_S = 60
SIZE = 60, 80
WHOLE = Tile(0, 0, 0, *SIZE)


def square(top, left, side, predicted_iou=0.9, tile=WHOLE, size=SIZE):
    """Return an automatic mask that was found by its first pixel."""
    crop = MaskCrop(np.ones((side, side), bool), top, left)
    box = left, top, left + side - 1, top + side - 1
    whole = 0, 0, size[1], size[0]
    record = MaskRecord(crop, box, side * side, predicted_iou, 0.9, (left, top), whole, 1)
    return AutomaticMask(record, tile, size, 100.0)


class Reviewed:
    """A session with a target, and its review of the masks there."""

    def __init__(self, target):
        self.session = AnnotationSession()
        self.session.set_target(target)
        self.review = self.session.automatic_review
        self.review.follow_target()
        self.review.set_here(True)

    def accept(self, *masks):
        self.review.accept(masks)
        self.wait()

    def wait(self):
        while not self.session.is_idle:
            self.session.background.dispatcher.run_pending(0.05)
            self.session.wait_until_idle(TIMEOUT_S)
