import errno
import gzip
import inspect
import json
import os
import platform
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam import formats as export
from napari_sam.formats import (
    FORMATS,
    READ_SUFFIXES,
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    read_objects,
)
from napari_sam.formats.files import (
    export_file,
    export_folder,
    read_json,
    read_text,
    require_memory,
    write_json,
    write_text,
)
from napari_sam.formats.units import UNIT_SYMBOLS, unit_name
from napari_sam.storage.atomic import PARTIAL_SUFFIX
from tests.systems import needs_pipes

OF_FILMS = ("write_ctc", "write_geff", "write_trackmate", "write_tracks_csv")


def test_windows_renames_folders_once_the_virus_scanner_has_closed_them(tmp_path, monkeypatch):
    path, move = tmp_path / "film", Path.replace
    path.mkdir()
    was_open = set()

    def while_open(folder, target):
        if target not in was_open:
            was_open.add(target)
            raise PermissionError(errno.EACCES, "it is in use")
        return move(folder, target)

    monkeypatch.setattr(platform, "system", lambda: "Windows")
    monkeypatch.setattr(Path, "replace", while_open)
    with export_folder(path, re.compile("new")) as partial:
        (partial / "new").touch()
    assert len(was_open) == 2
    assert [file.name for file in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    target = tmp_path / "a.txt"
    with export_file(target) as partial:
        partial.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, OSError])
def test_a_failure_leaves_the_old_file(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write_half():
        with export_file(target) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises((RuntimeError, FileError)):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_long_names_are_written(tmp_path):
    target = tmp_path / ("a" * 251 + ".txt")
    write_text(target, "é")
    assert read_text(target) == "é"


def test_halves_of_characters_keep_no_format_from_being_written(tmp_path):
    obj = ExportObject(1, np.ones((2, 2), bool), 1, 1, (), "cell", note="a\ud83db")
    annotations = Annotations(ImageInfo((9, 9), "a"), [obj])
    for number, entry in enumerate(FORMATS):
        (first, *_) = entry.write(tmp_path / f"{number}{entry.suffixes[0]}", annotations)
        if first.name.endswith(READ_SUFFIXES):
            assert len(read_objects(first, annotations.image).objects) == 1


def test_json_has_null_for_what_is_no_number(tmp_path):
    write_json(tmp_path / "a.json", [{"score": float("nan")}, (float("inf"), 0.5)])
    assert (tmp_path / "a.json").read_text() == '[{"score":null},[null,0.5]]'


@needs_pipes
@pytest.mark.parametrize("entry", FORMATS, ids=lambda entry: entry.key)
def test_every_format_is_written_through_links_but_not_to_devices(tmp_path, entry):
    obj = ExportObject(1, np.ones((2, 2), bool), 1, 1, (), "cell")
    annotations = Annotations(ImageInfo((9, 9), "a"), [obj])
    path, target = tmp_path / f"a{entry.suffixes[0]}", tmp_path / "target"
    path.symlink_to(target)
    entry.write(path, annotations)
    assert path.is_symlink()
    assert target.stat().st_size
    target.unlink()
    os.mkfifo(target)
    with pytest.raises(FileError, match="a pipe or a device"):
        entry.write(path, annotations)
    assert target.is_fifo()


def test_folders_that_do_not_exist_are_reported(tmp_path):
    with pytest.raises(FileError, match="choose another folder"):
        write_text(tmp_path / "missing" / "a.txt", "")


def full(self, target):
    raise OSError("No space left on device")


@pytest.mark.parametrize(
    "name", [name for name in dir(export) if name.startswith("write_") and name not in OF_FILMS]
)
def test_no_format_replaces_a_file_that_it_cannot_write(tmp_path, annotations, name, monkeypatch):
    target = tmp_path / "old"
    target.write_text("old: 1")
    monkeypatch.setattr("pathlib.Path.replace", full)
    labels = np.ones((17, 19), np.uint8)
    classes = annotations.classes
    known = {"labels": labels, "image": annotations.image, "classes": classes, "legend": classes}
    writer = getattr(export, name)
    wanted = list(inspect.signature(writer).parameters)[1:]
    arguments = [
        known.get(name, annotations) for name in wanted if name in (*known, "annotations", "images")
    ]
    with pytest.raises(FileError, match="No space left"):
        writer(target, *arguments)
    assert target.read_text() == "old: 1"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", OF_FILMS)
def test_no_format_of_films_replaces_what_it_cannot_write(tmp_path, name, monkeypatch):
    mask = np.ones((3, 3), bool)
    objects = [ExportObject(1, mask, 2, frame, (frame,)) for frame in range(2)]
    film = Annotations(ImageInfo((2, 9, 9), axes="TYX"), objects)
    target, write = tmp_path / "old", getattr(export, name)
    write(target, film)
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    rename = Path.rename
    monkeypatch.setattr("pathlib.Path.replace", full)
    monkeypatch.setattr(
        "pathlib.Path.rename",
        lambda path, to: (full if path.name.endswith(PARTIAL_SUFFIX) else rename)(path, to),
    )
    with pytest.raises(FileError, match="No space left"):
        write(target, replace(film, objects=objects[:1]))
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    "unit", [*UNIT_SYMBOLS, *(symbol for symbols in UNIT_SYMBOLS.values() for symbol in symbols)]
)
def test_units_are_known_by_name_and_by_symbol(unit):
    name = unit_name(unit)
    assert unit == name or unit in UNIT_SYMBOLS[name]


def test_json_is_the_same_entry_by_entry(tmp_path):
    content = {
        "list": [{"a": [1, 2.5]}, "Zellkern 核", None],
        "empty": [],
        "b": {"c": True},
        '"': 1,
    }
    path = tmp_path / "a.json"
    write_json(path, content)
    assert path.read_text("utf-8") == json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    assert read_json(path) == content


def test_each_thread_counts_the_little_memory_that_it_takes(monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=0))

    def take(sizes_bytes):
        for size_bytes in sizes_bytes:
            require_memory(size_bytes, "A mask")

    for sizes_bytes in ([2**26 - 1], [2**25]):
        with ThreadPoolExecutor(1) as thread:
            thread.submit(take, sizes_bytes).result()
    with ThreadPoolExecutor(1) as thread, pytest.raises(FileError, match="GiB are free"):
        thread.submit(take, [2**25, 2**25]).result()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_of_any_program_is_read(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes("x;größe\r\n1;2\r3;4\n".encode(encoding))
    assert read_text(tmp_path / "a.csv") == "x;größe\n1;2\n3;4\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(b"{}", mtime=0), "unpack it first"),
        (b"", "empty"),
        (b"\xff\0\0", "cannot be read"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, reason):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(FileError, match=f"{reason}.*a.json"):
        read_json(tmp_path / "a.json")
