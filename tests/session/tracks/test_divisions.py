"""Divisions that are proposed where an object falls in two, and confirmed."""

import numpy as np
import pytest

from napari_sam.session import TargetError
from napari_sam.session.tracks.divisions import ProposedDivision
from tests.session.tracks.films import Film, bars, dividing


@pytest.fixture
def film() -> Film:
    return Film(dividing())


def test_two_large_pieces_propose_a_division(film: Film) -> None:
    film.tracks.propose([1])
    (division,) = film.tracks.state.divisions
    assert division.frame == 4
    assert division.mother_id(film.labels) == 1


def test_a_confirmed_division_has_the_same_daughters_in_all_frames(film: Film) -> None:
    before = film.array.copy()
    film.tracks.propose([1])
    film.tracks.confirm(film.tracks.state.divisions[0])
    film.check_records()
    assert film.spans() == {1: (0, 3, 0), 2: (4, 7, 1), 3: (4, 7, 1)}
    assert film.tracks.state.divisions == ()
    for frame in range(4, 8):
        sides = {frozenset(film.in_frame(frame)), frozenset({2, 3})}
        assert len(sides) == 1
        left, right = (set(np.unique(half)) - {0} for half in np.split(film.array[frame], 2, 1))
        assert left == set(np.unique(film.array[4][:, :24])) - {0}
        assert len(left) == len(right) == 1
    film.editing.undo()
    np.testing.assert_array_equal(film.array, before)


def test_daughters_that_touch_again_are_told_apart() -> None:
    array = dividing()
    array[6][11:14, 15:33] = 1
    film = Film(array)
    film.tracks.confirm(ProposedDivision(4, (3, 12, 24)))
    left, right = (set(np.unique(half[half > 0])) for half in np.split(film.array[6], 2, 1))
    assert {int(film.array[7, 12, 13])} == left
    assert {int(film.array[7, 12, 35])} == right - left


def test_an_object_that_begins_as_another_one_is_halved_proposes_a_division() -> None:
    array = dividing()
    array[4:, :, 24:][array[4:, :, 24:] > 0] = 2  # the mother was carried on as one daughter
    array[4:, :, 24:] = np.roll(array[4:, :, 24:], -4, axis=2)
    film = Film(array)
    film.tracks.propose([2])
    (division,) = film.tracks.state.divisions
    assert (division.frame, division.mother_id(film.labels)) == (4, 1)
    assert division.daughter_ids(film.labels) == (1, 2)
    film.tracks.confirm(division)
    assert film.spans()[1] == (0, 3, 0)
    assert sorted(parent for _, _, parent in film.spans().values()) == [0, 1, 1]


def test_an_object_that_begins_beside_others_proposes_nothing() -> None:
    array = bars()
    array[:3][array[:3] == 2] = 0
    film = Film(array)
    film.tracks.propose([1, 2, 3])
    assert film.tracks.state.divisions == ()


def test_one_piece_and_small_fragments_propose_nothing() -> None:
    array = bars(n_tracks=1)
    array[3:, 0, 5] = 1
    film = Film(array)
    film.tracks.propose([1])
    assert film.tracks.state.divisions == ()


def test_a_proposal_stays_true_whatever_label_ids_become(film: Film) -> None:
    film.tracks.propose([1])
    (division,) = film.tracks.state.divisions
    film.tracks.cut(1, 2)
    assert division.mother_id(film.labels) == 2
    film.tracks.confirm(division)
    assert film.spans() == {1: (0, 1, 0), 2: (2, 3, 0), 3: (4, 7, 2), 4: (4, 7, 2)}


def test_a_proposal_of_an_object_that_is_gone(film: Film) -> None:
    film.tracks.propose([1])
    (division,) = film.tracks.state.divisions
    film.tracks.end(1, 2)
    with pytest.raises(TargetError, match="is gone: reject it"):
        film.tracks.confirm(division)
    film.tracks.reject(division)
    assert film.tracks.state.divisions == ()
