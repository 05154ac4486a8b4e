"""Everything done to objects is on disk as it is done, and comes back exactly."""

import errno
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from napari_sam.session import ArrayLabels, ObjectClass, ObjectRecord
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.journal import files, writer
from napari_sam.session.journal import journal as journal_module
from napari_sam.session.journal.checks import JournalError, check_state
from napari_sam.session.journal.entries import (
    FARTHEST_PX,
    state_from_json,
    state_to_json,
    to_line,
)
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.lines import AppendedLines
from napari_sam.session.journal.replaying import read_journal, replay
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.planning import first_free_label_id
from napari_sam.session.objects.records import RecordChange
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.storage import pacing
from tests.session.annotating import REFERENCE, SHAPE, Annotator
from tests.systems import needs_fork

N_KILLS = 50


def restored(path, shape=SHAPE, dtype=np.uint16):
    labels = ArrayLabels(np.zeros(shape, dtype))
    content = read_journal(path)
    replay(content.entries(), labels)
    return labels, content


def known(record):
    """All of a record, in a form that can be compared; a state without its logits."""
    brushed = record.brushed
    masks = [
        [(one.start, one.shape, one.area_px, one.packed) for one in masks]
        for masks in (record.masks, brushed.painted, brushed.erased)
    ]
    others = {"masks", "brushed", "uid"}
    fields = {name: value for name, value in vars(record).items() if name not in others}
    return fields, masks


def check_same(labels, other):
    np.testing.assert_array_equal(labels.array, other.array)
    assert [known(one) for one in labels.registry] == [known(one) for one in other.registry]


def annotated(n_entries, seed=0, **options):
    """Return who has made so many entries, or the one or two more of what was not done then."""
    annotator = Annotator(seed, **options)
    for done in annotator.work():
        if done >= n_entries:
            return annotator
    raise AssertionError


@pytest.mark.parametrize("seed", range(5))
def test_what_is_replayed_is_what_was_done(seed):
    annotator = annotated(200, seed)
    labels, content = restored(annotator.journal.path)
    check_same(labels, annotator.labels)
    directions = {entry["direction"] for entry in content.entries()}
    assert directions == {"made", "undone", "redone", "painted"}


@pytest.mark.slow
@needs_fork
def test_after_a_kill_everything_that_was_done_is_there(journals_folder):
    script = Path(__file__).parents[1] / "annotating.py"
    moments = random.Random(0)
    with subprocess.Popen(
        [sys.executable, script, str(N_KILLS)], stdout=subprocess.PIPE, text=True
    ) as program:
        reported = {}
        for line in program.stdout:
            if line.startswith("began"):
                pid, n_before_kill = int(line.split()[1]), max(0, moments.randrange(-10, 50))
                reported[pid] = 0
            elif line.strip().isdigit():
                reported[pid] = int(line)
            if reported[pid] >= n_before_kill:
                n_before_kill = math.inf
                delay_s = moments.uniform(0.0, 0.02)
                threading.Timer(delay_s, os.kill, (pid, signal.SIGKILL)).start()
    assert len(reported) == N_KILLS
    assert sum(reported.values()) > 10 * N_KILLS
    journals = {int(path.name.split("-")[1], 16): path for path in journals_folder.iterdir()}
    for seed, (pid, n_reported) in enumerate(reported.items()):
        if n_reported or (pid in journals and journals[pid].stat().st_size):
            labels, content = restored(journals[pid])
            n_entries = len(content.lines)
            # One thing may have been done but not reported, and takes two entries at the most.
            assert n_entries - n_reported in (0, 1, 2)
            assert not content.warning
            if n_entries:
                annotator = annotated(n_entries, seed, journal=False)
                if annotator.n_entries == n_entries:  # else it was killed in between the two
                    check_same(labels, annotator.labels)
                else:
                    np.testing.assert_array_equal(labels.array, annotator.labels.array)


def test_a_torn_last_line_is_ignored_and_gone_on_from():
    annotator = annotated(30)
    path = annotator.journal.path
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[-1][:50])
    labels, content = restored(path)
    assert content.warning == ""
    check_same(labels, annotator.labels)
    journal = Journal.resume(path, content.sound_bytes, REFERENCE, labels)
    journal.record_paint([PackedMask((0, 0), np.ones((1, 1), bool))], ())
    assert path.read_bytes().startswith(whole)
    assert len(read_journal(path).lines) == len(content.lines) + 1


def test_a_damaged_line_ends_the_replay_and_says_so():
    annotator = annotated(30)
    path = annotator.journal.path
    lines = path.read_bytes().splitlines(keepends=True)
    lines[11] = lines[11].replace(b'"at":1', b'"at":2', 1)
    path.write_bytes(b"".join(lines))
    labels, content = restored(path)
    assert "damaged after entry 10" in content.warning
    check_same(labels, annotated(10, journal=False).labels)


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text('{"format": 1}\n')
    with pytest.raises(JournalError, match="not a journal"):
        read_journal(path)
    with pytest.raises(JournalError, match="cannot be read"):
        read_journal(tmp_path / "missing")


def test_what_was_there_before_is_written_down_too():
    annotator = Annotator(3)
    annotator.labels.array[5:9, 7:20] = 7
    annotator.labels.array[5, 8] = 2
    annotator.labels.registry.replace_all(find_objects(annotator.labels))
    for n_entries in annotator.work():
        if n_entries >= 20:
            break
    labels, content = restored(annotator.journal.path)
    check_same(labels, annotator.labels)
    assert [entry["direction"] for entry in islice(content.entries(), 3)] == [
        "found",
        "found",
        "made",
    ]


def test_labels_of_more_dimensions_are_replayed():
    labels = ArrayLabels(np.zeros((3, 700, 40), np.int32))
    journal = Journal(REFERENCE, labels)
    labels.array[1, 500:530, 10:30] = -4
    labels.array[2, 510:, :] = 70000
    labels.registry.replace_all(find_objects(labels))
    annotator = Annotator(0, journal=False)
    edit = next(annotator.work()) and annotator.editing.history.last.labels
    changes = (RecordChange(None, next(iter(labels.registry))),)
    journal.record(replace(edit, strokes=(), changes=changes), "made")
    journal.record_paint([PackedMask((0, 500, 10), np.ones((3, 30, 20), bool))], ())
    again, _ = restored(journal.path, labels.shape, labels.dtype)
    np.testing.assert_array_equal(again.array, labels.array)


def test_a_folder_that_cannot_be_written_stops_nobody_and_is_said_once(tmp_path):
    (tmp_path / "file").write_text("")
    annotator = Annotator(0)
    annotator.journal = Journal(REFERENCE, annotator.labels, tmp_path / "file" / "journals")
    said = []
    annotator.journal.troubled.connect(said.append)
    work = annotator.work()
    for _ in range(10):
        next(work)
    assert len(said) == 1
    assert "would be lost in a crash" in said[0]
    (tmp_path / "file").unlink()  # there is room again
    next(work)
    labels, _ = restored(annotator.journal.path)
    check_same(labels, annotator.labels)


def test_a_full_disk_leaves_no_torn_line_between_sound_ones(monkeypatch):
    annotator = annotated(5)
    journal, path = annotator.journal, annotator.journal.path
    opened = Path.open

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, line):
            self.file.write(line[:20])
            raise OSError(28, "No space left on device")

    said = []
    journal.troubled.connect(said.append)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda *args, **options: Full(opened(*args, **options)))
        annotator.accept()
        annotator.accept()
    assert len(said) == 1
    annotator.accept()
    labels, content = restored(path)
    assert len(content.lines) == annotator.n_entries
    check_same(labels, annotator.labels)


def test_journals_of_an_image_are_found_newest_first(other_program):
    first, second = annotated(3), annotated(9, seed=1)
    empty = Annotator(2)
    empty.accept()
    empty.editing.undo()
    Journal(replace(REFERENCE, name="others"), first.labels).record(
        first.editing.history.last.labels, "made"
    )
    assert files.find_journals(REFERENCE) == []  # this program still runs
    other_program()
    found = files.find_journals(REFERENCE)
    assert [one.path for one in found] == [second.journal.path, first.journal.path]
    assert [one.n_objects for one in found] == [
        len(second.labels.registry),
        len(first.labels.registry),
    ]
    assert found[0].header.image.name == "cells"
    assert abs(found[0].ended - time.time()) < 60
    claimed = files.claim(found[0].path)
    assert files.claim(found[0].path) is None  # only one can be first
    assert [one.path for one in files.find_journals(REFERENCE)] == [found[1].path]
    files.discard(found[1].path)
    assert files.find_journals(REFERENCE) == []
    assert claimed.exists()


def test_how_a_program_ended_is_told_and_what_was_saved_is_not_offered(other_program):
    closed, killed, saved, gone_on, emptied = (annotated(4, seed) for seed in range(5))
    for annotator in (saved, gone_on):
        annotator.journal.mark_saved()
    gone_on.accept()
    while emptied.labels.registry:
        emptied.editing.undo()
    for annotator in (closed, saved, emptied):
        annotator.journal.close()
    assert not emptied.journal.path
    check_same(restored(closed.journal.path)[0], closed.labels)
    other_program()
    found = {one.path: one.is_closed for one in files.find_journals(REFERENCE)}
    assert found == {
        closed.journal.path: True,
        killed.journal.path: False,
        gone_on.journal.path: False,
    }
    emptied.accept()  # one that was still being written in the background
    check_same(restored(emptied.journal.path)[0], emptied.labels)


def test_an_image_from_a_file_may_be_renamed():
    one = replace(REFERENCE, source="/data/cells.tif")
    assert replace(one, name="cells [1]").key == one.key
    assert replace(one, scale=(0.5, 0.5), axes=("y", "x")).key == one.key
    assert replace(one, source="/data/others.tif").key != one.key
    assert replace(REFERENCE, name="cells [1]").key != REFERENCE.key
    assert set(asdict(one)) >= {"shape", "dtype", "scale", "axes"}


def test_the_oldest_of_many_journals_go_but_never_one_in_use(
    monkeypatch, journals_folder, other_program
):
    paths = [annotated(2, seed).journal.path for seed in range(5)]
    for age, path in enumerate(reversed(paths)):
        os.utime(path, (time.time() - 100 * age,) * 2)
    monkeypatch.setattr(files, "MAX_JOURNALS", 3)
    files.remove_old_journals(journals_folder)
    assert all(path.exists() for path in paths)
    other_program()
    files.remove_old_journals(journals_folder)
    assert [path.exists() for path in paths] == [False, False, True, True, True]


@pytest.mark.parametrize("years", [-50, 1, 50])
def test_a_clock_that_is_wrong_takes_no_journal(monkeypatch, other_program, years):
    annotator = annotated(3)
    other_program()
    wrong = time.time() + years * 365 * 86400
    monkeypatch.setattr(time, "time", lambda: wrong)
    (found,) = files.find_journals(REFERENCE)
    assert found.path == annotator.journal.path


@pytest.mark.parametrize(
    "middle", ["1f.a-b", "1f.a-b-c-d", "1f.host-pid-start", "1f.abcd-ffffffffff-1", "1.2.3.4-5-6"]
)
def test_files_of_others_in_the_folder_are_left_alone(journals_folder, other_program, middle):
    journals_folder.mkdir(parents=True, exist_ok=True)
    foreign = journals_folder / f"{REFERENCE.key}.{middle}.sam-journal.jsonl"
    foreign.write_text("somebody else's")
    os.utime(foreign, (1, 1))
    annotator = annotated(3)
    check_same(restored(annotator.journal.path)[0], annotator.labels)
    other_program()
    assert [one.path for one in files.find_journals(REFERENCE)] == [annotator.journal.path]
    assert foreign.read_text() == "somebody else's"


def test_a_journal_is_sound_even_if_old_ones_cannot_be_removed(monkeypatch):
    monkeypatch.setattr("napari_sam.session.journal.journal.remove_old_journals", lambda _: 1 / 0)
    annotator = annotated(3)
    check_same(restored(annotator.journal.path)[0], annotator.labels)


def test_where_a_program_is_known_by_the_clock_that_may_be_set_a_little(monkeypatch):
    monkeypatch.setattr(files, "_since_boot", lambda _: None)
    path = annotated(2).journal.path
    began = files._started(os.getpid())
    for other, is_in_use in ((1, True), (-2, True), (3, False), (-60, False)):
        monkeypatch.setattr(files, "_started", lambda _, other=other: began + other)
        assert files.is_in_use(path) is is_in_use
    monkeypatch.setattr(files, "_started", lambda _: None)
    assert not files.is_in_use(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the clock is asked")
def test_a_program_is_known_again_although_the_clock_was_set(monkeypatch):
    path = annotated(2).journal.path
    started = files._started
    monkeypatch.setattr(files, "_started", lambda pid: started(pid) + 3600)
    assert files.is_in_use(path)
    assert files.find_journals(REFERENCE) == []
    pid = f"-{os.getpid():x}-"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert not files.is_in_use(Path(str(path).replace(pid, f"-{other.pid:x}-")))
        other.communicate(b"\n")
    assert not files.is_in_use(Path(str(path).replace(pid, f"-{other.pid:x}-")))


def test_journals_whose_names_are_of_an_earlier_version_are_found(other_program, monkeypatch):
    with monkeypatch.context() as earlier:
        earlier.setattr(files, "_since_boot", lambda _: None)
        path = annotated(3).journal.path
    assert files.is_in_use(path)
    other_program()
    (found,) = files.find_journals(REFERENCE)
    assert found.path == path


class SlowLabels(ArrayLabels):
    """Labels whose pixels one thread reads only when it may."""

    def __init__(self, array):
        super().__init__(array)
        self.is_read, self.may_go_on, self.thread = threading.Event(), threading.Event(), None

    def read(self, region):
        if threading.current_thread() is self.thread:
            self.is_read.set()
            assert self.may_go_on.wait(60)
        return super().read(region)


def accept_many(annotator):
    for _ in range(30):
        annotator.accept()


def being_prepared(annotator):
    """Have the journal read, on a thread, what there is; return that thread, which waits."""
    labels = SlowLabels(annotator.labels.array)
    labels.registry = annotator.labels.registry
    annotator.plane.labels = annotator.labels = labels
    annotator.journal = Journal(REFERENCE, labels)
    labels.thread = threading.Thread(target=annotator.journal.prepare, daemon=True)
    annotator.journal.buffer()
    labels.thread.start()
    assert labels.is_read.wait(60)
    return labels.thread


def test_no_edit_waits_until_what_is_there_is_read():
    annotator = Annotator(0, journal=False)
    accept_many(annotator)
    thread = being_prepared(annotator)

    def edit():
        annotator.accept()
        annotator.editing.undo()
        annotator.change(0.8)
        annotator.change(0.92)
        annotator.editing.undo()
        accept_many(annotator)

    editing = threading.Thread(target=edit, daemon=True)
    editing.start()
    editing.join(60)
    assert not editing.is_alive()
    assert annotator.journal.path is None
    annotator.labels.may_go_on.set()
    thread.join()
    check_same(restored(annotator.journal.path)[0], annotator.labels)
    annotator.accept()
    check_same(restored(annotator.journal.path)[0], annotator.labels)


def test_classes_that_come_while_what_is_there_is_read_are_kept():
    annotator = Annotator(0, journal=False)
    accept_many(annotator)
    thread = being_prepared(annotator)
    classes = (ObjectClass("cell", "#123456"),)
    annotator.journal.record_classes(classes)
    annotator.labels.may_go_on.set()
    thread.join()
    annotator.accept()
    labels, content = restored(annotator.journal.path)
    assert content.classes == classes
    check_same(labels, annotator.labels)


def test_what_is_done_just_before_the_end_is_written_down_too():
    annotator = Annotator(0, journal=False)
    accept_many(annotator)
    being_prepared(annotator)
    annotator.accept()
    annotator.labels.may_go_on.set()
    annotator.journal.close()
    labels, content = restored(annotator.journal.path)
    check_same(labels, annotator.labels)
    assert list(content.entries())[-1]["direction"] == "closed"


@pytest.mark.parametrize("is_edited", [False, True])
def test_a_journal_closed_while_existing_objects_are_appended_stays_sound(monkeypatch, is_edited):
    monkeypatch.setattr(pacing, "_STRETCH_S", 0)
    monkeypatch.setattr(journal_module, "_PREPARED_WITHIN_S", 0)
    annotator = Annotator(0, journal=False)
    accept_many(annotator)
    journal = annotator.journal = Journal(REFERENCE, annotator.labels)
    closed = []

    def close_in_between():
        if len(journal._writer.label_ids) == 5 and not closed:
            closed.append(True)
            if is_edited:
                annotator.accept()
            journal.close()

    with pacing.resting_with(close_in_between):
        journal.prepare()
    assert closed
    annotator.accept()
    assert journal.path.read_bytes().count(b'"format"') == 1
    labels, _ = restored(journal.path)
    newest = list(annotator.labels.registry)[-1]
    assert labels.registry.get(newest.label_id) is not None
    if not is_edited:  # the file is begun after closing, with everything
        check_same(labels, annotator.labels)


def test_edits_are_journaled_even_if_existing_objects_cannot_be(monkeypatch):
    annotator = Annotator(0, journal=False)
    accept_many(annotator)
    annotator.journal = Journal(REFERENCE, annotator.labels)
    with monkeypatch.context() as broken:
        broken.setattr(writer.EntryWriter, "append", lambda *_: [][1])
        with pytest.raises(IndexError):
            annotator.journal.prepare()
    annotator.accept()
    newest = list(annotator.labels.registry)[-1]
    assert restored(annotator.journal.path)[0].registry.get(newest.label_id) is not None


def test_classes_are_written_down_in_their_order_and_with_their_colors(other_program):
    cell, debris = ObjectClass("cell", "#123456"), ObjectClass("débris", "#abcdef")
    annotator = Annotator(0)
    annotator.journal.record_classes((cell,))
    assert annotator.journal.path is None  # nothing that could be lost
    annotator.accept()
    path = annotator.journal.path
    assert read_journal(path).classes == (cell,)
    annotator.journal.record_classes((debris, cell))
    n_bytes = path.stat().st_size
    annotator.journal.record_classes((debris, cell))
    assert path.stat().st_size == n_bytes
    labels, content = restored(path)
    assert content.classes == (debris, cell)
    check_same(labels, annotator.labels)
    other_program()
    (found,) = files.find_journals(REFERENCE)
    assert found.n_objects == 1
    again = Journal.resume(path, content.sound_bytes, REFERENCE, labels, content.classes)
    again.record_classes((debris, cell))
    assert path.stat().st_size == n_bytes
    again.mark_saved()
    again.record_classes((debris,))
    assert files.find_journals(REFERENCE) == []
    annotator.journal = again
    annotator.accept()
    assert read_journal(path).classes == (debris,)
    assert files.find_journals(REFERENCE)
    assert restored(annotated(3).journal.path)[1].classes == ()


def test_the_name_of_the_labels_is_written_down_and_so_is_another_one():
    annotator = Annotator(0)
    annotator.labels.name = "my nuclei"
    annotator.accept()
    path = annotator.journal.path
    assert read_journal(path).labels_name == "my nuclei"
    annotator.labels.name = '"labels_name":'
    annotator.accept()
    annotator.labels.name = ""  # the layer is gone
    annotator.journal.close()
    assert path.read_bytes().count(b"labels_name") == 2
    labels, content = restored(path)
    assert content.labels_name == '"labels_name":'
    again = Journal.resume(path, content.sound_bytes, REFERENCE, labels)
    labels.name = "cells"
    again.record_paint([PackedMask((0, 0), np.ones((1, 1), bool))], ())
    assert read_journal(path).labels_name == "cells"


def test_a_journal_that_knows_no_name_of_the_labels_has_none():
    path = annotated(3).journal.path
    first, *lines = path.read_bytes().splitlines(keepends=True)
    header = json.loads(first)
    del header["crc"], header["labels"]["name"]
    path.write_bytes(to_line(header) + b"".join(lines))
    content = read_journal(path)
    assert content.labels_name == ""
    assert content.lines == lines


def test_a_disk_that_stays_full_takes_no_memory_and_nothing_is_lost_in_the_end(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(journal_module, "_MAX_WAITING_BYTES", 5_000)
    monkeypatch.setattr(journal_module, "_RETRY_S", 0.0)
    folder = tmp_path / "journals"
    annotator = Annotator(0)
    journal = annotator.journal = Journal(REFERENCE, annotator.labels, folder)
    said = []
    journal.troubled.connect(said.append)
    annotator.accept()
    for _ in range(2):  # it comes and goes
        folder.rename(tmp_path / "away")
        folder.write_text("")
        accept_many(annotator)
        assert journal._writer.lines.waiting_bytes < 10_000
        folder.unlink()
        (tmp_path / "away").rename(folder)
        annotator.editing.undo()
        (path,) = folder.iterdir()
        assert path == journal.path
        check_same(restored(path)[0], annotator.labels)
    assert len(said) == 2


def lose(path):
    path.unlink()


def lose_folder(path):
    shutil.rmtree(path.parent)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-40])


def put_another(path):
    path.write_bytes(b"x" * path.stat().st_size * 2)


@pytest.mark.parametrize("do", [lose, lose_folder, cut_short, put_another])
def test_a_journal_that_is_lost_is_begun_anew_with_everything(do, other_program):
    annotator = annotated(10)
    path = annotator.journal.path
    said = []
    annotator.journal.troubled.connect(said.append)
    do(path)
    annotator.accept()
    assert annotator.journal.path != path
    annotator.change(0.8)
    annotator.change(0.92)
    check_same(restored(annotator.journal.path)[0], annotator.labels)
    assert said == []
    other_program()
    found = {one.path: one.n_objects for one in files.find_journals(REFERENCE)}
    assert found[annotator.journal.path] == len(annotator.labels.registry)


def test_a_journal_that_is_lost_still_hears_of_classes_files_and_the_end(other_program):
    cell = ObjectClass("cell", "#123456")
    annotator = annotated(10)
    for tell, last in (
        (lambda journal: journal.record_classes((cell,)), "found"),
        (lambda journal: journal.mark_saved(), "saved"),
        (lambda journal: annotator.accept(), "made"),
        (lambda journal: journal.close(), "closed"),
    ):
        annotator.journal._next_try_s = 0.0
        lose(annotator.journal.path)
        tell(annotator.journal)
        labels, content = restored(annotator.journal.path)
        check_same(labels, annotator.labels)
        assert content.classes == (cell,)
        assert list(content.entries())[-1]["direction"] == last


def test_where_no_journal_can_be_begun_anew_it_is_once_there_is_a_folder_again(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(journal_module, "_RETRY_S", 0.0)
    folder = tmp_path / "there" / "journals"
    annotator = Annotator(0)
    annotator.journal = Journal(REFERENCE, annotator.labels, folder)
    said = []
    annotator.journal.troubled.connect(said.append)
    annotator.accept()
    shutil.rmtree(folder)
    folder.write_text("")
    annotator.accept()
    annotator.accept()
    assert len(said) == 1
    folder.unlink()
    annotator.journal.close()
    check_same(restored(annotator.journal.path)[0], annotator.labels)


def test_an_image_whose_file_was_renamed_is_known_by_its_pixels(other_program):
    first = ImageReference("a", "/data/a.tif", SHAPE, "uint8", fingerprint="same")
    labels = ArrayLabels(np.zeros(SHAPE, np.uint16))
    journal = Journal(first, labels)
    labels.array[:4, :4] = 1
    labels.registry.apply((RecordChange(None, ObjectRecord(1, (0, 0), (4, 4), 16)),))
    journal.record_paint([PackedMask((0, 0), np.ones((4, 4), bool))], ())
    other_program()
    renamed = replace(first, name="b", source="/elsewhere/b.tif")
    assert [one.path for one in files.find_journals(renamed)] == [journal.path]
    assert files.find_journals(replace(renamed, fingerprint="other")) == []
    assert files.find_journals(replace(renamed, fingerprint=None)) == []


def test_label_ids_that_a_journal_knows_are_not_given_again():
    annotator = Annotator(0)
    annotator.accept()
    annotator.accept()
    annotator.editing.undo()
    labels, _ = restored(annotator.journal.path)
    assert [record.label_id for record in labels.registry] == [1]
    assert first_free_label_id(labels, labels.registry) == 3


@pytest.mark.parametrize("is_edited", [False, True])
def test_a_journal_goes_on_in_a_file_for_the_image_as_it_is_now(is_edited):
    array = np.zeros((2, 30, 40), np.uint16)
    labels = ArrayLabels(array)
    journal = Journal(replace(REFERENCE, shape=array.shape), labels)
    mask = np.ones((1, 5, 5), np.bool_)

    def paint(label_id, start):
        labels.array[start[0], start[1] : start[1] + 5, start[2] : start[2] + 5] = label_id
        record = ObjectRecord(label_id, start, (start[0] + 1, start[1] + 5, start[2] + 5), 25)
        labels.registry.apply((RecordChange(None, record),))
        journal.record_paint([PackedMask(start, mask)], [RecordChange(None, record)])

    paint(1, (1, 3, 4))
    former = journal.path
    labels.array = np.concatenate([array, np.zeros((1, 30, 40), np.uint16)])
    labels.shape = labels.array.shape
    grown = replace(REFERENCE, shape=labels.shape)
    journal.follow_image(grown)
    assert journal.path == former
    if is_edited:
        paint(2, (2, 3, 4))
    journal.catch_up()
    assert journal.path.name.startswith(grown.key)
    assert not former.exists()
    again, content = restored(journal.path, labels.shape)
    assert content.header.shape == content.header.image.shape == (3, 30, 40)
    check_same(again, labels)


def test_the_former_journal_stays_until_another_one_is_written(monkeypatch):
    annotator = annotated(12)
    former = annotator.journal.path
    expected, _ = restored(former)
    annotator.journal.follow_image(replace(REFERENCE, name="grown"))
    with monkeypatch.context() as patched:

        def fail(lines):
            raise OSError(errno.ENOSPC, "No space left on device")

        patched.setattr(AppendedLines, "write", fail)
        annotator.journal.catch_up()
    check_same(restored(former)[0], expected)
    annotator.journal.mark_saved()
    assert not former.exists()
    check_same(restored(annotator.journal.path)[0], expected)


def test_very_large_edits_are_written_in_lines_that_are_read(monkeypatch):
    monkeypatch.setattr(writer, "_LONG_LINE_BYTES", 1000)
    annotator = annotated(30)
    lines = annotator.journal.path.read_bytes().splitlines()
    many = [line for line in lines if line.count(b'"label_id"') > 1]
    assert all(len(line) < 1200 for line in many)
    check_same(restored(annotator.journal.path)[0], annotator.labels)


def test_prompts_far_outside_are_restored_within_the_bounds_of_what_is_read():
    far = Prompts(box_xyxy=(0, 0, 1e9, 10), outline=None)
    content = state_to_json(ObjectState(far))
    check_state(json.loads(json.dumps(content)))
    assert state_from_json(content).prompts.box_xyxy == (0, 0, FARTHEST_PX, 10)
