"""Objects of the target to files and back, in the widget and in napari's own dialogs."""

import json
from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image, Labels
from PIL import Image as PillowImage
from qtpy.QtWidgets import QFileDialog, QMessageBox
from skimage import data

from napari_sam import _reader
from napari_sam._qt.export_row import ExportScope
from napari_sam._reader import get_reader
from napari_sam.formats import (
    FORMATS,
    READ_SUFFIXES,
    TRACK_FORMATS,
    ImageInfo,
    read_npz,
    read_objects,
)

TIMEOUT_S = 120
PLUGIN = "napari-sam-live"


@pytest.fixture
def opened(make_widget, said):
    """Open the coins with a target of two objects, one of them with a class."""
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    return viewer, widget, add_objects(viewer, widget)


def add_objects(viewer, widget):
    labels = np.zeros(data.coins().shape, np.uint16)
    labels[10:30, 20:50], labels[60:90, 100:120] = 3, 7
    layer = viewer.add_layer(Labels(labels, name="mine"))
    widget.binding.target.set_layer(layer)
    widget.session.classes.add("Münze", "#102030")
    widget.session.objects.update([3, 7], class_name="Münze")
    widget.session.objects.update([7], reviewed=True, note="nochmal\nansehen 核")
    return layer


def test_every_format_is_written_and_what_can_be_read_comes_back(opened, said, tmp_path):
    viewer, widget, layer = opened
    for number, entry in enumerate(FORMATS):
        folder = tmp_path / str(number)
        folder.mkdir()
        export_and_import(widget, layer, said, folder, entry)
        viewer.layers.remove(layer)
        for object_class in widget.session.classes.table.classes:
            widget.session.classes.remove(object_class.name)
        layer = add_objects(viewer, widget)


def export_and_import(widget, layer, said, folder, entry):
    title, (suffix, *_) = entry.title, entry.suffixes
    path, files = folder / f"objects{suffix}", widget.controllers.objects.files
    files.export_to(path, title, False)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1].startswith(f"Exported 2 objects to {path.name}")
    assert path.stat().st_size > 0
    if title.startswith("Semantic"):
        legend = (folder / "objects_classes.csv").read_text("utf-8-sig").splitlines()
        assert legend[1:] == ["0,background,#000000", "1,Münze,#102030"]
    if not path.name.endswith(READ_SUFFIXES):
        return
    before = layer.data.copy()
    widget.session.objects.remove([3, 7])
    widget.session.classes.remove("Münze")
    files.import_from(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == f"Imported 2 objects from {path.name}."
    np.testing.assert_array_equal(layer.data > 0, before > 0)
    assert len(np.unique(layer.data)) == 3
    records = sorted(widget.binding.target.labels.registry, key=lambda record: record.start)
    if suffix != ".npy":
        assert {record.class_name for record in records} == {"Münze"}
    if title.startswith("Semantic"):
        assert [entry.color for entry in widget.session.classes.table.classes] == ["#102030"]
    elif suffix not in (".npy", ".txt"):
        assert [record.reviewed for record in records] == [False, True]
        assert [record.note for record in records] == ["", "nochmal\nansehen 核"]
        assert [entry.color for entry in widget.session.classes.table.classes] == ["#102030"]
    widget.binding.objects.undo()
    assert not layer.data.any()
    widget.binding.objects.redo()
    np.testing.assert_array_equal(layer.data > 0, before > 0)


def test_imported_objects_get_free_numbers_and_keep_others(opened, said, tmp_path):
    _, widget, layer = opened
    path, files = tmp_path / "objects.npz", widget.controllers.objects.files
    files.export_to(path, "NPZ", False)
    widget.wait_until_idle(TIMEOUT_S)
    widget.session.objects.remove([3])
    files.import_from(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1].startswith("Imported 1 object")
    assert "1 left out because other objects cover them" in said[-1]
    assert set(np.unique(layer.data)) == {0, 7, 8}
    assert (layer.data[10:30, 20:50] == 8).all()


def test_objects_without_a_mask_are_told(opened, said, tmp_path, monkeypatch):
    _, widget, _ = opened
    monkeypatch.setattr(_reader, "show_warning", said.append)
    path, files = tmp_path / "objects.json", widget.controllers.objects.files
    files.export_to(path, "COCO RLE", False)
    widget.wait_until_idle(TIMEOUT_S)
    content = json.loads(path.read_text())
    del content["annotations"][0]["segmentation"]
    path.write_text(json.dumps(content))
    widget.session.objects.remove([3, 7])
    files.import_from(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == (
        "Imported 1 object from objects.json; 1 annotation without a mask left out."
    )
    assert len(get_reader(str(path))(str(path))) == 1
    assert said[-1] == "coins: 1 annotation without a mask left out."


def test_an_import_keeps_also_what_is_tiny_where_others_are(opened, said, tmp_path):
    _, widget, layer = opened
    path, files = tmp_path / "objects.npz", widget.controllers.objects.files
    files.export_to(path, "NPZ", False)
    widget.wait_until_idle(TIMEOUT_S)
    places = np.nonzero(layer.data == 3)
    layer.data[places] = 7
    layer.data[places[0][0], places[1][0]] = 0
    files.import_from(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1].startswith("Imported 1 object")
    assert np.count_nonzero(layer.data == 8) == 1


def test_an_import_makes_a_layer_only_of_a_file_that_was_read(make_widget, said, tmp_path):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    files, bad, good = (
        widget.controllers.objects.files,
        tmp_path / "bad.geojson",
        tmp_path / "good.npy",
    )
    widget.wait_until_idle(TIMEOUT_S)
    before = list(viewer.layers)
    bad.write_text('{"features": [{"geometry": {"coordinates": []}}]}')
    files.import_from(bad)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1].startswith("This is not GeoJSON of polygons (feature 1 has no")
    assert said[-1].endswith(": bad.geojson")
    assert list(viewer.layers) == before
    np.save(good, np.eye(*data.coins().shape, dtype=np.uint8))
    files.import_from(good)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == "Imported 1 object from good.npy."
    (made,) = set(viewer.layers) - set(before)
    assert made is widget.binding.target.layer


def test_failures_are_told_and_lose_nothing(opened, said, tmp_path):
    _, widget, layer = opened
    before, files = layer.data.copy(), widget.controllers.objects.files
    files.export_to(tmp_path / "missing" / "objects.npz", "NPZ", False)
    widget.wait_until_idle(TIMEOUT_S)
    assert "cannot be written" in said[-1]
    (tmp_path / "objects.npz").write_text("none")
    files.import_from(tmp_path / "objects.npz")
    widget.wait_until_idle(TIMEOUT_S)
    assert "cannot be read as an NPZ file" in said[-1]
    np.testing.assert_array_equal(layer.data, before)
    assert files.row.export.isEnabled()


def test_dialogs_name_the_formats_and_give_files_their_suffix(opened, tmp_path, monkeypatch):
    viewer, widget, _ = opened
    row, asked = widget.controllers.objects.files.row, []

    def choose(_parent, _title, _folder, filters, *_):
        asked.extend(filters.split(";;"))
        return str(tmp_path / "objects"), next(
            name_filter for name_filter in asked if "NPZ" in name_filter
        )

    monkeypatch.setattr("napari_sam._qt.export_row.ask_for_name", choose)
    row.export.click()
    widget.wait_until_idle(TIMEOUT_S)
    titles = [entry.title for entry in FORMATS]
    assert [name_filter.partition(" (")[0] for name_filter in asked] == titles
    assert len(read_npz(tmp_path / "objects.npz").objects) == 2
    # Slices may be frames, whose tracks other formats hold.
    viewer.layers.selection.active = stack = viewer.add_image(np.zeros((2, 8, 8)))
    widget.binding.set_image(stack)
    asked.clear()
    (tmp_path / "objects.npz").unlink()  # or the user is asked whether to overwrite it
    row.export.click()
    titles += [entry.title for entry in TRACK_FORMATS]
    assert [name_filter.partition(" (")[0] for name_filter in asked] == titles


def test_dialogs_suggest_a_name_beside_the_image(make_widget, said, tmp_path, monkeypatch):
    folder, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    for place in (folder, elsewhere):
        place.mkdir()
    PillowImage.fromarray(data.coins()).save(folder / "coins.png")
    viewer, widget = make_widget()
    (image,) = viewer.open(folder / "coins.png", plugin="napari")
    image.name = "coins 1/2"
    widget.wait_until_idle(TIMEOUT_S)
    row, session = widget.controllers.objects.files.row, widget.controllers.session_file.row
    begun = []

    def choose(_parent, _title, start, filters, *_):
        begun.append(start)
        return str(elsewhere / "mine"), filters.split(";;")[0]

    monkeypatch.setattr("napari_sam._qt.export_row.ask_for_name", choose)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.No)

    def started(begin):
        begin()
        widget.wait_until_idle(TIMEOUT_S)
        return begun.pop()

    assert started(row.export.click) == ""
    widget.binding.target.require()
    assert started(row.export.click) == str(folder / "coins.tif")
    assert started(session.save.trigger) == str(folder / "coins 1_2")
    widget.binding.set_image(viewer.add_image(data.coins(), name="in memory"))
    widget.wait_until_idle(TIMEOUT_S)
    assert started(session.save.trigger) == str(elsewhere / "in memory")


@pytest.fixture
def with_channels_last(make_widget, said):
    """Open coins whose channels are the last axis, with one object."""
    image = Image(np.stack([data.coins()] * 3, axis=-1), name="channels", rgb=False)
    viewer, widget = make_widget(image, wait=False)
    viewer.dims.order = (2, 0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    plane = widget.binding.plane
    plane.set_appearance(replace(plane.source.appearances.of(image), channel_axis=2))
    widget.wait_until_idle(TIMEOUT_S)
    labels = np.zeros((303, 384, 1), np.uint16)
    labels[10:30, 20:50] = 3
    where = {"scale": (1, 1, 3), "translate": (0, 0, 1)}  # the place of all three channels
    layer = viewer.add_layer(Labels(labels, name="mine", **where))
    widget.binding.target.set_layer(layer)
    return viewer, widget, layer


def test_objects_of_an_image_with_its_channels_last_go_to_files_and_back(
    with_channels_last, said, tmp_path
):
    viewer, widget, layer = with_channels_last
    files, path, saved = widget.controllers.objects.files, tmp_path / "a.json", tmp_path / "b.json"
    files.export_to(path, "COCO RLE", False)
    widget.wait_until_idle(TIMEOUT_S)
    viewer.layers.selection = {layer}
    viewer.layers.save(str(saved), selected=True, plugin=PLUGIN)
    for file in (path, saved):
        (obj,) = read_objects(file, ImageInfo((303, 384), "mine")).objects
        assert (obj.top, obj.left, obj.mask.shape) == (10, 20, (20, 30))
    before = layer.data.copy()
    widget.session.objects.remove([3])
    files.import_from(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == "Imported 1 object from a.json."
    np.testing.assert_array_equal(layer.data > 0, before > 0)
    widget.controllers.batch_prompts.use_file(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.controllers.batch_prompts.panel._about.text() == "1 object in a.json."


@pytest.mark.parametrize("name", ["a.json", "a.geojson"])
def test_naparis_own_dialogs_keep_what_is_known_of_objects(opened, tmp_path, name):
    viewer, widget, layer = opened
    layer.features = {"index": [1, 3], "mine": [0.5, 2.5]}
    widget.session.objects.update([3], note="n")
    widget.wait_until_idle(TIMEOUT_S)
    assert list(layer.features["mine"].dropna()) == [0.5, 2.5]
    assert list(layer.features["index"]) == [1, 3, 7]
    viewer.layers.selection = {layer}
    viewer.layers.save(str(tmp_path / name), selected=True, plugin=PLUGIN)
    widget.session.classes.remove("Münze")
    (opened_again,) = viewer.open(str(tmp_path / name), plugin=PLUGIN)
    widget.binding.target.set_layer(opened_again)
    records = {record.label_id: record for record in widget.binding.target.labels.registry}
    assert {record.class_name for record in records.values()} == {"Münze"}
    assert (records[3].reviewed, records[3].note) == (False, "n")
    assert (records[7].reviewed, records[7].note) == (True, "nochmal\nansehen 核")
    assert [entry.color for entry in widget.session.classes.table.classes] == ["#102030"]


def test_files_are_about_the_image_and_never_replace_it(make_widget, said, tmp_path):
    PillowImage.fromarray(data.coins()).save(tmp_path / "gray16.png")
    viewer, widget = make_widget()
    viewer.open(tmp_path / "gray16.png", plugin="napari")
    widget.wait_until_idle(TIMEOUT_S)
    files, layer = widget.controllers.objects.files, widget.binding.target.require().layer
    layer.data[10:30, 20:50] = 3
    layer.refresh()
    files.export_to(tmp_path / "a.json", "COCO RLE", False)
    widget.wait_until_idle(TIMEOUT_S)
    viewer.layers.selection = {layer}
    viewer.layers.save(str(tmp_path / "b.json"), selected=True, plugin=PLUGIN)
    for name in ("a.json", "b.json"):
        (entry,) = json.loads((tmp_path / name).read_text())["images"]
        assert entry["file_name"] == "gray16.png"
    before = (tmp_path / "gray16.png").read_bytes()
    files.export_to(tmp_path / "gray16.png", "PNG", False)
    assert said[-1] == "gray16.png is the image itself. Choose another name."
    assert (tmp_path / "gray16.png").read_bytes() == before


def test_the_user_chooses_among_images_that_names_do_not_tell_apart(make_widget, said, tmp_path):
    _, widget = make_widget(Image(data.coins(), name="scene"))
    height, width = data.coins().shape
    names = ["train/scene.png", "val/scene.png", "other.png"]
    content = {
        "images": [
            {"id": n, "file_name": name, "height": height, "width": width}
            for n, name in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "coin"}],
        "annotations": [
            {
                "image_id": n,
                "category_id": 1,
                "segmentation": [[9, 9, 19 + n, 9, 19 + n, 19, 9, 19]],
            }
            for n in range(3)
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    files = widget.controllers.objects.files
    files.import_from(tmp_path / "a.json")
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1].startswith("a.json contains 2 images of this size. Choose yours")
    files.row.image_chosen.emit(1)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == "Imported 1 object from a.json."
    assert np.count_nonzero(widget.binding.target.layer.data) == 110


def test_shown_or_selected_rows_alone_are_exported(opened, said, tmp_path, monkeypatch):
    _, widget, _ = opened
    files, table = widget.controllers.objects.files, widget.controllers.objects.table

    def export(scope, name):
        path = tmp_path / name
        monkeypatch.setattr(
            "napari_sam._qt.export_row.ask_for_name", lambda *_: (str(path), "NPZ (*.npz)")
        )
        files.row.scopes[scope].trigger()
        files.row.export.click()
        widget.wait_until_idle(TIMEOUT_S)
        return len(read_npz(path).objects) if path.exists() else 0

    table.model.set_text("ansehen")
    assert export(ExportScope.SHOWN, "shown.npz") == 1
    assert export(ExportScope.ALL, "all.npz") == 2
    assert export(ExportScope.SELECTED, "none.npz") == 0
    assert said[-1] == "No rows to export: select some, or clear the filter."
    table.model.set_text("")
    table.view.selectAll()
    assert export(ExportScope.SELECTED, "selected.npz") == 2


@pytest.mark.parametrize("title", ["Cell Tracking Challenge", "TrackMate"])
def test_a_film_comes_back_with_its_tracks(make_widget, said, tmp_path, title):
    film = np.zeros((4, 40, 50), np.uint8)
    viewer, widget = make_widget(Image(film, name="film", axis_labels=("t", "y", "x")))
    labels = np.zeros(film.shape, np.uint16)
    labels[:2, 10:20, 10:30], labels[2:, 10:20, 5:15], labels[2:, 10:20, 25:35] = 3, 5, 6
    layer = viewer.add_layer(Labels(labels, name="cells", axis_labels=("t", "y", "x")))
    widget.binding.target.set_layer(layer)
    registry = widget.binding.target.labels.registry
    widget.session.tracks.divide(3, (5, 6), 2)
    widget.wait_until_idle(TIMEOUT_S)
    before, files = layer.data.copy(), widget.controllers.objects.files
    (suffix, *_) = next(entry.suffixes for entry in TRACK_FORMATS if entry.title == title)
    path = tmp_path / f"film{suffix}"
    files.export_to(path, title, False)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == f"Exported 3 objects to {path.name}."
    widget.session.objects.remove([3, 5, 6])
    files.import_from(path / "res_track.txt" if path.is_dir() else path)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1].startswith("Imported 3 objects")
    np.testing.assert_array_equal(layer.data > 0, before > 0)
    first, *daughters = sorted(registry, key=lambda record: record.start)
    assert {daughter.parent_id for daughter in daughters} == {first.label_id}


def test_slices_are_imported_from_their_files_or_to_the_shown_one(make_widget, said, tmp_path):
    stack = np.stack([data.coins()[:60, :80]] * 3)
    viewer, widget = make_widget(Image(stack, name="stack"))
    labels = np.zeros(stack.shape, np.uint16)
    labels[:2, 5:15, 5:25], labels[2, 30:40, 30:50] = 3, 7
    layer = viewer.add_layer(Labels(labels, name="mine"))
    widget.binding.target.set_layer(layer)
    files = widget.controllers.objects.files
    files.export_to(tmp_path / "a.png", "PNG", False)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == "Exported 2 objects to a_z0000.png (and 2 more beside it)."
    before = layer.data.copy()
    widget.session.objects.remove([3, 7])
    files.import_from(tmp_path / "a_z0001.png")
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == "Imported 2 objects from a_z0001.png (and 2 more beside it)."
    np.testing.assert_array_equal(layer.data > 0, before > 0)
    assert len(np.unique(layer.data)) == 3
    (tmp_path / "a_z0002.png").rename(tmp_path / "last.png")
    viewer.dims.set_current_step(0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    files.import_from(tmp_path / "last.png")
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == "Imported 1 object from last.png to slice 1."
    np.testing.assert_array_equal(layer.data[1] > 0, (before[1] > 0) | (before[2] > 0))
