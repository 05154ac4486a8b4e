"""The list of formats, and reading by suffix."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam.formats import FORMATS, READ_SUFFIXES, ImageInfo, find_format, read_objects


def test_every_format_is_found_by_its_key_and_has_suffixes():
    assert [find_format(entry.key) for entry in FORMATS] == list(FORMATS)
    assert len({entry.title for entry in FORMATS}) == len(FORMATS)
    for entry in FORMATS:
        assert all(suffix.startswith(".") for suffix in entry.suffixes)
        assert (entry.read is not None) == entry.suffixes[0].endswith(READ_SUFFIXES)


def test_a_suffix_has_one_writer_in_batches_and_one_reader():
    names = [
        f"{entry.distinction}{entry.suffixes[0]}" for entry in FORMATS if not entry.is_semantic
    ]
    assert len(set(names)) == len(names)
    for suffix in READ_SUFFIXES:
        readers = {entry.read for entry in FORMATS if entry.suffixes[0].endswith(suffix)}
        assert len(readers) <= 1


def test_a_file_about_another_image_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((1, 4, 5), np.uint8))
    assert len(read_objects(tmp_path / "a.npy", ImageInfo((4, 5))).objects) == 1
    with pytest.raises(ValueError, match="choose the image that it belongs to"):
        read_objects(tmp_path / "a.npy", ImageInfo((4, 6)))
