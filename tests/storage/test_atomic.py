"""Files that have their name only when they are complete."""

import errno
import os
import platform
import subprocess
import sys
import time
from operator import attrgetter
from pathlib import Path

import pytest

from napari_sam.storage.atomic import atomic_write, publish, scratch_folder
from tests.systems import needs_devices, needs_pipes

KILLED = """
import os, signal, sys
from pathlib import Path
from napari_sam.storage.atomic import atomic_write
from tests.systems import needs_devices, needs_pipes
with atomic_write(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_what_a_killed_program_has_left_goes_after_a_day_and_nothing_of_others(tmp_path):
    path = tmp_path / "objects.json"
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    (left,) = tmp_path.iterdir()
    just_now = left.with_name(left.name.replace(".part", "0.part"))
    foreign = tmp_path / ".0123456789ab.part"
    for file in (just_now, foreign):
        file.write_text("")
    for file in (left, foreign):
        os.utime(file, (time.time() - 2 * 86400,) * 2)
    with atomic_write(path) as partial:
        partial.write_text("whole")
    assert set(tmp_path.iterdir()) == {path, just_now, foreign}
    assert path.read_text() == "whole"


def write(path, text):
    with atomic_write(path) as partial:
        partial.write_text(text)


def publish_text(path, text):
    with scratch_folder(path.parent / "scratch") as scratch:
        (scratch / "finished").write_text(text)
        publish(scratch / "finished", path)


@pytest.mark.parametrize("give", [write, publish_text])
def test_a_link_stays_and_its_file_is_written(tmp_path, give):
    target, link, chain = (tmp_path / name for name in ("deep/target", "link", "chain"))
    target.parent.mkdir()
    link.symlink_to("deep/target")
    chain.symlink_to(link)
    for text in ("new", "newer"):  # while the link leads nowhere yet, and then to a file
        give(chain, text)
        assert target.read_text() == text
    assert link.is_symlink()
    assert chain.is_symlink()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["chain", "deep", "link", "target"]


def test_a_link_may_lead_to_another_disk(tmp_path, monkeypatch):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    replace = Path.replace

    def across_disks(path, target):
        if path.parent.name == "scratch":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", across_disks)
    publish_text(tmp_path / "link", "new")
    assert (tmp_path / "target").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]


@pytest.mark.parametrize("give", [write, publish_text])
def test_windows_renames_a_file_once_the_virus_scanner_has_closed_it(tmp_path, monkeypatch, give):
    path, replace, openers = tmp_path / "objects.json", Path.replace, ["scanner", "indexer"]

    def while_open(finished, target):
        if openers:
            openers.pop()
            raise PermissionError(errno.EACCES, "it is in use")
        return replace(finished, target)

    monkeypatch.setattr(platform, "system", lambda: "Windows")
    monkeypatch.setattr(Path, "replace", while_open)
    give(path, "new")
    assert openers == []
    assert path.read_text() == "new"


def test_a_file_that_stays_open_on_windows_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "objects.json"
    path.write_text("old")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "it is in use")

    monkeypatch.setattr(platform, "system", lambda: "Windows")
    monkeypatch.setattr("napari_sam.storage.atomic._IN_USE_S", 0.0)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("give", [write, publish_text])
@pytest.mark.parametrize(
    "kind",
    [
        "folder",
        "circle",
        pytest.param("pipe", marks=needs_pipes),
        pytest.param("device", marks=needs_devices),
    ],
)
def test_what_is_no_file_is_refused_and_stays(tmp_path, give, kind):
    path, link = tmp_path / "there", tmp_path / "link"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null" if kind == "device" else "link")
    link.symlink_to("there")
    status = path.lstat()
    is_same = attrgetter("st_mode", "st_ino", "st_size", "st_mtime_ns")  # reading it is no change
    for name in (path, link):
        with pytest.raises(OSError, match=r"it is a|symbolic links"):
            give(name, "text")
    assert is_same(path.lstat()) == is_same(status)
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [link, path]


def test_a_folder_that_was_there_is_no_scratch_folder(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(FileExistsError), scratch_folder(tmp_path):
        raise AssertionError
    assert (tmp_path / "notes").read_text() == "mine"
