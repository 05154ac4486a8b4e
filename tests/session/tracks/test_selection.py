"""Which edits of tracks are offered for what is selected, and what the others ask for."""

import numpy as np
import pytest

from napari_sam.session.objects.labels import TargetError
from napari_sam.session.tracks.selection import TrackEdit, TrackSelection

from .films import Film, bars, dividing


def selection(film: Film, *label_ids: int, frame: int) -> TrackSelection:
    return TrackSelection(film.tracks.lineages, label_ids, frame)


def possible(film: Film, *label_ids: int, frame: int) -> set[str]:
    selected = selection(film, *label_ids, frame=frame)
    return {edit.value for edit in TrackEdit if not selected.refusal(edit)}


def test_edits_are_offered_where_they_are_possible() -> None:
    film = Film(bars())
    assert possible(film, frame=3) == set()
    assert possible(film, 1, frame=0) == set()
    assert possible(film, 1, frame=3) == {"cut", "end", "divide"}
    assert possible(film, 1, 2, frame=3) == {"swap", "divide"}
    assert possible(film, 1, 2, frame=0) == {"swap"}
    assert possible(film, 1, 2, 3, frame=3) == {"divide"}
    assert possible(film, 1, 99, frame=3) == {"cut", "end", "divide"}  # 99 is gone


def test_each_offered_edit_can_be_made_and_is_undone() -> None:
    """With every choice of objects and each frame of a film that has a division already."""
    film = Film(bars())
    film.tracks.divide(1, (1, 2), 3)
    film.tracks.cut(3, 2)
    before, spans = film.array.copy(), film.spans()
    n_made = 0
    for frame in range(len(film.array)):
        for label_ids in [(n,) for n in spans] + [(n, m) for n in spans for m in spans if n < m]:
            selected = selection(film, *label_ids, frame=frame)
            for edit in TrackEdit:
                if selected.refusal(edit):
                    with pytest.raises(TargetError):
                        selected.apply(edit, film.tracks)
                elif edit is not TrackEdit.DIVIDE or len(label_ids) > 1:  # a bar has no two pieces
                    selected.apply(edit, film.tracks)
                    assert film.spans() != spans or (film.array != before).any()
                    film.editing.undo()
                    n_made += 1
                np.testing.assert_array_equal(film.array, before)
                assert film.spans() == spans
    assert n_made > 60


def test_an_object_in_two_pieces_divides_alone() -> None:
    film = Film(dividing())
    selection(film, 1, frame=4).apply(TrackEdit.DIVIDE, film.tracks)
    assert film.spans() == {1: (0, 3, 0), 2: (4, 7, 1), 3: (4, 7, 1)}
    assert possible(film, 2, frame=4) == {"undivide"}
    assert "undivide" in possible(film, 2, 3, frame=5)
    selection(film, 3, frame=4).apply(TrackEdit.UNDIVIDE, film.tracks)
    assert film.spans()[2] == (4, 7, 0)
    selection(film, 1, 2, 3, frame=4).apply(TrackEdit.DIVIDE, film.tracks)
    assert film.spans() == {1: (0, 3, 0), 2: (4, 7, 1), 3: (4, 7, 1)}


@pytest.mark.parametrize(
    ("label_ids", "frame", "edit", "reason"),
    [
        ((), 3, TrackEdit.JOIN, "Select two objects"),
        ((1, 2), 3, TrackEdit.JOIN, "Both are in frame 0: cut one of them first"),
        ((1,), 0, TrackEdit.CUT, "Go to one of the frames 1 to 5"),
        ((1,), 0, TrackEdit.DIVIDE, "Go to a frame after 0, in which object 1 begins"),
        ((1,), 3, TrackEdit.UNDIVIDE, "Select an object that divides, or a daughter"),
        ((1, 2), 9, TrackEdit.SWAP, "Go to frame 5 or an earlier one"),
        ((1, 2), 9, TrackEdit.DIVIDE, "Select both daughters, too: go to their first frame"),
    ],
)
def test_what_is_not_possible_says_what_it_needs(label_ids, frame, edit, reason) -> None:
    film = Film(bars())
    assert selection(film, *label_ids, frame=frame).refusal(edit) == reason


def test_a_daughter_is_not_cut_by_a_division_in_a_later_frame() -> None:
    film = Film(bars())
    film.tracks.cut(3, 2)
    ((later, _),) = [(n, span) for n, span in film.spans().items() if span[0] == 2]
    chosen = selection(film, 1, later, frame=4)
    reason = f"Object {later} begins in frame 2: go there, or cut it first"
    assert chosen.refusal(TrackEdit.DIVIDE) == reason
    assert not selection(film, 1, later, frame=2).refusal(TrackEdit.DIVIDE)


def test_parts_of_a_track_are_joined_again() -> None:
    film = Film(bars())
    before = film.array.copy()
    film.tracks.cut(1, 3)
    assert possible(film, 1, 4, frame=0) == {"join", "swap"}
    selection(film, 4, 1, frame=0).apply(TrackEdit.JOIN, film.tracks)
    np.testing.assert_array_equal(film.array, before)
