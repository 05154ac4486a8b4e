"""Which slices are embedded before they are shown."""

import numpy as np
from napari.layers import Image
from skimage import data

from napari_sam.model import Predictor, load_model
from napari_sam.session import Phase

TIMEOUT_S = 120


def test_the_next_slices_are_ready_when_the_slider_moves(make_widget):
    encoded = []

    class Noting(Predictor):
        def encode(self, image, on_block=None):
            encoded.append(int(image[0, 0, 0]))
            return super().encode(image, on_block)

    coins = data.coins()
    stack = np.stack([np.where(coins > 90, coins, number) for number in range(1, 7)])
    stack = stack.astype(np.uint8)
    stack[:, 0, 0] = range(1, 7)
    image = Image(stack, name="stack", contrast_limits=(0, 255))
    viewer, widget = make_widget(image, load_predictor=lambda *_: Noting(load_model(), "cpu"))
    start = viewer.dims.current_step[0]

    def go(number):
        before = len(encoded)
        viewer.dims.set_current_step(0, number)
        widget.wait_until_idle(TIMEOUT_S)
        assert widget.session.state.phase is Phase.READY
        return encoded[before:]

    assert encoded[0] == start + 1
    assert go(0).count(1) == 1
    assert go(1)[:1] != [2]  # ready: it was embedded while slice 0 was looked at
    assert go(2) == [5]  # ready too, and so is the one after it
    assert go(3) == [6]
    assert go(4) == []
    assert go(0) == []
