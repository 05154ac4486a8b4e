import threading
from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QEventLoop
from qtpy.QtGui import QOpenGLContext
from qtpy.QtWidgets import QOpenGLWidget
from skimage import data

from napari_sam.session import Overlap, Phase, Prompts
from napari_sam.widget import SamWidget

TIMEOUT_S = 120
COIN_RC = (68, 104)
OTHER_COIN_RC = (68, 150)


@pytest.fixture
def coins() -> Image:
    return Image(data.coins(), name="coins")


def add_point(viewer, widget, rc, wait=True):
    widget.binding.prompts.start_points()
    viewer.layers.selection.active.add([rc])
    if wait:
        widget.wait_until_idle(TIMEOUT_S)


def add_box(viewer, widget, top_left, bottom_right):
    widget.binding.prompts.start_shape("rectangle")
    (r0, c0), (r1, c1) = top_left, bottom_right
    viewer.layers.selection.active.add_rectangles([[r0, c0], [r0, c1], [r1, c1], [r1, c0]])
    widget.wait_until_idle(TIMEOUT_S)


def named(viewer, name):
    return viewer.layers[name]


def shown_mask(viewer) -> np.ndarray:
    (shown,) = [
        layer for layer in viewer.layers if layer.name.startswith("SAM mask") and layer.visible
    ]
    return np.asarray(shown.data) > 0


def test_one_click_shows_one_of_three_masks(make_widget, coins):
    viewer, widget = make_widget(coins)
    assert widget.session.state.phase is Phase.READY

    add_point(viewer, widget, COIN_RC)

    masks = [layer for layer in viewer.layers if layer.name.startswith("SAM mask")]
    assert [layer.name for layer in masks] == ["SAM mask 1", "SAM mask 2", "SAM mask 3"]
    state = widget.session.state
    assert [layer.visible for layer in masks] == [n == state.chosen for n in range(3)]
    mask = shown_mask(viewer)
    assert mask[COIN_RC]
    crop = state.candidates.crop(state.chosen)
    expected = np.zeros_like(mask)
    rows = slice(crop.top, crop.top + crop.mask.shape[0])
    expected[rows, crop.left : crop.left + crop.mask.shape[1]] = crop.mask
    np.testing.assert_array_equal(mask, expected)
    assert 500 < mask.sum() < 6000


def test_accept_writes_an_object_and_starts_the_next(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_point(viewer, widget, COIN_RC)
    mask = shown_mask(viewer)

    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)

    labels = named(viewer, "coins labels")
    np.testing.assert_array_equal(labels.data, mask.astype(int))
    assert len(named(viewer, "SAM points").data) == 0
    assert widget.session.state.candidates is None
    assert not shown_mask(viewer).any()

    add_point(viewer, widget, OTHER_COIN_RC)
    widget.binding.objects.accept()
    assert labels.data[COIN_RC] == 1
    assert labels.data[OTHER_COIN_RC] == 2
    assert sum("labels" in layer.name for layer in viewer.layers) == 1


def test_undo_and_redo_of_accept_and_prompts_are_exact(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_point(viewer, widget, COIN_RC)
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    accepted = named(viewer, "coins labels").data.copy()

    widget.session.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert not named(viewer, "coins labels").data.any()
    np.testing.assert_array_equal(named(viewer, "SAM points").data, [COIN_RC])
    np.testing.assert_array_equal(shown_mask(viewer), accepted > 0)

    widget.session.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert len(named(viewer, "SAM points").data) == 0

    widget.session.redo()
    widget.session.redo()
    widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(named(viewer, "coins labels").data, accepted)
    assert len(named(viewer, "SAM points").data) == 0


def test_existing_objects_are_kept_unless_overwriting_is_chosen(make_widget, coins):
    labels = Labels(np.zeros((303, 384), np.uint8), name="mine")
    labels.data[:, :104] = 7
    viewer, widget = make_widget(coins, labels)
    widget.binding.target.set_layer(labels)

    add_point(viewer, widget, COIN_RC)
    widget.binding.objects.accept()
    assert (labels.data[:, :104] == 7).all()
    assert (labels.data[:, 104:] == 8).any()

    widget.session.editing.set_overlap(Overlap.REPLACE)
    add_point(viewer, widget, COIN_RC)
    widget.binding.objects.accept()
    assert labels.data[68, 100] == 9


def test_a_click_on_an_accepted_coin_makes_no_object_of_its_rim(make_widget, coins):
    viewer, widget = make_widget(coins)
    widget.session.object_in_progress.set_accept_on_click(True)
    for column in (104, 101, 107):
        add_point(viewer, widget, (68, column))
        widget.session.object_in_progress.clear()
    labels = widget.binding.target.layer
    assert set(np.unique(labels.data)) == {0, 1}
    messages = [record.message for record in notification_manager.records]
    assert sum("Covered by object 1:" in message for message in messages) == 2


def test_background_point_and_box_change_the_mask(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_point(viewer, widget, COIN_RC)
    widget.binding.prompts.flip_polarity()
    add_point(viewer, widget, (68, 60))
    points = named(viewer, "SAM points")
    assert widget.session.state.prompts.point_labels == (1, 0)
    assert not (points.face_color[0] == points.face_color[1]).all()

    add_box(viewer, widget, (40, 78), (95, 132))
    assert widget.session.state.prompts.box_xyxy == (78, 40, 132, 95)
    mask = shown_mask(viewer)
    rows, columns = np.nonzero(mask)
    assert rows.min() > 30
    assert columns.max() < 145


def test_moving_and_deleting_a_point_decodes_again(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_point(viewer, widget, COIN_RC)
    points = named(viewer, "SAM points")

    points.data = [OTHER_COIN_RC]
    widget.wait_until_idle(TIMEOUT_S)
    assert shown_mask(viewer)[OTHER_COIN_RC]
    assert widget.session.state.prompts.points_xy == ((150, 68),)

    points.selected_data = {0}
    points.remove_selected()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.candidates is None


def test_second_box_takes_the_place_of_the_first_after_the_drag(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_box(viewer, widget, (40, 78), (95, 132))
    add_box(viewer, widget, (40, 130), (95, 180))
    assert widget.session.state.prompts.box_xyxy == (130, 40, 180, 95)


def test_clicks_before_the_embedding_is_ready_are_decoded_when_it_is(
    make_widget, coins, remembering_predictor
):
    may_load = threading.Event()

    def load_slowly(*_):
        may_load.wait(TIMEOUT_S)
        return remembering_predictor

    viewer, widget = make_widget(coins, wait=False, load_predictor=load_slowly)
    assert widget.controllers.annotate.hint.text().startswith("Choose a tool and start clicking")
    add_point(viewer, widget, COIN_RC, wait=False)
    assert widget.controllers.annotate.hint.text() == "Masks appear once the image is embedded."
    assert widget.session.state.phase is Phase.LOADING
    assert widget.session.state.candidates is None
    may_load.set()
    widget.wait_until_idle(TIMEOUT_S)
    assert shown_mask(viewer)[COIN_RC]


def test_cancel_keeps_clicks_and_embed_goes_on(make_widget, coins, remembering_predictor):
    may_load = threading.Event()

    def load_slowly(*_):
        may_load.wait(TIMEOUT_S)
        return remembering_predictor

    viewer, widget = make_widget(coins, wait=False, load_predictor=load_slowly)
    add_point(viewer, widget, COIN_RC, wait=False)
    widget.session.embedding.cancel()
    assert widget.session.state.phase is Phase.CANCELLED
    may_load.set()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.phase is Phase.CANCELLED

    widget.session.embedding.embed()
    widget.wait_until_idle(TIMEOUT_S)
    assert shown_mask(viewer)[COIN_RC]


def test_choosing_by_layer_list_by_row_and_by_key(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_point(viewer, widget, COIN_RC)
    for number in range(3):
        viewer.layers.selection.active = named(viewer, f"SAM mask {number + 1}")
        assert widget.session.state.chosen == number
        assert named(viewer, f"SAM mask {number + 1}").visible
        assert viewer.layers.selection.active is named(viewer, f"SAM mask {number + 1}")
    widget.session.object_in_progress.choose_next()
    assert widget.session.state.chosen == 0
    widget.controllers.annotate.mask_panel.candidate_requested.emit(1)
    assert widget.session.state.chosen == 1
    assert shown_mask(viewer)[COIN_RC]


def test_hidden_candidates_are_not_written_until_shown(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_point(viewer, widget, COIN_RC)
    hidden = [layer for layer in viewer.layers if "mask" in layer.name and not layer.visible]
    assert len(hidden) == 2
    assert not any(layer.data.any() for layer in hidden)
    hidden[0].visible = True
    assert hidden[0].data[COIN_RC] == 1


def test_feedback_is_used_on_the_next_click_and_never_leaks(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_point(viewer, widget, COIN_RC)
    first = widget.session.state
    add_point(viewer, widget, (60, 110))
    with_feedback = widget.session.state.candidates.masks[0].prediction.low_res_logits

    widget.session.object_in_progress.clear()
    widget.session.object_in_progress.set_feedback(False)
    add_point(viewer, widget, COIN_RC)
    np.testing.assert_array_equal(
        widget.session.state.candidates.masks[0].prediction.low_res_logits,
        first.candidates.masks[0].prediction.low_res_logits,
    )
    add_point(viewer, widget, (60, 110))
    without = widget.session.state.candidates.masks[0].prediction.low_res_logits
    assert np.abs(with_feedback - without).max() > 0.1


def test_the_viewer_is_left_alone(make_widget, coins):
    other = Labels(np.ones((10, 10), int), name="other", scale=(3, 3))
    viewer, widget = make_widget(other, coins)
    camera = viewer.scene.camera
    camera.zoom, camera.center = 3.3, (0, 50, 60)
    before = (camera.zoom, camera.center, viewer.dims.model_dump())

    widget.session.set_prompts(Prompts(((104, 68),), (1,)))
    widget.wait_until_idle(TIMEOUT_S)
    assert viewer.layers.selection.active is coins
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)

    assert (camera.zoom, camera.center, viewer.dims.model_dump()) == before
    assert viewer.layers.selection == {coins}
    assert [layer.name for layer in viewer.layers if layer in (other, coins)] == ["other", "coins"]
    np.testing.assert_array_equal(other.scale, (3, 3))


def test_prompt_layers_of_the_users_own_are_read_and_never_changed(make_widget, coins):
    mine = Points([COIN_RC], name="my clicks", scale=(1, 1))
    boxes = Shapes([[[40, 78], [40, 132], [95, 132], [95, 78]]], name="my boxes")
    _, widget = make_widget(coins, mine, boxes)
    widget.binding.prompts.set_layers(mine, boxes)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts == Prompts(((104, 68),), (1,), (78, 40, 132, 95))

    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    assert len(mine.data) == 1
    assert len(boxes.data) == 1
    assert widget.session.state.prompts.is_empty

    mine.add([OTHER_COIN_RC])
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts.points_xy == ((150, 68),)

    widget.session.undo()
    widget.session.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts == Prompts(((104, 68),), (1,), (78, 40, 132, 95))
    assert len(mine.data) == 2


def test_prompts_of_the_users_own_are_used_up_slice_by_slice(make_widget):
    stack = np.stack([data.coins()] * 3)
    box = np.array([(0, 40, 78), (0, 40, 132), (0, 95, 132), (0, 95, 78)])
    boxes = Shapes([box, np.add(box, (1, 0, 0))], name="my boxes")
    clicks = Points([(0, *COIN_RC), (1, *COIN_RC), (1, 73, 166)], name="my clicks")
    viewer, widget = make_widget(Image(stack, name="stack"), boxes, clicks)
    prompts = [
        Prompts(((104, 68),), (1,), (78, 40, 132, 95)),
        Prompts(((104, 68), (166, 73)), (1, 1), (78, 40, 132, 95), slice_index=1),
    ]

    def go_to(index):
        viewer.dims.set_current_step(0, index)
        widget.wait_until_idle(TIMEOUT_S)
        return widget.session.state.prompts

    go_to(0)
    widget.binding.prompts.set_layers(clicks, boxes)
    widget.wait_until_idle(TIMEOUT_S)
    for index in (0, 1):
        assert go_to(index) == prompts[index]
        widget.binding.objects.accept()
        widget.wait_until_idle(TIMEOUT_S)
        assert widget.session.state.prompts.is_empty
    assert go_to(0).is_empty
    assert go_to(1).is_empty
    widget.session.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts == prompts[1]
    assert go_to(0).is_empty


def test_switching_images_keeps_each_ones_prompts(make_widget, coins):
    cell = Image(data.cell(), name="cell")
    viewer, widget = make_widget(coins, cell)
    assert widget.binding.plane.image is cell
    add_point(viewer, widget, (375, 400))

    widget.binding.set_image(coins)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts.is_empty
    assert not any(layer.name == "SAM points" for layer in viewer.layers)

    widget.binding.set_image(cell)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts.points_xy == ((400, 375),)
    assert shown_mask(viewer)[375, 400]


def test_the_first_image_to_come_is_annotated(make_widget, coins):
    viewer, widget = make_widget()
    assert widget.session.state.phase is Phase.NO_IMAGE
    viewer.add_layer(coins)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.phase is Phase.READY


def test_combos_follow_additions_removals_and_renames(make_widget, coins):
    viewer, widget = make_widget(coins)
    combo = widget.controllers.annotate.image_panel.image_combo
    coins.name = "münzen"
    assert "münzen" in combo.currentText()
    cell = viewer.add_image(data.cell(), name="cell")
    assert cell in combo.layers
    assert combo.layer is coins
    viewer.layers.remove(cell)
    assert cell not in combo.layers
    add_point(viewer, widget, COIN_RC)
    assert named(viewer, "SAM mask 1") not in widget.controllers.options.panel.target_combo.layers


def test_the_entry_for_no_image_puts_the_image_away_until_it_is_chosen_again(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_point(viewer, widget, COIN_RC)
    combo = widget.controllers.annotate.image_panel.image_combo
    combo.setCurrentText("no image")
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.plane.image is None
    assert widget.session.state.phase is Phase.NO_IMAGE
    assert [layer.name for layer in viewer.layers] == ["coins"]
    widget.binding.objects.accept()
    viewer.add_layer(Labels(np.zeros((303, 384), np.uint8), name="mine"))
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.plane.image is None
    assert combo.currentText() == "no image"
    assert not viewer.layers["mine"].data.any()

    combo.setCurrentText("coins")
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts.points_xy == ((104, 68),)


@pytest.mark.parametrize(
    "name", ["coins", "SAM points", "SAM boxes", "SAM mask 1", "SAM mask 2", "coins labels"]
)
def test_any_layer_may_be_deleted_at_any_moment(make_widget, coins, name):
    viewer, widget = make_widget(coins)
    add_box(viewer, widget, (40, 130), (95, 180))
    add_point(viewer, widget, OTHER_COIN_RC)
    widget.binding.objects.accept()
    add_point(viewer, widget, COIN_RC)

    viewer.layers.remove(named(viewer, name))
    widget.wait_until_idle(TIMEOUT_S)
    if name == "coins":
        viewer.add_image(data.coins(), name="coins again")
    add_point(viewer, widget, COIN_RC)
    assert shown_mask(viewer)[COIN_RC]
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    target = widget.binding.target.layer
    assert target in viewer.layers
    assert target.data[COIN_RC] > 0
    assert sum("SAM mask" in layer.name for layer in viewer.layers) == 3


def test_an_image_deleted_during_its_embedding_is_survived(
    make_widget, coins, remembering_predictor
):
    started, may_go_on = threading.Event(), threading.Event()

    def encode(image, on_block=None):
        started.set()
        may_go_on.wait(TIMEOUT_S)
        return remembering_predictor.encode(image, on_block)

    held = SimpleNamespace(
        device="cpu",
        encode=encode,
        decode=remembering_predictor.decode,
        warm_up=remembering_predictor.warm_up,
        fingerprint=remembering_predictor.fingerprint,
        spec=remembering_predictor.spec,
    )
    viewer, widget = make_widget(coins, wait=False, load_predictor=lambda *_: held)
    assert started.wait(TIMEOUT_S)
    viewer.layers.remove(coins)
    may_go_on.set()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.phase is Phase.NO_IMAGE
    viewer.add_image(data.coins())
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.phase is Phase.READY


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("napari-sam")]


@pytest.mark.parametrize("way", ["widget", "dock", "viewer"])
def test_closing_in_the_middle_of_a_job_is_clean(
    make_widget, coins, remembering_predictor, qtbot, way
):
    started, may_go_on = threading.Event(), threading.Event()
    others = set(our_threads())

    def load_slowly(*_):
        started.set()
        may_go_on.wait(TIMEOUT_S)
        return remembering_predictor

    viewer, widget = make_widget(coins, wait=False, load_predictor=load_slowly)
    add_point(viewer, widget, COIN_RC, wait=False)
    points = named(viewer, "SAM points")
    assert started.wait(TIMEOUT_S)
    if way == "widget":
        widget.close()
    elif way == "dock":
        viewer.window.remove_dock_widget(widget)
    else:
        viewer.close()
    QEventLoop().processEvents()
    may_go_on.set()
    qtbot.waitUntil(lambda: set(our_threads()) <= others, timeout=1000 * TIMEOUT_S)
    assert not points.keymap
    points.add([OTHER_COIN_RC])
    coins.data = data.cell()
    if way != "viewer":
        viewer.dims.ndisplay = 3
        assert not any("mask" in layer.name for layer in viewer.layers)
        viewer.layers.clear()


def test_a_reopened_widget_finds_its_prompts_again(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_point(viewer, widget, COIN_RC)  # into a layer called as the combo calls it
    widget.close()
    assert len(named(viewer, "SAM points").data) == 1

    again = SamWidget(viewer)
    again.wait_until_idle(TIMEOUT_S)
    assert again.session.state.prompts.points_xy == ((104, 68),)
    assert shown_mask(viewer)[COIN_RC]
    assert again.binding.prompts.image_prompts.polarity == 1
    again.close()


def test_widgets_leave_only_prompts_behind_and_find_them_again(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_box(viewer, widget, (40, 78), (95, 132))
    widget.binding.prompts.start_points()
    widget.close()
    assert [layer.name for layer in viewer.layers] == ["coins", "SAM boxes"]

    viewer.add_image(data.cell(), name="cell")  # the one on top: a new widget begins with it
    again = SamWidget(viewer)
    again.wait_until_idle(TIMEOUT_S)
    assert [layer.name for layer in viewer.layers] == ["coins", "cell"]
    again.binding.set_image(coins)
    again.wait_until_idle(TIMEOUT_S)
    assert again.session.state.prompts == Prompts(box_xyxy=(78, 40, 132, 95))
    again.session.object_in_progress.clear()
    again.binding.prompts.start_points()
    again.close()
    assert [layer.name for layer in viewer.layers] == ["coins", "cell"]


def test_widget_works_with_the_proxy_that_napari_hands_to_plugins(
    make_napari_viewer_proxy, remembering_predictor
):
    viewer = make_napari_viewer_proxy()
    viewer.add_image(data.coins(), name="coins")
    widget = SamWidget(viewer, load_predictor=lambda *_: remembering_predictor)
    viewer.window.add_dock_widget(widget)
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([COIN_RC])
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    assert viewer.layers["coins labels"].data[COIN_RC] == 1
    widget.close()


def test_a_target_that_was_left_and_chosen_again_never_gives_a_label_id_twice(make_widget, coins):
    mine, other = (Labels(np.zeros((303, 384), np.uint16), name=name) for name in ("mine", "other"))
    viewer, widget = make_widget(coins, mine, other)
    widget.binding.target.set_layer(mine)
    for at_rc in (COIN_RC, OTHER_COIN_RC):
        add_point(viewer, widget, at_rc)
        widget.binding.objects.accept()
    widget.session.undo()
    widget.binding.target.set_layer(other)
    widget.binding.target.set_layer(mine)
    widget.session.redo()
    add_point(viewer, widget, (130, 104))
    widget.binding.objects.accept()
    assert sorted(np.unique(mine.data)) == [0, 1, 2, 3]


def test_an_image_keeps_its_target(make_widget, coins):
    cell = Image(data.cell(), name="cell")
    viewer, widget = make_widget(cell, coins)
    add_point(viewer, widget, COIN_RC)
    widget.binding.objects.accept()
    target = widget.binding.target.layer
    widget.binding.set_image(cell)
    assert widget.binding.target.layer is None
    widget.binding.set_image(coins)
    assert widget.binding.target.layer is target


def test_other_contrast_limits_embed_the_image_anew_and_keep_the_prompts(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_point(viewer, widget, COIN_RC)
    before = widget.session.state.candidates.masks[0].prediction.low_res_logits
    coins.contrast_limits = (100, 180)
    widget.wait_until_idle(TIMEOUT_S)
    state = widget.session.state
    assert state.prompts.points_xy == ((104, 68),)
    assert np.abs(state.candidates.masks[0].prediction.low_res_logits - before).max() > 0.1


def test_the_next_object_begins_with_foreground(make_widget, coins):
    viewer, widget = make_widget(coins)
    add_point(viewer, widget, COIN_RC)
    widget.binding.prompts.flip_polarity()
    add_point(viewer, widget, (68, 60))
    widget.binding.objects.accept()
    assert widget.binding.prompts.image_prompts.polarity == 1
    add_point(viewer, widget, OTHER_COIN_RC)
    assert widget.session.state.prompts.point_labels == (1,)


def test_undo_of_an_object_on_another_image_goes_there(make_widget, coins):
    cell = Image(data.cell(), name="cell")
    viewer, widget = make_widget(cell, coins)
    add_point(viewer, widget, COIN_RC)
    widget.binding.objects.accept()
    widget.binding.set_image(cell)
    widget.binding.objects.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.plane.image is coins
    assert not viewer.layers["coins labels"].data.any()
    assert widget.session.state.candidates is not None
    assert viewer.layers.selection.active.name == "SAM points"  # the keys go on working
    assert "on 'coins'" in notification_manager.records[-1].message


def test_after_the_chosen_image_was_deleted_another_is_annotated(make_widget, coins):
    cell = Image(data.cell(), name="cell")
    viewer, widget = make_widget(cell, coins)
    viewer.layers.remove(coins)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.plane.image is cell
    assert widget.controllers.annotate.image_panel.image_combo.layer is cell
    viewer.layers.remove(cell)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.plane.image is None


def test_an_opacity_chosen_during_a_preview_is_kept(make_widget, coins):
    viewer, widget = make_widget(coins)
    (x, y) = COIN_RC[::-1]
    widget.session.object_in_progress.preview.want(Prompts(((x, y),), (1,)))
    widget.wait_until_idle(TIMEOUT_S)
    masks = [layer for layer in viewer.layers if layer.name.startswith("SAM mask")]
    masks[0].opacity = 0.8
    add_point(viewer, widget, COIN_RC)
    assert [layer.opacity for layer in masks] == [0.8, 1, 1]


def test_another_size_of_the_canvas_is_another_view(make_widget, coins):
    viewer, widget = make_widget(coins)
    viewer.canvas.size = tuple(side // 2 for side in viewer.canvas.size)
    assert widget.controllers.annotate._camera_timer.isActive()


def test_that_sam_sees_nothing_is_said_as_long_as_it_is_so(make_widget, coins):
    viewer, widget = make_widget(coins, Image(np.full((60, 70), 7, np.uint16), name="flat"))
    assert "SAM sees nothing here" in widget.controllers.annotate.hint.text()
    assert "slice" not in widget.controllers.annotate.hint.text()
    add_point(viewer, widget, (30, 30))
    assert "SAM sees nothing here" in widget.controllers.annotate.hint.text()
    widget.binding.set_image(coins)
    widget.wait_until_idle(TIMEOUT_S)
    assert "SAM sees nothing" not in widget.controllers.annotate.hint.text()


def test_a_removed_layer_is_freed_in_the_context_that_drew_it(make_widget, coins, qtbot):
    viewer, widget = make_widget(coins, wait=False, show=True)
    qtbot.waitUntil(widget.isVisible)
    (canvas,) = viewer.window._qt_window.findChildren(QOpenGLWidget)
    qtbot.waitUntil(canvas.isValid)
    current = []
    viewer.layers.events.removed.connect(
        lambda: current.append(QOpenGLContext.currentContext() == canvas.context())
    )
    canvas.doneCurrent()
    viewer.layers.remove("coins")
    assert current == [True]
