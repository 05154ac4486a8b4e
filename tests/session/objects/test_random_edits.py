"""Random edits and brush strokes without a viewer: many games in little time."""

import os
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
from napari_sam.session.objects.brush_history import BrushHistory, Dab, strokes_of
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit
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

    def __init__(
        self, seed: int, with_brush: bool, with_viewer_undo: bool, dtype: type = np.uint16
    ) -> None:
        self.random, self.with_brush = np.random.default_rng(seed), with_brush
        self.in_order = not with_viewer_undo
        self.plane = ArrayPlane(np.zeros(SHAPE, dtype))
        self.labels, self.pixels = self.plane.labels, self.plane.labels.array
        self.registry = self.labels.registry
        self.in_progress = SimpleNamespace(state=ObjectState())
        self.background = Background(CallbackQueue())
        self.editing = Editing(self.in_progress, self.background)
        self.editing.set_target(self.plane)
        self.journal = Journal(REFERENCE, self.labels)
        self.editing.set_journal(self.journal.record)
        self.brush_history = BrushHistory(self.editing, self.in_progress)
        self.brush_history.moved.connect(self.move_in_viewer)
        # As the viewer's own undo has them, by their ids.
        self.strokes, self.undone_strokes = {}, {}
        self.n_strokes = 0
        self.used: set[int] = set()
        self.edits = self.accept, self.add, self.reedit, self.remove, self.merge, self.describe
        self.moves = self.editing.undo, self.editing.redo, self.there_and_back
        self.brushes = (
            (self.paint,) if self.in_order else (self.paint, self.undo_a_stroke, self.redo_a_stroke)
        )
        self.states = [self.pixels.copy()]
        """Where all was in order, the pixels after each edit of the history."""

    def play(self) -> None:
        kinds = [self.edits, self.moves, self.brushes if self.with_brush else self.edits]
        background = self.background
        for _ in range(N_STEPS):
            actions = kinds[self.random.integers(len(kinds))]
            with suppress(TargetError):  # refused: nothing may have changed
                actions[self.random.integers(len(actions))]()
            run_until(lambda: background.is_idle, background.dispatcher, TIMEOUT_S, "game")
            self.check()
            self.note_state()
        self.there_and_back(N_STEPS)
        self.check_journal()

    def note_state(self) -> None:
        n_done = len(self.editing.history._done)
        self.states[n_done:] = [self.pixels.copy()]

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
        self.n_strokes += 1
        dabs = []
        for _ in range(self.random.integers(1, 4)):
            mask, top, left = self.any_mask()
            where = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
            value = choices[self.random.integers(len(choices))]
            mask = mask & (self.pixels[where] != value)
            after = np.full(mask.shape, value, self.pixels.dtype)
            dabs.append(Dab((top, left), mask, self.pixels[where].copy(), after))
            self.pixels[where][mask] = value
        self.strokes[self.n_strokes] = dabs
        self.undone_strokes.clear()
        changes = self.follow(dabs, {})
        strokes = strokes_of(dabs)
        if strokes:
            edit = LabelsEdit(self.labels, strokes, tuple(changes), strokes[0].value)
            self.brush_history.note(edit, (self.n_strokes,))
            assert self.editing.history.redoable is None

    def undo_a_stroke(self) -> None:
        """Write the stored pixels back, whatever is there by now, as napari does."""
        self.move_blindly(self.strokes, self.undone_strokes, is_undone=True)

    def redo_a_stroke(self) -> None:
        self.move_blindly(self.undone_strokes, self.strokes, is_undone=False)

    def move_blindly(self, strokes, others, *, is_undone: bool) -> None:
        if not strokes:
            return
        stroke_id, dabs = strokes.popitem()
        others[stroke_id] = dabs
        for dab in reversed(dabs) if is_undone else dabs:
            where = PackedMask(dab.start, dab.mask).region
            np.copyto(self.pixels[where], dab.before if is_undone else dab.after, where=dab.mask)
        self.follow(dabs, None)
        self.brush_history.follow(self.labels, (stroke_id,), is_undone=is_undone)

    def move_in_viewer(self, labels, stroke_ids, is_undone: bool) -> None:
        """Have the viewer's own undo follow the session's."""
        assert labels is self.labels
        strokes, others = (self.strokes, self.undone_strokes)[:: 1 if is_undone else -1]
        (stroke_id,) = stroke_ids
        if strokes and next(reversed(strokes)) == stroke_id:
            others[stroke_id] = strokes.pop(stroke_id)

    def follow(self, dabs, n_gained) -> list[RecordChange]:
        painted = PaintedPixels()
        for dab in dabs:
            painted.add(dab.start, dab.mask)
            painted.touch({*dab.before[dab.mask].tolist(), *dab.after[dab.mask].tolist()})
        painted.count(n_gained)
        masks = painted.masks()
        changes = updated_records(
            self.labels, self.registry, masks, painted.label_ids, painted.n_gained
        )
        self.registry.apply(tuple(changes))
        if masks:
            self.journal.record_paint(masks, changes)
        return changes

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
                if self.in_order:
                    state = self.states[len(self.editing.history._done)]
                    np.testing.assert_array_equal(self.pixels, state)
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
    game = Game(seed, with_brush=seed % 4 != 0, with_viewer_undo=seed % 2 == 0)
    try:
        game.play()
    finally:
        game.background.close()
