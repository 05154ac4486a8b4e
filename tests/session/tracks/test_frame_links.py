"""Objects of the frames are linked to tracks, and divisions are proposed."""

import sys

import numpy as np
import pytest

from napari_sam.session import TargetError, link_labels
from napari_sam.session.jobs import run_until
from napari_sam.session.journal.journal import Journal
from napari_sam.session.tracks.frame_links import frame_objects, link_frames
from tests.session.annotating import REFERENCE
from tests.session.tracks.films import Film, bars, dividing


def shuffled(array: np.ndarray, seed: int = 0) -> np.ndarray:
    """Give the objects of each frame other label_ids."""
    random, result = np.random.default_rng(seed), np.zeros_like(array)
    for frame, plane in enumerate(array):
        label_ids = np.unique(plane[plane > 0])
        for label_id, other in zip(label_ids, random.permutation(label_ids), strict=True):
            result[frame][plane == label_id] = other
    return result


def linked(film: Film, *args, **kwargs) -> None:
    film.tracks.link(*args, **kwargs)
    run_until(lambda: film.background.is_idle, film.background.dispatcher, 60, "links")


def same_partition(array: np.ndarray, other: np.ndarray) -> bool:
    """Whether two films have the same tracks, whatever their label_ids."""
    pairs = np.unique(np.stack([array.ravel(), other.ravel()]), axis=1)
    return len(pairs.T) == len(np.unique(pairs[0])) == len(np.unique(pairs[1]))


def test_the_objects_of_each_frame() -> None:
    film = Film(bars(n_frames=2, n_tracks=2))
    objects = frame_objects(film.labels, 0, scale=(1.0, 2.0, 0.5))
    assert objects.keys == [(0, 1), (0, 2), (1, 1), (1, 2)]
    np.testing.assert_allclose(objects.centers[:2], [(7.0, 1.25), (7.0, 4.25)])
    np.testing.assert_allclose(objects.sizes, 16.0)
    for key, pixel in zip(objects.keys, objects.pixels, strict=True):
        assert pixel[0] == key.frame
        assert film.array[pixel] == key.label_id


def test_time_may_be_another_axis() -> None:
    film = Film(np.ascontiguousarray(np.moveaxis(bars(), 0, 1)))
    objects = frame_objects(film.labels, 1)
    assert len(objects.keys) == 18
    for key, pixel in zip(objects.keys, objects.pixels, strict=True):
        assert film.array[pixel] == key.label_id


def test_laptrack_is_stopped_at_its_work() -> None:
    pytest.importorskip("laptrack")
    whole, with_gap = bars(), bars()
    with_gap[3][with_gap[3] == 1] = 0

    def check() -> None:
        raise TargetError("stopped")

    for array in (whole, with_gap):  # without any gap, all work is to link frame by frame
        objects = frame_objects(Film(array).labels, 0)
        for max_gap in (0, 1):
            with pytest.raises(TargetError, match="stopped"):
                link_frames(objects, max_gap=max_gap, check=check)


def test_objects_become_tracks() -> None:
    pytest.importorskip("laptrack")
    truth = bars()
    film = Film(shuffled(truth))
    before = film.array.copy()
    linked(film)
    film.check_records()
    assert same_partition(film.array, truth)
    film.editing.undo()
    np.testing.assert_array_equal(film.array, before)


def test_tracks_may_be_linked_again() -> None:
    pytest.importorskip("laptrack")
    array = dividing()
    array[4:, :, 24:][array[4:, :, 24:] > 0] = 2
    film = Film(array)
    journal = Journal(REFERENCE, film.labels)
    film.editing.set_journal(journal.record)
    linked(film)
    once = film.array.copy()
    film.tracks.confirm(film.tracks.state.divisions[0])
    film.editing.undo()
    assert len(film.tracks.state.divisions) == 1  # proposed again
    linked(film)
    assert len(film.tracks.state.divisions) == 1
    np.testing.assert_array_equal(film.array, once)
    film.editing.undo()
    np.testing.assert_array_equal(film.array, once)


def test_a_gap_is_closed() -> None:
    pytest.importorskip("laptrack")
    truth = bars()
    truth[3, :, :6] = 0
    film = Film(shuffled(truth))
    linked(film, max_gap=1)
    assert same_partition(film.array, truth)


def test_a_division_is_proposed_and_confirmed() -> None:
    pytest.importorskip("laptrack")
    array = dividing()
    right = array[:, :, 24:]
    right[4:][right[4:] > 0] = 2
    film = Film(array)
    linked(film)
    assert not film.tracks.lineages.graph  # only the user says so
    (division,) = film.tracks.state.divisions
    assert division.frame == 4
    film.tracks.confirm(division)
    film.check_records()
    assert sorted(film.tracks.lineages.graph.values()) == [[1], [1]]
    assert film.spans()[1] == (0, 3, 0)
    spans, once = film.spans(), film.array.copy()
    linked(film)
    assert film.spans() == spans  # what the user has marked stays
    assert film.tracks.state.divisions == ()
    np.testing.assert_array_equal(film.array, once)


def test_divisions_of_cells_of_different_sizes_are_all_proposed() -> None:
    pytest.importorskip("laptrack")
    array, (y, x) = np.zeros((8, 128, 64), np.uint16), np.mgrid[:128, :64]
    cells = ((24, 6, 4, 1), (88, 16, 6, 3))
    for row, radius, division, label_id in cells:
        for frame in range(8):
            apart = radius * 0.75 + 1.5 * (frame - division)
            halves = ((label_id, -apart, 0.5), (label_id + 1, apart, 0.5))
            for n, shift, share in halves if frame >= division else ((label_id, 0, 1),):
                inside = (y - row) ** 2 + (x - 32 - shift) ** 2 <= share * radius**2
                array[frame][inside] = n
    film = Film(array)
    linked(film)
    assert [division.frame for division in film.tracks.state.divisions] == [4, 6]
    film.tracks.confirm_all()
    assert sorted(film.tracks.lineages.graph.values()) == [[1], [1], [3], [3]]


def test_a_new_object_beside_another_is_no_division() -> None:
    pytest.importorskip("laptrack")
    array = bars(n_tracks=2)
    array[:3, :, 6:] = 0
    film = Film(array)
    linked(film)
    assert film.tracks.state.divisions == ()


def test_points_of_tracks_link_the_objects_that_they_lie_in() -> None:
    truth = bars()
    film = Film(shuffled(truth))
    points = [(n + 5, t, 3, 6 * n + 2) for n in range(2) for t in range(6)]
    film.tracks.link_by_points(np.array([*points, (5, 99, 0, 0)], float), {6: 5})
    run_until(lambda: film.background.is_idle, film.background.dispatcher, 60, "links")
    film.check_records()
    for n in range(2):
        assert len(np.unique(film.array[:, 3, 6 * n + 2])) == 1
    assert not film.tracks.lineages.graph  # no parent begins together with its child


def test_without_laptrack_the_message_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "laptrack", None)
    with pytest.raises(TargetError, match=r"pip install .*\[tracks\]"):
        link_frames(frame_objects(Film(bars()).labels, 0))


def test_nothing_to_link() -> None:
    with pytest.raises(TargetError, match="no objects to link"):
        link_frames(frame_objects(Film(np.zeros((3, 8, 8), np.uint16)).labels, 0))


def test_a_script_links_an_array() -> None:
    pytest.importorskip("laptrack")
    array = dividing()
    array[4:, :, 24:][array[4:, :, 24:] > 0] = 2
    shown = shuffled(array)
    linked, lineages = link_labels(shown, confirm=lambda division: division.frame == 4)
    assert len(lineages) == 3
    assert list(lineages.graph.values()) == [[1], [1]]
    assert same_partition(linked[:4], array[:4])
    assert same_partition(linked[4:], array[4:])
    assert (shown != linked).any()
