"""Which image hides another one, by its place, extent, blending and opacity."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_sam.layers.image_cover import ImageCover


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    for name in ("below", "above"):
        viewer.add_layer(Image(np.zeros((3, 40, 50), np.uint8), name=name))
    return viewer


@pytest.mark.parametrize(
    "change",
    [
        {"visible": False},
        {"opacity": 0.5},
        {"blending": "additive"},
        {"translate": (0, 0, 30)},
        {"scale": (1, 0.5, 0.9)},
    ],
)
def test_an_image_over_another_one_hides_it_unless_that_shines_through(viewer, change):
    changes = []
    cover = ImageCover(viewer, lambda: changes.append(True))
    below, above = viewer.layers
    cover.follow([above, below])
    assert cover.over(below) is above
    assert cover.over(above) is None
    for name, value in change.items():
        setattr(above, name, value)
    assert cover.over(below) is None
    assert changes or not {"visible", "opacity", "blending"} & change.keys()
    cover.close()
    changes.clear()
    above.visible = not above.visible
    assert not changes


def test_what_is_hidden_by_the_user_or_seen_in_3d_is_not_covered(viewer):
    cover = ImageCover(viewer, lambda: None)
    below, above = viewer.layers
    cover.follow([above, below])
    viewer.dims.ndisplay = 3
    assert cover.over(below) is None
    viewer.dims.ndisplay = 2
    below.visible = False
    assert cover.over(below) is None


def test_colors_with_transparency_hide_nothing(viewer):
    cover = ImageCover(viewer, lambda: None)
    below, _ = viewer.layers
    glass = Image(np.zeros((40, 50, 4), np.uint8), rgb=True)
    pane = Image(np.zeros((40, 50, 3), np.uint8), rgb=True)
    for layer in (glass, pane):
        viewer.add_layer(layer)
    cover.follow([glass, below])
    assert cover.over(below) is None
    cover.follow([pane, below])
    assert cover.over(below) is pane
