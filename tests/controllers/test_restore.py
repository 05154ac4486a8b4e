"""Objects outlive the program: written down as they are made, offered and restored later."""

import errno
import gc
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.layers._source import layer_source
from skimage import data

from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.replaying import read_journal
from tests.comparable import comparable

TIMEOUT_S = 120
PLACES = [(68, 104), (70, 228), (190, 100)]


@pytest.fixture
def journal_lines(journals_folder):
    """Return the lines of the only journal."""

    def lines():
        (path,) = journals_folder.iterdir()
        return list(read_journal(path).entries())

    return lines


def coins(**options) -> Image:
    return Image(data.coins(), name="coins", **options)


def accept_at(viewer, widget, *places):
    widget.binding.prompts.start_points()
    for place in places:
        viewer.layers["SAM points"].add([place])
        widget.wait_until_idle(TIMEOUT_S)
        widget.binding.objects.accept()
        widget.wait_until_idle(TIMEOUT_S)


def known(widget):
    """All of the objects, in a form that can be compared; states without logits."""
    return [comparable(one) for one in widget.binding.target.labels.registry]


def directions(path):
    """The directions of the entries, without clicks that have rested: that depends on the time."""
    entries = [entry["direction"] for entry in read_journal(path).entries()]
    return [direction for direction in entries if direction != "unfinished"]


def paint(layer, rc, label_id):
    layer.selected_label, layer.brush_size = label_id, 9
    layer.paint(rc, label_id)


def test_after_a_crash_everything_is_offered_and_restored_exactly(
    make_widget, said, other_program, journals_folder
):
    viewer, widget = make_widget(coins(scale=(0.5, 0.25)))
    row = widget.controllers.restore.row
    assert row.isHidden()
    accept_at(viewer, widget, *PLACES)
    widget.session.objects.update([2], class_name="Münze", note="oben", reviewed=True)
    widget.session.classes.add("not used yet")
    widget.session.classes.recolor("Münze", "#123456")
    classes = widget.session.classes.table.classes
    labels = widget.binding.target.layer
    paint(labels, (70, 240), 2)
    paint(labels, (200, 300), 9)
    paint(labels, (10, 10), 2)
    for step in (labels.undo, labels.undo, labels.redo):  # napari's own: the last stroke is gone
        step()
        widget.wait_until_idle(TIMEOUT_S)
    assert labels.data[200, 300] == 9
    assert widget.binding.target.labels.registry.get(2).start > (20, 0)
    widget.session.objects.remove([3])
    widget.binding.objects.undo()
    labels.name = "renamed"
    widget.wait_until_idle(TIMEOUT_S)
    objects, pixels = known(widget), labels.data.copy()
    (path,) = journals_folder.iterdir()
    crashed = path.read_bytes()
    other_program()  # what the widget notes when it is closed comes after the crash
    widget.close()
    path.write_bytes(crashed)

    viewer, widget = make_widget(coins(scale=(0.5, 0.25)), Image(data.coins()[:99], name="other"))
    binding, row = widget.binding, widget.controllers.restore.row
    assert row.isHidden()  # the other image is annotated
    binding.set_image(viewer.layers["coins"])
    widget.wait_until_idle(TIMEOUT_S)
    assert not row.isHidden()
    assert "4 unsaved objects on 'coins' (today" in row._text.text()
    assert "did not exit cleanly" in row._text.text()
    row.restore.click()
    widget.wait_until_idle(TIMEOUT_S)
    assert row.isHidden()
    assert said[-1] == "Restored 4 objects into 'coins labels'."
    np.testing.assert_array_equal(binding.target.layer.data, pixels)
    assert known(widget) == objects
    assert widget.session.classes.table.classes == classes
    assert binding.target.layer.scale.tolist() == [0.5, 0.25]

    binding.objects.reedit(1)  # with its prompts, and what is done next goes into the same journal
    widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_allclose(viewer.layers["SAM points"].data, [PLACES[0]])
    widget.session.object_in_progress.clear()
    widget.session.objects.remove([1])
    (path,) = journals_folder.iterdir()
    assert path.read_bytes().startswith(crashed)
    assert read_journal(path).lines[-1].count(b'"gone":[1]') == 1


def test_what_was_closed_without_being_saved_is_offered_in_other_words(
    make_widget, other_program, journals_folder, said
):
    for count in (1, 2):
        viewer, widget = make_widget(coins())
        accept_at(viewer, widget, *PLACES[:count])
        widget.close()
    viewer, widget = make_widget(coins())
    accept_at(viewer, widget, PLACES[0])
    widget.binding.objects.undo()
    widget.binding.objects.undo()  # the click, too
    widget.close()  # leaves nothing to be restored
    assert len(list(journals_folder.iterdir())) == 2

    other_program()
    viewer, widget = make_widget(coins())
    row = widget.controllers.restore.row
    assert "2 unsaved objects on 'coins' (today" in row._text.text()
    assert "did not exit cleanly" not in row._text.text()
    assert "1 older set" in row._text.text()
    row._discard.click()
    assert row._discard.text() == "Really discard"
    assert len(list(journals_folder.iterdir())) == 2
    row._discard.click()
    assert "1 unsaved object on 'coins' (today" in row._text.text()
    assert row._discard.text() == "Discard objects"
    (path,) = journals_folder.iterdir()
    path.unlink()  # somebody else was faster
    row.restore.click()
    widget.wait_until_idle(TIMEOUT_S)
    assert "Could not restore" in said[-1]
    assert row.isHidden()
    assert widget.binding.target.layer is None


def test_a_deleted_layer_is_offered_at_once_and_to_no_other_image(make_widget, other_program, said):
    viewer, widget = make_widget(coins())
    accept_at(viewer, widget, *PLACES[:2])
    labels = widget.binding.target.layer.data.copy()
    viewer.layers.remove(widget.binding.target.layer)
    widget.wait_until_idle(TIMEOUT_S)
    row = widget.controllers.restore.row
    assert "2 unsaved objects on 'coins' (today" in row._text.text()
    assert "did not exit cleanly" not in row._text.text()
    row.later.click()
    assert row.isHidden()
    assert "Session > Restore unsaved objects" in said[-1]
    action = widget.controllers.session_file.row.restore
    assert action.isVisible()
    action.trigger()
    assert not row.isHidden()  # it shows the progress
    assert not action.isVisible()
    widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(widget.binding.target.layer.data, labels)
    assert row.isHidden()
    assert not action.isVisible()
    widget.close()

    other_program()
    mirrored = Image(data.coins()[:, ::-1], name="coins")
    viewer, widget = make_widget(mirrored, coins())
    widget.binding.set_image(viewer.layers["coins"])
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.controllers.restore.row.isHidden()
    viewer.layers["coins [1]"].name = "of another name"
    widget.binding.set_image(viewer.layers["of another name"])
    widget.wait_until_idle(TIMEOUT_S)
    assert "2 unsaved objects" in widget.controllers.restore.row._text.text()


def test_a_deleted_layer_that_is_not_the_target_now_is_offered_at_once_too(make_widget):
    viewer, widget = make_widget(coins())
    accept_at(viewer, widget, PLACES[0])
    first = widget.binding.target.layer
    widget.binding.target.set_layer(None)
    accept_at(viewer, widget, *PLACES[1:])
    viewer.layers.remove(first)
    widget.wait_until_idle(TIMEOUT_S)
    assert "1 unsaved object on 'coins' (today" in widget.controllers.restore.row._text.text()


def test_what_was_accepted_before_a_restore_stays_in_its_layer(make_widget, other_program, said):
    viewer, widget = make_widget(coins())
    accept_at(viewer, widget, *PLACES[:2])
    widget.close()
    other_program()
    viewer, widget = make_widget(coins())
    target = widget.binding.target
    accept_at(viewer, widget, PLACES[2])
    widget.controllers.restore.restore()
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1].startswith("Restored 2 objects into 'coins labels [1]'. 1 object stays in ")
    assert "'coins labels': to go on with it, choose that layer under 'write to'" in said[-1]
    for step in (widget.binding.objects.undo, widget.binding.objects.redo):
        said.clear()
        step()
        widget.wait_until_idle(TIMEOUT_S)
        assert said == ["That was in 'coins labels', while new objects go to 'coins labels [1]'."]
    viewer.cursor.position = PLACES[2]
    widget.binding.objects.reedit_under_cursor()  # takes it over
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    assert target.labels.layer.name == "coins labels [1]"
    assert [record.label_id for record in target.labels.registry] == [1, 2, 3]


def test_restored_labels_have_the_name_that_they_had(make_widget):
    viewer, widget = make_widget(coins())
    accept_at(viewer, widget, PLACES[0])
    for name in ("my nuclei", "mine"):
        widget.binding.target.layer.name = name
        viewer.layers.remove(widget.binding.target.layer)
        widget.wait_until_idle(TIMEOUT_S)
        widget.controllers.restore.row.restore.click()
        gc.collect()  # the new layer is in no viewer yet
        widget.wait_until_idle(TIMEOUT_S)
        assert widget.binding.target.layer.name == name


def test_labels_that_come_and_go_have_journals_of_their_own(
    make_widget, journals_folder, journal_lines
):
    viewer, widget = make_widget(coins())
    accept_at(viewer, widget, PLACES[0])
    first = widget.binding.target.layer
    first.data = np.where(first.data, 5, 0).astype(first.data.dtype)  # by a script
    accept_at(viewer, widget, PLACES[1])
    begun, gone_on = sorted(journals_folder.iterdir(), key=lambda path: path.name)
    assert directions(begun) == ["made", "closed"]
    assert directions(gone_on) == ["found", "made"]
    begun.unlink()

    viewer.layers.remove(first)
    assert journal_lines()[-1]["direction"] == "closed"
    widget.binding.objects.undo()  # is refused: the layer is gone
    assert journal_lines()[-1]["direction"] == "closed"
    mine = viewer.add_layer(Labels(np.zeros((303, 384), np.int32), name="mine"))
    widget.binding.target.set_layer(mine)
    paint(mine, (10, 10), 3)
    accept_at(viewer, widget, PLACES[2])
    assert len(list(journals_folder.iterdir())) == 2


def test_labels_of_a_wider_type_are_still_what_they_were_also_after_a_crash(
    make_widget, said, other_program
):
    viewer, widget = make_widget(coins())
    accept_at(viewer, widget, *PLACES[:2])
    widget.session.objects.update([1], class_name="coin", note="worn")
    target = widget.binding.target.layer
    before = sorted(known(widget), key=lambda one: one["label_id"])
    assert all(one["masks"] and one["state"] for one in before)
    pixels = target.data.astype(np.int64)
    pixels[pixels == 2] = 0
    pixels[5:9, 5:9] = 2
    target.data = target.data.astype(np.int64)
    assert known(widget) == before
    target.data = pixels
    assert known(widget)[0] == before[0]
    assert known(widget)[1]["state"] is None
    accept_at(viewer, widget, PLACES[2])
    at_the_end = known(widget)
    widget.close()

    other_program()
    _, again = make_widget(coins())
    again.controllers.restore.restore()
    again.wait_until_idle(TIMEOUT_S)
    assert again.binding.target.layer.data.dtype == np.int64
    assert known(again) == at_the_end


def test_objects_of_another_scene_of_the_file_are_not_offered(make_widget, other_program):
    def scenes():
        with layer_source(path="/data/plate.lif", reader_plugin="some"):
            return (
                Image(data.coins(), name="scene 1"),
                Image(data.coins()[::-1].copy(), name="scene 2"),
            )

    viewer, widget = make_widget(*scenes())
    widget.binding.set_image(viewer.layers["scene 1"])
    accept_at(viewer, widget, PLACES[0])
    widget.close()

    other_program()
    viewer, again = make_widget(*scenes())
    again.binding.set_image(viewer.layers["scene 2"])
    again.wait_until_idle(TIMEOUT_S)
    assert again.controllers.restore.row.isHidden()
    viewer.layers["scene 1"].name = "renamed"
    again.binding.set_image(viewer.layers["renamed"])
    again.wait_until_idle(TIMEOUT_S)
    assert "1 unsaved object on 'scene 1' (today" in again.controllers.restore.row._text.text()
    viewer.layers["renamed"].name = "scene 1"
    viewer.layers["scene 1"].data = data.coins()[:, ::-1]  # processed again, and saved there
    again.controllers.restore.find()
    again.wait_until_idle(TIMEOUT_S)
    assert not again.controllers.restore.row.isHidden()


def test_a_disk_that_is_full_warns_once_and_stops_nobody(make_widget, said, monkeypatch):
    viewer, widget = make_widget(coins())
    opened = Path.open

    def full(path, *args, **options):
        if path.name.endswith(".sam-journal.jsonl"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        accept_at(viewer, widget, *PLACES[:2])
    assert len(said) == 1
    assert "No space left" in said[0]
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "record", lambda *_: 1 / 0)
        accept_at(viewer, widget, PLACES[2])
    assert len(widget.binding.target.labels.registry) == 3
