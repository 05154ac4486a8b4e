"""A name in a file is data: only plain images on this computer count, wherever links lead."""

import os

import pytest

from napari_sam.storage.named_files import is_below, is_beside, is_image, is_local, is_within
from tests.systems import needs_pipes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cells.tif", True),
        ("../images/cells.tif", True),
        ("/data/cells.tif", True),
        ("D:\\data\\cells.tif", True),
        ("https://example.org/cells.tif", False),
        ("file:///data/cells.tif", False),
        ("//server/share/cells.tif", False),
        ("\\\\server\\share\\cells.tif", False),
        ("\\\\.\\pipe\\cells.tif", False),
        ("/\\server\\share\\cells.tif", False),
    ],
)
def test_addresses_and_shares_are_not_on_this_computer(name, expected):
    assert is_local(name) is expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("cells.png", b"\x89PNG", True),
        ("CELLS.TIF", b"", True),
        ("cells.py", b"\x89PNG", False),
        ("cells.png.py", b"\x89PNG", False),
        ("cells", b"\x89PNG", False),
        ("cells.svg", b"<svg>", False),
        ("cells.png", b"%!PS-Adobe", False),  # Pillow would have Ghostscript run it
        ("cells.png", b"\xc5\xd0\xd3\xc6", False),
        ("cells.mhd", b"ElementDataFile = /dev/zero", False),
        ("cells.zarr", b"", False),
    ],
)
def test_only_images_are_images(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    assert is_image(tmp_path / name) is expected


def test_what_is_no_plain_file_is_no_image(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "store.zarr").mkdir()
    (tmp_path / "store.zarr" / "cells.png").touch()
    assert is_image(tmp_path / "store.zarr")
    names = ("folder.png", "store.zarr/cells.png", "missing.png", "a\0.png", f"{'a' * 999}.png")
    assert not any(is_image(tmp_path / name) for name in names)


@needs_pipes
def test_devices_and_pipes_are_no_images(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "circle.png").symlink_to("circle.png")
    assert not any(is_image(tmp_path / f"{name}.png") for name in ("pipe", "device", "circle"))


def test_links_lead_out_of_a_folder(tmp_path):
    folder = tmp_path / "sessions"
    (folder / "images").mkdir(parents=True)
    (folder / "link.png").symlink_to(tmp_path / "cells.png")
    assert is_within(folder / "images" / "cells.png", folder)
    assert not is_within(folder / ".." / "cells.png", folder)
    assert not is_within(folder / "link.png", folder)
    assert not is_within(folder / "a\0", folder)


@pytest.mark.parametrize("name", ["a.tif", "deep/a.tif", "a b..tif"])
def test_results_are_below_their_folder(name):
    assert is_below(name)


@pytest.mark.parametrize(
    "name", ["", ".", "/a.tif", "../a.tif", "deep/../../a.tif", "C:a.tif", "\\a.tif", "deep\\..\\a"]
)
def test_other_names_are_not(name):
    assert not is_below(name)


@pytest.mark.parametrize("name", ["a.tif", "..a", "a b", "核.png"])
def test_names_beside_a_file(name):
    assert is_beside(name)


@pytest.mark.parametrize("name", ["", ".", "..", "/a", "a/b", "a/", "..\\a", "C:a", "C:\\a"])
def test_names_that_lead_elsewhere_are_not_beside_a_file(name):
    assert not is_beside(name)
