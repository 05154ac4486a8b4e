"""A film of objects that divide, go missing and come from each other."""

import numpy as np

from napari_sam.formats import Annotations, ExportObject, ImageInfo

PARENTS = {3: 1, 4: 1, 9: 4}
SPANS = {1: (0, 1, 2), 3: (3, 4, 5), 4: (3, 4), 9: (5,), 2: (0, 1, 4, 5), 7: (2, 3)}
"""The frames of each object; 2 is missing in two."""


def film(n_slices: int = 0) -> Annotations:
    """Return objects of a film of six frames, with slices if there are any."""
    shape = (6, n_slices, 24, 30) if n_slices else (6, 24, 30)
    objects = []
    for label_id, frames in SPANS.items():
        for frame in frames:
            mask = np.ones((3, 3), bool)
            mask[0, : label_id % 3] = False
            top, left = 2 + frame, 3 * label_id - 2
            for z in range(1, n_slices) if n_slices else [None]:
                index = (frame,) if z is None else (frame, z)
                parent_id = PARENTS.get(label_id, 0)
                objects.append(
                    ExportObject(label_id, mask, top, left, index, parent_id=parent_id).cropped()
                )
    return Annotations(ImageInfo(shape, "film", "TZYX" if n_slices else "TYX"), objects)


def content(annotations: Annotations) -> list[tuple]:
    """Return all that a film of labels holds, in one order."""
    return sorted(
        (obj.label_id, obj.slice_index, obj.top, obj.left, obj.mask.tolist(), obj.parent_id)
        for obj in annotations.objects
    )
