"""What is known of an object of several slices, as JSON has it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from napari_sam.formats.image import ImageInfo
from napari_sam.formats.stack_measurements import voxel_volume
from napari_sam.session.objects.slices import Origin
from napari_sam.session.propagation.slice_mask import SliceMask


def weakest_of(masks: Sequence[SliceMask]) -> SliceMask | None:
    """Return the mask of the least confidence that was computed; None if none was."""
    computed = [mask for mask in masks if mask.origin is not Origin.ANNOTATED]
    return min(computed, key=lambda mask: mask.confidence, default=None)


def slice_summary(masks: Sequence[SliceMask], image: ImageInfo, axis: int) -> dict[str, Any]:
    """Return extent, size and origins of an object, given its masks in their order along an axis.

    The volume in units of the image is None through time, and where the units do not allow it.
    """
    weakest = weakest_of(masks)
    n_voxels = sum(int(np.count_nonzero(mask.crop.mask)) for mask in masks)
    voxel = voxel_volume(image) if image.axes[axis] == "Z" else None
    return {
        "first_slice": masks[0].slice_index if masks else None,
        "last_slice": masks[-1].slice_index if masks else None,
        "n_slices": len(masks),
        "volume_px": n_voxels,
        "volume": None if voxel is None else n_voxels * voxel[0],
        "volume_unit": None if voxel is None else voxel[1],
        "weakest_slice": None if weakest is None else weakest.slice_index,
        "confidence": None if weakest is None else weakest.confidence,
        "origins": _origins(masks),
    }


def _origins(masks: Sequence[SliceMask]) -> list[list[Any]]:
    """Return each origin with the first and the last of slices that follow each other."""
    places = enumerate(masks)
    runs = groupby(places, lambda place: (place[1].origin, place[1].slice_index - place[0]))
    origins = []
    for (origin, _), run in runs:
        indices = [mask.slice_index for _, mask in run]
        origins.append([str(origin), indices[0], indices[-1]])
    return origins
