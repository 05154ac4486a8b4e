"""A file that is there is replaced only by whoever wants that, also if its suffix was not typed."""

import pytest
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_sam._qt.class_panel import ClassPanel
from napari_sam._qt.export_row import ExportRow
from napari_sam._qt.file_names import suggested_folder
from napari_sam._qt.session_file_row import SessionFileRow

YES, NO = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No


def session_row():
    row = SessionFileRow()
    return row, row.save_requested, row.save.trigger, ".sam-session.jsonl"


def file_row():
    row = ExportRow()
    return row, row.export_requested, row.export.click, ".npz"


def class_panel():
    panel = ClassPanel()
    return panel, panel.save_requested, panel.ask_where_to_save, ".json"


def answer(monkeypatch, name, chosen):
    """Choose a name and a filter in whatever dialog is opened."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (name, chosen))
    monkeypatch.setattr("napari_sam._qt.export_row.ask_for_name", lambda *_: (name, chosen))


@pytest.mark.parametrize("make", [session_row, file_row, class_panel])
def test_it_is_asked_about_the_name_that_the_file_gets(make, qtbot, tmp_path, monkeypatch):
    widget, requested, save, suffix = make()
    qtbot.addWidget(widget)
    written, answers = [], []
    requested.connect(lambda path, *_: written.append(path))
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop())

    def choose(name):
        chosen = f"NPZ (*{suffix})"
        answer(monkeypatch, str(name), chosen)
        save()

    there = tmp_path / f"monday{suffix}"
    there.write_text("the only copy")
    answers[:] = [NO]
    choose(tmp_path / "monday")
    assert (written, answers) == ([], [])
    answers[:] = [YES]
    choose(tmp_path / "monday")
    assert (written.pop(), answers) == (there, [])
    choose(there)  # about which the dialog has asked
    assert written.pop() == there
    choose(tmp_path / "tuesday")
    assert written.pop() == tmp_path / f"tuesday{suffix}"
    answer(monkeypatch, "", "")
    save()
    assert written == []


@pytest.mark.parametrize(
    ("name", "chosen", "title"),
    [
        ("a.geojson", "TIFF for ImageJ (*.tif *.tiff)", "GeoJSON"),
        ("a.ome.tif", "TIFF for ImageJ (*.tif *.tiff)", "OME-TIFF"),
        ("a.tif", "OME-TIFF (*.ome.tif *.ome.tiff)", "TIFF for ImageJ"),
        ("a.png", "Semantic PNG (*.png)", "Semantic PNG"),
        ("a.json", "COCO polygons (*.json)", "COCO polygons"),
        ("a.JSON", "PNG (*.png)", "COCO RLE"),
    ],
)
def test_a_typed_suffix_wins_over_the_chosen_format(
    qtbot, heard, monkeypatch, tmp_path, name, chosen, title
):
    row = ExportRow()
    qtbot.addWidget(row)
    requests, path = heard(row, "export_requested"), tmp_path / name
    answer(monkeypatch, str(path), chosen)
    row.export.click()
    assert requests == [("export_requested", path, title, False)]


def test_files_are_opened_where_they_would_be_saved(tmp_path):
    last = tmp_path / "last"
    assert suggested_folder(str(tmp_path / "coins"), last) == str(tmp_path)
    assert suggested_folder("coins", last) == str(last)
    assert suggested_folder("", last) == str(last)
    assert suggested_folder("coins", None) == suggested_folder("", None) == ""
