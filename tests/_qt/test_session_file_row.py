from pathlib import Path

from qtpy.QtWidgets import QFileDialog

from napari_sam._qt.session_file_row import SessionFileRow


def test_files_are_requested_one_at_a_time(qtbot, heard, monkeypatch, tmp_path):
    row = SessionFileRow(lambda: str(tmp_path / "coins"))
    qtbot.addWidget(row)
    requests = heard(row, "open_requested")
    name = str(tmp_path / "a.sam-session.jsonl")
    begun_in = []

    def choose(parent, title, folder, names):
        begun_in.append(folder)
        return name, ""

    monkeypatch.setattr(QFileDialog, "getOpenFileName", choose)
    row.open.trigger()
    assert begun_in == [str(tmp_path)]
    assert requests == [("open_requested", Path(name))]
    row.show_busy(True)
    row.show_progress(0.3)
    assert row._progress.value() == 30
    row.open.trigger()
    assert len(requests) == 1
    row.show_busy(False)
    assert row._progress.isHidden()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    row.open.trigger()  # cancelled
    assert len(requests) == 1
