"""The line for words alone."""

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_sam._qt.words_row import WordsRow
from napari_sam.session.words.run import WordsState


def test_words_are_typed_found_and_filtered(shown, heard, qtbot, monkeypatch):
    row = shown(WordsRow([("One", "good"), ("Two", "better")]), 330, 80)
    requests = heard(
        row, "find_requested", "stop_requested", "threshold_requested", "folder_chosen"
    )
    height = row.sizeHint().height()
    row.words.setText("coin, ring")
    qtbot.keyClick(row.words, Qt.Key.Key_Return)
    row.find.click()
    row.threshold.slider.setValue(40)
    row.show_progress(WordsState())
    row.stop.click()
    row.show_progress(WordsState(2, 5, is_stopping=True))
    assert row._progress.text() == "2 of 5 tiles"
    assert not row.stop.isEnabled()
    assert row.sizeHint().height() == height
    row.show_progress(None)
    assert row.words.isEnabled()
    row.detectors.activated.emit(1)
    assert row.detector == 1
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "folders/mine")
    row.detectors.activated.emit(2)
    assert row.detector == 1  # until the folder is shown
    row.show_folder(Path("folders/mine"))
    assert row.detector == 2
    assert row.detectors.currentText() == "mine"
    row.show_threshold(0.25)
    assert row.threshold.value == 25
    assert [name for name, *_ in requests] == [
        *("find_requested", "find_requested", "threshold_requested"),
        *("stop_requested", "folder_chosen"),
    ]
