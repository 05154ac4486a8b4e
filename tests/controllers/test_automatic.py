"""Automatic masks from the widget, in a real viewer; with few points."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image
from napari.utils.notifications import notification_manager
from skimage import data

from napari_sam.controllers import automatic_by_products
from napari_sam.layers.automatic_layer import is_automatic_layer
from napari_sam.layers.outlines import Segments
from napari_sam.session.automatic import rest
from napari_sam.session.batch_prompts.decode import decode_batch_prompts
from tests.session.propagation.volume import moving_discs

TIMEOUT_S = 120
COINS = data.coins()[:200, :256]
LAX = {"pred_iou_thresh": 0.8, "stability_score_thresh": 0.85, "max_share": 0.2}


@pytest.fixture
def opened(make_widget):
    """Return a viewer and widget on coins, that looks with 36 points."""

    def open_it(*layers):
        viewer, widget = make_widget(*(layers or (Image(COINS, name="coins"),)))
        panel = widget.controllers.automatic.panel
        panel.set_settings(panel.settings.with_values(points_per_side=6, points_per_batch=6, **LAX))
        return viewer, widget, panel

    return open_it


def automatic_layers(viewer):
    return [layer for layer in viewer.layers if is_automatic_layer(layer)]


def press(widget, button):
    assert button.isEnabled()
    button.click()
    widget.wait_until_idle(TIMEOUT_S)


def accept_button(widget):
    """Return the dock's only button to accept anything."""
    return widget.controllers.annotate.object_panel.accept


def press_key(layer, key):
    """Press a key as napari finds it: the layer's own first."""
    next(command for binding, command in layer.keymap.items() if str(binding) == key)(layer)


def when_some_masks_exist(widget, action):
    """Do something once, in the middle of a run."""
    done = []

    def on_changed(state):
        if state.is_running and state.fraction and not done:
            done.append(True)
            widget._dispatcher.post(action)

    widget.session.automatic.changed.connect(on_changed)
    return done


def test_all_masks_are_filtered_accepted_and_undone(opened, said):
    viewer, widget, panel = opened()
    assert not accept_button(widget).isEnabled()
    active = viewer.layers.selection.active
    press(widget, panel.run.whole)
    (layer,) = automatic_layers(viewer)
    assert viewer.layers.selection.active is active
    assert not panel.run.progress.isVisibleTo(panel)
    picture = widget.session.automatic.picture
    count = len(picture.masks)
    assert count > 5
    assert len(layer.features) == count
    np.testing.assert_array_equal(layer.data, picture.labels)
    assert {"predicted_iou", "stability_score", "box_x0", "shown_px"} <= set(layer.features)
    combo = widget.controllers.options.panel.target_combo
    assert layer not in combo.layers

    panel.filters.sliders["pred_iou_thresh"].setValue(0.95)
    widget.wait_until_idle(TIMEOUT_S)
    fewer = len(layer.features)
    assert 0 < fewer < count
    assert panel.form.fields["pred_iou_thresh"].value() == 0.95
    assert panel.run.preset.currentText() == "custom settings"
    panel.form.fields["pred_iou_thresh"].setValue(0.8)
    widget.wait_until_idle(TIMEOUT_S)
    assert panel.filters.sliders["pred_iou_thresh"].value() == 0.8
    assert len(layer.features) == count
    panel.form.fields["points_per_side"].setValue(7)
    widget.wait_until_idle(TIMEOUT_S)
    assert "with the next run" in panel.run.outcome.text()

    widget.session.classes.add("coin")
    press(widget, accept_button(widget))
    target = widget.binding.target.labels
    kept = len(target.registry)
    left_out = f"{count - kept} left out because other objects cover them"
    assert said[-1] == f"{kept} objects added with class 'coin'; {left_out}."
    assert kept == len(np.unique(target.layer.data)) - 1 > 5
    assert kept < count
    assert len(layer.features) == 0  # those below others as a whole are done, too
    assert all(record.stability >= 0.85 for record in target.registry)
    widget.binding.objects.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert len(target.registry) == 0
    assert len(layer.features) == count
    press(widget, panel.results.discard)
    assert automatic_layers(viewer) == []
    assert not panel.results.discard.isEnabled()
    assert not panel.results.boxes.isEnabled()
    assert panel.results.restore.text() == f"Restore {count}"
    press(widget, panel.results.restore)
    (layer,) = automatic_layers(viewer)
    np.testing.assert_array_equal(layer.data, picture.labels)
    assert accept_button(widget).text() == f"Accept all {count}"
    viewer.layers.remove(layer)  # which is undone in the same way
    press(widget, panel.results.restore)
    assert len(automatic_layers(viewer)) == 1
    panel.run.whole.click()
    panel.run.cancel.click()
    widget.wait_until_idle(TIMEOUT_S)
    press(widget, panel.results.restore)
    assert len(widget.session.automatic.picture.masks) == count


def test_remaining_objects_are_reviewed_with_keys(opened, said):
    viewer, widget, panel = opened()
    press(widget, panel.run.remaining)  # nothing is there yet: everything is the rest
    assert "no objects to compare with yet" in panel.run.outcome.text()
    press(widget, panel.results.next)
    press(widget, accept_button(widget))
    (record,) = widget.binding.target.labels.registry
    panel.form.fields["points_per_side"].setValue(8)
    press(widget, panel.run.remaining)
    (layer,) = automatic_layers(viewer)
    count = len(layer.features)
    assert count >= 3
    one, *_ = widget.session.automatic.picture.masks
    assert record.area_px / 2 <= one.area_px <= record.area_px * 2
    invitation = f"To review the {count} automatic masks one by one, press ▸ in the Automatic tab."
    assert widget.controllers.annotate.hint.text() == invitation
    widget.binding.prompts.start_points()
    warnings = []
    widget.session.notifier.warned.connect(warnings.append)
    press_key(viewer.layers.selection.active, "C")
    assert warnings == [f"{invitation} Or press Accept all {count}."]
    table = widget.controllers.objects.table
    table.select(record.label_id)
    press_key(viewer.layers.selection.active, "W")
    assert table.selected == []  # a class key is about the masks that are accepted now
    assert widget.controllers.annotate.hint.text().startswith("Accept or reject this mask")
    assert viewer.layers.selection.active is layer
    assert panel.run.outcome.text().startswith(f"1 of {count}")
    assert set(np.unique(layer.data)) == {0, widget.session.automatic.picture.label_ids[0]}
    assert accept_button(widget).text() == "Accept this mask (C)"
    assert len(layer._overlays["napari-sam-mask"].segments.ends_rc) > 8
    press_key(layer, "X")
    press_key(layer, "C")
    press_key(viewer.layers["SAM points"], "C")  # the keys work there, too
    widget.wait_until_idle(TIMEOUT_S)
    assert len(widget.binding.target.labels.registry) == 3
    assert len(layer.features) == count - 3
    assert panel.results.restore_rejected.text() == "Bring back 1"
    last = list(widget.binding.target.labels.registry)[-1]
    layer.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert len(layer.features) == count - 2
    current = widget.session.automatic_review.current
    assert current.point_xy == last.state.prompts.points_xy[0]
    for _ in range(2):
        press_key(viewer.layers["SAM points"], "X")
    widget.wait_until_idle(TIMEOUT_S)
    assert panel.results.restore_rejected.text() == "Bring back 3"
    rejected = widget.session.automatic_review.rejected
    panel.results.restore_last.trigger()
    widget.wait_until_idle(TIMEOUT_S)
    assert len(widget.session.automatic_review.rejected) == 2
    assert widget.session.automatic_review.current.key in rejected
    panel.results.restore_all.trigger()
    widget.wait_until_idle(TIMEOUT_S)
    assert len(layer.features) == count - 1
    assert said[-1] == "2 rejected masks are offered again."
    press(widget, panel.results.show_all)
    assert "one by one, press ▸" in widget.controllers.annotate.hint.text()
    assert len(np.unique(layer.data)) > 2
    assert len(layer._overlays["napari-sam-mask"].segments.ends_rc) == 0
    press(widget, panel.results.discard)
    assert viewer.layers.selection.active.name == "SAM points"
    assert widget.controllers.annotate.hint.text() == "Click on an object."
    panel.run.whole.click()
    widget.close()  # in the middle of a run


def test_objects_like_the_examples_are_offered_by_likeness(opened, said):
    viewer, widget, panel = opened()
    press(widget, panel.filters.like)
    assert said[-1].startswith("There are no examples here")
    assert widget.session.automatic.request is None
    press(widget, panel.run.whole)
    for _ in range(2):
        press(widget, panel.results.next)
        press(widget, accept_button(widget))
    last = list(widget.binding.target.labels.registry)[-1]
    widget.controllers.objects.table.select_only([last.label_id])
    press(widget, panel.filters.like)
    existing = widget.session.automatic.request.existing
    assert existing.examples == (last,)  # the chosen row
    press(widget, panel.filters.rest)
    assert said[-1].startswith("Too little is known of what you look for: accept 5 objects")
    counts = []
    for least in (0, 0.5, 1):
        panel.filters.sliders["least_likeness"].setValue(least)
        widget.wait_until_idle(TIMEOUT_S)
        counts.append(len(widget.session.automatic.picture.masks))
    assert counts[0] >= 3
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2]

    # Another image, in which nothing is accepted yet, begins with them.
    panel.filters.sliders["least_likeness"].setValue(0)
    known = widget.session.known_examples.current
    assert len(known.like) == 1
    widget.binding.set_image(viewer.add_image(COINS[::-1], name="others"))
    widget.wait_until_idle(TIMEOUT_S)
    press(widget, panel.filters.like)
    assert said[-1] == "Nothing is accepted here yet: 1 object from before show the kind."
    existing = widget.session.automatic.request.existing
    assert (existing.examples, existing.other_examples) == ((), known)
    assert len(widget.session.automatic.picture.masks) >= 3
    press(widget, panel.results.next)
    press(widget, accept_button(widget))
    press(widget, panel.results.reject)
    assert [*map(len, widget.session.known_examples.current)] == [2, 1]


def test_small_objects_like_these_are_found_by_their_pixels(opened, said):
    image, labels = np.full((2, 96, 96), 60, np.uint8)
    labels[:] = 0
    for number, column in enumerate(range(10, 90, 16)):
        image[20:22, column : column + 2], labels[20:22, column : column + 2] = 200, number + 1
    viewer, widget, panel = opened(Image(image, name="dots"))
    widget.binding.target.set_layer(viewer.add_labels(labels, name="known"))
    widget.wait_until_idle(TIMEOUT_S)
    table = widget.controllers.objects.table
    table.select_only([1])
    panel.filters.like.click()  # the rest is like all of them, not like some
    assert not widget.session.automatic.request.is_rest
    panel.run.cancel.click()
    table.select_only([])
    panel.filters.like.click()
    assert "found by their pixels" in said[-1]
    assert widget.session.automatic.request.is_rest
    widget.close()


def test_the_rest_is_reviewed_and_what_is_rejected_counts(opened, monkeypatch):
    viewer, widget, panel = opened()
    press(widget, panel.run.whole)
    for _ in range(5):
        press(widget, panel.results.next)
        press(widget, accept_button(widget))
    press(widget, panel.filters.rest)
    generator, registry = widget.session.automatic, widget.binding.target.labels.registry
    assert len(registry) == 5  # nothing is written before it is reviewed
    count = len(generator.picture.masks)
    assert len(automatic_layers(viewer)[0].features) == count >= 3
    press(widget, panel.results.next)
    rejected = widget.session.automatic_review.current
    press(widget, panel.results.reject)
    press(widget, panel.filters.rest)
    (unlike,) = generator.request.unlike
    np.testing.assert_array_equal(unlike.mask, rejected.plane_crop.mask)
    press(widget, panel.filters.rest)
    assert len(generator.request.unlike) == 1  # it still counts
    panel.filters.sliders["least_likeness"].setValue(1)
    widget.wait_until_idle(TIMEOUT_S)
    assert panel.run.outcome.text().startswith("Nothing else is like these objects")
    panel.filters.sliders["least_likeness"].setValue(0)
    # Stopped while regions are refined, it keeps what it has.
    stopped = threading.Event()

    def refine(*args, report, **options):
        def report_and_wait(share):
            goes_on = report(share)
            if share:
                widget._dispatcher.post(lambda: (panel.run.cancel.click(), stopped.set()))
                stopped.wait(TIMEOUT_S)
            return goes_on

        return decode_batch_prompts(*args, report=report_and_wait, **options)

    monkeypatch.setattr(rest, "decode_batch_prompts", refine)
    press(widget, panel.filters.rest)
    assert "Canceled at" in panel.run.outcome.text()
    assert 0 < len(generator.picture.masks) <= count


def test_what_was_found_survives_another_image_and_goes_with_its_own(opened):
    viewer, widget, panel = opened()
    other = viewer.add_image(np.full((60, 50), 9, np.uint8), name="blank")
    done = when_some_masks_exist(widget, lambda: widget.binding.set_image(other))
    press(widget, panel.run.whole)
    assert done
    (layer,) = automatic_layers(viewer)
    assert len(layer.features) > 5
    assert not accept_button(widget).isEnabled()
    assert "They belong to 'coins'" in panel.run.outcome.text()
    widget.binding.set_image(viewer.layers["coins"])
    widget.wait_until_idle(TIMEOUT_S)
    press(widget, accept_button(widget))
    assert len(widget.binding.target.labels.registry) > 5
    viewer.layers.remove("coins")
    widget.wait_until_idle(TIMEOUT_S)
    assert automatic_layers(viewer) == []
    assert not panel.results.restore.isEnabled()
    assert widget.binding.plane.image is other
    press(widget, panel.run.whole)  # a constant image
    viewer.layers.remove(other)
    widget.wait_until_idle(TIMEOUT_S)
    assert not panel.run.whole.isEnabled()


def test_masks_go_when_their_image_becomes_a_stack(opened):
    viewer, widget, panel = opened()
    press(widget, panel.run.whole)
    viewer.layers["coins"].data = np.stack([COINS] * 3)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.automatic.picture is None
    assert automatic_layers(viewer) == []
    assert not accept_button(widget).isEnabled()


@pytest.mark.parametrize("deleted", ["found", "target", "image"])
def test_layers_may_be_deleted_in_the_middle_of_a_run(opened, deleted):
    viewer, widget, panel = opened()
    target = viewer.add_labels(np.zeros(COINS.shape, np.uint16), name="target")
    widget.binding.target.set_layer(target)

    def delete():
        doomed = {"target": target, "image": viewer.layers["coins"]}.get(deleted)
        if doomed is None:
            doomed = next(iter(automatic_layers(viewer)), None)
        if doomed is None:
            widget._dispatcher.post(delete)
        else:
            viewer.layers.remove(doomed)

    done = when_some_masks_exist(widget, delete)
    press(widget, panel.run.remaining)
    assert done
    assert not widget.session.automatic.state.is_running
    if deleted == "target":
        press(widget, accept_button(widget))
        assert len(widget.binding.target.labels.registry) > 5
    else:
        assert automatic_layers(viewer) == []
        assert panel.run.whole.isEnabled() == (deleted == "found")


def test_a_slice_of_a_stack_and_what_is_left_when_the_widget_closes(opened):
    stack = np.stack([np.zeros_like(COINS), COINS])
    image = Image(stack, name="stack", scale=(2, 0.5, 0.5), contrast_limits=(0, 255))
    viewer, widget, panel = opened(image)
    viewer.dims.set_current_step(0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    camera = viewer.scene.camera
    camera.center, camera.zoom = (50, 40), 20.0
    widget.wait_until_idle(TIMEOUT_S)
    press(widget, panel.run.visible)
    (layer,) = automatic_layers(viewer)
    view = widget.binding.plane.visible_box
    proposals = widget.session.automatic.picture.masks
    assert proposals
    for one in proposals:
        x, y = one.point_xy
        assert view[0] <= x <= view[2]
        assert view[1] <= y <= view[3]
        label_id = layer.get_value((2, y * 0.5, x * 0.5), world=True)
        assert label_id
    image.translate = (0, 7, 3)
    x, y = proposals[0].point_xy
    assert layer.get_value((2, y * 0.5 + 7, x * 0.5 + 3), world=True)
    viewer.dims.set_current_step(0, 0)
    widget.wait_until_idle(TIMEOUT_S)
    assert not accept_button(widget).isEnabled()
    assert "another slice" in panel.run.outcome.text()
    panel.run.go_requested.emit()
    widget.wait_until_idle(TIMEOUT_S)
    assert viewer.dims.current_step[0] == 1
    press(widget, accept_button(widget))
    target = widget.binding.target.labels
    assert not target.layer.data[0].any()
    assert target.layer.data[1].any()
    widget.binding.objects.undo()
    widget.wait_until_idle(TIMEOUT_S)
    pixels = layer.data.copy()
    widget.binding.shortcuts.run("next")
    assert len(np.unique(layer.data)) == 2
    widget.close()  # in the middle of a review
    assert layer in viewer.layers  # work that was not kept is not lost
    np.testing.assert_array_equal(layer.data, pixels)
    assert not is_automatic_layer(layer)
    assert layer.editable


def test_keys_of_masks_begin_the_review_from_the_boxes_layer(opened):
    viewer, widget, panel = opened()
    warnings = []
    widget.session.notifier.warned.connect(warnings.append)
    widget.binding.prompts.start_shape("rectangle")
    boxes = viewer.layers["SAM boxes"]
    press_key(boxes, "X")
    assert warnings == ["There are no automatic masks to reject here: run Automatic first."]
    assert boxes.mode == "add_rectangle"
    press(widget, panel.run.whole)
    count = len(widget.session.automatic.picture.masks)
    widget.binding.prompts.start_shape("rectangle")
    press_key(boxes, "X")
    assert boxes.mode == "add_rectangle"
    assert panel.run.outcome.text().startswith(f"1 of {count}")  # as with ▸, none is rejected yet
    (layer,) = automatic_layers(viewer)
    assert viewer.layers.selection.active is layer
    press_key(layer, "R")  # all keys work here, too
    assert viewer.layers.selection.active is boxes
    press_key(boxes, "C")
    widget.wait_until_idle(TIMEOUT_S)
    assert len(widget.binding.target.labels.registry) == 1
    while widget.session.automatic_review.current is not None:
        press_key(layer, "X")
        widget.wait_until_idle(TIMEOUT_S)
    assert viewer.layers.selection.active is boxes  # with its tool, once the last one is decided
    viewer.layers["SAM boxes"].add_rectangles([[50, 90], [90, 120]])
    widget.wait_until_idle(TIMEOUT_S)
    press_key(boxes, "X")
    assert warnings[-1].startswith("Only automatic masks are rejected")
    assert boxes.mode == "add_rectangle"


def test_an_object_in_progress_is_accepted_first(opened):
    viewer, widget, panel = opened()
    press(widget, panel.run.whole)
    count = len(widget.session.automatic.picture.masks)
    press(widget, panel.results.next)
    (layer,) = automatic_layers(viewer)
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(68, 104)])
    widget.wait_until_idle(TIMEOUT_S)
    assert accept_button(widget).text() == "Accept (C)"
    press_key(layer, "C")
    widget.wait_until_idle(TIMEOUT_S)
    (record,) = widget.binding.target.labels.registry
    assert record.state.prompts.points_xy == ((104, 68),)
    assert accept_button(widget).text() == "Accept this mask (C)"
    press(widget, panel.results.show_all)
    assert accept_button(widget).text() == f"Accept all {count}"


def test_cells_are_preset_for_16_bit_gray_until_the_user_chooses(make_widget):
    viewer, widget = make_widget(Image(COINS.astype(np.uint16) * 200, name="microscope"))
    panel = widget.controllers.automatic.panel
    assert panel.run.preset.currentText() == "cells"
    assert "16-bit gray" in panel.run.outcome.text()
    photograph = viewer.add_image(COINS, name="photograph")
    widget.binding.set_image(photograph)
    widget.wait_until_idle(TIMEOUT_S)
    assert panel.run.preset.currentText() == "natural image"
    assert panel.run.outcome.text() == ""
    panel.run.preset.activated.emit(2)
    widget.binding.set_image(viewer.layers["microscope"])
    widget.wait_until_idle(TIMEOUT_S)
    assert panel.run.preset.currentText() == "few large"


def test_a_preview_is_as_fine_as_the_screen_wherever_the_image_is(opened):
    large = Image(np.kron(COINS, np.ones((6, 6), np.uint8)), name="coins")
    viewer, widget, panel = opened(large)
    camera = viewer.scene.camera
    camera.center, camera.zoom = (600, 800), 2.0
    widget.wait_until_idle(TIMEOUT_S)
    view = widget.binding.plane.visible_box
    press(widget, panel.run.visible)
    (tile,) = widget.session.automatic.request.tiles
    extent = max(view[2] - view[0], view[3] - view[1])
    assert extent < tile.side < 1.25 * extent
    assert widget.session.automatic.picture.masks
    assert "less detail, unless you choose tiles of" in panel.run.outcome.text()
    panel.run.detail.setCurrentIndex(panel.run.detail.count() - 1)
    assert "less detail" not in panel.run.outcome.text()
    picture = widget.session.automatic.picture
    camera.center = (9000, 9000)
    press(widget, panel.run.visible)
    assert widget.session.automatic.picture is picture  # nothing is lost
    assert "out of sight" in notification_manager.records[-1].message


def test_boxes_and_edges_are_layers(opened, monkeypatch):
    few = replace(automatic_by_products.EDGE_SETTINGS, points_per_side=5)
    monkeypatch.setattr(automatic_by_products, "EDGE_SETTINGS", few)
    viewer, widget, panel = opened()
    press(widget, panel.run.whole)
    press(widget, panel.results.boxes)
    boxes = viewer.layers["coins: boxes"]
    proposals = widget.session.automatic.picture.masks
    assert len(boxes.data) == len(proposals)
    scores = list(boxes.features["quality"])
    assert scores == sorted(scores, reverse=True)
    best = max(proposals, key=lambda one: one.quality)
    rows, columns = best.span
    np.testing.assert_allclose(boxes.data[0].min(0), (rows.start - 0.5, columns.start - 0.5))
    np.testing.assert_allclose(boxes.data[0].max(0), (rows.stop - 0.5, columns.stop - 0.5))
    press(widget, panel.results.edges)
    edges = viewer.layers["coins: edges"]
    assert edges.data.shape == COINS.shape
    assert 0 < (edges.data > 0).mean() < 0.5
    assert len(automatic_layers(viewer)) == 1
    messages = [one.message for one in notification_manager.records]
    assert not [one for one in messages if "could not" in one]


def test_masks_of_several_slices_are_reviewed_and_accepted_as_objects(opened):
    discs = moving_discs(6)[3:, 16:88, 12:84]
    viewer, widget, panel = opened(Image(discs, name="discs"))
    panel.set_settings(panel.settings.with_values(points_per_side=2))
    panel.run.slices.all.click()
    press(widget, panel.run.whole)
    (layer,) = automatic_layers(viewer)
    picture = widget.session.automatic.picture
    np.testing.assert_array_equal(layer.data, picture.labels)
    assert layer.data.shape == (3, 72, 72)
    assert f"{len(picture.masks)} objects in slices 0 to 2" in panel.run.outcome.text()
    viewer.dims.set_point(0, 0)
    widget.wait_until_idle(TIMEOUT_S)
    press(widget, panel.results.next)
    current = widget.session.automatic_review.current
    assert viewer.dims.current_step[0] == current.slice_index
    assert "slices 0 to 2" in panel.run.outcome.text()
    (overlay,) = [one for name, one in layer._overlays.items() if name == "napari-sam-mask"]
    for index in range(3):
        viewer.dims.set_point(0, index)
        widget.wait_until_idle(TIMEOUT_S)
        pixels = picture.alone(current)[index] != 0
        expected = Segments.around([(pixels, 0, 0)]).ends_rc
        np.testing.assert_array_equal(np.sort(overlay.segments.ends_rc, 0), np.sort(expected, 0))
    press(widget, accept_button(widget))
    (record,) = widget.binding.target.labels.registry
    assert (record.start[0], record.stop[0]) == (0, 3)
    assert [entry.slice_index for entry in record.slices] == [0, 1, 2]
    # The objects of the shown slice are examples for all slices of the range.
    panel.filters.sliders["least_likeness"].setValue(0)
    press(widget, panel.filters.like)
    generator, masks = widget.session.automatic, widget.session.automatic.picture.masks
    assert generator.request.n_slices == 3
    assert len(generator.examples.like) == 1
    assert all(0 <= mask.likeness <= 1 for mask in masks)
    assert list(automatic_layers(viewer)[0].features["likeness"]) == [
        round(mask.likeness, 4) for mask in masks
    ]
    press(widget, panel.results.next)
    rejected = widget.session.automatic_review.current
    press(widget, panel.results.reject)
    assert len(generator.examples.unlike) == len(rejected.keys)
    widget.session.undo()
    assert not generator.examples.unlike
    widget.session.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert not widget.binding.target.labels.layer.data.any()
    press(widget, panel.run.whole)
    panel.form.fields["min_slices"].setValue(4)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.automatic.picture.masks == ()
