"""Prompt layers of one image that are written to together."""

from napari.layers import Image
from skimage import data

from napari_sam.session import Prompts

TIMEOUT_S = 120
BEYOND = Prompts(((104, 68), (110, -10.6)), (1, 0))
"""The second point lies so far out that napari moves its sliders, and shows all layers again."""


def test_redo_of_prompts_beyond_the_image_leaves_what_follows_to_be_redone(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.prompts.start_shape("rectangle")
    session = widget.session
    for prompts in (Prompts(((104, 68),), (1,)), BEYOND, Prompts((), (), (90, 60, 300, 900))):
        session.set_prompts(prompts)
        widget.wait_until_idle(TIMEOUT_S)
    for _ in range(3):
        session.undo()
        widget.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts.is_empty
    for _ in range(2):
        session.redo()
        widget.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts == BEYOND
    session.redo()
    widget.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts.box_xyxy == (90, 60, 300, 900)
    assert len(viewer.layers["SAM points"].data) == 0
