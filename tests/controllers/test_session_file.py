"""A whole session to a file, and on with it in another window, on another computer."""

import copy
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels
from qtpy.QtWidgets import QMessageBox
from skimage import data

from napari_sam._reader import get_reader
from napari_sam.controllers import session_file as session_files
from napari_sam.layers.target_features import classes_in
from napari_sam.session import ArrayLabels, ObjectClass, Prompts, write_session
from napari_sam.session.journal import files as journal_files
from napari_sam.session.journal.entries import to_line
from napari_sam.session.journal.session_file import SESSION_SUFFIX, SessionInfo
from tests.comparable import comparable
from tests.session.annotating import REFERENCE, SHAPE

TIMEOUT_S = 120
PLACES = [(68, 104), (70, 228)]
HALF_MADE = (190, 100)


@pytest.fixture
def path(tmp_path) -> Path:
    folder = tmp_path / "sessions"
    folder.mkdir()
    return folder / f"day{SESSION_SUFFIX}"


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


def click_at(viewer, widget, place):
    viewer.layers["SAM points"].add([place])
    widget.wait_until_idle(TIMEOUT_S)


def test_a_second_person_goes_on_beside_a_copy_of_the_image(
    make_widget, said, path, tmp_path, monkeypatch
):
    image = tmp_path / "images" / "coins.tif"
    image.parent.mkdir()
    tifffile.imwrite(image, data.coins())
    viewer, widget = make_widget()
    viewer.open(str(image))
    widget.wait_until_idle(TIMEOUT_S)
    accept_at(viewer, widget, *PLACES)
    widget.session.objects.update([2], class_name="Münze", note="oben", reviewed=True)
    widget.session.classes.load((ObjectClass("Ring", "#00aa00"), ObjectClass("Münze", "#ff8800")))
    widget.binding.objects.reedit(1)
    widget.wait_until_idle(TIMEOUT_S)
    click_at(viewer, widget, (60, 100))
    widget.session.object_in_progress.choose(1)
    widget.wait_until_idle(TIMEOUT_S)
    prompts, objects = widget.session.state.prompts, known(widget)
    pixels = widget.binding.target.layer.data.copy()
    widget.controllers.session_file.save(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert said == [f"Saved 2 objects to {path.name}."]
    widget.close()
    monkeypatch.setattr(journal_files, "_started", lambda pid: 1)

    ((labels, meta, kind),) = get_reader(str(path))(str(path))  # in napari's own dialogs
    np.testing.assert_array_equal(labels, pixels)
    assert (kind, meta["name"]) == ("labels", "coins labels")
    row = meta["features"].set_index("index").loc[2]
    assert (row["class"], row["reviewed"], row["note"]) == ("Münze", True, "oben")
    assert [one.color for one in classes_in(meta["metadata"])] == ["#00aa00", "#ff8800"]

    asked = []

    def answer(button):
        return lambda box: asked.append(box.text().rsplit("\n", 1)[-1]) or button

    # Another computer: the same two folders somewhere else, and nothing where they were.
    moved = tmp_path.rename(tmp_path.with_name(f"{tmp_path.name} moved"))
    viewer, widget = make_widget(Image(data.coins() // 2, name="coins"))
    assert widget.controllers.restore.row.isHidden()
    # The image lies in another folder: it is opened only if the user agrees.
    monkeypatch.setattr(QMessageBox, "exec", answer(QMessageBox.StandardButton.Cancel))
    widget.controllers.session_file.open(moved / "sessions" / path.name)
    widget.wait_until_idle(TIMEOUT_S)
    assert "Image not found. Open" in said[-1]
    monkeypatch.setattr(QMessageBox, "exec", answer(QMessageBox.StandardButton.Open))
    widget.controllers.session_file.open(moved / "sessions" / path.name)
    widget.wait_until_idle(TIMEOUT_S)
    assert asked == [str(moved / "images" / "coins.tif")] * 2
    assert said[-1] == f"Loaded 2 objects from {path.name} into 'coins labels'."
    assert widget.binding.plane.image.source.path == str(moved / "images" / "coins.tif")
    np.testing.assert_array_equal(widget.binding.target.layer.data, pixels)
    assert known(widget) == objects
    classes = [(one.name, one.color) for one in widget.session.classes.table.classes]
    assert classes == [("Ring", "#00aa00"), ("Münze", "#ff8800")]
    assert widget.session.state.prompts == prompts
    assert widget.session.state.chosen == 1
    assert len(viewer.layers["SAM points"].data) == 2
    widget.binding.objects.accept()  # replaces the object that was re-edited on the other computer
    assert [one.label_id for one in widget.binding.target.labels.registry] == [2, 1]
    widget.binding.objects.undo()
    np.testing.assert_array_equal(widget.binding.target.layer.data, pixels)
    moved.rename(tmp_path)


def test_the_image_is_known_among_the_open_layers_whatever_it_is_called(make_widget, said, path):
    stack = np.stack([data.coins()[::-1], data.coins()])
    viewer, widget = make_widget(Image(stack, name="stack", scale=(3, 1, 1)))
    viewer.dims.set_point(0, 3)
    widget.wait_until_idle(TIMEOUT_S)
    accept_at(viewer, widget, (1, *PLACES[0]))
    click_at(viewer, widget, (1, *HALF_MADE))
    prompts = widget.session.state.prompts
    pixels = widget.binding.target.layer.data.copy()
    widget.controllers.session_file.save(path)
    widget.wait_until_idle(TIMEOUT_S)
    widget.close()

    alike = Image(stack[::-1].copy(), name="stack", scale=(3, 1, 1))
    renamed = Image(stack, name="other", scale=(3, 1, 1))
    viewer, widget = make_widget(renamed, alike)
    viewer.dims.set_point(0, 0)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.plane.image is alike
    widget.controllers.session_file.open(path)
    widget.wait_until_idle(TIMEOUT_S)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.plane.image is renamed
    assert viewer.dims.point[0] == 3
    np.testing.assert_array_equal(widget.binding.target.layer.data, pixels)
    assert widget.session.state.prompts == prompts
    widget.controllers.session_file.open(path)  # once more: into another layer, and nothing is lost
    widget.wait_until_idle(TIMEOUT_S)
    assert [one.name for one in viewer.layers if isinstance(one, Labels) and one.data.any()][
        :2
    ] == ["stack labels", "stack labels [1]"]


def test_what_cannot_be_opened_is_told_and_changes_nothing(make_widget, said, path, tmp_path):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    accept_at(viewer, widget, PLACES[0])
    widget.controllers.session_file.save(path.parent / "missing" / "day")
    widget.wait_until_idle(TIMEOUT_S)
    assert "cannot be written" in said[-1]
    widget.controllers.session_file.save(path)
    widget.wait_until_idle(TIMEOUT_S)
    widget.controllers.objects.tab.select()
    layers, objects = list(viewer.layers), known(widget)
    header, *lines = path.read_bytes().splitlines(keepends=True)

    def refusal(*written):
        path.write_bytes(b"".join(written))
        widget.controllers.session_file.open(path)
        widget.wait_until_idle(TIMEOUT_S)
        assert list(viewer.layers) == layers
        assert known(widget) == objects
        assert widget.controllers.session_file.row.open.isEnabled()
        return said[-1]

    def with_header(**changes):
        content = {**json.loads(header), **changes}
        del content["crc"]
        return to_line(content)

    assert "not a session file" in refusal(b"{}\n")
    assert "incomplete" in refusal(header, *lines[:-1])
    assert "newer version" in refusal(with_header(format=9), *lines)
    image = json.loads(header)["image"]
    elsewhere = {**image, "fingerprint": "0", "source": "/data/cells.tif"}
    message = refusal(with_header(image=elsewhere), *lines)
    assert "Open 'coins'" in message
    assert "(303 x 384, uint8, saved from /data/cells.tif)" in message
    tifffile.imwrite(path.parent / "cells.tif", data.coins()[:99])
    assert "now holds another image" in refusal(with_header(image=elsewhere), *lines)
    (path.parent / "cells.npy").touch()
    elsewhere["source"] = "cells.npy"
    assert "Could not open" in refusal(with_header(image=elsewhere), *lines)


def test_what_a_session_names_is_never_run_nor_waited_for(make_widget, said, path, monkeypatch):
    mark = path.parent / "ran"
    for script in (path.with_name("picture.py"), path.parents[1] / "picture.py"):
        script.write_text(f"open({str(mark)!r}, 'w').close()\n")
    (path.parent / "deep.zarr").mkdir()
    (path.parent / "deep.zarr" / "a.png").touch()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path.parent / "pipe.png")
        (path.parent / "device.png").symlink_to("/dev/zero")
    write_session(
        path, SessionInfo(REFERENCE, "labels"), ArrayLabels(np.zeros(SHAPE, np.uint8)), ()
    )
    header, *lines = path.read_bytes().splitlines(keepends=True)
    monkeypatch.setattr(QMessageBox, "exec", lambda _: QMessageBox.StandardButton.Open)
    viewer, widget = make_widget()
    names = ("picture.py", "../picture.py", "picture.PY", "pipe.png", "device.png")
    for name in (*names, "deep.zarr/a.png"):
        image = {**asdict(REFERENCE), "source": str(path.parent / name), "beside": name}
        content = {**json.loads(header), "image": image}
        del content["crc"]
        path.write_bytes(b"".join([to_line(content), *lines]))
        said.clear()
        widget.controllers.session_file.open(path)
        widget.wait_until_idle(TIMEOUT_S)
        assert "Image not found. Open" in said[-1], name
        assert not mark.exists(), name
        assert not any(isinstance(layer, Image) for layer in viewer.layers), name


def test_an_object_in_progress_without_sense_is_told_of(make_widget, said, path):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    accept_at(viewer, widget, PLACES[0])
    click_at(viewer, widget, HALF_MADE)
    widget.controllers.session_file.save(path)
    widget.wait_until_idle(TIMEOUT_S)
    header, *lines = path.read_bytes().splitlines(keepends=True)
    good = json.loads(header)
    del good["crc"]
    for change, prompts in (
        ({"choice": 99}, 1),
        ({"tile": [0, 10**12, 10**12, 1, 10**12]}, 1),
        ({"points_xy": [[4e8, -4e8]]}, 0),
    ):
        content = copy.deepcopy(good)
        content["being_made"]["state"].update(change)
        path.write_bytes(b"".join([to_line(content), *lines]))
        widget.controllers.session_file.open(path)
        widget.wait_until_idle(TIMEOUT_S)
        widget.wait_until_idle(TIMEOUT_S)
        assert "Loaded 1 object from" in said[-1]
        assert (widget.session.state.candidates is not None) == bool(prompts)
        widget.binding.objects.go_to(1)


def test_only_objects_that_are_there_are_told_of(make_widget, said, path):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    accept_at(viewer, widget, *PLACES[:2])
    widget.controllers.session_file.save(path)
    widget.wait_until_idle(TIMEOUT_S)
    header, first, *lines = path.read_bytes().splitlines(keepends=True)
    content = {**json.loads(first), "records": []}
    del content["crc"]
    path.write_bytes(b"".join([header, to_line(content), *lines]))
    widget.controllers.session_file.open(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert len(known(widget)) == 1
    assert "Loaded 1 object from" in said[-1]


@pytest.mark.parametrize("part", ["labels_for", "counted"])
def test_whatever_fails_another_file_can_be_opened(make_widget, said, path, monkeypatch, part):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    accept_at(viewer, widget, PLACES[0])
    widget.controllers.session_file.save(path)
    widget.wait_until_idle(TIMEOUT_S)
    with monkeypatch.context() as broken:
        broken.setattr(session_files, part, lambda *_: [][1])
        widget.controllers.session_file.open(path)
        widget.wait_until_idle(TIMEOUT_S)
        assert "Could not open the session (IndexError)" in said[-1]
        assert widget.controllers.session_file.row.open.isEnabled()
        assert widget.controllers.session_file.row.save.isEnabled()
    widget.controllers.session_file.open(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert "Loaded 1 object from" in said[-1]


def test_what_is_done_while_a_session_is_saved_is_in_the_file(make_widget, said, path, monkeypatch):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    accept_at(viewer, widget, PLACES[0])
    write, times = session_files.write_session, []

    def slow(*args):
        write(*args)
        if not times:
            widget._dispatcher.post(lambda: widget.session.objects.update([1], note="meanwhile"))
        times.append(1)

    monkeypatch.setattr(session_files, "write_session", slow)
    widget.controllers.session_file.save(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert len(times) == 2
    assert "meanwhile" in path.read_text()
    assert len(said) == 1
    assert widget.session.state.prompts == Prompts()


def test_a_target_chosen_while_a_session_is_saved_does_not_get_into_its_file(
    make_widget, said, path, monkeypatch
):
    other = Labels(np.zeros((303, 384), np.uint16), name="other")
    _, widget = make_widget(Image(data.coins(), name="coins"), other)
    target = widget.binding.target.require()
    target.layer.data[33:69, 137:173] = 1
    target.layer.data = target.layer.data
    write, times = session_files.write_session, []

    def choose_another():
        widget.session.objects.update([1], note="meanwhile")
        widget.binding.target.set_layer(other)

    def slow(*args):
        write(*args)
        if not times:
            widget._dispatcher.post(choose_another)
        times.append(1)

    monkeypatch.setattr(session_files, "write_session", slow)
    widget.controllers.session_file.save(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert len(times) == 2
    saved = session_files.read_session(path)
    assert saved.info.labels_name == target.layer.name != "other"
    assert "meanwhile" in path.read_text()
    assert said == [f"Saved 1 object to {path.name}."]


def test_an_object_begun_from_another_labels_layer_is_restored(make_widget, said, path):
    labels = np.zeros((303, 384), np.int32)
    labels[33:69, 137:173] = 9
    coins = data.coins()
    viewer, widget = make_widget(Image(coins, name="coins"), Labels(labels, name="cellpose"))
    accept_at(viewer, widget, PLACES[0])
    viewer.cursor.position = (51, 155)
    widget.binding.objects.reedit_under_cursor()
    widget.wait_until_idle(TIMEOUT_S)
    prompts = widget.session.state.prompts
    assert not prompts.is_empty
    widget.controllers.session_file.save(path)
    widget.wait_until_idle(TIMEOUT_S)
    widget.close()
    _, other = make_widget(Image(coins, name="coins"))
    other.controllers.session_file.open(path)
    other.wait_until_idle(TIMEOUT_S)
    assert not any("unfinished" in message for message in said)
    assert other.session.state.prompts == prompts
