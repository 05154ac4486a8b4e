"""What a user paints on an object and erases of it stays, whatever is done afterwards."""

import numpy as np
import pytest

from napari_sam.formats import ImageInfo
from napari_sam.session import ArrayPlane, ImagePlane, ObjectRecord, Overlap, Prompts
from napari_sam.session.annotations import annotations_of
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.painting import PaintedPixels, updated_records

TIMEOUT_S = 120
COIN, OTHER = (104, 68), (166, 73)


class Person:
    """Clicks, and paints with a brush."""

    def __init__(self, session, shape=(303, 384)):
        self.session = session
        self.plane = ArrayPlane(np.zeros(shape, np.uint16))
        self.array, self.registry = self.plane.labels.array, self.plane.labels.registry
        session.set_target(self.plane)

    def settle(self):
        self.session.wait_until_idle(TIMEOUT_S)

    def click(self, *places):
        self.session.set_prompts(Prompts(places, (1,) * len(places)))
        self.settle()

    def accept(self, *places):
        if places:
            self.click(*places)
        self.session.accept()
        self.settle()

    def reedit(self, label_id, *places):
        self.session.objects.reedit(label_id)
        self.settle()
        if places:
            self.click(*places)

    def brush(self, region, label_id):
        before = self.array[region].copy()
        self.array[region] = label_id
        changed = before != label_id
        painted = PaintedPixels()
        start = tuple(one.start for one in region)
        painted.add(start, changed)
        painted.touch({label_id, *np.unique(before).tolist()})
        lost = {former: -np.count_nonzero(before == former) for former in np.unique(before)}
        painted.count({**lost, label_id: np.count_nonzero(changed)})
        content = painted.masks(), painted.label_ids, painted.n_gained
        self.registry.apply(tuple(updated_records(self.plane.labels, self.registry, *content)))

    def check(self):
        """Every record says what is in the labels, and every object has one."""
        found = {
            one.label_id: (one.start, one.stop, one.area_px)
            for one in find_objects(self.plane.labels)
        }
        assert found == {one.label_id: (one.start, one.stop, one.area_px) for one in self.registry}


@pytest.fixture
def user(session):
    return Person(session)


FAR = np.s_[0:4, 0:4]
INSIDE = np.s_[66:71, 102:107]


def painted_on(user):
    assert (user.array[FAR] == 1).all()
    assert not (user.array[INSIDE] == 1).any()
    user.check()


def test_strokes_survive_being_reedited_again_and_again(user):
    user.accept(COIN)
    user.brush(FAR, 1)
    user.brush(INSIDE, 0)
    for n in range(3):
        user.reedit(1, COIN, (100 + n, 60))
        user.accept()
        painted_on(user)


def test_strokes_made_while_an_object_is_reedited_stay(user):
    user.accept(COIN)
    user.reedit(1, COIN, (100, 60))
    user.brush(FAR, 1)
    user.brush(INSIDE, 0)
    user.accept()
    painted_on(user)


def test_a_half_that_was_erased_does_not_come_back(user):
    user.accept(COIN)
    user.brush(np.s_[0:303, 0:104], 0)
    user.reedit(1, COIN, (110, 70))
    user.accept()
    assert user.registry.get(1).start[1] == 104
    user.check()


def test_what_is_painted_over_again_is_not_erased(user):
    user.accept(COIN)
    user.brush(INSIDE, 0)
    user.brush(INSIDE, 1)
    user.reedit(1, COIN, (100, 60))
    user.accept()
    assert (user.array[INSIDE] == 1).all()


def test_strokes_on_an_object_from_elsewhere_stay(user):
    user.array[45:95, 80:130] = 1
    user.registry.replace_all(find_objects(user.plane.labels))
    user.brush(FAR, 1)
    user.brush(INSIDE, 0)
    for _ in range(2):
        user.reedit(1, COIN)
        user.accept()
        painted_on(user)


def test_a_hole_that_another_object_has_left_can_be_filled(user):
    user.accept(COIN)
    before = user.array.copy()
    user.session.editing.set_overlap(Overlap.REPLACE)
    mask = np.ones((10, 10), bool)
    user.session.editing.add([ObjectRecord(2, masks=(PackedMask((64, 100), mask),))])
    user.settle()
    user.session.objects.remove([2])
    user.settle()
    assert user.array[68, 104] == 0
    user.reedit(1, COIN, (100, 60))
    user.accept()
    assert (user.array[before == 1] == 1).mean() > 0.95
    assert user.array[68, 104] == 1
    user.check()


def test_what_a_brush_has_erased_stays_erased_when_the_accept_is_undone_and_redone(user):
    user.accept(COIN)
    user.reedit(1, COIN, (100, 60))
    user.accept()
    user.brush(INSIDE, 0)
    for step in (user.session.undo, user.session.redo, user.session.undo):
        step()
        user.settle()
        assert not user.array[INSIDE].any()
        user.check()
    user.session.redo()
    user.settle()
    user.reedit(1, COIN, (100, 61))
    user.accept()
    assert not user.array[INSIDE].any()


def test_the_parts_of_a_merged_object_are_no_strokes(user):
    user.accept(COIN)
    user.array[0:40, 300:330] = 2
    user.registry.apply(())
    user.registry.replace_all(find_objects(user.plane.labels))
    user.session.objects.merge([1, 2])
    user.settle()
    assert user.registry.get(1).brushed.painted == ()
    covered = np.zeros(user.array.shape, bool)
    for one in user.registry.get(1).masks:
        covered[one.region] |= one.mask
    np.testing.assert_array_equal(covered, user.array == 1)


def test_erased_pixels_are_not_exported_though_another_object_has_them(user):
    user.accept(COIN)
    user.brush(INSIDE, 0)
    mask = np.ones((9, 9), bool)
    user.session.editing.add([ObjectRecord(2, masks=(PackedMask((64, 100), mask),))])
    user.settle()
    image = ImageInfo(user.array.shape)
    both = annotations_of(user.plane.labels, user.registry, image, overlapping=True)
    (first,) = [one for one in both.objects if one.label_id == 1]
    assert first.mask.sum() == user.registry.get(1).area_px


# Numbers ------------------------------------------------------------------------------------


def test_a_reedited_object_that_was_deleted_is_made_anew_beside_the_one_with_its_number(
    user,
):
    session = user.session
    user.accept(COIN)
    user.reedit(1, COIN)
    session.objects.remove([1])
    user.settle()
    mask = PackedMask((200, 200), np.ones((9, 9), bool))
    session.editing.add([ObjectRecord(1, (), (), 0, masks=(mask,))])
    user.settle()
    assert user.registry.get(1).area_px == 81
    assert session.objects.reedited_label_id is None
    user.click(COIN, (100, 60))
    user.accept()
    assert user.registry.get(1).area_px == 81
    assert user.array[68, 104] == 2
    user.check()


def test_what_was_painted_with_the_number_of_an_object_makes_way_when_that_comes_back(user, listen):
    heard = listen(user.session)
    user.accept(COIN)
    before = user.array.copy()
    user.session.objects.remove([1])
    user.settle()
    user.brush(FAR, 1)
    user.session.undo()
    user.settle()
    assert (user.array[FAR] == 2).all()
    np.testing.assert_array_equal(user.array == 1, before == 1)
    assert user.registry.get(1).state is not None
    assert user.registry.get(2).state is None
    assert heard.warnings == [
        "The painted object 1 was renumbered to 2: undo restores the former 1."
    ]
    user.check()
    user.session.redo()
    user.settle()
    assert set(np.unique(user.array)) == {0, 2}
    user.check()


def test_pixels_of_strokes_are_told_in_a_large_plane(open_session):
    session = open_session()
    session.set_image(ImagePlane(np.full((700, 900), 90, np.uint8), name="gray"))
    session.wait_until_idle(TIMEOUT_S)
    user = Person(session, (700, 900))
    mask = PackedMask((500, 500), np.ones((40, 40), bool))
    session.editing.add([ObjectRecord(1, (), (), 0, masks=(mask,))])
    user.settle()
    user.brush(np.s_[505:520, 490:530], 0)
    user.brush(np.s_[0:600, 510:515], 1)
    brushed = user.registry.get(1).brushed
    erased = sum(one.area_px for one in brushed.erased)
    painted = sum(one.area_px for one in brushed.painted)
    assert erased == 15 * (530 - 500) - 15 * 5
    assert painted == 600 * 5 - 40 * 5


def test_what_was_erased_of_one_part_may_belong_to_another(user):
    user.accept(COIN)
    user.brush(INSIDE, 0)
    user.brush(INSIDE, 5)
    user.session.objects.merge([1, 5])
    user.settle()
    assert (user.array[INSIDE] == 1).all()
    assert user.registry.get(1).brushed.erased == ()


def test_undo_and_redo_bring_back_what_a_brush_has_made_of_an_object(user):
    user.accept(COIN)
    user.brush(FAR, 1)
    user.brush(INSIDE, 0)
    before, record = user.array.copy(), user.registry.get(1)
    user.session.undo()
    user.settle()
    user.check()
    user.session.redo()
    user.settle()
    np.testing.assert_array_equal(user.array, before)
    user.check()
    erased = sum(one.area_px for one in user.registry.get(1).brushed.erased)
    assert erased == sum(one.area_px for one in record.brushed.erased) == 25
    painted_on(user)
