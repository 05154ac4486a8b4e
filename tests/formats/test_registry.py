"""The list of formats, and reading by suffix."""

import numpy as np
import pytest

from napari_sam.formats import FORMATS, READ_SUFFIXES, ImageInfo, find_format, read_objects


def test_every_format_is_found_by_its_key():
    assert [find_format(entry.key) for entry in FORMATS] == list(FORMATS)
    assert len({entry.title for entry in FORMATS}) == len(FORMATS)


def test_files_of_a_batch_have_different_names():
    plain = [entry for entry in FORMATS if not entry.is_semantic]
    names = [f"{entry.distinction}{entry.suffixes[0]}" for entry in plain]
    assert len(set(names)) == len(names)


def test_all_that_is_written_can_be_read_except_measurements():
    unread = [entry.key for entry in FORMATS if not entry.suffixes[0].endswith(READ_SUFFIXES)]
    assert unread == ["csv"]


def test_a_file_about_another_image_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((1, 4, 5), np.uint8))
    assert len(read_objects(tmp_path / "a.npy", ImageInfo((4, 5))).objects) == 1
    with pytest.raises(ValueError, match="choose that image"):
        read_objects(tmp_path / "a.npy", ImageInfo((4, 6)))
