"""Files of objects opened with napari's own dialog; see also test_writer.py."""

from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam._reader import get_reader
from napari_sam.formats import FileError
from napari_sam.session import ArrayLabels, write_session
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.session_file import SESSION_SUFFIX, SessionInfo


def test_files_that_are_not_ours_are_left_to_others(tmp_path):
    for name, text in (("a.json", '{"images": 3}'), ("b.geojson", '{"type":"FeatureCollection"}')):
        (tmp_path / name).write_text(text)
        assert get_reader(str(tmp_path / name)) is None
    assert get_reader(str(tmp_path / "missing.json")) is None
    assert get_reader([str(tmp_path / "a.json")]) is None


def test_a_session_whose_labels_do_not_fit_into_the_free_memory_is_refused(tmp_path, monkeypatch):
    labels, shape = ArrayLabels(np.zeros((9000, 9000), np.uint8)), (9000, 9000)
    info = SessionInfo(ImageReference("a", None, shape, "uint8"), "a labels", (), None)
    path = tmp_path / f"a{SESSION_SUFFIX}"
    write_session(path, info, labels, [])
    memory = SimpleNamespace(available=2**26, total=2**50)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    with pytest.raises(FileError, match="GiB are free"):
        get_reader(str(path))(str(path))
