"""Fifty random edits of tracks: each is undone exactly, and the journal replays them."""

from collections.abc import Iterable

import numpy as np
import pytest

from napari_sam.session import ArrayLabels, ObjectRecord, TargetError
from napari_sam.session.jobs import run_until
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.replaying import read_journal, replay
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.objects.packed import PackedMask
from tests.session.annotating import REFERENCE
from tests.session.tracks.films import Film

N_EDITS = 50
TIMEOUT_S = 60


def random_records(random: np.random.Generator) -> list[ObjectRecord]:
    """Return squares that come and go in a film of (8, 32, 40)."""
    records = []
    for n in range(12):
        row, column = divmod(n, 4)
        first, last = sorted(random.integers(0, 8, 2).tolist())
        stack = np.ones((last - first + 1, 8, 8), np.bool_)
        mask = PackedMask((first, 10 * row + 1, 10 * column + 1), stack)
        records.append(ObjectRecord(n + 1, masks=(mask,)))
    return records


def described(record: ObjectRecord) -> tuple:
    return record.label_id, record.start, record.stop, record.area_px, record.parent_id, record.uid


def state_of(film: Film) -> tuple:
    return film.array.copy(), sorted(map(described, film.registry))


def assert_same(state: tuple, expected: tuple) -> None:
    np.testing.assert_array_equal(state[0], expected[0])
    assert state[1] == expected[1]


def edit_at_random(film: Film, random: np.random.Generator) -> None:
    label_ids = [record.label_id for record in film.registry]
    picked = random.permutation(label_ids)[:3].tolist()
    frame, tracks = int(random.integers(0, 9)), film.tracks
    kind = random.integers(6)
    if kind == 0:
        tracks.join(*picked[:2])
    elif kind == 1:
        tracks.cut(picked[0], frame)
    elif kind == 2:
        tracks.divide(picked[0], picked[1:], frame)
    elif kind == 3:
        tracks.divide(picked[0], picked[:2], frame)
    elif kind == 4:
        tracks.swap(*picked[:2], frame)
    elif random.random() < 0.3:
        tracks.end(picked[0], frame)
    else:
        tracks.undivide(picked[0])


def wait(film: Film) -> None:
    run_until(lambda: film.background.is_idle, film.background.dispatcher, TIMEOUT_S, "edits")


@pytest.mark.parametrize("from_elsewhere", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_fifty_edits_are_undone_exactly(seed: int, from_elsewhere: bool) -> None:
    random = np.random.default_rng(seed)
    film = Film(np.zeros((8, 32, 40), np.uint16))
    journal = Journal(REFERENCE, film.labels)
    film.editing.set_journal(journal.record)
    film.editing.add(random_records(random))
    wait(film)
    if from_elsewhere:  # as if the labels were there before
        film.registry.replace_all(find_objects(film.labels))
    states = [state_of(film)]
    while len(states) <= N_EDITS:
        try:
            edit_at_random(film, random)
        except TargetError:  # not possible: nothing may have changed
            assert_same(state_of(film), states[-1])
            continue
        wait(film)
        film.check_records()
        states.append(state_of(film))
    for state in reversed(states[:-1]):
        film.editing.undo()
        wait(film)
        assert_same(state_of(film), state)
    for state in states[1:]:
        film.editing.redo()
        wait(film)
        assert_same(state_of(film), state)
    check_journal(film, journal)


def check_journal(film: Film, journal: Journal) -> None:
    """Replay it: it brings back the same pixels and tracks."""
    assert journal.path is not None
    restored = ArrayLabels(np.zeros_like(film.array))
    replay(read_journal(journal.path).entries(), restored)
    np.testing.assert_array_equal(restored.array, film.array)
    assert [described(record)[:-1] for record in sorted_by_id(restored.registry)] == [
        described(record)[:-1] for record in sorted_by_id(film.registry)
    ]
    journal.path.unlink()


def sorted_by_id(records: Iterable[ObjectRecord]) -> list[ObjectRecord]:
    return sorted(records, key=lambda record: record.label_id)
