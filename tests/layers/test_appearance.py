"""The model sees what the layer or the user's choice says; channels are not sliced."""

import copy

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.utils.notifications import notification_manager
from skimage import data

from napari_sam.session import Phase, TargetError
from napari_sam.session.embedding.embeddings import thumbnail
from napari_sam.session.image.intensity import Appearance, Intensities

TIMEOUT_S = 120
COIN_RC = (68, 104)
OTHER_COIN_RC = (68, 150)
COINS = data.coins()
GRAY = np.repeat(COINS[..., np.newaxis], 3, axis=2)


@pytest.fixture
def open_noting(make_widget, remembering_predictor):
    """Open the widget on an image; return viewer, widget and the images that SAM is given.

    Where only these matter, the embedding of the coins serves for each: encoding takes a second.
    """

    def make(image, embedded=None):
        predictor, images = copy.copy(remembering_predictor), []

        def encode(pixels, on_block=None):
            images.append(np.array(pixels))
            return remembering_predictor.encode(pixels if embedded is None else embedded, on_block)

        predictor.encode = encode
        viewer, widget = make_widget(image, load_predictor=lambda *_: predictor)
        return viewer, widget, images

    return make


def choose(widget, **changes):
    look = Appearance(**changes)
    widget.binding.plane.set_appearance(look)
    widget.wait_until_idle(TIMEOUT_S)
    return look


def click(viewer, widget, rc):
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([rc])
    widget.wait_until_idle(TIMEOUT_S)


def shown_mask(viewer):
    (shown,) = [one for one in viewer.layers if one.name.startswith("SAM mask") and one.visible]
    return np.asarray(shown.data).squeeze() > 0


# Intensities ----------------------------------------------------------------------------------


SETTINGS = {
    "limits": lambda image, _: setattr(image, "contrast_limits", (50, 150)),
    "gamma": lambda image, _: setattr(image, "gamma", 0.4),
    "percentiles": lambda _, widget: choose(widget, intensities=Intensities.PERCENTILES),
    "full range": lambda _, widget: choose(widget, intensities=Intensities.FULL_RANGE),
}


def test_each_setting_embeds_anew_and_going_back_finds_the_embedding(open_noting):
    image = Image(COINS.astype(np.uint16) * 3, name="coins", contrast_limits=(30, 700))
    viewer, widget, images = open_noting(image, GRAY)
    click(viewer, widget, COIN_RC)
    first, *others = images
    assert others == []

    for name, change in SETTINGS.items():
        images.clear()
        change(image, widget)
        widget.wait_until_idle(TIMEOUT_S)
        (new,) = images
        assert (first != new).any(), name
        assert widget.session.state.prompts.points_xy == ((104, 68),)
        assert widget.session.state.candidates is not None, name

        image.contrast_limits, image.gamma = (30, 700), 1
        choose(widget)
        assert len(images) == 1, name
        assert widget.session.state.phase is Phase.READY, name


def test_percentiles_and_full_range_leave_the_layers_limits_alone_and_are_left_alone(open_noting):
    image = Image(COINS.astype(np.uint16) * 3, name="coins", contrast_limits=(30, 700))
    _, widget, images = open_noting(image, GRAY)
    choose(widget, intensities=Intensities.FULL_RANGE)
    np.testing.assert_array_equal(images[-1][..., 0], np.rint(image.data / 257))
    image.contrast_limits, image.gamma = (100, 200), 2
    widget.wait_until_idle(TIMEOUT_S)
    assert len(images) == 2
    assert tuple(image.contrast_limits) == (100, 200)


def test_all_slices_share_black_and_white(open_noting):
    stack = np.stack([COINS, COINS // 2, COINS // 4]).astype(np.float32)
    viewer, widget, images = open_noting(Image(stack, name="stack"), GRAY)
    choose(widget, intensities=Intensities.PERCENTILES)
    low, high = np.percentile(stack, (0.1, 99.9))
    for number in range(3):
        viewer.dims.set_current_step(0, number)
        widget.wait_until_idle(TIMEOUT_S)
        expected = np.rint(255 * np.clip((stack[number] - low) / (high - low), 0, 1))
        assert any(np.abs(image[..., 0] - expected).max() <= 1 for image in images)


def test_other_data_has_other_percentiles(open_noting):
    image = Image(COINS.astype(np.float32), name="coins")
    _, widget, images = open_noting(image, GRAY)
    choose(widget, intensities=Intensities.FULL_RANGE)
    image.data = np.where(image.data > 200, 2550, image.data)
    widget.wait_until_idle(TIMEOUT_S)
    assert images[-1][image.data == 2550].min() == 255
    assert images[-1][image.data < 2550].max() == 20


def test_each_image_keeps_its_own_choice(open_noting):
    first, second = Image(COINS, name="first"), Image(COINS[::-1], name="second")
    viewer, widget, _ = open_noting(first, GRAY)
    viewer.add_layer(second)
    chosen = choose(widget, intensities=Intensities.FULL_RANGE)
    widget.binding.set_image(second)
    assert widget.binding.plane.source.appearances.of(second) == Appearance()
    widget.binding.set_image(first)
    assert widget.binding.plane.source.appearances.of(first) == chosen


# The pin ----------------------------------------------------------------------------------------


def test_a_pinned_image_is_not_embedded_again_until_it_is_let_go(open_noting):
    stack = np.stack([COINS, COINS[::-1]])
    image = Image(stack, name="stack", contrast_limits=(0, 255))
    viewer, widget, images = open_noting(image, GRAY)
    state = widget.session.state
    choose(widget, is_pinned=True)
    image.contrast_limits, image.gamma = (0, 40), 3
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.thumbnail is state.thumbnail

    image.contrast_limits = (100, 110)
    viewer.dims.set_current_step(0, 1 - viewer.dims.current_step[0])
    widget.wait_until_idle(TIMEOUT_S)
    for seen in images:  # in the limits that were in force
        assert any((seen[..., 0] == plane).all() for plane in stack)

    before = len(images)
    choose(widget)
    assert len(images) > before
    assert not any((images[before][..., 0] == plane).all() for plane in stack)


def test_a_pin_in_the_middle_of_a_drag_keeps_what_was_embedded(open_noting):
    image = Image(COINS, name="coins", contrast_limits=(0, 255))
    _, widget, images = open_noting(image, GRAY)
    image.contrast_limits = (50, 60)
    choose(widget, is_pinned=True)
    assert len(images) == 1


# Channels -----------------------------------------------------------------------------------------


def channelled(axis=0, **kwargs):
    """Return an image whose channels lie along an axis; the coins are in channel 1."""
    channels = [np.zeros_like(COINS), COINS, np.full_like(COINS, 100)]
    kwargs = {"contrast_limits": (0, 255), "rgb": False, "name": "channels", **kwargs}
    return Image(np.stack(channels, axis=axis), **kwargs)


def test_channels_are_colors_and_their_slider_changes_nothing(open_noting):
    viewer, widget, images = open_noting(channelled(scale=(5, 0.5, 0.5), translate=(2, 3, 4)))
    ranges = viewer.dims.range
    choose(widget, channel_axis=0, colors=(1, 0, 2))
    expected = np.stack([COINS, np.zeros_like(COINS), np.full_like(COINS, 100)], axis=-1)
    np.testing.assert_array_equal(images[-1], expected)
    number = len(images)

    viewer.dims.set_current_step(0, 0)
    click(viewer, widget, (0, *COIN_RC))
    mask = shown_mask(viewer)
    assert mask[COIN_RC]
    points = viewer.layers["SAM points"]
    candidates = widget.session.state.candidates
    for channel in (1, 2, 0):
        viewer.dims.set_current_step(0, channel)
        widget.wait_until_idle(TIMEOUT_S)
        assert widget.session.state.candidates is candidates
        assert len(points._view_data) == 1
        np.testing.assert_array_equal(shown_mask(viewer), mask)

    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    labels = widget.binding.target.layer
    assert labels.data.shape == (1, *COINS.shape)
    np.testing.assert_array_equal(labels.data[0] > 0, mask)
    for channel in range(3):
        viewer.dims.set_current_step(0, channel)
        assert (
            labels.get_value(
                viewer.layers["channels"].data_to_world((channel, *COIN_RC)), world=True
            )
            == 1
        )
        assert np.asarray(labels._slice.image.raw).shape == COINS.shape
        assert (np.asarray(labels._slice.image.raw) > 0).sum() == mask.sum()
    assert len(images) == number
    assert viewer.dims.range == ranges


def test_a_click_at_any_channel_shows_at_each(open_noting):
    viewer, widget, _ = open_noting(channelled())
    choose(widget, channel_axis=0, colors=(1, None, None))
    for channel in range(3):
        viewer.dims.set_current_step(0, channel)
        widget.binding.prompts.start_points()
        points = viewer.layers["SAM points"]
        points.add([points.world_to_data((channel, *COIN_RC))])
        boxes = widget.binding.prompts.start_shape("rectangle") or viewer.layers["SAM boxes"]
        corners = [(40, 78), (40, 132), (95, 132), (95, 78)]
        boxes.add_rectangles([boxes.world_to_data((channel, *corner)) for corner in corners])
        widget.wait_until_idle(TIMEOUT_S)
        prompts = widget.session.state.prompts
        assert (prompts.points_xy, prompts.box_xyxy) == (((104, 68),), (78, 40, 132, 95))
        for shown in range(3):
            viewer.dims.set_current_step(0, shown)
            widget.wait_until_idle(TIMEOUT_S)
            assert widget.session.state.prompts == prompts
            assert len(points._view_data) == 1
            assert boxes._data_view._displayed.tolist() == [True]
        widget.session.object_in_progress.clear()
        widget.wait_until_idle(TIMEOUT_S)
        assert widget.session.state.prompts.is_empty


def test_one_channel_alone_is_gray(open_noting):
    _, widget, _ = open_noting(channelled(), GRAY)
    choose(widget, channel_axis=0, colors=(None, 1, None))
    seen = widget.session.state.thumbnail
    np.testing.assert_array_equal(seen, thumbnail(np.stack([COINS] * 3, axis=-1)))


def test_channels_of_a_stack_belong_to_their_slice(open_noting):
    volume = np.stack([channelled().data, channelled().data[:, ::-1]])  # z, channel, y, x
    image = Image(volume, name="volume", contrast_limits=(0, 255))
    viewer, widget, _ = open_noting(image)
    viewer.dims.set_current_step((0, 1), (1, 2))
    choose(widget, channel_axis=1, colors=(1, None, None))
    click(viewer, widget, (1, 0, 302 - COIN_RC[0], COIN_RC[1]))
    widget.binding.objects.accept()
    labels = widget.binding.target.layer.data
    assert labels.shape == (2, 1, *COINS.shape)
    assert labels[1, 0, 302 - COIN_RC[0], COIN_RC[1]] == 1
    assert not labels[0].any()
    viewer.dims.set_current_step(0, 0)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts.is_empty


def test_channels_in_the_last_axis_need_the_plane_on_display(open_noting):
    viewer, widget, images = open_noting(channelled(axis=-1))
    assert widget.session.state.phase is Phase.FAILED
    assert [one.axis for one in widget.controllers.appearance.panel._axes] == [2]
    choose(widget, channel_axis=2, colors=(0, 1, 2))
    assert "roll the axes" in widget.session.state.hint
    viewer.dims.roll()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.phase is Phase.READY
    np.testing.assert_array_equal(images[-1], channelled(axis=-1).data)
    click(viewer, widget, (*COIN_RC, 0))
    widget.binding.objects.accept()
    labels = widget.binding.target.layer.data
    assert labels.shape == (*COINS.shape, 1)
    assert labels[(*COIN_RC, 0)] == 1


def test_without_any_channel_it_says_what_to_do(open_noting):
    _, widget, _ = open_noting(channelled(), GRAY)
    choose(widget, channel_axis=0, colors=(None, None, None))
    assert widget.session.state.phase is Phase.FAILED
    assert "Choose a channel of 'channels'" in widget.session.state.hint
    choose(widget, channel_axis=0, colors=(1, None, None))
    assert widget.session.state.phase is Phase.READY


def test_prompts_and_objects_stay_when_a_channel_axis_is_chosen_and_left(open_noting):
    viewer, widget, _ = open_noting(channelled())
    viewer.dims.set_current_step(0, 1)
    click(viewer, widget, (1, *COIN_RC))
    widget.binding.objects.accept()
    before = widget.binding.target.layer
    assert before.data.shape == (3, *COINS.shape)
    click(viewer, widget, (1, *OTHER_COIN_RC))

    choose(widget, channel_axis=0, colors=(1, None, None))
    assert widget.binding.target.layer is None
    assert before in viewer.layers
    assert widget.session.state.prompts.points_xy == ((150, 68),)
    assert shown_mask(viewer)[OTHER_COIN_RC]
    viewer.dims.set_current_step(0, 2)
    widget.binding.objects.accept()
    assert widget.binding.target.layer.data[(0, *OTHER_COIN_RC)] == 1

    assert any(before.name in r.message for r in notification_manager.records)

    click(viewer, widget, (0, *COIN_RC))
    choose(widget)
    assert widget.binding.target.layer is before
    assert widget.session.state.prompts.points_xy == ((104, 68),)
    assert viewer.layers["SAM points"].data.tolist() == [[2, *COIN_RC]]
    viewer.dims.set_current_step(0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts.is_empty
    widget.session.undo()
    widget.session.undo()
    assert not [r for r in notification_manager.records if "no longer has" in r.message]


def test_labels_with_one_place_for_all_channels_can_be_chosen_again(open_noting):
    viewer, widget, _ = open_noting(channelled(scale=(2, 0.5, 0.5)))
    choose(widget, channel_axis=0, colors=(1, None, None))
    click(viewer, widget, (0, *COIN_RC))
    widget.binding.objects.accept()
    own = widget.binding.target.layer
    widget.binding.target.set_layer(None)
    widget.binding.target.set_layer(own)
    assert widget.binding.target.layer is own
    saved = viewer.add_layer(Labels(own.data.copy(), scale=own.scale, translate=own.translate))
    widget.binding.target.set_layer(saved)
    assert widget.binding.target.layer is saved


def test_which_axes_may_hold_channels(open_noting):
    image = Image(np.zeros((3, 17, 2, 20, 5), np.uint8), name="many", contrast_limits=(0, 255))
    image.axis_labels = ("c", "t", "z", "y", "x")
    _, widget, _ = open_noting(image)
    axes = widget.controllers.appearance.panel._axes
    assert [(one.axis, one.count, one.name) for one in axes] == [
        (0, 3, "c"),
        (2, 2, "z"),
        (4, 5, "x"),
    ]


def test_other_data_without_the_axis_has_no_channels(open_noting):
    image = channelled()
    _, widget, _ = open_noting(image, GRAY)
    choose(widget, channel_axis=0, colors=(0, 1, 2))
    image.data = np.stack([COINS] * 2)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.plane.source.appearances.of(image).colors == (0, 1, None)
    image.data = np.stack([COINS] * 20)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.plane.source.appearances.of(image).channel_axis is None
    assert widget.session.state.phase is Phase.READY


def test_labels_without_the_axis_of_the_channels_are_a_target(open_noting):
    image = channelled(scale=(2, 0.5, 0.5), translate=(1, 7, 8))
    viewer, widget, _ = open_noting(image)
    choose(widget, channel_axis=0, colors=(1, None, None))
    flat = np.zeros(COINS.shape, np.uint16)
    mine = viewer.add_layer(Labels(flat, scale=(0.5, 0.5), translate=(7, 8), name="mine"))
    widget.binding.target.set_layer(mine)
    click(viewer, widget, (0, *COIN_RC))
    widget.binding.objects.accept()
    assert mine.data[COIN_RC] == 1

    elsewhere = viewer.add_layer(Labels(flat.copy(), name="elsewhere"))
    with pytest.raises(TargetError, match="does not lie on the image"):
        widget.binding.target.set_layer(elsewhere)
    three = viewer.add_layer(Labels(np.zeros(image.data.shape, int), name="three"))
    with pytest.raises(TargetError, match="without its channels"):
        widget.binding.target.set_layer(three)
    assert widget.binding.target.layer is mine


def test_points_of_the_users_own_count_at_whichever_channel_they_lie(open_noting):
    viewer, widget, _ = open_noting(channelled())
    choose(widget, channel_axis=0, colors=(1, None, None))
    mine = viewer.add_points([(0, *COIN_RC), (2, *OTHER_COIN_RC)], name="mine")
    widget.binding.prompts.set_layers(mine, None)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts.points_xy == ((104, 68), (150, 68))


def test_channels_lie_where_a_rotated_image_lies(open_noting):
    turn = [[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]]
    image = channelled(rotate=turn, scale=(3, 2, 2), translate=(5, 6, 7))
    viewer, widget, _ = open_noting(image)
    choose(widget, channel_axis=0, colors=(1, None, None))
    click(viewer, widget, (0, *COIN_RC))
    widget.binding.objects.accept()
    middle = image.data_to_world((1, *COIN_RC))
    for name in ("SAM points", "SAM mask 1", "channels labels"):
        np.testing.assert_allclose(viewer.layers[name].data_to_world((0, *COIN_RC)), middle)
    assert widget.binding.target.layer.data[(0, *COIN_RC)] == 1
