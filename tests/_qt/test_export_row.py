from pathlib import Path

import pytest
from qtpy.QtWidgets import QFileDialog

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
        texts.append(row._export.text())
    assert texts == ["Export shown…", "Export selected…", "Export…"]


def test_an_import_begins_in_the_folder_of_the_last_one(row, heard, monkeypatch, tmp_path):
    requests, folders = heard(row, "import_requested"), []

    def choose(_parent, _title, folder, _filter):
        folders.append(folder)
        return (str(tmp_path / "a.json") if len(folders) < 3 else ""), ""

    monkeypatch.setattr(QFileDialog, "getOpenFileName", choose)
    for _ in range(3):
        row._import.click()
    assert folders == ["", str(tmp_path), str(tmp_path)]
    assert requests == [("import_requested", Path(tmp_path / "a.json"))] * 2
