"""Sample images for napari's File > Open Sample menu, all from scikit-image's wheel."""

from typing import Any, TypeAlias

import numpy as np
from skimage import data

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
