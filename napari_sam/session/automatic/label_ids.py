"""Which label_id each automatic mask has in its picture, and thereby which color."""

from collections.abc import Sequence

import numpy as np

from napari_sam.session.automatic.masks import (
    SAME_OBJECT_IOU,
    AutomaticMask,
    MaskKey,
    boxes_of,
    like_boxes,
)


class LabelIds:
    """Gives label_ids to masks; a mask that displaces another one of its object gets its label_id.

    So an object keeps its color while better masks of it arrive, whatever tile they come from.
    """

    def __init__(self, highest: int) -> None:
        self._highest = highest
        self._label_ids: dict[MaskKey, int] = {}
        self._owners: dict[int, AutomaticMask] = {}  # the masks that had the label_ids last

    def of(self, masks: Sequence[AutomaticMask]) -> list[int]:
        """Return the label_ids of masks that are shown together."""
        if len(self._owners) + len(masks) > self._highest:
            self._label_ids.clear()
            self._owners.clear()
        owners = self._kept(masks)
        keys = {mask.key for mask in owners.values()}
        self._inherit([mask for mask in masks if mask.key not in keys], owners)
        self._owners |= owners
        label_ids = {mask.key: label_id for label_id, mask in owners.items()}
        self._label_ids |= label_ids
        return [label_ids[mask.key] for mask in masks]

    def _kept(self, masks: Sequence[AutomaticMask]) -> dict[int, AutomaticMask]:
        """Return the masks that have a label_id already; of two with one, the last owner's."""
        owners: dict[int, AutomaticMask] = {}
        for mask in masks:
            label_id = self._label_ids.get(mask.key)
            if label_id is not None and (
                label_id not in owners or self._owners[label_id].key == mask.key
            ):
                owners[label_id] = mask
        return owners

    def _inherit(self, masks: Sequence[AutomaticMask], owners: dict[int, AutomaticMask]) -> None:
        """Give masks the label_ids of what they displace, or new ones."""
        displaced = [label_id for label_id in self._owners if label_id not in owners]
        earlier = [self._owners[label_id] for label_id in displaced]
        boxes, areas = boxes_of(earlier), np.array([mask.area_px for mask in earlier])
        for mask in masks:
            similar = {
                displaced[index]: mask.iou(earlier[index])
                for index in like_boxes(mask, boxes, areas)
                if displaced[index] not in owners
            }
            label_id = max(similar, key=lambda label_id: similar[label_id], default=0)
            if similar.get(label_id, 0) < SAME_OBJECT_IOU:
                label_id = max(max(self._owners, default=0), max(owners, default=0)) + 1
            owners[label_id] = mask
