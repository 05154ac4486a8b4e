"""Time a journal: writing an accepted object down, and replaying very many.

Run by hand on a machine with nothing else to do:  python benchmarks/journal.py [--entries 100000]

The objects are discs of some 30 pixels across in a plane of 8000 x 8000 pixels, accepted the way
the session does it, without a model; one in ten is undone and repeated.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_sam.session import ArrayLabels, ArrayPlane, ObjectRecord, Overlap, Prompts
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.replaying import read_journal, replay
from napari_sam.session.objects.edits import Direction
from napari_sam.session.objects.planning import NewObject, plan_object

SIDE_PX = 8000


class SteadyLabels(ArrayLabels):
    """Knows the largest label_id without a pass over the array, as a target layer does."""

    newest = 0

    def max_label_id(self) -> int:
        """Return the label_id of the newest object, which may have been replaced wholly since."""
        return self.newest


def annotate(n_entries: int, folder: Path) -> tuple[Journal, SteadyLabels, float]:
    """Fill a journal; return it, the labels and the seconds spent in it."""
    plane = ArrayPlane(np.zeros((SIDE_PX, SIDE_PX), np.uint32))
    labels = plane.labels = SteadyLabels(plane.labels.array)
    reference = ImageReference("discs", None, labels.shape, "uint8")
    journal = Journal(reference, labels, folder)
    random = np.random.default_rng(0)
    spent_s, n_done = 0.0, 0
    while n_done < n_entries:
        top, left = (int(n) for n in random.integers(0, SIDE_PX - 40, 2))
        height, width = random.integers(20, 40, 2)
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        state = ObjectState(Prompts(((left + 15.5, top + 15.25),), (1,)))
        record = ObjectRecord(0, (), (), 0, score=random.random(), state=state)
        new = NewObject([(y * y + x * x <= 1, top, left)], replace(record))
        edit = plan_object(plane, new, Overlap.REPLACE)
        labels.newest = edit.label_id
        steps = [Direction.MADE]
        if n_done % 10 == 0:
            steps += [Direction.UNDONE, Direction.REDONE]
        for step in steps:
            is_undone = step is Direction.UNDONE
            edit.write(is_undone=is_undone)
            began = time.perf_counter()
            journal.record(edit, step)
            spent_s += time.perf_counter() - began
            edit.apply_records(is_undone=is_undone)
        n_done += len(steps)
    return journal, labels, spent_s / n_done


def main() -> None:
    """Write, read, replay, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=100_000)
    n_entries = parser.parse_args().entries
    with tempfile.TemporaryDirectory() as folder:
        journal, labels, per_entry_s = annotate(n_entries, Path(folder))
        size = journal.path.stat().st_size
        print(f"written down: {1e6 * per_entry_s:.0f} us and {size / n_entries:.0f} bytes an entry")
        again = SteadyLabels(np.zeros_like(labels.array))
        began = time.perf_counter()
        content = read_journal(journal.path)
        read_s = time.perf_counter() - began
        replay(content.entries(), again)
        replayed_s = time.perf_counter() - began
        print(f"{len(content.lines)} entries: read in {read_s:.2f} s, replayed {replayed_s:.2f} s")
        same = np.array_equal(labels.array, again.array) and len(labels.registry) == len(
            again.registry
        )
        print("the same labels and records" if same else "DIFFERENT")


if __name__ == "__main__":
    main()
