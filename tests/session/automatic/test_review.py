"""The review of automatic masks, with synthetic masks: no model is needed."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam.session import ArrayPlane, Overlap
from napari_sam.session.automatic.masks import AutomaticMask, smaller_first
from napari_sam.session.automatic.picture import Painter, step_for
from napari_sam.session.image.tiles import Tile
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord, RecordChange
from tests.session.automatic.reviewed import SIZE, WHOLE, Reviewed, square

BIG, SMALL, ALONE = square(10, 10, 20, 0.95), square(14, 14, 6, 0.9), square(40, 40, 10, 0.85)


class Opened(Reviewed):
    def __init__(self):
        self.labels = np.zeros(SIZE, np.uint16)
        super().__init__(ArrayPlane(self.labels))
        self.warnings, self.added = [], []
        self.session.notifier.warned.connect(self.warnings.append)
        self.review.writer.added.connect(lambda *counts: self.added.append(counts))

    @property
    def registry(self):
        return self.session.editing.target.labels.registry

    @property
    def done(self):
        return self.session.automatic._excluded

    def areas(self):
        return {record.score: record.area_px for record in self.registry}


@pytest.fixture
def opened():
    opened = Opened()
    yield opened
    opened.session.close()


@pytest.mark.parametrize("overlap", [Overlap.KEEP, Overlap.REPLACE])
def test_the_smaller_mask_gets_the_pixels(opened, overlap):
    opened.session.editing.set_overlap(overlap)
    opened.accept(SMALL, ALONE, BIG)
    expected = {0.95: 400 - 36, 0.85: 100, 0.9: 36}
    labels = opened.labels
    shown = {r.score: int((labels == r.label_id).sum()) for r in opened.registry}
    assert {score: area for score, area in shown.items() if area} == expected
    assert opened.session.editing.target.labels.registry.get(1).state.prompts.points_xy


def test_objects_that_are_there_are_treated_as_the_session_is_told(opened):
    opened.accept(ALONE)
    over = square(38, 38, 6, 0.7)
    for overlap, count in ((Overlap.REFUSE, 1), (Overlap.KEEP, 2), (Overlap.REPLACE, 2)):
        opened.session.editing.set_overlap(overlap)
        assert opened.done == {ALONE.key}  # what was refused before may be accepted now
        opened.accept(over)
        assert opened.done == {ALONE.key, over.key}
        assert len(opened.registry) == count
        if count == 2:
            opened.session.undo()
            opened.wait()
    assert opened.warnings == ["No masks were accepted, because other objects cover them."]
    opened.session.editing.set_overlap(Overlap.REFUSE)
    opened.accept(over, BIG, SMALL)  # of the two that overlap, that on top
    assert opened.areas() == {0.85: 100, 0.9: 36}
    assert opened.added == [(1, 2, None)]


def test_only_masks_that_come_near_each_other_are_compared(opened, monkeypatch):
    looked_at, overlaps = [], AutomaticMask.overlaps
    monkeypatch.setattr(
        AutomaticMask, "overlaps", lambda *two: looked_at.append(two) or overlaps(*two)
    )
    opened.session.editing.set_overlap(Overlap.REFUSE)
    near = square(18, 18, 5, 0.7)
    opened.accept(*(square(4 * k, 4 * n, 3, 0.9) for k in range(15) for n in range(20)), near)
    assert 0 < len(looked_at) < 20
    assert len(opened.registry) == 300


def test_what_is_kept_gets_the_current_class(opened):
    opened.session.classes.add("nucleus")
    opened.accept(BIG, ALONE)
    assert [one.class_name for one in opened.registry] == ["nucleus"] * 2


def test_what_was_kept_is_done_with_until_it_is_undone(opened):
    opened.accept(BIG, ALONE)
    assert opened.done == {BIG.key, ALONE.key}
    last = square(50, 60, 5)
    opened.session.automatic._show(Painter(SIZE).paint([SMALL, last]))
    opened.review.step(1)
    opened.review.accept_current()  # nothing is left of it
    opened.wait()
    assert opened.warnings[0].startswith("Nothing added: other objects cover all of it.")
    assert opened.review.current is last
    assert opened.done == {BIG.key, ALONE.key, SMALL.key}
    opened.session.objects.update([2], class_name="nucleus")
    opened.session.undo()
    assert SMALL.key in opened.done
    opened.session.undo()
    opened.wait()
    assert opened.done == set()
    opened.session.redo()
    opened.wait()
    assert opened.done == {BIG.key, ALONE.key}
    opened.session.objects.remove([next(iter(opened.registry)).label_id])
    opened.wait()
    assert len(opened.done) == 1


def test_what_is_like_a_rejected_mask_is_not_accepted_unseen(opened):
    double, review = square(11, 10, 18, 0.93), opened.review
    opened.session.automatic._show(Painter(SIZE).paint([BIG, double, SMALL, ALONE]))
    review.step(1)
    review.reject_current()
    opened.session.automatic._show(Painter(SIZE).paint([double, SMALL, ALONE]))
    review.show_all()
    assert review.offer == "Accept 2 of 3"
    assert review.hint.startswith("1 of 3 masks is like a rejected one: to look at")
    review.accept_all()
    opened.wait()
    assert opened.areas() == {0.9: 36, 0.85: 100}
    opened.session.automatic._show(Painter(SIZE).paint([double]))
    assert review.offer == "Review 1 mask"
    assert review.hint.startswith("This mask is like a rejected one")
    review.accept_all()
    assert review.current is double
    assert review.offer == "Accept this mask"
    review.show_all()
    review.restore_rejected()
    assert review.offer == "Accept 1 mask"


def test_undo_takes_back_what_was_decided_last_be_it_a_rejection(opened):
    def show():
        opened.session.automatic._show(Painter(SIZE).paint([BIG, SMALL, ALONE]))

    show()
    opened.review.step(1)
    opened.review.accept_current()
    opened.review.reject_current()  # while the object is still being written
    opened.wait()
    assert opened.done == {BIG.key, SMALL.key}
    assert opened.session.state.can_undo
    opened.session.undo()
    show()
    assert opened.done == {BIG.key}
    assert opened.review.current.key == SMALL.key
    opened.session.undo()
    opened.wait()
    show()
    assert opened.done == set()
    assert opened.review.current.key == BIG.key


def test_a_corrected_or_merged_object_is_still_that_of_its_mask(opened):
    opened.accept(BIG, ALONE)
    both = {BIG.key, ALONE.key}
    alone, big = sorted(opened.registry, key=lambda one: one.score)
    # As when it is re-edited and accepted: other prompts, another mask, the same number.
    mask = PackedMask((40, 40), np.ones((9, 9), bool))
    again = replace(alone, state=replace(alone.state, choice=0), masks=(mask,))
    step = RecordChange(alone, again)
    opened.registry.apply((step,))
    assert opened.done == both
    opened.session.objects.merge([big.label_id, alone.label_id])
    opened.wait()
    assert len(opened.registry) == 1
    assert opened.done == both
    opened.session.undo()
    opened.wait()
    opened.registry.apply((step.inverse,))
    assert opened.done == both
    opened.session.objects.merge([big.label_id, alone.label_id])
    opened.session.objects.remove([big.label_id])
    opened.wait()
    assert opened.done == set()
    opened.session.undo()
    assert opened.done == both
    opened.session.undo()
    opened.session.undo()
    opened.wait()
    assert opened.done == set()
    made = ObjectRecord(0, (), (), 0, masks=(mask,))
    opened.session.editing.add([made])
    opened.wait()
    assert len(opened.registry) == 1  # another object, whatever its label_id
    assert opened.done == set()


def test_accepted_quickly_one_after_the_other(opened):
    picture = Painter(SIZE).paint([BIG, SMALL, ALONE])
    opened.session.automatic._show(picture)
    assert opened.review.current is None
    assert opened.review.offer == "Accept all 3"
    opened.review.step(-1)
    assert opened.review.current is ALONE
    opened.review.step(1)
    assert opened.review.current is BIG
    assert opened.review.summary == "1 of 3: score 0.95"
    assert opened.review.offer == "Accept this mask"
    opened.review.accept_current()
    opened.review.reject_current()
    assert opened.review.current is ALONE
    opened.review.accept_current()
    assert opened.done == {BIG.key, SMALL.key, ALONE.key}  # at once, while they are written
    opened.wait()
    assert opened.areas() == {0.95: 400, 0.85: 100}
    opened.session.undo()
    opened.wait()
    assert opened.done == {BIG.key, SMALL.key}  # each is a step of its own
    opened.review.restore_rejected()
    assert opened.done == {BIG.key}


def test_the_hint_goes_and_comes_with_the_plane_of_the_masks(opened):
    hints = []
    assert opened.review.hint == ""
    opened.session.automatic._show(Painter(SIZE).paint([BIG, ALONE]))
    assert "review the 2 automatic masks" in opened.review.hint
    opened.review.step(1)
    opened.review.changed.connect(lambda: hints.append(opened.review.hint))
    opened.review.set_here(False)
    opened.review.set_here(False)
    opened.review.set_here(True)
    assert hints == ["", opened.review.hint]
    assert opened.review.hint.startswith("Accept or reject this mask")


def test_nothing_is_kept_elsewhere_or_nowhere(opened):
    opened.review.set_here(False)
    opened.accept(BIG)
    opened.review.set_here(True)
    opened.session.set_target(None)
    opened.accept(BIG)
    assert "another image or slice" in opened.warnings[0]
    assert "choose a Labels layer" in opened.warnings[1]
    assert not opened.labels.any()
    assert opened.done == set()


def test_accepted_masks_are_written_though_the_others_are_discarded(opened):
    opened.review.accept([BIG])
    opened.review.accept([ALONE])  # waits for the one before
    opened.session.automatic.discard()
    opened.review.set_here(False)
    assert opened.done == set()
    opened.wait()
    assert opened.areas() == {0.95: 400, 0.85: 100}
    assert opened.warnings == []
    assert opened.done == set()  # another run may find an equal mask elsewhere
    opened.session.undo()
    opened.wait()
    assert opened.areas() == {0.95: 400}


def test_accepted_masks_of_a_deleted_target_are_reported(opened):
    labels = opened.session.editing.target.labels
    opened.review.accept([BIG])
    labels.is_gone = True
    opened.session.set_target(None)
    opened.wait()
    assert opened.warnings == ["The target was deleted meanwhile, so no masks were accepted."]
    assert not labels.array.any()
    assert opened.done == set()


def test_a_mask_of_a_large_tile_is_written_in_parts_of_its_plane():
    tile = Tile(3, 100, 50, 6000, 4500)  # read as every third pixel or so
    one = square(10, 20, 1000, tile=tile, size=(2000, 1500))
    rows, columns = one.span
    assert (rows, columns) == (slice(130, 3130), slice(110, 3110))
    assert one.area_px == 9e6
    covered = np.zeros((6100, 4550), np.uint8)
    for mask, top, left in one.blocks():
        assert max(mask.shape) <= 2048
        covered[top : top + mask.shape[0], left : left + mask.shape[1]] += mask
    assert covered.sum() == covered[rows, columns].sum() == 9e6
    assert covered.max() == 1
    assert one.point_xy == (50 + 60 + 1, 100 + 30 + 1)

    picture = Painter((6100, 4550)).paint([one])
    assert picture.step == step_for((6100, 4550)) == 3
    assert picture.labels.shape == (2034, 1517)
    np.testing.assert_array_equal(picture.labels[:2033] > 0, covered[1::3, 1::3] > 0)


def test_only_what_covers_most_of_the_plane_up_to_all_borders_is_background():
    size = 60, 60
    tile = Tile(0, 0, 0, *size)
    assert square(0, 0, 60, tile=tile, size=size).is_background(size)
    assert not square(1, 0, 59, tile=tile, size=size).is_background(size)
    assert not square(0, 0, 30, tile=tile, size=size).is_background(size)


def test_an_enlarged_plane_never_loses_a_mask():
    one = square(1, 1, 1, tile=Tile(0, 0, 0, 2, 2), size=(4, 4))
    rows, columns = one.span
    assert rows.stop - rows.start == columns.stop - columns.start == 1


def test_a_state_for_reediting_is_that_of_the_click():
    state = BIG.object_state()
    assert (state.prompts.points_xy, state.choice, state.tile) == (((10, 10),), 1, WHOLE)
    cropped = replace(BIG, record=replace(BIG.record, crop_box_xyxy=(0, 0, 40, 30)))
    assert (cropped.object_state().choice, cropped.object_state().tile) == (None, None)
    assert smaller_first([BIG, SMALL]) == [SMALL, BIG]


def test_masks_are_kept_though_the_slider_moves_while_that_is_prepared(opened):
    plane = opened.session.editing.target
    same, other = ArrayPlane(opened.labels), ArrayPlane(np.zeros(SIZE, np.uint16))
    same.labels = plane.labels
    for number, shown in enumerate((same, None), start=1):
        opened.session.set_target(plane)
        opened.review.accept([BIG, ALONE][number - 1 : number])
        opened.session.set_target(shown)
        opened.wait()
        assert (opened.warnings, len(plane.labels.registry)) == ([], number)
    opened.session.set_target(plane)
    opened.review.accept([SMALL])
    opened.session.set_target(other)
    opened.wait()
    assert "another target" in opened.warnings.pop()
    assert len(plane.labels.registry) == 2
    assert not other.labels.array.any()
