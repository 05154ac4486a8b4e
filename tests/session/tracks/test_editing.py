"""Linking can be followed and stopped; proposals are confirmed together, undone one by one."""

import threading

import numpy as np
import pytest

from napari_sam.session.jobs import run_until
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.tracks.frame_links import FrameLinks, links_of_points

from .films import Film, bars, dividing

POINTS = np.array([(n, t, 3, 6 * n + 2) for n in range(3) for t in range(6)], float)


def settle(film: Film) -> None:
    run_until(lambda: film.background.is_idle, film.background.dispatcher, 60, "edits")


def test_linking_says_how_far_it_is_and_is_one_step() -> None:
    film = Film(bars())
    before, runs = film.array.copy(), []
    film.tracks.changed.connect(lambda: runs.append(film.tracks.state.run))
    film.tracks.link_by_points(POINTS, {1: 0})
    with pytest.raises(TargetError, match="still being written"):
        film.tracks.cut(1, 2)
    settle(film)
    assert sorted({run.done for run in runs if run is not None}) == [*range(7)]
    assert {run.total for run in runs if run is not None} == {6}
    assert film.tracks.state.run is None
    film.editing.undo()
    np.testing.assert_array_equal(film.array, before)


def test_a_stopped_link_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    is_stopped = threading.Event()

    def find(*args: object) -> FrameLinks:
        assert is_stopped.wait(60)
        return links_of_points(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("napari_sam.session.tracks.editing.links_of_points", find)
    film = Film(bars())
    before, said = film.array.copy(), []
    film.background.notifier.warned.connect(said.append)
    points = POINTS.copy()
    points[9:12, 0] = 9  # or it would have nothing to change
    film.tracks.link_by_points(points, {})
    film.tracks.stop_linking()
    is_stopped.set()
    run = film.tracks.state.run
    assert run is not None
    assert run.is_stopping
    settle(film)
    assert said == ["Linking was stopped: nothing was changed."]
    assert film.tracks.state.run is None
    np.testing.assert_array_equal(film.array, before)
    assert film.editing.history.last is None


def test_all_proposals_are_confirmed_and_each_is_undone_by_itself() -> None:
    array = np.concatenate([dividing(), 2 * dividing()], axis=1)
    film = Film(array)
    film.tracks.propose([1, 2])
    proposals = film.tracks.state.divisions
    assert len(proposals) == 2
    film.tracks.confirm_all()
    settle(film)
    assert film.tracks.state.divisions == ()
    assert len(film.tracks.lineages.graph) == 4
    film.editing.undo()
    assert film.tracks.state.divisions == proposals[1:]
    film.editing.undo()
    assert film.tracks.state.divisions == proposals
    assert not film.tracks.lineages.graph
    film.editing.redo()
    assert film.tracks.state.divisions == proposals[1:]


def test_a_proposal_that_is_not_possible_any_more_is_left_and_said() -> None:
    array = np.concatenate([dividing(), 2 * dividing()], axis=1)
    film, said = Film(array), []
    film.background.notifier.warned.connect(said.append)
    film.tracks.propose([1, 2])
    film.tracks.end(1, 4)
    film.tracks.confirm_all()
    settle(film)
    assert said == ["Track 1 does not go on from before frame 4."]
    (division,) = film.tracks.state.divisions
    film.tracks.reject(division)
    assert film.tracks.state.divisions == ()


def test_no_division_is_proposed_of_an_object_that_is_gone() -> None:
    film = Film(dividing())
    film.tracks.propose([1])
    proposals = film.tracks.state.divisions
    film.tracks.end(1, 2)
    assert film.tracks.state.divisions == ()
    film.editing.undo()
    assert film.tracks.state.divisions == proposals != ()
