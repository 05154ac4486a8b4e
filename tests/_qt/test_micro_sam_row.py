"""The row that imports embeddings from micro-sam, alone."""

from pathlib import Path

import pytest
from qtpy.QtWidgets import QFileDialog

from napari_sam._qt.micro_sam_row import ImportedEmbeddingsRow
from napari_sam.session.micro_sam.imported import ImportPhase, ImportState
from napari_sam.session.state import SessionState


@pytest.fixture
def row(qtbot):
    row = ImportedEmbeddingsRow()
    qtbot.addWidget(row)
    return row


def test_a_folder_is_asked_for_when_there_is_an_image(row, heard, monkeypatch):
    requests = heard(row, "folder_requested")
    assert not row._use.isEnabled()
    row.show_state(SessionState(has_image=True))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "/data/coins.zarr")
    row._use.click()
    assert requests == [("folder_requested", Path("/data/coins.zarr"))]


@pytest.mark.parametrize(
    ("phase", "text", "is_working"),
    [
        (ImportPhase.COMPARING, "Cancel", True),
        (ImportPhase.VERIFYING, "Cancel", True),
        (ImportPhase.IN_USE, "Stop using them", False),
        (ImportPhase.OTHER_MODEL, "Stop using them", False),
        (ImportPhase.REFUSED, "Dismiss", False),
    ],
)
def test_the_state_of_an_import(row, heard, phase, text, is_working):
    requests = heard(row, "stop.clicked")
    row.show_import(ImportState(phase, "what happens", 0.4))
    assert row.stop.text() == text
    assert row._progress.isHidden() != is_working
    assert row._progress.value() == 40
    row.stop.click()
    assert requests == [("stop.clicked",)]
    row.show_import(None)
    assert row.stop.isHidden()
