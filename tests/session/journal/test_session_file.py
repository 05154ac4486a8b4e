"""A session in one file: what was written comes back, and what is no whole session is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_sam.session import ArrayLabels, ObjectClass, Prompts, read_session, write_session
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.image.tiles import Tile
from napari_sam.session.journal.entries import to_line
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.replaying import replay
from napari_sam.session.journal.session_file import (
    SESSION_SUFFIX,
    SessionFileError,
    SessionInfo,
    image_fingerprint,
)
from napari_sam.session.journal.unfinished import UnfinishedObject
from tests.session.annotating import REFERENCE, SHAPE, Annotator
from tests.session.journal.test_journal import check_same
from tests.systems import needs_devices

MADE = UnfinishedObject(
    ObjectState(Prompts(((3, 4.5), (7, 8)), (1, 0), (1, 2, 30, 40)), 2, tile=Tile(1, 0, 4, 20, 30)),
    (0, 0),
    (1, 0),
    7,
)
CLASSES = (ObjectClass("Münze", "#ff8800"), ObjectClass("other", "#000000"))
INFO = SessionInfo(REFERENCE, "细胞 labels", CLASSES, MADE)


@pytest.fixture
def annotator():
    annotator = Annotator(4, journal=False)
    for done in annotator.work():
        if done >= 60:
            return annotator
    raise AssertionError


@pytest.fixture
def path(tmp_path, annotator):
    path = tmp_path / f"day{SESSION_SUFFIX}"
    write_session(path, INFO, annotator.labels, list(annotator.labels.registry))
    return path


def restored(saved):
    labels = ArrayLabels(np.zeros(saved.shape, saved.dtype))
    replay(saved.content.entries(), labels)
    return labels


def test_everything_comes_back(annotator, path):
    saved = read_session(path)
    assert saved.info == INFO
    assert (saved.shape, saved.dtype) == (SHAPE, np.uint16)
    assert saved.n_objects == len(annotator.labels.registry) > 5
    check_same(restored(saved), annotator.labels)
    assert list(path.parent.iterdir()) == [path]
    for line in path.read_text("utf-8").splitlines():  # plain JSON, for other programs
        assert isinstance(json.loads(line), dict)


def test_a_session_without_an_object_is_one_too(tmp_path):
    path, info = tmp_path / "new", SessionInfo(REFERENCE, "labels")
    write_session(path, info, ArrayLabels(np.zeros((3, 4), np.int32)), ())
    saved = read_session(path)
    assert (saved.info, saved.n_objects, saved.dtype) == (info, 0, np.int32)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda lines: lines[:-1], "incomplete"),
        (lambda lines: [*lines[:-1], lines[-1][:30]], "incomplete"),
        (lambda lines: [*lines[:3], lines[3].replace(b'"a', b'"b', 1), *lines[4:]], "damaged"),
        (lambda lines: [*lines, b"more\n"], "damaged"),
        (lambda lines: [*lines[:3], *lines[4:]], "damaged"),
        (lambda lines: [*lines[:3], *lines[2:]], "damaged"),
        (lambda lines: lines[1:], "not a session file"),
        (lambda lines: [], "not a session file"),
        (lambda lines: [b"\x00\xff" * 99], "not a session file"),
        (lambda lines: [b'{"type":"FeatureCollection"}'], "not a session file"),
    ],
)
def test_what_is_no_whole_session_is_refused(path, damage, complaint):
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(SessionFileError, match=complaint):
        read_session(path)


def test_a_newer_one_and_a_senseless_one_are_refused(path, tmp_path):
    first, *lines = path.read_bytes().splitlines(keepends=True)
    header = json.loads(first)
    del header["crc"]
    for change, complaint in (
        ({"format": 2, "program": "9.0"}, "newer version \\(9.0\\)"),
        ({"labels": None}, "invalid content"),
        ({"labels": {"name": "x", "shape": [1], "dtype": "nonsense"}}, "invalid content"),
        ({"being_made": {"state": {}}}, "invalid content"),
    ):
        path.write_bytes(to_line({**header, **change}) + b"".join(lines))
        with pytest.raises(SessionFileError, match=complaint):
            read_session(path)
    with pytest.raises(SessionFileError, match="cannot be read"):
        read_session(tmp_path / "missing")


@pytest.mark.parametrize(
    "labels",
    [
        {"shape": [10**6, 10**7]},
        {"shape": [-1, 64]},
        {"shape": [0, 64]},
        {"shape": [9]},
        {"shape": [9.0, 9]},
        {"dtype": "float32"},
        {"dtype": "object"},
    ],
)
def test_labels_that_no_image_has_are_refused(path, labels):
    first, *lines = path.read_bytes().splitlines(keepends=True)
    header = json.loads(first)
    del header["crc"]
    header["labels"].update(labels)
    path.write_bytes(to_line(header) + b"".join(lines))
    with pytest.raises(
        SessionFileError,
        match=r"do not match an image|shape of the labels|labels must",
    ):
        read_session(path)


@pytest.mark.parametrize("size", [0, 1e-300, 1e300, "1"])
def test_pixel_sizes_that_no_image_has_are_refused(path, size):
    first, *lines = path.read_bytes().splitlines(keepends=True)
    header = json.loads(first)
    del header["crc"]
    header["image"]["scale"] = [1.0, size]
    path.write_bytes(to_line(header) + b"".join(lines))
    with pytest.raises(SessionFileError, match="pixel size"):
        read_session(path)


@pytest.mark.parametrize("where", ["source", "beside"])
def test_an_image_that_is_nowhere_is_refused(path, where):
    first, *lines = path.read_bytes().splitlines(keepends=True)
    header = json.loads(first)
    del header["crc"]
    header["image"][where] = 3
    path.write_bytes(to_line(header) + b"".join(lines))
    with pytest.raises(SessionFileError, match="the path of the image"):
        read_session(path)


def test_a_file_that_cannot_be_written_leaves_the_one_before(annotator, path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: Path("missing").stat())
    with pytest.raises(SessionFileError, match="cannot be written"):
        write_session(path, INFO, annotator.labels, ())
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(SessionFileError, match="cannot be written"):
        write_session(path.parent / "missing" / "x", INFO, annotator.labels, ())


@needs_devices
def test_a_session_is_not_written_to_a_device(annotator):
    with pytest.raises(SessionFileError, match="a pipe or a device"):
        write_session(Path("/dev/null"), INFO, annotator.labels, ())


def test_the_image_is_looked_for_beside_the_file_then_where_it_was(annotator, tmp_path):
    image = tmp_path / "images" / "cells.tif"
    image.parent.mkdir()
    image.touch()
    path = tmp_path / "sessions" / "day"
    path.parent.mkdir()
    info = SessionInfo(replace(REFERENCE, source=str(image)), "labels")
    write_session(path, info, annotator.labels, ())
    assert read_session(path).image_paths == (image, path.parent / "cells.tif")
    moved = tmp_path / "elsewhere" / "sessions" / "day"
    moved.parent.mkdir(parents=True)
    path.replace(moved)
    assert read_session(moved).image_paths == (
        moved.parent.parent / "images" / "cells.tif",
        moved.parent / "cells.tif",
        image,
    )
    elsewhere = replace(REFERENCE, source="D:\\data\\cells.tif")
    write_session(moved, SessionInfo(elsewhere, "labels"), annotator.labels, ())
    assert moved.parent / "cells.tif" in read_session(moved).image_paths


def test_an_image_is_known_by_some_of_its_pixels():
    image = np.random.default_rng(0).integers(0, 9, (5, 600, 700, 3))
    assert image_fingerprint(image) == image_fingerprint(image.astype(">i8"))
    other = image.copy()
    other[2, 300, 350, 1] += 1
    assert image_fingerprint(image[2, ..., 1]) != image_fingerprint(other[2, ..., 1])

    class Unreadable:
        shape = 3, 4

        def __getitem__(self, _):
            raise RuntimeError

    assert image_fingerprint(Unreadable()) is None
    keys = [
        ImageReference(name, source, (3, 4), "uint8", fingerprint=pixels).key
        for name, source, pixels in (
            *(("a", None, "x"), ("b", None, "x"), ("a", None, "y")),
            *(("a", "file", None), ("b", "file", None), ("a", None, None), ("b", None, None)),
        )
    ]
    assert keys[0] == keys[1] != keys[2]  # by its pixels, in memory
    assert keys[3] == keys[4]  # by its file
    assert len(set(keys)) == 5  # else by its name
