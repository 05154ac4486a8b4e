"""Joining, cutting, dividing, swapping and ending tracks, and that each is undone exactly."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam.session import TargetError
from napari_sam.session.objects.brush_edits import BrushEdits
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.planning import plan_merge
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices, Origin
from tests.session.tracks.films import Film, bars, dividing


@pytest.fixture
def film() -> Film:
    return Film(bars())


def undone(film: Film, action) -> None:
    """Do something, then undo, repeat and undo it."""
    before = film.array.copy(), film.spans(), list(film.registry)
    action()
    film.check_records()
    after = film.array.copy(), film.spans()
    film.editing.undo()
    np.testing.assert_array_equal(film.array, before[0])
    assert film.spans() == before[1]
    assert set(film.registry) == set(before[2])
    film.editing.redo()
    np.testing.assert_array_equal(film.array, after[0])
    assert film.spans() == after[1]


def test_cut(film: Film) -> None:
    undone(film, lambda: film.tracks.cut(2, 4))
    assert film.spans() == {1: (0, 5, 0), 2: (0, 3, 0), 3: (0, 5, 0), 4: (4, 5, 0)}
    assert film.in_frame(4) == {1, 3, 4}


def test_join_what_was_cut(film: Film) -> None:
    before = film.array.copy()
    film.tracks.cut(2, 4)
    undone(film, lambda: film.tracks.join(4, 2))  # in any order
    np.testing.assert_array_equal(film.array, before)


def test_join_across_a_gap() -> None:
    array = bars(n_tracks=2)
    array[3:, :, 6:] = 0
    array[4:, 2:6, 7:11] = 9
    film = Film(array)
    undone(film, lambda: film.tracks.join(2, 9))
    assert film.spans() == {1: (0, 5, 0), 2: (0, 5, 0)}
    assert film.in_frame(3) == {1}


def test_tracks_of_the_same_frame_are_not_joined(film: Film) -> None:
    with pytest.raises(TargetError, match="both in frame 0"):
        film.tracks.join(1, 2)


def test_division_where_the_mother_goes_on(film: Film) -> None:
    film.tracks.cut(3, 2)  # 4 begins in frame 2
    undone(film, lambda: film.tracks.divide(2, (2, 4), 2))
    assert film.spans() == {1: (0, 5, 0), 2: (0, 1, 0), 3: (0, 1, 0), 4: (2, 5, 2), 5: (2, 5, 2)}
    assert film.tracks.lineages.graph == {4: [2], 5: [2]}


def test_division_whose_daughter_has_a_past(film: Film) -> None:
    undone(film, lambda: film.tracks.divide(1, (1, 2), 3))
    assert film.spans() == {
        1: (0, 2, 0),
        2: (3, 5, 1),
        3: (0, 5, 0),
        4: (3, 5, 1),
        5: (0, 2, 0),
    }


def test_division_that_leaves_a_rest_of_the_mother(film: Film) -> None:
    undone(film, lambda: film.tracks.divide(1, (2, 3), 3))
    spans = film.spans()
    assert spans[2] == spans[3] == (3, 5, 1)
    assert spans[4] == (3, 5, 0)  # what the mother was from there on


def test_a_division_further_on_stays_with_its_mother(film: Film) -> None:
    film.tracks.divide(1, (1, 2), 4)
    later = film.tracks.lineages.children_of(1)
    film.tracks.cut(1, 2)
    (tail,) = film.in_frame(2) - {2, 3, 5}
    assert film.tracks.lineages.children_of(tail) == later
    film.tracks.join(1, tail)
    assert film.tracks.lineages.children_of(1) == later


def test_daughters_stay_with_a_mother_that_is_merged(film: Film) -> None:
    film.tracks.divide(1, (1, 2), 3)
    daughters = film.tracks.lineages.children_of(1)
    records = [film.record(3), film.record(1)]
    undone(film, lambda: film.editing.edit(lambda labels: plan_merge(labels, records), records))
    assert film.tracks.lineages.children_of(3) == daughters


def test_undivide(film: Film) -> None:
    film.tracks.divide(1, (1, 2), 3)
    undone(film, lambda: film.tracks.undivide(1))
    assert not film.tracks.lineages.graph
    with pytest.raises(TargetError, match="does not divide"):
        film.tracks.undivide(1)


def test_a_track_that_divides_is_not_joined(film: Film) -> None:
    film.tracks.divide(1, (1, 2), 3)
    with pytest.raises(TargetError, match="take that division back"):
        film.tracks.join(1, 3)


def test_swap_from_here_on(film: Film) -> None:
    film.registry.replace_all([replace(r, class_name=f"c{r.label_id}") for r in film.registry])
    undone(film, lambda: film.tracks.swap(1, 3, 2))
    assert (film.array[1, 3, 2], film.array[1, 3, 14]) == (1, 3)
    assert (film.array[2, 3, 2], film.array[2, 3, 14]) == (3, 1)
    assert film.record(1).class_name == "c1"


def test_swap_takes_the_daughters_along(film: Film) -> None:
    film.tracks.divide(1, (1, 2), 4)
    daughters = film.tracks.lineages.children_of(1)
    film.tracks.swap(1, 3, 2)
    assert film.tracks.lineages.children_of(3) == daughters
    assert film.tracks.lineages.children_of(1) == ()


def test_end_keeps_the_past(film: Film) -> None:
    undone(film, lambda: film.tracks.end(1, 3))
    assert film.spans()[1] == (0, 2, 0)
    assert film.in_frame(3) == {2, 3}


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda tracks: tracks.cut(1, 0), "after the first"),
        (lambda tracks: tracks.cut(9, 1), "no object 9"),
        (lambda tracks: tracks.join(1, 1), "choose two tracks"),
        (lambda tracks: tracks.swap(1, 2, 6), "go to an earlier one"),
        (lambda tracks: tracks.end(1, 0), "delete it instead"),
        (lambda tracks: tracks.end(1, 6), "has ended"),
        (lambda tracks: tracks.divide(1, (2, 2), 3), "two daughters"),
        (lambda tracks: tracks.divide(1, (2, 3), 0), "only divide after"),
    ],
)
def test_what_is_not_possible_changes_nothing(film: Film, act, message: str) -> None:
    before, spans = film.array.copy(), film.spans()
    with pytest.raises(TargetError, match=message):
        act(film.tracks)
    np.testing.assert_array_equal(film.array, before)
    assert film.spans() == spans
    assert film.editing.history.last is None


def test_label_ids_that_run_out() -> None:
    array = bars(n_tracks=2).astype(np.uint8)
    array[array == 2] = 255
    film = Film(array)
    with pytest.raises(TargetError, match="run out of label values"):
        film.tracks.cut(1, 3)


def test_masks_brush_edits_and_slices_go_with_their_frames(film: Film) -> None:
    stack = np.ones((6, 4, 4), bool)
    slices = ObjectSlices(
        0,
        tuple(ObjectSlice(n, Origin.PROPAGATED if n else Origin.ANNOTATED, 0.8) for n in range(6)),
    )
    painted = PackedMask((5, 6, 1), np.ones((1, 1, 1), bool))
    record = replace(
        film.record(1),
        masks=(PackedMask((0, 2, 1), stack),),
        brushed=BrushEdits((painted,)),
        slices=slices,
    )
    film.registry.replace_all([record, film.record(2), film.record(3)])
    undone(film, lambda: film.tracks.cut(1, 4))
    first, second = film.record(1), film.record(4)
    assert [mask.start[0] for mask in first.masks] == [0, 1, 2, 3]
    assert [mask.start[0] for mask in second.masks] == [4, 5]
    assert first.brushed.painted == ()
    assert second.brushed.painted == (painted,)
    assert [entry.slice_index for entry in first.slices] == [0, 1, 2, 3]
    assert [entry.slice_index for entry in second.slices] == [4, 5]
    film.tracks.join(1, 4)
    joined = film.record(1)
    assert sorted(mask.start[0] for mask in joined.masks) == list(range(6))
    assert list(joined.slices) == list(slices)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_films_with_slices_and_time_along_any_axis(axis: int) -> None:
    array = np.stack([bars(), bars()])  # Z, T, Y, X
    film = Film(np.ascontiguousarray(np.moveaxis(array, 1, axis)))
    film.tracks.set_axis(axis)
    undone(film, lambda: film.tracks.divide(1, (1, 2), 3))
    undone(film, lambda: film.tracks.cut(3, 2))
    undone(film, lambda: film.tracks.swap(3, 4, 1))
    undone(film, lambda: film.tracks.end(2, 4))
    assert film.spans()[2] == (3, 3, 1)


def test_two_pieces_of_a_film_with_slices_divide() -> None:
    array = dividing()
    film = Film(np.stack([np.zeros_like(array), array, array], axis=1))
    film.tracks.set_axis(0)
    film.tracks.propose([1])
    (division,) = film.tracks.state.divisions
    undone(film, lambda: film.tracks.confirm(division))
    assert film.spans() == {1: (0, 3, 0), 2: (4, 7, 1), 3: (4, 7, 1)}
    np.testing.assert_array_equal(film.array[:, 1], film.array[:, 2])
