"""Objects of the target to files and back, in the widget and in napari's own dialogs."""

from __future__ import annotations

import json
from dataclasses import replace

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr
from napari.layers import Image, Labels
from PIL import Image as PillowImage
from qtpy.QtWidgets import QFileDialog, QMessageBox
from skimage import data

from napari_sam import _reader
from napari_sam._reader import get_reader
from napari_sam._writer import NotSavedError
from napari_sam.controllers import export as object_files
from napari_sam.formats import (
    FORMATS,
    READ_SUFFIXES,
    ImageInfo,
    labels_from_objects,
    read_npz,
    read_objects,
)
from napari_sam.session import ArrayLabels, ObjectRecord
from napari_sam.session.annotations import annotations_of, image_info, image_of_labels, records_of
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.objects.packed import PackedMask

TIMEOUT_S = 120
PLUGIN = "napari-sam-live"


@pytest.fixture
def said(monkeypatch):
    """What is shown to the user."""
    messages: list[str] = []
    for name in ("show_info", "show_warning"):
        monkeypatch.setattr(object_files, name, messages.append)
    return messages


@pytest.fixture
def opened(make_widget, said):
    """Open the coins with a target of two objects, one of them with a class."""
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    labels = np.zeros(data.coins().shape, np.uint16)
    labels[10:30, 20:50], labels[60:90, 100:120] = 3, 7
    layer = viewer.add_layer(Labels(labels, name="mine"))
    widget.binding.objects.set_target(layer)
    widget.session.classes.add("Münze", "#102030")
    widget.session.objects.update([3, 7], class_name="Münze")
    widget.session.objects.update([7], reviewed=True, note="nochmal\nansehen 核")
    return viewer, widget, layer


@pytest.mark.parametrize("title", [one.title for one in FORMATS])
def test_every_format_is_written_and_what_can_be_read_comes_back(opened, said, tmp_path, title):
    _, widget, layer = opened
    (suffix, *_) = next(one.suffixes for one in FORMATS if one.title == title)
    path, files = tmp_path / f"objects{suffix}", widget._object_list.files
    files.export_to(path, title, False)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1].startswith(f"2 objects written to {path.name}")
    assert path.stat().st_size > 0
    if title.startswith("Semantic"):
        legend = (tmp_path / "objects_classes.csv").read_text("utf-8-sig").splitlines()
        assert legend[1:] == ["0,background,#000000", "1,Münze,#102030"]
    if not path.name.endswith(READ_SUFFIXES):
        return
    before = layer.data.copy()
    widget.session.objects.remove([3, 7])
    widget.session.classes.remove("Münze")
    files.import_from(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == f"2 objects imported from {path.name}."
    np.testing.assert_array_equal(layer.data > 0, before > 0)
    assert len(np.unique(layer.data)) == 3
    records = sorted(widget.binding.objects.target_layer.book, key=lambda record: record.start)
    if suffix != ".npy":
        assert {record.class_name for record in records} == {"Münze"}
    if title.startswith("Semantic"):
        assert [one.color for one in widget.session.classes.table.classes] == ["#102030"]
    elif suffix not in (".npy", ".txt"):
        assert [record.reviewed for record in records] == [False, True]
        assert [record.note for record in records] == ["", "nochmal\nansehen 核"]
        assert [one.color for one in widget.session.classes.table.classes] == ["#102030"]
    widget.binding.objects.undo()
    assert not layer.data.any()
    widget.binding.objects.redo()
    np.testing.assert_array_equal(layer.data > 0, before > 0)


def test_imported_objects_get_free_numbers_and_keep_others(opened, said, tmp_path):
    _, widget, layer = opened
    path, files = tmp_path / "objects.npz", widget._object_list.files
    files.export_to(path, "NPZ", False)
    widget.wait_until_idle(TIMEOUT_S)
    widget.session.objects.remove([3])
    files.import_from(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1].startswith("1 object imported")
    assert "1 left out" in said[-1]
    assert set(np.unique(layer.data)) == {0, 7, 8}
    assert (layer.data[10:30, 20:50] == 8).all()


def test_objects_without_a_mask_are_told(opened, said, tmp_path, monkeypatch):
    _, widget, _ = opened
    monkeypatch.setattr(_reader, "show_warning", said.append)
    path, files = tmp_path / "objects.json", widget._object_list.files
    files.export_to(path, "COCO RLE", False)
    widget.wait_until_idle(TIMEOUT_S)
    content = json.loads(path.read_text())
    del content["annotations"][0]["segmentation"]
    path.write_text(json.dumps(content))
    widget.session.objects.remove([3, 7])
    files.import_from(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == "1 object imported from objects.json; 1 without a mask left out."
    assert len(get_reader(str(path))(str(path))) == 1
    assert said[-1] == "Skipped 1 object without a mask in mine."


def test_an_import_keeps_also_what_is_tiny_where_others_are(opened, said, tmp_path):
    _, widget, layer = opened
    path, files = tmp_path / "objects.npz", widget._object_list.files
    files.export_to(path, "NPZ", False)
    widget.wait_until_idle(TIMEOUT_S)
    places = np.nonzero(layer.data == 3)
    layer.data[places] = 7
    layer.data[places[0][0], places[1][0]] = 0
    files.import_from(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1].startswith("1 object imported")
    assert np.count_nonzero(layer.data == 8) == 1


def test_an_import_makes_a_layer_only_of_a_file_that_was_read(make_widget, said, tmp_path):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    files, bad, good = widget._object_list.files, tmp_path / "bad.geojson", tmp_path / "good.npy"
    widget.wait_until_idle(TIMEOUT_S)
    before = list(viewer.layers)
    bad.write_text('{"features": [{"geometry": {"coordinates": []}}]}')
    files.import_from(bad)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1].startswith("Not imported: This is not GeoJSON of polygons, feature 1 has no")
    assert said[-1].endswith(": bad.geojson")
    assert list(viewer.layers) == before
    np.save(good, np.eye(*data.coins().shape, dtype=np.uint8))
    files.import_from(good)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == "1 object imported from good.npy."
    (made,) = set(viewer.layers) - set(before)
    assert made is widget.binding.objects.target


def test_failures_are_told_and_lose_nothing(opened, said, tmp_path, monkeypatch):
    _, widget, layer = opened
    before, files = layer.data.copy(), widget._object_list.files
    files.export_to(tmp_path / "missing" / "objects.npz", "NPZ", False)
    widget.wait_until_idle(TIMEOUT_S)
    assert "cannot be written" in said[-1]
    monkeypatch.setitem(__import__("sys").modules, "pycocotools", None)
    files.export_to(tmp_path / "objects.json", "COCO RLE", False)
    widget.wait_until_idle(TIMEOUT_S)
    assert "pip install" in said[-1]
    (tmp_path / "objects.npz").write_text("none")
    files.import_from(tmp_path / "objects.npz")
    widget.wait_until_idle(TIMEOUT_S)
    assert "does not hold annotations" in said[-1]
    np.testing.assert_array_equal(layer.data, before)
    assert files.row._export.isEnabled()


def test_dialogs_name_the_formats_and_give_files_their_suffix(opened, tmp_path, monkeypatch):
    _, widget, _ = opened
    row, asked = widget._object_list.files.row, []

    def choose(_parent, _title, _folder, filters, _last):
        asked.extend(filters.split(";;"))
        return str(tmp_path / "objects"), next(one for one in asked if "NPZ" in one)

    monkeypatch.setattr("napari_sam._qt.export_row.QFileDialog.getSaveFileName", choose)
    row._export.click()
    widget.wait_until_idle(TIMEOUT_S)
    assert [one.partition(" (")[0] for one in asked] == [one.title for one in FORMATS]
    assert len(read_npz(tmp_path / "objects.npz").objects) == 2


def test_dialogs_suggest_a_name_beside_the_image(make_widget, said, tmp_path, monkeypatch):
    folder, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    for one in (folder, elsewhere):
        one.mkdir()
    PillowImage.fromarray(data.coins()).save(folder / "coins.png")
    viewer, widget = make_widget()
    (image,) = viewer.open(folder / "coins.png", plugin="napari")
    image.name = "coins 1/2"
    widget.wait_until_idle(TIMEOUT_S)
    row, session = widget._object_list.files.row, widget._sessions.row
    begun = []

    def choose(_parent, _title, start, filters, *_):
        begun.append(start)
        return str(elsewhere / "mine"), filters.split(";;")[0]

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.No)

    def started(button):
        button.click()
        widget.wait_until_idle(TIMEOUT_S)
        return begun.pop()

    assert started(row._export) == ""
    widget.binding.objects.need_target()
    assert started(row._export) == str(folder / "coins 1_2 labels")
    assert started(session._save) == str(folder / "coins 1_2")
    widget.binding.set_image(viewer.add_image(data.coins(), name="in memory"))
    widget.wait_until_idle(TIMEOUT_S)
    assert started(session._save) == str(elsewhere / "in memory")


def test_masks_overlap_only_if_that_is_wanted():
    labels = ArrayLabels(np.zeros((2, 6, 6), np.uint8))
    labels.array[1, :3, :3], labels.array[1, 2:4, 2:4] = 1, 2
    first = next(one for one in find_objects(labels) if one.label_id == 1)
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :3, :3] = mask[0, 3, 0] = True  # the last pixel was erased since
    record = ObjectRecord(1, first.start, first.stop, 8, masks=(PackedMask((1, 0, 0), mask),))
    image = ImageInfo((2, 6, 6))
    (plain,) = annotations_of(labels, [record], image).objects
    (whole,) = annotations_of(labels, [record], image, overlapping=True).objects
    assert (plain.area_px, whole.area_px, whole.slice_index) == (8, 9, (1,))


def test_sizes_and_units_are_those_of_the_layer():
    layer = Labels(
        np.zeros((2, 3, 4), int),
        scale=(2, -0.5, 0.5),
        units=("inch", "foot", "um"),
        axis_labels=("t", "y", "x"),
    )
    info = image_info("a", layer.data.shape, layer.scale, layer.units, layer.axis_labels)
    assert info.axes == "TYX"
    assert info.units == ("inch", "micrometer", "micrometer")
    assert info.pixel_size == pytest.approx((2, 152400, 0.5))


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((6, 8, 1), (0, 1)), ((6, 1, 8), (0, 2)), ((3, 6, 8, 1), (0, 1, 2)), ((1, 6, 8), (0, 1, 2))],
)
@pytest.mark.parametrize("overlapping", [False, True])
def test_an_axis_of_channels_behind_the_plane_is_none_of_a_files(shape, axes, overlapping):
    flat = [shape[axis] for axis in axes]
    planes = np.zeros(flat, np.uint8)
    planes[..., 1:4, 2:7], planes[..., 4, 0] = 5, 9
    labels = ArrayLabels(planes.reshape(shape))
    found = list(find_objects(labels))
    records = [
        replace(one, masks=(PackedMask(one.start, planes.reshape(shape)[one.region] > 0),))
        for one in found
    ]
    sizes = (7.0, 0.5, 0.25)[-len(flat) :]
    scale = np.ones(len(shape))
    scale[list(axes)] = sizes
    image = image_of_labels("a", shape, scale, ("um",) * len(shape))
    assert (image.shape, image.pixel_size) == (tuple(flat), sizes)
    annotations = annotations_of(labels, records, image, overlapping=overlapping)
    assert {(one.label_id, one.mask.shape, one.top, one.left) for one in annotations.objects} == {
        (5, (3, 5), 1, 2),
        (9, (1, 1), 4, 0),
    }
    again = np.zeros(shape, np.uint8)
    for record in records_of(annotations, shape):
        for part in record.masks:
            again[part.region][part.mask] = record.label_id
    np.testing.assert_array_equal(again, labels.array)


@pytest.fixture
def with_channels_last(make_widget, said):
    """Open coins whose channels are the last axis, with one object."""
    image = Image(np.stack([data.coins()] * 3, axis=-1), name="channels", rgb=False)
    viewer, widget = make_widget(image, wait=False)
    viewer.dims.order = (2, 0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    shown = widget.binding.shown
    shown.set_look(replace(shown.looks.of(image), channel_axis=2))
    widget.wait_until_idle(TIMEOUT_S)
    labels = np.zeros((303, 384, 1), np.uint16)
    labels[10:30, 20:50] = 3
    where = {"scale": (1, 1, 3), "translate": (0, 0, 1)}  # the place of all three channels
    layer = viewer.add_layer(Labels(labels, name="mine", **where))
    widget.binding.objects.set_target(layer)
    return viewer, widget, layer


def test_objects_of_an_image_with_its_channels_last_go_to_files_and_back(
    with_channels_last, said, tmp_path
):
    viewer, widget, layer = with_channels_last
    files, path, saved = widget._object_list.files, tmp_path / "a.json", tmp_path / "b.json"
    files.export_to(path, "COCO RLE", False)
    widget.wait_until_idle(TIMEOUT_S)
    viewer.layers.selection = {layer}
    viewer.layers.save(str(saved), selected=True, plugin=PLUGIN)
    for one in (path, saved):
        (thing,) = read_objects(one, ImageInfo((303, 384), "mine")).objects
        assert (thing.top, thing.left, thing.mask.shape) == (10, 20, (20, 30))
    before = layer.data.copy()
    widget.session.objects.remove([3])
    files.import_from(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert said[-1] == "1 object imported from a.json."
    np.testing.assert_array_equal(layer.data > 0, before > 0)
    widget._many.use_file(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget._many.panel._about.text() == "1 object in a.json."


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
    widget.binding.objects.set_target(opened_again)
    records = {record.label_id: record for record in widget.binding.objects.target_layer.book}
    assert {record.class_name for record in records.values()} == {"Münze"}
    assert (records[3].reviewed, records[3].note) == (False, "n")
    assert (records[7].reviewed, records[7].note) == (True, "nochmal\nansehen 核")
    assert [one.color for one in widget.session.classes.table.classes] == ["#102030"]


@pytest.mark.parametrize("name", ["a.json", "a.geojson", "a.npz", "a.csv", "a.txt", "a.ome.tif"])
def test_napari_saves_and_opens_with_the_plugin(make_napari_viewer, tmp_path, name):
    viewer = make_napari_viewer()
    labels = np.zeros((3, 30, 40), np.uint8)
    labels[1, 5:10, 6:12], labels[2, 5:10, 6:12] = 4, 9
    viewer.add_labels(labels, name="mine", scale=(2, 0.5, 0.5), units=("um",) * 3)
    written = viewer.layers.save(str(tmp_path / name), plugin=PLUGIN)
    assert len(written) == (3 if name == "a.txt" else 1)
    if not name.endswith("json"):
        return
    viewer.layers.clear()
    (layer,) = viewer.open(str(tmp_path / name), plugin=PLUGIN)
    np.testing.assert_array_equal(layer.data, labels)
    np.testing.assert_allclose(layer.scale, (2, 0.5, 0.5))
    assert list(layer.features["index"]) == [4, 9]


@pytest.mark.parametrize("name", ["a.json", "a.geojson", "a.npz", "a.csv", "a.txt", "a.ome.tif"])
@pytest.mark.parametrize("open_lazily", [lambda labels: da.from_array(labels, 16), zarr.array])
def test_napari_saves_labels_that_are_not_in_memory(tmp_path, name, open_lazily):
    labels = np.zeros((2, 30, 40), np.uint8)
    labels[1, 5:20, 6:20], labels[0, 5:10, 6:12] = 4, 9
    written = Labels(open_lazily(labels), name="a").save(str(tmp_path / name), plugin=PLUGIN)
    assert len(written) == (2 if name == "a.txt" else 1)
    if name not in ("a.csv", "a.txt"):
        read = read_objects(tmp_path / name, ImageInfo(labels.shape, "a"))
        np.testing.assert_array_equal(labels_from_objects(read), labels)


def test_features_of_others_do_not_keep_napari_from_saving(tmp_path):
    labels = np.zeros((9, 9), np.uint8)
    labels[1, 1], labels[3, 3], labels[5, 5] = 1, 2, 3
    features = {
        "index": [0, 1, 2, 3],
        "class": [0, 1, "a\nb ", None],
        "score": ["high", "0.5", np.inf, [1]],
        "reviewed": ["False", "no", True, None],
        "note": [None, 7, "n", ""],
    }
    layer = Labels(labels, name="a", features=pd.DataFrame(features))
    assert layer.save(str(tmp_path / "a.json"), plugin=PLUGIN)
    read = read_objects(tmp_path / "a.json", ImageInfo((9, 9), "a")).objects
    assert [(one.class_name, one.score, one.reviewed, one.note) for one in read] == [
        ("1", 0.5, False, "7"),
        ("a b", None, True, "n"),
        (None, None, False, ""),
    ]


def test_napari_is_told_why_a_layer_cannot_be_saved(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    viewer.add_labels(np.full((9, 9), -1, np.int32), name="a")
    for plugin in (PLUGIN, None):
        with pytest.raises(NotSavedError, match="none of them negative"):
            viewer.layers.save(str(tmp_path / "a.ome.tif"), plugin=plugin)
    viewer.layers[0].data = np.eye(9, dtype=np.int32)
    with pytest.raises(NotSavedError, match="another folder or name"):
        viewer.layers.save(str(tmp_path / "missing" / "a.ome.tif"), plugin=PLUGIN)


def test_files_that_are_not_ours_are_left_to_others(tmp_path):
    for name, text in (("a.json", '{"images": 3}'), ("b.geojson", '{"type":"FeatureCollection"}')):
        (tmp_path / name).write_text(text)
        assert get_reader(str(tmp_path / name)) is None
    assert get_reader(str(tmp_path / "missing.json")) is None
    assert get_reader([str(tmp_path / "a.json")]) is None


def test_a_file_about_another_image_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((1, 4, 5), np.uint8))
    assert len(read_objects(tmp_path / "a.npy", ImageInfo((4, 5))).objects) == 1
    with pytest.raises(ValueError, match="choose the image that it belongs to"):
        read_objects(tmp_path / "a.npy", ImageInfo((4, 6)))
