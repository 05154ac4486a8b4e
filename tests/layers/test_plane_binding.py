"""Which slices are embedded before they are shown, and what is found on them."""

import numpy as np
from napari.layers import Image
from skimage import data

from napari_sam.model import load_model
from napari_sam.session import Phase
from tests.remembering import RememberingPredictor

TIMEOUT_S = 120


def test_the_next_slices_are_ready_when_the_slider_moves(make_widget):
    encoded, coins = [], data.coins()
    gray = np.repeat(coins[..., np.newaxis], 3, axis=2)

    class Noting(RememberingPredictor):
        def encode(self, image, on_block=None):
            encoded.append(int(image[0, 0, 0]))
            return super().encode(gray, on_block)  # for each slice: encoding takes a second

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


def test_prompts_changed_on_a_hidden_slice_replace_those_of_its_object(make_widget):
    coins = data.coins()
    image = Image(np.stack([coins, 255 - coins]), name="stack", scale=(2, 0.3, 0.3))
    viewer, widget = make_widget(image)
    session = widget.session

    def go(number):
        viewer.dims.set_current_step(0, number)
        widget.wait_until_idle(TIMEOUT_S)

    go(0)
    widget.binding.prompts.start_points()
    layer = viewer.layers["SAM points"]
    layer.add([0, 51, 155])
    widget.wait_until_idle(TIMEOUT_S)
    masks = session.state.candidates
    go(1)
    assert session.state.prompts.is_empty
    go(0)
    assert session.state.candidates is masks  # nothing changed
    go(1)
    layer.add([0, 60, 160])
    go(0)
    assert session.state.prompts.points_xy == ((155, 51), (160, 60))
    session.undo()
    assert session.state.prompts.points_xy == ((155, 51),)
    go(1)
    layer.selected_data = {0}
    layer.remove_selected()
    go(0)
    assert session.state.prompts.is_empty
    assert session.state.candidates is None


def test_without_an_image_there_is_no_stack(make_widget):
    _, widget = make_widget(Image(np.zeros((5, 30, 40), np.uint8)))
    sizes = []
    widget.binding.plane.stack_changed.connect(sizes.append)
    widget.binding.set_image(None)
    assert sizes == [1]
