"""Random edits and brush strokes without a viewer: many games in little time."""

import os
from collections import deque
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam.session import ArrayLabels, ArrayPlane, ObjectRecord, Overlap, TargetError
from napari_sam.session.background import Background
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.jobs import CallbackQueue, run_until
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.replaying import read_journal, replay
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.painting import PaintedPixels, updated_records
from napari_sam.session.objects.planning import (
    NewObject,
    plan_merge,
    plan_object,
    plan_records,
    plan_removal,
)
from napari_sam.session.objects.records import RecordChange
from tests.session.annotating import REFERENCE

N_GAMES = int(os.environ.get("NAPARI_SAM_RANDOM_GAMES", "40"))
"""The suite plays a few games; a night may play thousands."""
FIRST_GAME = int(os.environ.get("NAPARI_SAM_FIRST_GAME", "0"))
N_STEPS = 60
SHAPE = 48, 64
TIMEOUT_S = 60


class Game:
    """Edits that the seed decides, strokes of a brush among them, and what must always hold."""

    def __init__(self, seed: int, with_brush: bool, dtype: type = np.uint16) -> None:
        self.random, self.with_brush = np.random.default_rng(seed), with_brush
        self.plane = ArrayPlane(np.zeros(SHAPE, dtype))
        self.labels, self.pixels = self.plane.labels, self.plane.labels.array
        self.registry = self.labels.registry
        self.in_progress = SimpleNamespace(state=ObjectState())
        self.background = Background(CallbackQueue())
        self.editing = Editing(self.in_progress, self.background)
        self.editing.set_target(self.plane)
        self.journal = Journal(REFERENCE, self.labels)
        self.editing.set_journal(self.journal.record)
        self.strokes, self.undone_strokes = deque(), deque()
        self.used: set[int] = set()
        self.edits = self.accept, self.add, self.reedit, self.remove, self.merge, self.describe
        self.moves = self.editing.undo, self.editing.redo, self.there_and_back
        self.brushes = self.paint, self.undo_a_stroke, self.redo_a_stroke

    def play(self) -> None:
        kinds = [self.edits, self.moves, self.brushes if self.with_brush else self.edits]
        background = self.background
        for _ in range(N_STEPS):
            actions = kinds[self.random.integers(len(kinds))]
            with suppress(TargetError):  # refused: nothing may have changed
                actions[self.random.integers(len(actions))]()
            run_until(lambda: background.is_idle, background.dispatcher, TIMEOUT_S, "game")
            self.check()
        self.there_and_back(N_STEPS)
        self.check_journal()

    # What is done --------------------------------------------------------------------------

    def any_mask(self):
        top, left = (int(self.random.integers(0, n - 2)) for n in SHAPE)
        height, width = (
            int(self.random.integers(1, min(24, n - first)))
            for n, first in zip(SHAPE, (top, left), strict=True)
        )
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        is_round = self.random.random() < 0.5
        return (y * y + x * x <= 1) if is_round else np.ones((height, width), bool), top, left

    def some(self, count: int) -> list[ObjectRecord]:
        records = list(self.registry)
        order = self.random.permutation(len(records))[:count]
        return [records[n] for n in order]

    def set_overlap(self) -> None:
        self.editing.set_overlap(list(Overlap)[self.random.choice(3, p=[0.3, 0.6, 0.1])])

    def accept(self, replaced: ObjectRecord | None = None) -> None:
        self.set_overlap()
        new = NewObject([self.any_mask()], replaced or ObjectRecord(), replaced)
        overlap, registry = self.editing.overlap, self.registry
        self.editing.edit(lambda _: plan_object(self.plane, new, overlap, registry))
        if replaced is None:
            self.check_new(self.editing.history.last.labels.label_id)

    def reedit(self) -> None:
        for record in self.some(1):
            self.accept(record)

    def add(self) -> None:
        self.set_overlap()
        masks = [self.any_mask() for _ in range(self.random.integers(1, 4))]
        records = [
            ObjectRecord(masks=(PackedMask((top, left), mask),)) for mask, top, left in masks
        ]

        def on_added(edit) -> None:
            for change in edit.changes:
                if change.before is None:
                    self.check_new(change.label_id)

        self.editing.add(records, on_added)

    def check_new(self, label_id: int) -> None:
        if self.labels.dtype != np.uint8:
            assert label_id not in self.used

    def remove(self) -> None:
        if records := self.some(int(self.random.integers(1, 3))):
            self.editing.edit(lambda labels: plan_removal(labels, records))

    def merge(self) -> None:
        if len(records := self.some(2)) == 2:
            self.editing.edit(lambda labels: plan_merge(labels, records))

    def describe(self) -> None:
        changes = [RecordChange(record, replace(record, note="seen")) for record in self.some(1)]
        if changes:
            self.editing.edit(lambda labels: plan_records(labels, changes))

    def paint(self) -> None:
        """Paint with background, an object's label_id, one that was deleted, or a new one."""
        choices = [0, *(record.label_id for record in self.registry), *self.used, 40]
        mask, top, left = self.any_mask()
        where = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
        value = choices[self.random.integers(len(choices))]
        mask = mask & (self.pixels[where] != value)
        stroke = (top, left), mask, self.pixels[where].copy(), value
        self.strokes.append(stroke)
        self.undone_strokes.clear()
        self.draw(stroke, value)

    def undo_a_stroke(self) -> None:
        """Write the stored pixels back, whatever is there by now, as napari does."""
        if self.strokes:
            self.undone_strokes.append(self.strokes.pop())
            self.draw(self.undone_strokes[-1], self.undone_strokes[-1][2], is_blind=True)

    def redo_a_stroke(self) -> None:
        if self.undone_strokes:
            self.strokes.append(self.undone_strokes.pop())
            self.draw(self.strokes[-1], self.strokes[-1][3], is_blind=True)

    def draw(self, stroke, values, *, is_blind: bool = False) -> None:
        (top, left), mask, before, value = stroke
        where = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
        np.copyto(self.pixels[where], values, where=mask)
        painted = PaintedPixels()
        painted.add((top, left), mask)
        painted.touch({*before[mask].tolist(), value})
        painted.count(None if is_blind else {})
        masks = painted.masks()
        changes = updated_records(
            self.labels, self.registry, masks, painted.label_ids, painted.n_gained
        )
        self.registry.apply(tuple(changes))
        if masks:
            self.journal.record_paint(masks, changes)

    def there_and_back(self, count: int = 0) -> None:
        """Undo some edits and redo them: the objects are as before, maybe with new label_ids."""
        self.check()
        before = self.objects()
        history = self.editing.history
        n_undone = 0
        for _ in range(count or self.random.integers(1, 9)):
            if history.last is not None:
                n_undone += 1
                self.editing.undo()
                self.check()
        for _ in range(n_undone):
            self.editing.redo()
            self.check()
        assert self.objects() == before

    # What must hold --------------------------------------------------------------------------

    def objects(self) -> dict[int, tuple]:
        """Return the pixels and the note of each object, whatever its label_id."""
        return {
            record.uid: ((self.pixels == record.label_id).tobytes(), record.note)
            for record in self.registry
        }

    def check(self) -> None:
        """Every record is true, and every object has one."""
        known = {record.label_id: place(record) for record in self.registry}
        assert known == {record.label_id: place(record) for record in find_objects(self.labels)}
        assert len({record.uid for record in self.registry}) == len(self.registry)
        self.used |= known.keys()
        for record in self.registry:
            erased = pixels_of(record.brushed.erased)
            assert not any(self.pixels[at] == record.label_id for at in erased)

    def check_journal(self) -> None:
        if self.journal.path is None:
            return
        restored = ArrayLabels(np.zeros_like(self.pixels))
        replay(read_journal(self.journal.path).entries(), restored)
        np.testing.assert_array_equal(restored.array, self.pixels)
        described, expected = (
            {record.label_id: (place(record), record.note) for record in registry}
            for registry in (restored.registry, self.registry)
        )
        assert described == expected
        self.journal.path.unlink()


def place(record: ObjectRecord) -> tuple:
    return record.start, record.stop, record.area_px


def pixels_of(masks) -> set[tuple[int, ...]]:
    return {
        tuple((np.array(at) + mask.start).tolist())
        for mask in masks
        for at in np.argwhere(mask.mask)
    }


@pytest.mark.parametrize("seed", range(FIRST_GAME, FIRST_GAME + N_GAMES))
def test_undo_and_redo_lose_no_pixel_whatever_is_painted(seed):
    game = Game(seed, with_brush=seed % 4 != 0)
    try:
        game.play()
    finally:
        game.background.close()
