"""Measure whether memory grows with the slices that an object is carried through.

    python benchmarks/long_stack.py [--slices 100 500 2000] [--discs] [--window] [--json]

A disc that stays where it is goes through a stack whose slices are made when they are read. Each
length is a process of its own: an object is clicked on its first slice, accepted and propagated to
the last one. Printed are the slices that it came to, the resident memory before that and the most
during it, and the processor time a slice. With --discs, a model finds the disc that takes no time
and has embeddings as large (benchmarks/disc_model.py). Until 512 MiB of them are in memory, that
grows with any model: with MobileSAM, for the first 30 slices or so. With --window, in napari with
the widget, where the labels of all slices are in memory as napari's own layers are: their size is
printed, too.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from disc_model import load_discs
from numpy.typing import NDArray

from napari_sam.session import (
    AnnotationSession,
    ArrayLabels,
    ArraySlice,
    ArrayStack,
    PlaneRequest,
    Prompts,
)

SIDE: Final = 128
CENTER: Final = 64
RADIUS: Final = 22
TIMEOUT_S: Final = 7200
CHILD: Final = "--child"


class Discs:
    """A stack of slices with a disc and noise, none of which is kept."""

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, n_slices: int) -> None:
        self.shape = n_slices, SIDE, SIDE
        rows, columns = np.mgrid[:SIDE, :SIDE]
        self._disc = np.where(np.hypot(rows - CENTER, columns - CENTER) <= RADIUS, 180.0, 60.0)

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        first, *others = index if isinstance(index, tuple) else (index,)
        if isinstance(first, slice):
            planes = [self[n] for n in range(*first.indices(len(self)))]
            return np.asarray(np.stack(planes)[(slice(None), *others)])
        noise = np.random.default_rng(int(first)).normal(0, 8, self._disc.shape)
        return np.asarray((self._disc + noise).clip(0, 255).astype(np.uint8)[tuple(others)])

    def __len__(self) -> int:
        return self.shape[0]


def resident_mb() -> float:
    """Return the memory of this process that is in use."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


class PeakMemory(threading.Thread):
    """Follows the resident memory."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb, self.is_over = 0.0, False

    def run(self) -> None:
        """Look ten times a second."""
        while not self.is_over:
            self.peak_mb = max(self.peak_mb, resident_mb())
            time.sleep(0.1)


def headless(n_slices: int, *, with_discs: bool = False) -> dict[str, float]:
    """Carry the disc through a session without a window."""
    stack = ArrayStack(Discs(n_slices))
    labels = ArrayLabels(np.zeros((n_slices, SIDE, SIDE), np.uint8))
    session = AnnotationSession(load_discs) if with_discs else AnnotationSession()
    request = PlaneRequest(
        *(stack.image_plane(0), 0), target=ArraySlice(labels, 0), slice_index=0, stack=stack
    )
    session.show(request)
    session.set_prompts(Prompts(((CENTER, CENTER),), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    session.accept()
    session.wait_until_idle(TIMEOUT_S)
    return measured(session, labels.array)


def in_window(n_slices: int) -> dict[str, float]:
    """Carry the disc through the stack in napari."""
    import napari
    from napari.layers import Image

    from napari_sam.widget import SamWidget

    viewer = napari.Viewer()
    viewer.add_layer(Image(Discs(n_slices), name="discs", contrast_limits=(0, 255)))
    widget = SamWidget(viewer)
    viewer.window.add_dock_widget(widget)
    viewer.dims.set_current_step(0, 0)
    widget.wait_until_idle(TIMEOUT_S)
    widget.controllers.stack.tab.select()
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(0, CENTER, CENTER)])
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    result = measured(widget.session, widget.binding.target.layer.data)
    widget.close()
    viewer.close()
    return result


def measured(session: AnnotationSession, labels: NDArray[Any]) -> dict[str, float]:
    """Propagate the only object to the last slice, as far as it is asked to go on."""
    before_mb, spent_s, memory = resident_mb(), time.process_time(), PeakMemory()
    memory.start()
    session.stack.propagate([1])
    session.wait_until_idle(TIMEOUT_S)
    while session.stack.state.question:
        session.stack.go_on()
        session.wait_until_idle(TIMEOUT_S)
    memory.is_over = True
    memory.join()
    reached = int(np.count_nonzero(np.asarray(labels == 1).any(axis=(1, 2))))
    spent_s = time.process_time() - spent_s
    return {
        "slices": len(labels),
        "reached": reached,
        "before MB": round(before_mb),
        "peak MB": round(memory.peak_mb),
        "labels MB": round(labels.nbytes / 2**20, 1),
        "s a slice": round(spent_s / max(1, reached), 3),
    }


def main() -> None:
    """Print one line per length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--discs", action="store_true", help="with a model that takes no time")
    parser.add_argument("--window", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(CHILD, type=int, dest="n_slices", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.n_slices is not None:
        n_slices, with_discs = options.n_slices, options.discs
        is_shown = options.window
        row = in_window(n_slices) if is_shown else headless(n_slices, with_discs=with_discs)
        print(json.dumps(row))
        return
    for n_slices in options.slices:
        command = [sys.executable, __file__, CHILD, str(n_slices)]
        command += ["--window"] if options.window else []
        command += ["--discs"] if options.discs else []
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        row = json.loads(done.stdout.splitlines()[-1])
        text = "   ".join(f"{name} {value}" for name, value in row.items())
        print(json.dumps(row) if options.json else text, flush=True)


if __name__ == "__main__":
    main()
