"""Automatic masks of several slices as objects: chosen, shown, accepted, undone and journaled."""

import numpy as np
import pytest

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.model import load_model
from napari_sam.model.automatic.mask_set import MaskSet
from napari_sam.session import AnnotationSession, Origin, Overlap
from napari_sam.session.automatic.linked import SliceChoice, SliceLinker
from napari_sam.session.automatic.picture import Painter, step_for
from napari_sam.session.automatic.request import AutomaticRequest, TileMasks
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.journal.entries import record_from_json, record_to_json
from napari_sam.session.linking.settings import LinkSettings
from napari_sam.session.stack import SliceRange
from tests.remembering import RememberingPredictor
from tests.session.automatic.reviewed import SIZE, Reviewed, square
from tests.session.propagation.volume import Volume, moving_discs

TIMEOUT_S = 120


def linked(slices, first=2, step=1, shape=SIZE, **settings):
    masks = {first + index: on_slice for index, on_slice in enumerate(slices)}
    return SliceLinker(shape, step).link(masks, LinkSettings(**settings))


GAP = [[square(10, 10, 12, 0.8)], [], [square(10, 12, 12, 0.96)], [square(11, 12, 12, 0.88)]]
FLAT = [[square(12, 40, 10)], [square(12, 40, 10)], [square(30, 5, 8)]]


class Opened(Reviewed):
    """A session on an empty volume, and its review."""

    def __init__(self):
        self.volume = Volume(np.zeros((8, *SIZE), np.uint8))
        super().__init__(self.volume.request(4).target)

    @property
    def records(self):
        return list(self.volume.labels.registry)

    def spans(self):
        labels = self.volume.labels.array
        return {
            record.label_id: np.flatnonzero((labels == record.label_id).any(axis=(1, 2))).tolist()
            for record in self.records
        }


@pytest.fixture
def opened():
    opened = Opened()
    yield opened
    opened.session.close()


def test_objects_are_written_through_their_slices_and_undone_as_one(opened):
    objects = linked([[*a, *b] for a, b in zip(GAP, [*FLAT, []], strict=True)])
    assert len(objects) == 2
    opened.accept(*objects)
    assert sorted(opened.spans().values()) == [[2, 3], [2, 3, 4, 5]]
    deep = next(record for record in opened.records if record.shape[0] == 4)
    assert deep.slices.axis == 0
    assert [entry.origin for entry in deep.slices] == [
        *(Origin.AUTOMATIC, Origin.INTERPOLATED, Origin.AUTOMATIC, Origin.AUTOMATIC)
    ]
    assert deep.slices.get(4).state.prompts.points_xy == ((12, 10),)
    assert deep.score == pytest.approx(0.88)
    assert deep.area_px == np.count_nonzero(opened.volume.labels.array == deep.label_id)
    opened.session.undo()
    opened.wait()
    assert not opened.volume.labels.array.any()
    opened.session.redo()
    opened.wait()
    assert sorted(opened.spans().values()) == [[2, 3], [2, 3, 4, 5]]


def test_the_journal_knows_the_slices(opened):
    opened.accept(*linked(GAP))
    (record,) = opened.records
    restored = record_from_json(record_to_json(record))
    before, after = (
        [(entry.slice_index, entry.origin, entry.confidence) for entry in of.slices]
        for of in (record, restored)
    )
    assert before == after


def test_what_is_accepted_is_done_with_whatever_passes_later(opened):
    (obj,) = linked(GAP)
    opened.accept(obj)
    done = opened.session.automatic._excluded
    fewer = {4: GAP[2], 5: GAP[3]}
    assert SliceLinker(SIZE, 1).link(fewer, LinkSettings())
    assert not SliceLinker(SIZE, 1).link(fewer, LinkSettings(), done)


def test_overlaps_are_those_of_all_slices(opened):
    opened.session.editing.set_overlap(Overlap.REFUSE)
    (small,) = linked([[square(20, 20, 6)], [square(20, 20, 6)]])
    (large,) = linked([[square(18, 18, 20)], [square(18, 18, 20)]], first=3)
    assert small.overlaps(large)
    opened.accept(small, large)
    assert list(opened.spans().values()) == [[2, 3]]
    (elsewhere,) = linked([[square(18, 18, 20)], [square(18, 18, 20)]], first=5)
    assert not small.overlaps(elsewhere)
    (later,) = linked([[square(20, 20, 6)], [square(20, 20, 6)]], first=3)
    assert small.iou(later) == pytest.approx(1 / 3)


def test_the_picture_has_a_plane_for_each_slice():
    (obj,) = linked(GAP)
    picture = Painter(SIZE, range(2, 6)).paint([obj])
    assert picture.labels.shape == (4, *SIZE)
    assert np.count_nonzero(picture.labels) == picture.table["area_px"][0] == obj.area_px
    assert picture.table["first_slice"] == [2]
    assert picture.table["last_slice"] == [5]
    assert obj.slice_index == 4
    np.testing.assert_array_equal(picture.alone(obj), picture.labels)


def test_slices_that_follow_are_added_to_what_is_linked():
    slices = [[*a, *b] for a, b in zip(GAP, [*FLAT, []], strict=True)]
    linker, so_far, objects = SliceLinker(SIZE, 1), {}, []
    for index, masks in enumerate(slices, start=2):
        so_far[index] = masks
        before, objects = objects, linker.link(dict(so_far), LinkSettings())
    (flat,) = [obj for obj in objects if obj.columns["last_slice"] == 3]
    assert flat in before

    def facts(objects):
        return [
            (obj.keys, [(m.slice_index, m.origin, m.confidence) for m in obj.linked.masks])
            for obj in objects
        ]

    assert facts(objects) == facts(linked(slices))
    other = so_far | {3: [square(30, 30, 8)]}
    assert facts(linker.link(other, LinkSettings())) == facts(linked(list(other.values())))
    assert len(linker.link(so_far, LinkSettings(min_slices=3))) == 1


def test_background_is_left_out_on_every_slice():
    whole = square(0, 0, 60, tile=Tile(0, 0, 0, 60, 60), size=(60, 60))
    volume = Volume(np.zeros((8, 60, 60), np.uint8))
    plane, settings = volume.stack.image_plane(0), AutomaticRunSettings()
    slices = SliceRange(volume.stack, range(2, 6))
    choice = SliceChoice(AutomaticRequest(plane, (whole.tile,), settings, slices=slices))
    mask_set, gray = MaskSet(settings.published, 0.5, (60, 60)), np.zeros((1, 1), np.uint8)
    tiles = {
        number: TileMasks(whole.tile, mask_set, gray, {settings.published: masks})
        for number, masks in enumerate([[whole], [square(10, 10, 12), whole]])
    }
    pyramid = TilePyramid((60, 60), SAM_SPEC)
    chosen = choice.choose(tiles, pyramid, settings, {})
    assert {index: len(masks) for index, masks in chosen.items()} == {2: 0, 3: 1}
    assert choice.background_count == 2


def test_large_planes_are_compared_and_filled_as_they_are_shown(opened):
    shape = (300, 400)
    step = step_for((4100, 3000))
    assert step == 3
    of_plane = {"tile": Tile(0, 0, 0, *shape), "size": shape}
    slices = [[square(50, 60, 90, **of_plane)], [], [square(50, 66, 90, **of_plane)]]
    (obj,) = linked(slices, step=step, shape=shape)
    volume = Volume(np.zeros((8, *shape), np.uint8))
    record = obj.object_record(volume.request(2).target, obj.object_state())
    for mask, left in zip(record.masks, (60, 63, 66), strict=True):
        assert mask.start[1:] == pytest.approx((50, left), abs=step)
        assert mask.area_px == pytest.approx(90 * 90, rel=0.1)


def test_many_slices_make_coarser_pictures():
    assert step_for((2000, 2000)) == 1
    assert step_for((2000, 2000), 100) == 2


@pytest.mark.slow
def test_a_run_goes_through_slices_and_can_be_cancelled():
    volume = Volume(moving_discs(6)[3:, 16:88, 12:84])
    predictor = RememberingPredictor(load_model(), device="cpu")  # computes masks, which takes long
    session = AnnotationSession(lambda *_: predictor)
    session.show(volume.request(1))
    settings = AutomaticRunSettings().with_values(
        points_per_side=2, pred_iou_thresh=0.8, stability_score_thresh=0.85, max_share=0.2
    )
    few_at_once = settings.with_values(points_per_batch=2)
    plane = volume.stack.image_plane(1)
    tiles = (Tile(0, 0, 0, *plane.shape),)
    slices = SliceRange(volume.stack, range(3))
    states = []
    session.automatic.changed.connect(states.append)
    session.automatic.start(AutomaticRequest(plane, tiles, settings, slices=slices))
    session.wait_until_idle(TIMEOUT_S)
    assert {state.slice_number for state in states if state.is_running} == {1, 2, 3}
    assert "slice 2 of 3" in next(s for s in states if s.slice_number == 2).summary
    objects = session.automatic.picture.masks
    assert [mask.columns["last_slice"] for mask in objects] == [2, 2]
    assert session.automatic.picture.searched == range(3)
    session.automatic_review.follow_target()
    session.automatic_review.set_here(True)
    session.automatic_review.accept_all()
    session.wait_until_idle(TIMEOUT_S)
    assert sorted(np.unique(volume.labels.array)) == [0, 1, 2]
    assert session.automatic.picture.masks == ()

    def cancel(state):
        if state.slice_number == 2 and state.is_running:
            session.automatic.cancel()

    session.automatic.changed.connect(cancel)
    session.undo()
    session.automatic.start(AutomaticRequest(plane, tiles, settings, slices=slices))
    session.wait_until_idle(TIMEOUT_S)
    assert [mask.columns["last_slice"] for mask in session.automatic.picture.masks] == [1, 1]
    assert session.automatic.picture.searched == range(2)
    session.automatic.changed.disconnect(cancel)
    session.automatic.changed.connect(
        lambda state: state.is_running and state.fraction and session.automatic.cancel()
    )
    session.automatic.start(AutomaticRequest(plane, tiles, few_at_once, slices=slices))
    session.wait_until_idle(TIMEOUT_S)
    assert session.automatic.state.fraction < 1 / 3  # within the first slice
    assert session.automatic.picture.masks
    session.close()
