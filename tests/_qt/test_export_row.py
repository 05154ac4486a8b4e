from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFileDialog, QMessageBox

from napari_sam._qt.export_row import ExportRow, ExportScope


@pytest.fixture
def row(qtbot):
    row = ExportRow()
    qtbot.addWidget(row)
    return row


def test_the_button_says_which_objects_are_exported(row):
    texts = []
    for scope in (ExportScope.SHOWN, ExportScope.SELECTED, ExportScope.ALL):
        row.scopes[scope].trigger()
        assert row.scope is scope
        assert [other for other, action in row.scopes.items() if action.isChecked()] == [scope]
        texts.append(row.export.text())
    assert texts == ["Export shown…", "Export selected…", "Export…"]


def test_an_import_begins_in_the_folder_of_the_last_one(row, heard, monkeypatch, tmp_path):
    requests, folders = heard(row, "import_requested"), []

    def choose(_parent, _title, folder, _filter):
        folders.append(folder)
        return (str(tmp_path / "a.json") if len(folders) < 3 else ""), ""

    monkeypatch.setattr(QFileDialog, "getOpenFileName", choose)
    for _ in range(3):
        row.import_.click()
    assert folders == ["", str(tmp_path), str(tmp_path)]
    assert requests == [("import_requested", Path(tmp_path / "a.json"))] * 2


@pytest.mark.parametrize(
    ("title", "typed", "written"),
    [
        ("TIFF for ImageJ", "", "vol labels.tif"),
        ("GeoJSON", "", "vol.geojson"),
        ("Cell Tracking Challenge", "cells.tif", "cells_RES"),  # the dialog leaves the suffix
    ],
)
def test_the_suggested_name_is_that_of_the_file_in_the_chosen_format(
    qtbot, monkeypatch, tmp_path, title, typed, written
):
    row = ExportRow(lambda: str(tmp_path / "vol"), lambda path: path.name == "vol.tif")
    qtbot.addWidget(row)
    begun, requested = [], []

    def choose(_parent, _title, start, filters, *_):
        begun.append(Path(start).name)
        name = str(tmp_path / typed) if typed else start
        return name, next(text for text in filters.split(";;") if text.startswith(title))

    monkeypatch.setattr("napari_sam._qt.export_row.ask_for_name", choose)
    row.export_requested.connect(lambda path, *_: requested.append(path))
    row.export.click()
    assert begun == ["vol labels.tif"]
    assert requested == [tmp_path / written]


def test_the_name_in_the_dialog_follows_the_chosen_format(qtbot, monkeypatch, tmp_path):
    row = ExportRow(lambda: str(tmp_path / "film"), may_be_film=lambda: True)
    qtbot.addWidget(row)
    shown, requested = [], []
    row.export_requested.connect(lambda path, *_: requested.append(path.name))

    def choose(dialog):
        formats = dialog.findChild(QComboBox, "fileTypeCombo")
        for title in ("Cell Tracking Challenge", "GeoJSON", "OME-TIFF", "COCO", "TIFF for ImageJ"):
            formats.setCurrentIndex(formats.findText(title, Qt.MatchFlag.MatchStartsWith))
            formats.activated.emit(formats.currentIndex())  # Qt exchanges some suffixes itself
            formats.textActivated.emit(formats.currentText())
            shown.append(Path(dialog.selectedFiles()[0]).name)
            if title == "OME-TIFF":
                dialog.selectFile("cells.ome.tif")
        dialog.selectFile("cells_RES")
        return True

    monkeypatch.setattr(QFileDialog, "exec", choose)
    row.export.click()
    assert shown == ["film_RES", "film.geojson", "film.ome.tif", "cells.json", "cells.tif"]
    assert requested == ["cells_RES"]  # whatever is typed counts


def test_another_format_than_proposed_replaces_no_file_unasked(qtbot, monkeypatch, tmp_path):
    row = ExportRow(lambda: str(tmp_path / "film.tif"), may_be_film=lambda: True)
    qtbot.addWidget(row)
    starts, asked, requested = [], [], []

    def choose(_parent, _title, start, filters, *_):
        starts.append(Path(start).name)
        names = filters.split(";;")
        return start, next(text for text in names if text.startswith("Cell Tracking Challenge"))

    monkeypatch.setattr("napari_sam._qt.export_row.ask_for_name", choose)
    monkeypatch.setattr(QMessageBox, "question", lambda *args: asked.append(args[-1]))
    row.export_requested.connect(lambda path, *_: requested.append(path.name))
    row.export.click()
    assert requested == ["film.tif_RES"]  # and not film.tif
    (tmp_path / "film.tif_RES").mkdir()
    row.export.click()
    assert starts == ["film.tif.tif", "film.tif"]  # not into the folder
    assert len(asked) == len(requested) == 1
