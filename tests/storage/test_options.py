import json

import pytest

from napari_sam.storage.options import load_options, options_file, save_options


def test_options_are_saved_beside_others():
    assert load_options() == {}
    save_options({"clean": False})
    save_options({"clean_strength": 0.25})
    assert load_options() == {"clean": False, "clean_strength": 0.25}


@pytest.mark.parametrize(
    "content", [b"\xff", b"[1]", b"{", b"[" * 5000, b'"' + b"x" * 2**17 + b'"']
)
def test_a_file_that_says_nothing_gives_no_options_and_is_replaced(content):
    options_file().parent.mkdir(parents=True, exist_ok=True)
    options_file().write_bytes(content)
    assert load_options() == {}
    save_options({"clean": True})
    assert json.loads(options_file().read_text()) == {"clean": True}


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_SAM_SETTINGS", str(tmp_path / "file" / "below"))
    save_options({"clean": True})
    assert load_options() == {}
