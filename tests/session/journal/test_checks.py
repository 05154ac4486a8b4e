"""Whatever a journal or a session file says: it is refused with a message, or opens sanely."""

import copy
import json
import os
import tracemalloc
import zlib
from binascii import b2a_base64
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from napari_sam.session import (
    ArrayLabels,
    ObjectClass,
    ObjectRecord,
    Prompts,
    read_session,
    write_session,
)
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.image.tiles import Tile
from napari_sam.session.journal import replaying
from napari_sam.session.journal.checks import JournalError
from napari_sam.session.journal.entries import record_from_json, record_to_json, to_line
from napari_sam.session.journal.files import find_journals
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.replaying import read_journal, replay
from napari_sam.session.journal.session_file import (
    SessionFileError,
    SessionInfo,
)
from napari_sam.session.journal.unfinished import UnfinishedObject
from napari_sam.session.objects.brush_edits import BrushEdits
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import RecordChange
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices, Origin
from napari_sam.session.prompts.shapes import Outline, Scribble
from tests.systems import needs_pipes

SHAPE = 3, 20, 30
SQUARE = np.ones((1, 4, 5), bool)
STATE = ObjectState(
    Prompts(
        ((3, 4.5), (7, 8)),
        (1, 0),
        outline=Outline(((1, 2), (9, 2), (5, 9))),
        scribbles=(Scribble(((1, 1), (2, 5)), 0),),
        slice_index=1,
    ),
    2,
    level=-0.25,
    tile=Tile(1, 0, 4, 20, 26),
)
RECORD = ObjectRecord(
    *(7, (1, 2, 3), (2, 6, 8), 19, 0.9, 0.8, "nucleus", True, "a\nb", STATE),
    masks=(PackedMask((1, 2, 3), SQUARE),),
    brushed=BrushEdits(
        (PackedMask((1, 9, 9), SQUARE[:, :1]),), (PackedMask((1, 2, 3), SQUARE[:, :1, :1]),)
    ),
    slices=ObjectSlices(
        0, (ObjectSlice(1, state=STATE), ObjectSlice(2, Origin.PROPAGATED, confidence=0.6))
    ),
    parent_id=3,
    class_unseen=True,
)
REFERENCE = ImageReference("cells", None, SHAPE, "uint8", (2.0, 1.0, 1.0), ("z", "y", "x"), "f1")
CLASSES = (ObjectClass("nucleus", "#ff8800"), ObjectClass("debris", "#000000"))
UNFINISHED = UnfinishedObject(
    replace(STATE, choice_box=(1, 2, 7.5, 8)), (1, 0, 0), (1, 2), 7, "nucleus"
)
INFO = SessionInfo(REFERENCE, "labels", CLASSES, UNFINISHED)
GONE = object()
WRONG = ("x", -1, 10**30, 1.5, float("nan"), None, True, [[]], GONE)


@pytest.fixture
def labels():
    labels = ArrayLabels(np.zeros(SHAPE, np.uint16))
    labels.array[1, 2:6, 3:8] = 7
    labels.array[1, 2, 3] = 2
    labels.registry.replace_all([RECORD])
    return labels


@pytest.fixture
def session(tmp_path, labels):
    path = tmp_path / "good"
    write_session(path, INFO, labels, [RECORD])
    return path


@pytest.fixture
def journal(labels):
    """The path of one with an object, pixels of several labels, one that is gone, and classes."""
    journal = Journal(REFERENCE, labels)
    journal.record_classes(CLASSES)
    stroke = PackedMask((1, 2, 3), SQUARE)
    journal.record_paint([stroke], [RecordChange(replace(RECORD, label_id=9), None)])
    labels.name = "other"
    journal.record_classes(CLASSES[:1])
    journal.record_unfinished([UNFINISHED])
    journal.record_paint([stroke], [])
    return journal.path


def contents(path):
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        del line["crc"]
    return lines


def places(value, at=()):
    yield at
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*at, key))
    elif isinstance(value, list):
        for index in range(min(len(value), 2)):
            yield from places(value[index], (*at, index))


def mutations(path):
    """Write the file with one wrong value after the other."""
    good = contents(path)
    lines = [to_line(content) for content in good]
    for number, content in enumerate(good):
        for *parents, last in islice(places(content), 1, None):
            for wrong in WRONG:
                changed = holder = copy.deepcopy(content)
                for key in parents:
                    holder = holder[key]
                if wrong is GONE:
                    del holder[last]
                else:
                    holder[last] = wrong
                path.write_bytes(
                    b"".join([*lines[:number], to_line(changed), *lines[number + 1 :]])
                )
                yield


def check_sane(labels, path):
    """Check that what was opened can be used, written again and read again."""
    for record in labels.registry:
        ends = zip(record.start, record.stop, labels.shape, strict=True)
        assert all(0 <= first < last <= length for first, last, length in ends)
        assert np.isfinite([record.score or 0.0, record.stability or 0.0]).all()
        for mask in (*record.masks, *record.brushed.painted, *record.brushed.erased):
            assert np.count_nonzero(mask.mask) == mask.area_px
    write_session(path, INFO, labels, list(labels.registry))
    again = ArrayLabels(np.zeros_like(labels.array))
    replay(read_session(path).content.entries(), again)
    assert [record_to_json(record) for record in again.registry] == [
        record_to_json(record) for record in labels.registry
    ]


def test_every_wrong_value_of_a_session_file_is_refused_or_harmless(session, tmp_path):
    n_refused = n_opened = 0
    for _ in mutations(session):
        try:
            saved = read_session(session)
        except SessionFileError as error:
            n_refused += session.name in str(error)
            continue
        labels = ArrayLabels(np.zeros(saved.shape, saved.dtype))
        replay(saved.content.entries(), labels)
        check_sane(labels, tmp_path / "again")
        n_opened += 1
    assert n_refused > 5 * n_opened > 0


def test_every_wrong_value_of_a_journal_ends_its_replay_or_is_harmless(journal, tmp_path):
    n_refused = n_damaged = n_opened = 0
    for _ in mutations(journal):
        find_journals(REFERENCE, done_with=[journal])
        try:
            content = read_journal(journal)
        except JournalError:
            n_refused += 1
            continue
        assert isinstance(content.labels_name, str)
        assert all(isinstance(known, ObjectClass) for known in content.classes)
        assert all(isinstance(known, UnfinishedObject) for known in content.unfinished)
        n_damaged += "damaged after entry" in content.warning
        n_opened += not content.warning
        labels = ArrayLabels(np.zeros(content.header.shape, content.header.dtype))
        replay(content.entries(), labels)
        check_sane(labels, tmp_path / "again")
    assert n_damaged > n_refused > 0 < n_opened


def test_what_is_before_a_wrong_entry_is_restored_and_the_error_says_where(journal):
    good = contents(journal)
    assert [line.get("direction") for line in good[1:4]] == ["classes", "found", "painted"]
    good[2]["records"][0]["score"] = "high"
    lines = [to_line(line) for line in good]
    journal.write_bytes(b"".join(lines))
    content = read_journal(journal)
    assert (content.lines, content.sound_bytes) == (lines[1:2], len(lines[0] + lines[1]))
    assert "line 3: object 7: score must be a finite number, not 'high'" in content.warning


def compressed(n_bytes):
    packed = zlib.compressobj(9)
    content = b"".join(packed.compress(bytes(2**20)) for _ in range(n_bytes >> 20))
    return b2a_base64(content + packed.flush(), newline=False).decode()


@pytest.mark.parametrize("part", [2, 3])
def test_pixels_are_expanded_no_further_than_their_box(session, part):
    lines = contents(session)
    lines[1]["patches"][0][part] = compressed(2**26)
    session.write_bytes(b"".join(map(to_line, lines)))
    tracemalloc.start()
    with pytest.raises(SessionFileError, match="bytes that their box or mask needs"):
        read_session(session)
    assert tracemalloc.get_traced_memory()[1] < 2**25  # the line itself takes some
    tracemalloc.stop()


def test_lines_are_read_up_to_a_length(session, monkeypatch):
    monkeypatch.setattr(replaying, "MAX_LINE_BYTES", 2000)
    read_session(session)
    lines = contents(session)
    lines[1]["records"][0]["note"] = "x" * 2000
    session.write_bytes(b"".join(map(to_line, lines)))
    with pytest.raises(SessionFileError, match="damaged"):
        read_session(session)


@needs_pipes
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SessionFileError, match="not a file"):
        read_session(tmp_path / "pipe")


@pytest.mark.parametrize("deep", ["[" * 10**5, '{"a":' * 10**5, '"', "1" * 5000])
def test_sound_lines_that_are_no_json_are_refused(session, journal, deep):
    body = b'{"direction":' + deep.encode()
    line = body + b',"crc":"%08x"}\n' % zlib.crc32(body)
    first, *_, last = session.read_bytes().splitlines(keepends=True)
    session.write_bytes(first + line + last)
    with pytest.raises(SessionFileError, match="line 2: it is not JSON"):
        read_session(session)
    session.write_bytes(line)
    with pytest.raises(SessionFileError, match="not a session"):
        read_session(session)
    journal.write_bytes(journal.read_bytes() + line)
    assert "it is not JSON" in read_journal(journal).warning


def test_scores_of_zero_come_back():
    record = replace(RECORD, score=0.0, stability=0.0, reviewed=False, note="", class_name=None)
    content = record_to_json(record)
    assert {"reviewed", "note", "class_name"}.isdisjoint(content)
    again = record_from_json(json.loads(json.dumps(content)))
    assert (again.score, again.stability) == (0.0, 0.0)
    assert record_from_json({**content, "uid": 1, "new": 2}).uid != 1
