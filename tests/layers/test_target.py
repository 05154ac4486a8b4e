"""Which layer accepted objects go to, as widgets, layers and views come and go."""

import threading

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.utils.notifications import notification_manager
from skimage import data

from napari_sam.layers import target_binding
from napari_sam.layers.target import TargetLayer
from napari_sam.session import ObjectRecord, TargetError
from napari_sam.session.objects.packed import PackedMask
from napari_sam.widget import SamWidget

TIMEOUT_S = 120
COIN_RC = (68, 104)
OTHER_COIN_RC = (68, 150)


@pytest.fixture
def coins() -> Image:
    return Image(data.coins(), name="coins")


def accept_at(viewer, widget, rc):
    widget.binding.prompts.start_points()
    viewer.layers.selection.active.add([rc])
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    return widget.binding.target.layer


def messages():
    return [record.message for record in notification_manager.records]


def test_a_reopened_widget_goes_on_with_the_target_of_the_one_before(
    make_widget, coins, remembering_predictor
):
    viewer, widget = make_widget(coins, Image(data.coins(), name="other"))
    widget.binding.set_image(coins)
    target = accept_at(viewer, widget, COIN_RC)
    target.name = coins.name = "renamed"
    widget.session.objects.update([1], class_name="coin", note="worn", reviewed=True)
    widget.session.classes.table.choose("coin")
    before = widget.binding.target.labels.registry.get(1)
    widget.close()
    target.data[COIN_RC[0] - 1, COIN_RC[1]] = 0  # what nobody follows

    again = SamWidget(viewer, load_predictor=lambda *_: remembering_predictor)
    try:
        again.binding.set_image(viewer.layers["other"])
        again.wait_until_idle(TIMEOUT_S)
        assert again.binding.target.layer is None
        again.binding.set_image(coins)
        again.wait_until_idle(TIMEOUT_S)
        assert again.binding.target.layer is target
        (record,) = again.binding.target.labels.registry
        assert vars(record) == {**vars(before), "area_px": before.area_px - 1}
        assert again.session.classes.table.current == "coin"
        accept_at(viewer, again, OTHER_COIN_RC)
        assert target.data[COIN_RC] == 1
        assert target.data[OTHER_COIN_RC] == 2
    finally:
        again.close()


def test_a_new_target_lies_above_the_old_one_and_is_not_given_up_for_it(make_widget, coins):
    viewer, widget = make_widget(coins)
    old = accept_at(viewer, widget, COIN_RC)
    widget.binding.target.set_layer(None)
    coins.contrast_limits = (10, 200)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.target.layer is None
    new = accept_at(viewer, widget, OTHER_COIN_RC)
    assert new is not old
    assert viewer.layers.index(new) == viewer.layers.index(old) + 1


def test_the_entry_for_a_new_layer_has_the_next_object_go_to_one(make_widget, coins):
    viewer, widget = make_widget(coins)
    old = accept_at(viewer, widget, COIN_RC)
    combo = widget.controllers.options.panel.target_combo
    combo.setCurrentText("new labels layer")
    assert widget.binding.target.layer is None
    new = accept_at(viewer, widget, OTHER_COIN_RC)
    assert combo.layer is new is not old
    assert (old.data[OTHER_COIN_RC], new.data[OTHER_COIN_RC]) == (0, 1)
    assert (old.data[COIN_RC], new.data[COIN_RC]) == (1, 0)


def test_undo_leaves_a_deleted_target_alone_and_says_so(make_widget, coins):
    viewer, widget = make_widget(coins)
    target = accept_at(viewer, widget, COIN_RC)
    viewer.layers.remove(target)
    before = target.data.copy()
    for step in (widget.binding.objects.undo, widget.binding.objects.redo):
        step()
        np.testing.assert_array_equal(target.data, before)
        assert "was deleted" in messages()[-1]
    assert widget.binding.target._followed == {}


def test_undo_for_an_image_that_is_gone_says_what_was_changed(make_widget, coins):
    viewer, widget = make_widget(coins)
    target = accept_at(viewer, widget, COIN_RC)
    other = viewer.add_image(data.coins()[::-1].copy(), name="other")
    widget.binding.set_image(other)
    widget.wait_until_idle(TIMEOUT_S)
    viewer.layers.remove(coins)
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert not target.data.any()
    assert "Object 1 was changed" in messages()[-1]
    said = len(messages())
    widget.binding.objects.undo()  # the click: nobody misses it
    assert len(messages()) == said


def test_objects_that_are_being_written_when_the_widget_is_closed_are_known(make_widget, coins):
    _, widget = make_widget(coins)
    target = accept_at(widget._viewer, widget, COIN_RC)
    mask = np.ones((3, 3), bool)
    records = [
        ObjectRecord(0, (), (), 0, 0.5, class_name="cell", masks=(PackedMask((y, x), mask),))
        for y in range(200, 290, 5)
        for x in range(0, 300, 5)
    ]
    widget.session.editing.add(records)
    followed = widget.binding.target.labels
    widget.close()
    known = {one.label_id: one.class_name for one in followed.registry}
    assert set(known) == set(np.unique(target.data)) - {0}
    cells = [label_id for label_id, name in known.items() if name == "cell"]
    assert len(cells) > 500
    features = target.features.set_index("index")
    assert set(features["class"][cells]) == {"cell"}


def test_a_target_chosen_in_3d_is_looked_at_when_the_plane_is_shown(make_widget):
    stack = Image(np.stack([data.coins()] * 2), name="stack", scale=(2, 1, 1))
    good, bad = (
        Labels(np.zeros((2, 303, 384), np.uint16), name=name, scale=(z, 1, 1))
        for name, z in (("good", 2), ("bad", 1))
    )
    viewer, widget = make_widget(stack, good, bad)
    for layer, kept in ((good, good), (bad, None)):
        viewer.dims.ndisplay = 3
        widget.wait_until_idle(TIMEOUT_S)
        widget.binding.target.set_layer(layer)
        assert widget.binding.target.require().layer is layer
        viewer.dims.ndisplay = 2
        widget.wait_until_idle(TIMEOUT_S)
        assert widget.binding.target.layer is kept
    assert "'bad' does not lie on the image" in messages()[-1]


def test_a_large_layer_is_a_target_once_its_objects_are_found(make_widget, coins, monkeypatch):
    viewer, widget = make_widget(coins)
    labels = np.zeros((303, 384), np.uint16)
    labels[200:210, 10:20], labels[250:260, 10:20] = 3, 7
    features = {"index": [7], "class": ["cell"]}
    layer = viewer.add_labels(labels, name="large", features=features)
    monkeypatch.setattr(target_binding, "_MAX_SCANNED_PX", 0)
    gate, scan = threading.Event(), TargetLayer.scan

    def held_scan(target, check):
        records = scan(target, check)
        assert gate.wait(TIMEOUT_S)
        return records

    monkeypatch.setattr(TargetLayer, "scan", held_scan)
    combo = widget.controllers.options.panel.target_combo
    combo.setCurrentText("large")
    assert widget.binding.target.layer is layer is combo.layer
    assert widget.binding.target.labels is None
    for edit in (widget.session.objects.remove, widget.session.objects.reedit):
        with pytest.raises(TargetError, match="'large' is still being read"):
            edit([3])
    with pytest.raises(TargetError, match="'large' is still being read"):
        widget.binding.target.require()
    layer.data_setitem((np.array([205, 300]), np.array([15, 300])), np.array([0, 9]))
    gate.set()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.target.layer is layer is combo.layer
    records = {record.label_id: record for record in widget.binding.target.labels.registry}
    assert {label_id: record.area_px for label_id, record in records.items()} == {
        3: 99,
        7: 100,
        9: 1,
    }
    assert records[7].class_name == "cell"
    assert widget.controllers.objects.tab.title == "Objects (3)"


def test_another_choice_meanwhile_wins_over_a_large_layer(make_widget, coins, monkeypatch):
    viewer, widget = make_widget(coins)
    layers = [viewer.add_labels(np.ones((303, 384), np.uint8), name=name) for name in "abc"]
    monkeypatch.setattr(target_binding, "_MAX_SCANNED_PX", 0)
    target = widget.binding.target
    target.set_layer(layers[0])
    target.set_layer(layers[1])  # while the other one is read
    widget.wait_until_idle(TIMEOUT_S)
    assert target.layer is layers[1]
    assert len(target.labels.registry) == 1
    target.set_layer(layers[2])
    viewer.layers.remove(layers[2])
    widget.wait_until_idle(TIMEOUT_S)
    assert target.layer is None
    target.set_layer(layers[0])  # it was read meanwhile
    assert len(target.labels.registry) == 1


def test_a_large_layer_is_still_the_target_after_another_image_was_shown(
    make_widget, coins, monkeypatch
):
    viewer, widget = make_widget(coins)
    viewer.add_image(255 - data.coins(), name="other")
    layer = viewer.add_labels(np.ones((303, 384), np.uint8), name="large")
    monkeypatch.setattr(target_binding, "_MAX_SCANNED_PX", 0)
    widget.binding.target.set_layer(layer)
    widget.binding.set_image(viewer.layers["other"])  # while it is read
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.set_image(coins)
    assert widget.binding.target.layer is layer
    assert len(widget.binding.target.labels.registry) == 1


def test_a_large_layer_that_cannot_be_read_leaves_the_former_target(
    make_widget, coins, monkeypatch
):
    viewer, widget = make_widget(coins)
    combo = widget.controllers.options.panel.target_combo
    former, broken = (
        viewer.add_labels(np.ones((303, 384), np.uint8), name=name) for name in ("former", "broken")
    )
    widget.binding.target.set_layer(former)
    monkeypatch.setattr(target_binding, "_MAX_SCANNED_PX", 0)
    monkeypatch.setattr(TargetLayer, "read", lambda *_: (_ for _ in ()).throw(OSError("no disk")))
    combo.setCurrentText("broken")
    assert widget.binding.target.layer is broken
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.target.layer is former is combo.layer
    assert any("'broken' could not be read" in message for message in messages())


def test_two_large_layers_that_cannot_be_read_are_each_given_up_once(
    make_widget, coins, monkeypatch
):
    viewer, widget = make_widget(coins)
    layers = [viewer.add_labels(np.ones((303, 384), np.uint8), name=name) for name in "ab"]
    monkeypatch.setattr(target_binding, "_MAX_SCANNED_PX", 0)
    monkeypatch.setattr(TargetLayer, "read", lambda *_: (_ for _ in ()).throw(OSError("no disk")))
    notification_manager.records.clear()
    for layer in layers:  # the second one before the first is read
        widget.binding.target.set_layer(layer)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.target.layer is None
    warned = [message for message in messages() if "could not be read" in message]
    assert len(warned) == 2


def threads_that_read(monkeypatch):
    """Return the set of threads that read a target, which grows from here on."""
    threads, read = set(), TargetLayer.read

    def noting_read(target, region):
        threads.add(threading.get_ident())
        return read(target, region)

    monkeypatch.setattr(TargetLayer, "read", noting_read)
    return threads


def test_large_layers_are_never_read_on_the_thread_of_the_window(make_widget, coins, monkeypatch):
    viewer, widget = make_widget(coins)
    layers = [viewer.add_labels(np.ones((303, 384), np.uint8), name=name) for name in "ab"]
    monkeypatch.setattr(target_binding, "_MAX_SCANNED_PX", 0)
    threads = threads_that_read(monkeypatch)
    gate = threading.Event()
    writer = widget.session.editing.executor
    writer.submit(lambda _: gate.wait(TIMEOUT_S), lambda _: None, lambda _: None)
    for layer in layers:  # while something is written
        widget.binding.target.set_layer(layer)
    gate.set()
    widget.wait_until_idle(TIMEOUT_S)
    assert threads
    assert threading.get_ident() not in threads


def test_other_data_of_a_large_layer_is_read_in_the_background(make_widget, coins, monkeypatch):
    viewer, widget = make_widget(coins)
    layer = viewer.add_labels(np.ones((303, 384), np.uint8), name="large")
    widget.binding.target.set_layer(layer)
    widget.session.objects.update([1], note="the whole")
    monkeypatch.setattr(target_binding, "_MAX_SCANNED_PX", 0)
    threads = threads_that_read(monkeypatch)
    two = np.ones((303, 384), np.uint8)
    two[9:20, 9:20] = 2
    layer.data = two
    assert widget.binding.target.labels is None
    with pytest.raises(TargetError, match="'large' is still being read"):
        widget.session.objects.update([1], note="too early")
    layer.data = np.where(two == 2, 3, 0).astype(np.uint8)  # while the data before is read
    widget.wait_until_idle(TIMEOUT_S)
    assert threads
    assert threading.get_ident() not in threads
    (record,) = widget.binding.target.labels.registry
    assert (record.label_id, record.area_px, record.note) == (3, 121, "")
    widget.session.objects.update([3], note="read")
