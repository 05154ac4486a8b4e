import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam.layers.camera import show_box


@pytest.fixture
def opened():
    """Show a quarter of an image in each direction, around its middle."""
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((400, 400)))
    viewer.scene.camera.center = (200, 200)
    viewer.scene.camera.zoom = min(viewer.canvas.size) / 100
    return viewer, layer


@pytest.mark.parametrize(
    ("start", "side", "moves"),
    [
        ((180, 170), 20, False),
        ((180, 140), 20, True),  # partly out of sight
        ((20, 20), 20, True),
        ((200, 200), 1, True),  # a dot
        ((100, 100), 200, True),  # larger than the window
    ],
)
def test_the_view_stays_for_what_is_wholly_in_sight_if_that_is_enough(opened, start, side, moves):
    viewer, layer = opened
    camera = viewer.scene.camera
    before = camera.center, camera.zoom
    stop = tuple(np.add(start, side))
    show_box(viewer, layer, start, stop, is_sight_enough=True)
    assert ((camera.center, camera.zoom) != before) == moves
    show_box(viewer, layer, start, stop)
    np.testing.assert_allclose(camera.center[-2:], np.add(start, (side - 1) / 2))
