"""Sample images for napari's File > Open Sample menu: from scikit-image's wheel, or made here."""

from typing import Any, TypeAlias

import numpy as np
from skimage import data
from skimage.transform import pyramid_reduce

from napari_sam._made_samples import dividing_cells, nuclei_in_depth

LayerData: TypeAlias = tuple[Any, dict[str, Any], str]


def coins() -> list[LayerData]:
    """Return Greek coins from Pompeii: (303, 384) uint8, gray."""
    return [(data.coins(), {"name": "coins"}, "image")]


def cell() -> list[LayerData]:
    """Return a single cell under the optical microscope: (660, 550) uint8, gray."""
    return [(data.cell(), {"name": "cell"}, "image")]


def retina() -> list[LayerData]:
    """Return the fundus of an eye: (1411, 1411, 3) uint8, color."""
    return [(np.asarray(data.retina()), {"name": "retina", "rgb": True}, "image")]


def immunohistochemistry() -> list[LayerData]:
    """Return colon tissue with stained nuclei: (512, 512, 3) uint8, color."""
    image = np.asarray(data.immunohistochemistry())
    return [(image, {"name": "immunohistochemistry", "rgb": True}, "image")]


def stack() -> list[LayerData]:
    """Return nuclei in depth: (24, 256, 256) uint8, gray."""
    axes = {"axis_labels": ("z", "y", "x"), "scale": (2, 1, 1)}
    return [(nuclei_in_depth(), {"name": "stack", **axes}, "image")]


def film() -> list[LayerData]:
    """Return moving and dividing cells: (20, 256, 256) uint8, gray."""
    return [(dividing_cells(), {"name": "film", "axis_labels": ("t", "y", "x")}, "image")]


def multiscale() -> list[LayerData]:
    """Return the fundus of an eye in three resolutions, from (1411, 1411, 3) uint8 down, color."""
    levels = [np.asarray(data.retina())]
    for _ in range(2):
        smaller = pyramid_reduce(levels[-1], channel_axis=-1, preserve_range=True)
        levels.append(smaller.round().astype(np.uint8))
    return [(levels, {"name": "multiscale", "rgb": True, "multiscale": True}, "image")]
