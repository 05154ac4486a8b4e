import numpy as np
import pytest
from napari.layers import Image
from skimage import data

TIMEOUT_S = 120
COIN_RC = (68, 104)


def accept_at(viewer, widget, point):
    """Click at a position in the image's data, accept, and return the labels."""
    widget.binding.prompts.start_points()
    viewer.layers.selection.active.add([point])
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    return widget.binding.target.layer.data


AFFINE = np.array([[0.9, -0.2, 4], [0.3, 1.1, -7], [0, 0, 1]])


@pytest.mark.parametrize(
    "place",
    [
        {"scale": (0.3, 0.1)},
        {"scale": (0.3, 0.1), "translate": (50, -20), "rotate": 30},
        {"affine": AFFINE, "scale": (2, 2)},
        {"shear": [0.2], "translate": (3, 4)},
    ],
    ids=["scale", "rotation", "affine", "shear"],
)
def test_a_placed_image_gives_the_same_mask(make_widget, plain_mask, place):
    image = Image(data.coins(), name="placed", **place)
    viewer, widget = make_widget(image)
    labels = accept_at(viewer, widget, COIN_RC)
    np.testing.assert_array_equal(labels > 0, plain_mask)
    for layer in viewer.layers:
        np.testing.assert_allclose(
            layer.data_to_world((7, 9)), image.data_to_world((7, 9)), err_msg=layer.name
        )
    np.testing.assert_array_equal(image.scale, place.get("scale", (1, 1)))


def test_a_layer_of_the_users_own_with_another_scale_means_the_same_place(make_widget, plain_mask):
    image = Image(data.coins(), name="placed", scale=(0.5, 0.25), translate=(10, 20))
    viewer, widget = make_widget(image)
    world = image.data_to_world(COIN_RC)
    mine = viewer.add_points([np.array(world) / 4], scale=(4, 4), name="mine")
    widget.binding.prompts.set_layers(mine, None)
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    np.testing.assert_array_equal(widget.binding.target.layer.data > 0, plain_mask)


@pytest.fixture
def stack() -> np.ndarray:
    """(2, 3, H, W) with the coins at [1, 2] and other pictures elsewhere."""
    coins = data.coins()
    stack = np.zeros((2, 3, *coins.shape), np.uint8)
    stack[1, 2] = coins
    stack[1, 1] = coins[::-1]
    return stack


def contrast(image: Image) -> Image:
    image.contrast_limits = (0, 255)
    return image


def test_the_shown_slice_of_a_4d_stack_is_annotated(make_widget, stack, plain_mask):
    image = contrast(Image(stack, name="stack", scale=(5, 2, 0.3, 0.1), translate=(1, 2, 3, 4)))
    viewer, widget = make_widget(image)
    viewer.dims.set_current_step((0, 1), (1, 2))
    widget.wait_until_idle(TIMEOUT_S)

    labels = accept_at(viewer, widget, (1, 2, *COIN_RC))
    assert labels.shape == stack.shape
    np.testing.assert_array_equal(labels[1, 2] > 0, plain_mask)
    assert not labels[0].any()
    assert not labels[1, :2].any()
    candidate = viewer.layers["SAM mask 1"]
    assert candidate.data.shape == (1, 1, 303, 384)
    np.testing.assert_allclose(
        candidate.data_to_world((0, 0, 0, 0)), image.data_to_world((1, 2, 0, 0))
    )


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0), (2, 0, 1)])
def test_every_displayed_order_gives_the_same_mask(make_widget, plain_mask, order):
    """The coins lie in the two axes that are displayed last, in whatever order."""
    plane_axes = sorted(order[1:])
    volume = np.repeat(data.coins()[np.newaxis], 2, axis=0)
    volume = np.moveaxis(volume, 0, order[0])
    image = contrast(Image(volume, name="volume", scale=(1.5, 0.7, 0.4)))
    viewer, widget = make_widget(image, wait=False)
    viewer.dims.order = order
    viewer.dims.set_current_step(order[0], 1)
    widget.wait_until_idle(TIMEOUT_S)

    point = np.zeros(3)
    point[order[0]] = 1
    point[plane_axes] = COIN_RC
    labels = accept_at(viewer, widget, point)
    plane = np.take(labels, 1, axis=order[0]) > 0
    assert not np.take(labels, 0, axis=order[0]).any()
    if order[1] < order[2]:
        np.testing.assert_array_equal(plane, plain_mask)
    else:  # SAM saw the transposed image, so only the same coin can be asked for
        overlap = (plane & plain_mask).sum() / (plane | plain_mask).sum()
        assert overlap > 0.9


def test_prompts_belong_to_their_slice(make_widget, stack):
    viewer, widget = make_widget(contrast(Image(stack, name="stack")), wait=False)
    viewer.dims.set_current_step((0, 1), (1, 2))
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.prompts.start_points()
    points = viewer.layers["SAM points"]
    points.add([(1, 2, *COIN_RC)])
    widget.wait_until_idle(TIMEOUT_S)

    viewer.dims.set_current_step(1, 1)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts.is_empty
    assert widget.session.state.candidates is None
    assert len(points.data) == 1

    viewer.dims.set_current_step(1, 2)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts.points_xy == ((104, 68),)
    assert widget.session.state.candidates is not None


def test_3d_display_pauses_and_2d_resumes(make_widget, stack):
    viewer, widget = make_widget(contrast(Image(stack, name="stack")), wait=False)
    viewer.dims.set_current_step((0, 1), (1, 2))
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(1, 2, *COIN_RC)])
    viewer.dims.ndisplay = 3
    widget.wait_until_idle(TIMEOUT_S)
    assert "2-D" in widget.session.state.hint
    viewer.dims.ndisplay = 2
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.candidates is not None


def test_helper_layers_follow_an_image_that_is_moved(make_widget):
    image = Image(data.coins(), name="coins")
    viewer, widget = make_widget(image)
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([COIN_RC])
    widget.wait_until_idle(TIMEOUT_S)
    image.scale = (2, 3)
    image.translate = (5, 6)
    for name in ("SAM points", "SAM mask 1", "SAM mask 2"):
        np.testing.assert_allclose(
            viewer.layers[name].data_to_world((3, 4)), image.data_to_world((3, 4))
        )
