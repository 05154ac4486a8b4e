"""A day's annotating, made up: the same for the same seed. Run as a script, it waits to be killed.

`python annotating.py N` does it N times, in one process after the other, each of which says what
it has done and goes on until somebody kills it.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from napari_sam.session import ArrayPlane, ObjectRecord, Overlap, Prompts
from napari_sam.session.background import Background
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.image.tiles import Tile
from napari_sam.session.jobs import CallbackQueue
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.journal import Journal
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.painting import PaintedPixels, updated_records
from napari_sam.session.objects.planning import NewObject, plan_merge, plan_records, plan_removal
from napari_sam.session.objects.records import RecordChange

SHAPE = 256, 300
REFERENCE = ImageReference("cells", None, SHAPE, "uint8", (1.0, 1.0))


class Shown:
    """As much of `Candidates` as is asked for when one is accepted."""

    ranking = None
    masks = (SimpleNamespace(area_bound_px=0),)


class Annotator:
    """Somebody who accepts, undoes, deletes, merges, notes and paints, without a model."""

    def __init__(self, seed: int, journal: bool = True) -> None:
        self.random = np.random.default_rng(seed)
        self.plane = ArrayPlane(np.zeros(SHAPE, np.uint16))
        self.labels = self.plane.labels
        self.in_progress = SimpleNamespace(state=ObjectState())
        self.editing = Editing(self.in_progress, Background(CallbackQueue()))
        self.editing.set_target(self.plane)
        self.n_entries = 0
        self.journal = Journal(REFERENCE, self.labels) if journal else None
        self.editing.set_journal(self.record)

    def record(self, edit, direction):
        self.n_entries += 1
        if self.journal is not None:
            self.journal.record(edit, direction)

    def work(self) -> Iterator[int]:
        """Do one thing after the other; yields how many of them there are to be restored."""
        yield self.accept()
        while True:
            kind = self.random.random()
            if kind < 0.5:
                yield self.accept()
            elif kind < 0.65:
                yield self.do(self.editing.undo)
            elif kind < 0.75:
                yield self.do(self.editing.redo)
            elif kind < 0.85:
                yield self.paint()
            else:
                yield self.change(kind)

    def do(self, action, *arguments) -> int:
        action(*arguments)
        return self.n_entries

    def accept(self) -> int:
        top, left = (int(self.random.integers(0, n - 60)) for n in SHAPE)
        height, width = self.random.integers(5, 60, 2)
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        prompts = Prompts(((left + width / 2, top + height / 3),), (1,))
        state = ObjectState(prompts, choice=1, tile=Tile(0, 0, 0, *SHAPE), is_raised=True)
        score = float(self.random.random())
        record = ObjectRecord(score=score, stability=score / 3, note="größer", state=state)
        new = NewObject([(y * y + x * x <= 1, top, left)], record)
        self.editing.set_overlap(Overlap.REPLACE)
        self.in_progress.state = state
        self.do(self.editing.accept, new, (Shown(), 0))
        self.in_progress.state = ObjectState()
        return self.n_entries

    def change(self, kind: float) -> int:
        known = list(self.labels.registry)
        if len(known) < 2:
            return self.n_entries
        chosen = [known[int(n)] for n in self.random.choice(len(known), 2, replace=False)]
        if kind < 0.9:
            return self.edit(plan_removal, chosen[:1])
        if kind < 0.95:
            return self.edit(plan_merge, chosen)
        noted = replace(chosen[0], class_name="mitosis", reviewed=True)
        return self.edit(plan_records, [RecordChange(chosen[0], noted)])

    def edit(self, plan, what) -> int:
        return self.do(self.editing.edit, lambda labels: plan(labels, what))

    def paint(self) -> int:
        registry = self.labels.registry
        start = tuple(int(self.random.integers(0, n - 20)) for n in SHAPE)
        stop = tuple(n + 9 for n in start)
        where = tuple(slice(*span) for span in zip(start, stop, strict=True))
        touched = {int(n) for n in np.unique(self.labels.array[where])}
        new = int(self.random.integers(0, registry.largest_label_id + 2))
        self.labels.array[where][::2] = new
        painted = PaintedPixels()
        mask = np.zeros((9, 9), np.bool_)
        mask[::2] = True
        painted.add(start, mask)
        painted.touch({*touched, new})
        masks = painted.masks()
        changes = updated_records(self.labels, registry, masks, painted.label_ids)
        registry.apply(tuple(changes))
        self.n_entries += 1
        if self.journal is not None:
            self.journal.record_paint(masks, changes)
        return self.n_entries


def main(n_runs: int) -> None:
    for seed in range(n_runs):
        child = os.fork()
        if child == 0:
            sys.stdout.write(f"began {os.getpid()}\n")
            for n_entries in Annotator(seed).work():
                sys.stdout.write(f"{n_entries}\n")
                sys.stdout.flush()
        os.waitpid(child, 0)
        sys.stdout.write("killed\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
