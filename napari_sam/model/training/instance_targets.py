"""What an instance decoder should tell of each pixel, and how far its maps are from that.

Source: A. Archit et al., "Segment Anything for Microscopy" (Nature Methods 2025,
doi:10.1038/s41592-024-02580-4), methods, "Automatic instance segmentation": foreground, distance to
the center and distance to the boundary, both normalized by object; the dice loss of each, of the
distances within objects.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

_FAR: Final = 1.0
"""Both distances outside of objects."""
_LEAST: Final = 1e-6


def instance_targets(labels: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Return the maps (3, H, W) of labels (H, W): foreground, center and boundary distances.

    Distances are 0 at the center, and where an object is deepest, and 1 at the farthest pixel.
    """
    targets = np.full((3, *labels.shape), _FAR, np.float32)
    targets[0] = labels > 0
    for label_id, box in enumerate(ndimage.find_objects(np.maximum(labels, 0)), start=1):
        if box is None:
            continue
        mask = labels[box] == label_id
        depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        rows, columns = np.nonzero(mask)
        center = round(rows.mean()), round(columns.mean())
        if not mask[center]:
            row, column = np.unravel_index(depth.argmax(), depth.shape)
            center = int(row), int(column)
        away = np.hypot(*(np.indices(mask.shape) - np.reshape(center, (2, 1, 1))))
        away /= max(away[mask].max(), _LEAST)
        shallow = depth.max() - depth
        shallow /= max(shallow[mask].max(), _LEAST)
        for target, distances in zip(targets[1:], (away, shallow), strict=True):
            target[box][mask] = distances[mask]
    return targets


def maps_loss(maps: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """Return the loss of maps (3, H, W), of pixels that are valid, (H, W) 0 or 1."""
    counted = torch.stack([valid, valid * targets[0], valid * targets[0]])
    maps, targets = maps * counted, targets * counted
    common = (maps * targets).sum(dim=(1, 2))
    total = (maps**2).sum(dim=(1, 2)) + (targets**2).sum(dim=(1, 2))
    return (1 - (2 * common + _LEAST) / (total + _LEAST)).sum()
