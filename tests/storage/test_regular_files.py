import os

import pytest

from napari_sam.storage.regular_files import require_regular_file
from tests.systems import needs_pipes


def test_a_file_is_one_also_behind_a_link(tmp_path):
    (tmp_path / "a").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    require_regular_file(tmp_path / "a")
    require_regular_file(str(tmp_path / "link"))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(OSError, match="it is a folder, not a file"):
        require_regular_file(tmp_path)


@needs_pipes
def test_pipes_and_devices_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(OSError, match="a pipe or a device"):
            require_regular_file(path)
