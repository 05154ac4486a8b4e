"""Random actions in a real viewer against a simple model of what must hold, whatever is done."""

import gc
import os
from dataclasses import dataclass, field
from itertools import count

import napari
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from napari.layers import Labels

from napari_sam.engine.masks import tight_crop
from napari_sam.session import ArrayLabels, ObjectRecord, Overlap, Prompts, TargetError
from napari_sam.session.journal.replaying import read_journal, replay
from napari_sam.session.objects.packed import PackedMask, region_of
from napari_sam.session.objects.trimming import Trim
from napari_sam.widget import SamWidget

TIMEOUT_S = 120
SHAPE = 3, 72, 96
N_EXAMPLES = int(os.environ.get("NAPARI_SAM_RANDOM_EXAMPLES", "3"))
"""The suite plays a few games; a night may play hundreds."""
N_STEPS = 80

ROWS = st.integers(0, SHAPE[1] - 1)
COLUMNS = st.integers(0, SHAPE[2] - 1)
ANY = st.integers(0, 10**6)
"""Which one of some things; taken modulo their number."""


def discs() -> np.ndarray:
    """Return a stack with bright discs at the same places on each slice."""
    rows, columns = np.ogrid[: SHAPE[1], : SHAPE[2]]
    plane = np.full(SHAPE[1:], 40, np.uint8)
    for row, column, radius in ((18, 20, 10), (22, 66, 14), (54, 34, 12), (52, 76, 9)):
        plane[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = 190
    noise = np.random.default_rng(0).integers(0, 12, SHAPE[1:])
    return np.stack([plane + noise + 5 * n for n in range(SHAPE[0])]).astype(np.uint8)


@dataclass
class Stroke:
    """Pixels of a whole volume that get one label."""

    value: int
    where: np.ndarray
    before: np.ndarray

    def apply(self, labels: np.ndarray) -> None:
        self.where = self.where & (labels == self.before)
        labels[self.where] = self.value

    def renumber(self, former: int, label_id: int) -> None:
        self.before[self.before == former] = label_id
        if self.value == former:
            self.value = label_id

    def revert(self, labels: np.ndarray) -> None:
        self.where = self.where & (labels == self.value)
        labels[self.where] = self.before[self.where]


@dataclass
class Step:
    """What one undo takes back."""

    place: tuple
    before: Prompts
    after: Prompts
    target: Labels | None = None
    strokes: list[Stroke] = field(default_factory=list)
    made: int | None = None
    number: int = field(default_factory=count().__next__)


class Annotating(RuleBasedStateMachine):
    """A user who does whatever comes to their mind."""

    predictor = None  # the real one, given by the test

    @initialize()
    def open(self) -> None:
        self.viewer = napari.Viewer(show=False)
        self.images = [
            self.viewer.add_image(discs(), name="stack"),
            self.viewer.add_image(discs()[0], name="plane"),
        ]
        self.labels: dict[Labels, np.ndarray] = {}
        self.named: dict[tuple[int, int], str | None] = {}
        self.done: list[Step] = []
        self.undone: list[Step] = []
        self.repainted: dict[tuple[Labels, int], int] = {}
        """The last step before a brush began an object, for each layer and label_id."""
        self.renumbered: list[tuple[Labels, int, int]] = []
        self.painted: dict[Labels, tuple[list[Step | None], list[Step | None]]] = {}
        """The steps of the strokes in napari's own histories of undo and redo."""
        self.open_widget()
        self.widget.binding.set_image(self.images[0])
        self.settle()

    def open_widget(self) -> None:
        self.widget = SamWidget(self.viewer, load_predictor=lambda *_: self.predictor)
        self.viewer.window.add_dock_widget(self.widget, name="SAM live")
        self.widget.controllers.objects.tab.select()
        self.done.clear()
        self.undone.clear()
        self.settle()

    def teardown(self) -> None:
        if hasattr(self, "viewer"):
            self.check_journals()
            self.widget.close()
            self.viewer.close()
            gc.collect()

    # What the model is told --------------------------------------------------------------------

    @property
    def session(self):
        return self.widget.session

    @property
    def prompts(self) -> Prompts:
        return self.session.state.prompts

    @property
    def place(self) -> tuple:
        image = self.widget.binding.plane.image
        index = self.viewer.dims.current_step[0] if image is self.images[0] else 0
        return image, index

    @property
    def target(self) -> Labels | None:
        return self.widget.binding.target.layer

    @property
    def plane(self) -> tuple:
        """Where the shown slice lies in the labels."""
        return (self.place[1],) if self.place[0] is self.images[0] else ()

    def settle(self) -> None:
        self.widget.wait_until_idle(TIMEOUT_S)
        for layer in self.viewer.layers:
            if isinstance(layer, Labels) and not self.widget.binding.is_ours(layer):
                self.labels.setdefault(layer, np.zeros_like(layer.data))

    def push(self, step: Step) -> None:
        self.done.append(step)
        self.undone.clear()

    def prompt(self, change) -> None:
        """Change the prompts by whatever way; one step if that has changed them."""
        before = self.prompts
        change()
        self.settle()
        if self.prompts != before:
            self.push(Step(self.place, before, self.prompts))

    def pick(self, number: int) -> int | None:
        """Return one of the objects of the target."""
        if self.target is None:
            return None
        label_ids = np.unique(self.labels[self.target])
        label_ids = label_ids[label_ids > 0]
        return int(label_ids[number % len(label_ids)]) if len(label_ids) else None

    def whole(self, mask: np.ndarray) -> np.ndarray:
        """Return a mask of the shown slice as one of all labels."""
        whole = np.zeros(self.labels[self.target].shape, bool)
        whole[self.plane] = mask
        return whole

    def check_journals(self) -> None:
        """What was written down is what there is."""
        for target, (_, journal) in self.widget.controllers.journal._journals.items():
            if target.is_gone or journal.path is None:
                continue
            content = read_journal(journal.path)
            restored = ArrayLabels(np.zeros(target.shape, target.dtype))
            replay(content.entries(), restored)
            assert not content.warning
            np.testing.assert_array_equal(restored.array, target.layer.data)
            assert described(restored.registry) == described(target.registry)
        unfinished = self.widget.controllers.unfinished
        if unfinished.record():
            journal = unfinished._holders.get(self.widget.binding.plane.image)
            kept = () if journal is None else read_journal(journal.path).unfinished
            assert kept == tuple(entry.without_masks for entry in unfinished.all)

    # What a user does ------------------------------------------------------------------------

    @rule(row=ROWS, column=COLUMNS, is_foreground=st.booleans())
    def click(self, row: int, column: int, is_foreground: bool) -> None:
        def change() -> None:
            binding = self.widget.binding
            binding.prompts.start_points()
            binding.prompts.set_polarity(int(is_foreground))
            layer = binding.prompts.image_prompts.points.prompts.layer
            layer.add([(*self.plane, row, column)[-layer.ndim :]])

        self.prompt(change)

    @rule(row=ROWS, column=COLUMNS, height=st.integers(4, 40), width=st.integers(4, 40))
    def draw_box(self, row: int, column: int, height: int, width: int) -> None:
        self.prompt(
            lambda: self.session.set_prompts(
                Prompts((), (), (column, row, column + width, row + height))
            )
        )

    @rule(number=ANY, row=ROWS, column=COLUMNS)
    def move_a_point(self, number: int, row: int, column: int) -> None:
        points = self.widget.binding.prompts.image_prompts.points.prompts
        if points is None or not len(points.layer.data) or not self.prompts.points_xy:
            return

        def change() -> None:
            data = points.layer.data.copy()
            data[number % len(data)][-2:] = row, column
            points.layer.data = data

        self.prompt(change)

    @rule(number=ANY)
    def delete_a_point(self, number: int) -> None:
        points = self.widget.binding.prompts.image_prompts.points.prompts
        if points is None or not self.prompts.points_xy:
            return

        def change() -> None:
            points.layer.selected_data = {number % len(points.layer.data)}
            points.layer.remove_selected()

        self.prompt(change)

    @rule()
    def clear(self) -> None:
        self.prompt(self.session.object_in_progress.clear)

    @rule(number=ANY)
    def choose(self, number: int) -> None:
        if self.session.state.candidates is not None:
            self.session.object_in_progress.choose(number % len(self.session.state.candidates))
            self.settle()

    @rule(overlap=st.sampled_from(Overlap))
    def accept(self, overlap: Overlap) -> None:
        place, before = self.place, self.prompts
        self.session.editing.set_overlap(overlap)
        reediting = self.session.object_in_progress.state.reedited
        reedited = None if reediting is None else reediting.label_id
        as_accepted = self.session.object_in_progress.state.is_as_accepted
        mask = self.shown_mask(overlap, reedited or 0)
        try:
            self.session.accept()
        except TargetError:
            return
        finally:
            self.settle()
        assert self.place == place
        assert self.prompts.is_empty
        labels = self.labels[self.target]
        step = Step(place, before, self.prompts, self.target)
        if as_accepted and reedited is not None and pixels_of(self.target, reedited):
            self.push(Step(place, before, self.prompts))
            return
        new = set(np.unique(self.target.data)) - set(np.unique(labels))
        if new:
            (label_id,) = new
            step.made = int(label_id)
        else:
            label_id = reedited
        mask = self.whole(mask)
        if not new:
            mask = (mask | self.brushed(label_id, "painted")) & ~self.brushed(label_id, "erased")
        if overlap is not Overlap.REPLACE:
            mask = mask & ((labels == 0) | (labels == label_id))
        left_over = (labels == label_id) & ~mask
        step.strokes += [stroke(0, left_over, labels), stroke(int(label_id), mask, labels)]
        step.strokes[:] = [one for one in step.strokes if one.where.any()]
        for one in step.strokes:
            one.apply(labels)
        self.push(step)

    def shown_mask(self, overlap: Overlap, label_id: int) -> np.ndarray | None:
        """Return the mask that would be accepted: fringes along other objects are left out."""
        state, plane = self.session.state, self.session.editing.target
        if state.candidates is None:
            return None
        mask = mask_of(state.candidates, state.chosen, SHAPE[1:])
        if overlap is Overlap.REPLACE or plane is None:
            return mask
        trim = Trim.of(state.candidates, state.chosen)
        trimmed, top, left = trim.trimmed(tight_crop(mask, 0, 0), plane, label_id)
        mask = np.zeros_like(mask)
        mask[top : top + trimmed.shape[0], left : left + trimmed.shape[1]] = trimmed
        return mask

    def brushed(self, label_id: int, what: str) -> np.ndarray:
        """Return the pixels that a brush has given to an object, or taken from it."""
        record = self.widget.binding.target.labels.registry.get(label_id)
        pixels = np.zeros(self.labels[self.target].shape, bool)
        for one in getattr(record.brushed, what):
            pixels[one.region] |= one.mask
        return pixels

    @rule(
        row=ROWS,
        column=COLUMNS,
        side=st.integers(1, 60),
        overlap=st.sampled_from([Overlap.REPLACE, *Overlap]),
    )
    def add(self, row: int, column: int, side: int, overlap: Overlap) -> None:
        """Add a square from elsewhere: large ones take other objects wholly."""
        mask = np.zeros(SHAPE[1:], bool)
        mask[row : row + side, column : column + side] = True
        start = (*self.plane, 0, 0)
        nd = PackedMask(start, mask.reshape((1,) * len(self.plane) + mask.shape))
        place, prompts = self.place, self.prompts
        self.session.editing.set_overlap(overlap)
        self.session.editing.add([ObjectRecord(masks=(nd,))])
        self.settle()
        labels = self.labels[self.target]
        whole = self.whole(mask)
        free = whole & (labels == 0)
        if overlap is not Overlap.REPLACE:
            if not free.any() or (overlap is Overlap.REFUSE and (free != whole).any()):
                return
            whole = free
        made = self.session.editing.history.last.labels.label_id
        step = Step(place, prompts, prompts, self.target, made=made)
        step.strokes.append(stroke(made, whole, labels))
        step.strokes[-1].apply(labels)
        self.push(step)

    @rule(number=ANY, is_new=st.booleans())
    def change_a_class(self, number: int, is_new: bool) -> None:
        """Add a class, or rename one, with which its objects go."""
        names = [one.name for one in self.session.classes.table.classes]
        name = f"class {number}"
        if name not in names and (is_new or names):
            if is_new:
                self.session.classes.add(name)
            else:
                self.session.classes.rename(names[number % len(names)], name)
            self.push(Step(self.place, self.prompts, self.prompts))

    @rule(number=ANY)
    def reedit(self, number: int) -> None:
        label_id, before = self.pick(number), self.prompts
        if label_id is None:
            return
        try:
            self.session.objects.reedit(label_id)
        except TargetError:
            return
        self.settle()
        self.push(Step(self.place, before, self.prompts))

    @rule(number=ANY)
    def delete(self, number: int) -> None:
        label_id = self.pick(number)
        if label_id is not None:
            labels, prompts = self.labels[self.target], self.prompts
            self.session.objects.remove([label_id])
            self.settle()
            step = Step(self.place, prompts, prompts, self.target)
            step.strokes.append(stroke(0, labels == label_id, labels))
            step.strokes[0].apply(labels)
            self.push(step)

    @rule(first=ANY, second=ANY)
    def merge(self, first: int, second: int) -> None:
        one, other = self.pick(first), self.pick(second)
        if one is not None and one != other:
            labels, prompts = self.labels[self.target], self.prompts
            self.session.objects.merge([one, other])
            self.settle()
            step = Step(self.place, prompts, prompts, self.target)
            step.strokes.append(stroke(one, labels == other, labels))
            step.strokes[0].apply(labels)
            self.push(step)

    @rule(number=ANY, name=st.sampled_from(["nucleus", "größer", None]))
    def name_class(self, number: int, name: str | None) -> None:
        label_id = self.pick(number)
        if label_id is not None:
            record = self.widget.binding.target.labels.registry.get(label_id)
            self.session.objects.update([label_id], class_name=name)
            if record.class_name != name:
                self.push(Step(self.place, self.prompts, self.prompts, self.target))

    @rule()
    def undo(self) -> None:
        edit = self.session.editing.history.last
        conflicts = conflicts_of(edit, is_undone=True)
        self.widget.binding.objects.undo()
        self.settle()
        if not self.done:
            return
        step = self.done.pop()
        self.undone.append(step)
        self.move_in_napari(step, is_undone=True)
        if step.target in self.labels:
            self.renumber(step.target, edit, conflicts)
            for one in reversed(step.strokes):
                one.revert(self.labels[step.target])
        self.check_prompts(step, step.before)

    @rule()
    def redo(self) -> None:
        edit = self.session.editing.history.redoable
        conflicts = conflicts_of(edit, is_undone=False)
        self.widget.binding.objects.redo()
        self.settle()
        if not self.undone:
            return
        step = self.undone.pop()
        self.done.append(step)
        self.move_in_napari(step, is_undone=False)
        if step.target in self.labels:
            self.renumber(step.target, edit, conflicts)
            for one in step.strokes:
                one.apply(self.labels[step.target])
        self.check_prompts(step, step.after)

    def move_in_napari(self, step: Step, *, is_undone: bool) -> None:
        """Have napari's own undo be past a stroke that was undone, and the other way round."""
        done, undone = self.painted.get(step.target, ([], []))
        strokes, others = (done, undone) if is_undone else (undone, done)
        if strokes and strokes[-1] is step:
            others.append(strokes.pop())

    def renumber(self, target: Labels, edit, conflicts: list[ObjectRecord]) -> None:
        """Give what was painted with a label_id that comes back another one."""
        labels = self.labels[target]
        for record in conflicts:
            (label_id,) = [
                one.label_id for one in edit.labels.target.registry if one.uid == record.uid
            ]
            assert label_id not in labels
            former = record.label_id
            labels[labels == former] = label_id
            self.renumbered.append((target, former, label_id))
            first = self.repainted.pop((target, former), 0)
            for step in (*self.done, *self.undone):
                if step.target is target and step.number > first:
                    for one in step.strokes:
                        one.renumber(former, label_id)

    @rule(row=ROWS, column=COLUMNS)
    @precondition(lambda self: self.undone)
    def paint_with_a_number_that_was_undone(self, row: int, column: int) -> None:
        made = [one.made for one in self.undone if one.made and one.target is self.target]
        if self.target is not None and made:
            self.paint_with(made[-1], row, column, 5)

    def check_prompts(self, step: Step, expected: Prompts) -> None:
        if step.place == self.place:
            assert self.prompts == expected.on_slice(self.place[1])

    @rule()
    def undo_and_redo(self) -> None:
        """What is undone and redone is as if nothing had been."""
        if self.done:
            before = {layer: labels.copy() for layer, labels in self.labels.items()}
            self.renumbered.clear()
            self.undo()
            self.redo()
            for layer, former, label_id in self.renumbered:
                before[layer][before[layer] == former] = label_id
            for layer, labels in before.items():
                np.testing.assert_array_equal(layer.data, labels)

    @rule(row=ROWS, column=COLUMNS, size=st.integers(1, 12), number=ANY)
    def paint(self, row: int, column: int, size: int, number: int) -> None:
        if self.target is not None:
            known = [0, *np.unique(self.target.data), 50 + number % 3]
            self.paint_with(int(known[number % len(known)]), row, column, size)

    def paint_with(self, label_id: int, row: int, column: int, size: int) -> None:
        if label_id not in self.labels[self.target]:
            latest = [step.number for step in (*self.done, *self.undone)]
            self.repainted[self.target, label_id] = max(latest, default=-1)
        before, place, prompts = self.labels[self.target], self.place, self.prompts
        self.target.brush_size = size
        self.target.paint((*self.plane, row, column), label_id)
        after = self.labels[self.target] = np.array(self.target.data)
        self.settle()
        if (before != after).any():
            step = Step(place, prompts, prompts, self.target)
            step.strokes.append(stroke(label_id, before != after, before))
            self.push(step)
            done, undone = self.painted.setdefault(self.target, ([], []))
            done.append(step)
            undone.clear()

    def the_numbers_are(self, label_ids: set[int]) -> None:
        assert {one.label_id for one in self.widget.binding.target.labels.registry} == label_ids

    @rule(is_undone=st.booleans())
    def take_a_stroke_back(self, is_undone: bool = True) -> None:
        """Have napari's own undo or redo move a stroke, whatever is there by now."""
        done, undone = self.painted.get(self.target, ([], []))
        strokes, others = (done, undone) if is_undone else (undone, done)
        if not strokes:
            return
        self.target.undo() if is_undone else self.target.redo()
        self.labels[self.target] = np.array(self.target.data)
        self.settle()
        others.append(strokes.pop())
        steps, other_steps = (self.done, self.undone)[:: 1 if is_undone else -1]
        if steps and steps[-1] is others[-1]:
            other_steps.append(steps.pop())

    @rule(row=ROWS, column=COLUMNS)
    def paint_with_a_number_that_was_deleted(self, row: int, column: int) -> None:
        step = self.done[-1] if self.done else None
        if step is not None and step.target is self.target and step.strokes:
            gone = step.strokes[-1].before[step.strokes[-1].where]
            if self.target is not None and gone.size and gone[0]:
                self.paint_with(int(gone[0]), row, column, 5)

    @rule(number=ANY)
    def change_slice(self, number: int) -> None:
        self.viewer.dims.set_current_step(0, number % SHAPE[0])
        self.settle()

    @rule(number=st.integers(0, 1))
    def change_image(self, number: int) -> None:
        self.widget.binding.set_image(self.images[number])
        self.settle()

    @rule(number=ANY)
    def rename_a_layer(self, number: int) -> None:
        self.viewer.layers[number % len(self.viewer.layers)].name = f"größer {number}"

    @rule(number=ANY)
    @precondition(lambda self: self.labels and len(self.done) > 20)
    def delete_a_labels_layer(self, number: int) -> None:
        layer = list(self.labels)[number % len(self.labels)]
        del self.labels[layer]
        self.viewer.layers.remove(layer)
        self.settle()

    @rule(which=st.sampled_from(["points", "boxes"]))
    @precondition(lambda self: len(self.done) > 10)
    def delete_a_prompt_layer(self, which: str) -> None:
        source = getattr(self.widget.binding.prompts.image_prompts, which).prompts
        if source is not None:
            self.prompt(lambda: self.viewer.layers.remove(source.layer))

    @rule()
    @precondition(lambda self: len(self.done) > 15)
    def close_and_reopen_the_widget(self) -> None:
        image = self.widget.binding.plane.image
        self.check_journals()
        self.viewer.window.remove_dock_widget(self.widget)
        self.widget.close()
        self.open_widget()
        self.widget.binding.set_image(image)
        self.settle()
        self.done.clear()

    # What must hold ----------------------------------------------------------------------------

    @invariant()
    def the_labels_are_those_of_the_model(self) -> None:
        for layer, labels in getattr(self, "labels", {}).items():
            np.testing.assert_array_equal(layer.data, labels)

    @invariant()
    def every_object_is_known_exactly_once(self) -> None:
        if not hasattr(self, "widget") or self.widget.binding.target.labels is None:
            return
        labels = np.asarray(self.target.data)
        records = list(self.widget.binding.target.labels.registry)
        label_ids = [record.label_id for record in records]
        assert sorted(label_ids) == [n for n in np.unique(labels) if n]
        for record in records:
            own = labels == record.label_id
            assert record.area_px == own.sum()
            assert own[region_of(record.start, record.shape)].sum() == record.area_px
            assert not (own & self.brushed(record.label_id, "erased")).any()
        assert set(self.widget.controllers.objects.table.model._records) == set(label_ids)
        classes = {record.class_name for record in records} - {None}
        assert classes <= {one.name for one in self.session.classes.table.classes}


def mask_of(candidates, index: int, shape: tuple[int, int]) -> np.ndarray:
    """Return a candidate as a mask of the whole slice."""
    mask = np.zeros(shape, bool)
    for block, top, left in candidates.blocks(index):
        mask[top : top + block.shape[0], left : left + block.shape[1]] |= block
    return mask


def described(registry) -> dict[int, tuple]:
    """Return what is known of each object."""
    return {
        one.label_id: (one.start, one.stop, one.area_px, one.class_name, one.score, state, brushed)
        for one in registry
        # Masks from before the last click are not written down.
        for state in [one.state and (one.state.prompts, one.state.choice, one.state.tile)]
        for brushed in [[packed(one.brushed.painted), packed(one.brushed.erased)]]
    }


def packed(masks) -> list[tuple]:
    return [(one.start, one.mask.tolist()) for one in masks]


def conflicts_of(edit, *, is_undone: bool) -> list[ObjectRecord]:
    """Return the objects that have the label_id of one that an edit brings back."""
    if edit is None or edit.labels is None:
        return []
    changes, registry = edit.labels.changes, edit.labels.target.registry
    back = {one.label_id for one in changes if (one.before is not None) == is_undone}
    passing = {one.value for one in edit.labels.strokes} - {one.label_id for one in changes}
    uids = {one.uid for change in changes for one in (change.before, change.after) if one}
    records = [registry.get(label_id) for label_id in sorted(back | passing)]
    return [one for one in records if one is not None and one.uid not in uids]


def stroke(value: int, where: np.ndarray, labels: np.ndarray) -> Stroke:
    """Return a stroke over what is there now."""
    return Stroke(value, where.copy(), labels.copy())


def pixels_of(layer: Labels, label_id: int) -> int:
    """Return how many pixels an object has."""
    return int((np.asarray(layer.data) == label_id).sum())


ONCE_WRONG = {
    "the class that an object has already": lambda user: (
        user.add(58, 0, 40, Overlap.REFUSE),
        user.name_class(0, "größer"),
        user.reedit(0),
        user.name_class(0, "größer"),
        user.change_slice(2),
        user.undo_and_redo(),
    ),
    "undo on another image": lambda user: (
        user.click(58, 91, False),
        user.change_slice(1),
        user.change_image(1),
        user.undo_and_redo(),
    ),
    "reopen the widget with prompts": lambda user: (
        user.click(18, 20, True),
        user.close_and_reopen_the_widget(),
        user.accept(Overlap.KEEP),
    ),
    "an object takes others wholly, and in part": lambda user: (
        user.add(10, 10, 5, Overlap.KEEP),
        user.add(20, 20, 20, Overlap.KEEP),
        user.change_a_class(1, True),
        user.name_class(0, "class 1"),
        user.add(5, 5, 20, Overlap.REPLACE),
        user.every_object_is_known_exactly_once(),
        user.undo_and_redo(),
        user.undo(),
    ),
    "what a brush has added stays when its object is undone, and is its own again": lambda user: (
        user.add(10, 10, 9, Overlap.KEEP),
        user.add(40, 40, 9, Overlap.KEEP),
        user.paint_with(1, 12, 24, 6),
        user.undo(),
        user.undo(),
        user.every_object_is_known_exactly_once(),
        user.redo(),
        user.redo(),
        user.the_numbers_are({1, 2}),
    ),
    "what a brush has erased stays erased when its object is undone and redone": lambda user: (
        user.add(10, 10, 9, Overlap.KEEP),
        user.paint_with(0, 12, 12, 3),
        user.undo_and_redo(),
        user.every_object_is_known_exactly_once(),
        user.undo(),
        user.take_a_stroke_back(),
        user.redo(),
    ),
    "a brush takes the number of what was deleted, which comes back": lambda user: (
        user.add(10, 10, 9, Overlap.KEEP),
        user.delete(0),
        user.paint_with_a_number_that_was_deleted(60, 60),
        user.undo(),
        user.the_labels_are_those_of_the_model(),
        user.undo_and_redo(),
        user.redo(),
        user.undo(),
    ),
    "a stroke with the number of what was deleted is covered, and redone": lambda user: (
        user.add(10, 10, 9, Overlap.KEEP),
        user.delete(0),
        user.paint_with(1, 60, 60, 6),
        user.add(55, 55, 12, Overlap.REPLACE),
        user.undo(),
        user.undo(),
        user.the_labels_are_those_of_the_model(),
        user.every_object_is_known_exactly_once(),
        user.redo(),
        user.redo(),
    ),
    "napari takes a stroke back where another object is by now, and gives one back": lambda user: (
        user.add(10, 10, 9, Overlap.KEEP),
        user.paint_with(50, 60, 60, 6),
        user.delete(1),
        user.add(55, 55, 12, Overlap.KEEP),
        user.take_a_stroke_back(),
        user.every_object_is_known_exactly_once(),
        user.name_class(0, "nucleus"),
        user.paint_with(0, 14, 14, 30),
        user.every_object_is_known_exactly_once(),
        user.take_a_stroke_back(),
        user.every_object_is_known_exactly_once(),
        user.undo_and_redo(),
    ),
    "a brush takes the number of what is redone, and more follows": lambda user: (
        user.add(10, 10, 9, Overlap.KEEP),
        user.add(15, 15, 9, Overlap.REPLACE),
        user.delete(0),
        user.undo(),
        user.undo(),
        user.undo(),
        user.paint_with_a_number_that_was_undone(60, 60),
        user.redo(),
        user.redo(),
        user.redo(),
    ),
}
"""Games in which something was wrong once."""


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("game", ONCE_WRONG)
def test_what_was_wrong_once_is_right(game, qapp, remembering_predictor):
    user = Annotating()
    user.predictor = remembering_predictor
    try:
        user.open()
        ONCE_WRONG[game](user)
        user.the_labels_are_those_of_the_model()
        user.every_object_is_known_exactly_once()
    finally:
        user.teardown()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_whatever_is_done_nothing_is_lost(qapp, remembering_predictor, embeddings_folder):
    Annotating.predictor = remembering_predictor
    run_state_machine_as_test(
        Annotating,
        settings=settings(
            max_examples=N_EXAMPLES,
            stateful_step_count=N_STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # a shorter failing game would take minutes to find
        ),
    )
