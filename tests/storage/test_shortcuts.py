"""The file of shortcuts, which may hold anything."""

import json
import os

import pytest

from napari_sam.storage.shortcuts import load_shortcuts, save_shortcuts, shortcuts_file
from tests.systems import needs_pipes


def test_shortcuts_come_back_and_none_leave_no_file():
    assert load_shortcuts() == {}
    save_shortcuts({"accept": "S"})
    assert load_shortcuts() == {"accept": "S"}
    save_shortcuts({})
    assert not shortcuts_file().exists()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\xff", b"{", b"[" * 50000, b" " * 10**5, b"1" * 5000),
        *(
            json.dumps(value).encode()
            for value in (None, 1, "x", [1], {"accept": 1}, {"accept": None}, {"accept": ["S"]})
        ),
    ],
)
def test_what_are_no_shortcuts_is_said(content):
    shortcuts_file().parent.mkdir(parents=True, exist_ok=True)
    shortcuts_file().write_bytes(content)
    with pytest.raises(ValueError, match="using the defaults"):
        load_shortcuts()


@needs_pipes
def test_pipes_are_not_waited_for():
    shortcuts_file().parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(shortcuts_file())
    with pytest.raises(ValueError, match="using the defaults"):
        load_shortcuts()
