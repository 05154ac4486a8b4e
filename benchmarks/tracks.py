"""Measure how well objects of separate frames are linked to tracks, on films of known truth.

    python benchmarks/tracks.py [--frames N] [--side N] [--seeds N] [--json]

Cells move, divide, enter and leave (benchmarks/films_made.py). Their masks get other label_ids in
each frame, and are linked: true masks, and masks with noise. A user who knows the truth confirms
those proposed divisions that are one. Prints, per film, which share of the true edges is right (an
edge joins an object with itself in its next frame, or with a daughter), how many edges are wrong,
how many divisions there are, were proposed, and were right; and that the result, written for the
Cell Tracking Challenge, follows its format and is read back identical. Fails below 0.9.
"""

import argparse
import json
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from films_made import FilmMaker, FilmTruth, shuffled, with_noise
from numpy.typing import NDArray

from napari_sam.formats import ImageInfo, check_ctc, read_ctc, write_ctc
from napari_sam.session import ArrayLabels
from napari_sam.session.annotations import annotations_of
from napari_sam.session.background import Background
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.jobs import CallbackQueue, run_until
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.tracks.divisions import ProposedDivision
from napari_sam.session.tracks.editing import TrackEditing

LEAST_ACCURACY: Final = 0.9
FILMS: Final = {"calm": (24, 1.5, 18), "fast": (24, 4.0, 18), "crowded": (60, 2.0, 14)}
"""Number of cells, speed in pixels a frame, frames from division to division."""

Node = tuple[int, int]
"""A frame, and a true label_id."""
Edge = tuple[Node, Node]


def edges_of(labels: NDArray[Any], parents: dict[int, int], node_of: dict[Node, Node]) -> set[Edge]:
    """Return the edges between the objects of a film, as true nodes; others have none."""
    members: dict[int, list[int]] = {}
    for frame, plane in enumerate(labels):
        for label_id in np.unique(plane[plane > 0]).tolist():
            members.setdefault(label_id, []).append(frame)
    pairs = [
        ((first, label_id), (second, label_id))
        for label_id, frames in members.items()
        for first, second in pairwise(frames)
    ]
    pairs += [
        ((members[parent][-1], parent), (members[child][0], child))
        for child, parent in parents.items()
        if child in members and parent in members
    ]
    nothing = (-1, 0)
    return {(node_of.get(first, nothing), node_of.get(second, nothing)) for first, second in pairs}


def true_nodes(labels: NDArray[Any], truth: NDArray[Any]) -> dict[Node, Node]:
    """Return the true object that each object of a film shows, if it shows one."""
    nodes = {}
    for frame, (plane, true_plane) in enumerate(zip(labels, truth, strict=True)):
        for label_id in np.unique(plane[plane > 0]).tolist():
            counts = np.bincount(true_plane[plane == label_id])
            true_id = int(counts.argmax())
            if true_id and counts[true_id] * 2 > counts.sum():
                nodes[frame, label_id] = (frame, true_id)
    return nodes


class Linking:
    """Masks of the frames, which become tracks."""

    def __init__(self, masks: NDArray[Any], truth: FilmTruth) -> None:
        self.labels, self.truth = ArrayLabels(masks.copy()), truth
        self.labels.registry.replace_all(find_objects(self.labels))
        self.background = Background(CallbackQueue())
        self.editing = Editing(SimpleNamespace(state=ObjectState()), self.background)
        self.editing.set_target(SimpleNamespace(labels=self.labels, slice_axis=0))
        self.tracks = TrackEditing(self.editing, self.background)

    def run(self) -> dict[str, float]:
        """Link, confirm what is true, and measure."""
        start_s = time.process_time()
        self.tracks.link()
        self._wait()
        spent_s = time.process_time() - start_s
        proposed = self.tracks.state.divisions
        right = [division for division in proposed if self._is_true(division)]
        for division in right:
            self.tracks.confirm(division)
            self._wait()
        right_edges, true, wrong = self._edges()
        n_divisions = len(set(self.truth.parents.values()))
        return {
            "accuracy": right_edges / true,
            "edges": true,
            "wrong": wrong,
            "divisions": n_divisions,
            "proposed": len(proposed),
            "right": len(right),
            "cpu_s": round(spent_s, 2),
        }

    def _wait(self) -> None:
        run_until(lambda: self.background.is_idle, self.background.dispatcher, 600, "linking")

    def _is_true(self, division: ProposedDivision) -> bool:
        mother = int(self.truth.labels[division.mother_at])
        daughters = {int(self.truth.labels[place]) for place in division.daughters_at}
        return {n for n, parent in self.truth.parents.items() if parent == mother} == daughters

    def _edges(self) -> tuple[int, int, int]:
        """Return how many edges are right, true, and wrong; only of what the masks show."""
        nodes = true_nodes(self.labels.array, self.truth.labels)
        shown = np.zeros_like(self.truth.labels)
        for frame, true_id in nodes.values():
            plane = self.truth.labels[frame]
            shown[frame][plane == true_id] = true_id
        true_nodes_shown = {(t, n): (t, n) for t, n in nodes.values()}
        true = edges_of(shown, self.truth.parents, true_nodes_shown)
        graph = self.tracks.lineages.graph
        parents = {child: parent for child, (parent,) in graph.items()}
        edges = edges_of(self.labels.array, parents, nodes)
        return len(edges & true), len(true), len(edges - true)

    def exported_well(self) -> bool:
        """Whether the Cell Tracking Challenge's format holds the result as it is."""
        image = ImageInfo(self.labels.shape, "film", "TYX")
        written = annotations_of(self.labels, list(self.labels.registry), image)
        with tempfile.TemporaryDirectory() as folder:
            table, *_ = write_ctc(Path(folder) / "01_RES", written)
            problems, read = check_ctc(table.parent), read_ctc(table)
        for problem in problems:
            print(problem)
        return not problems and _content(read) == _content(written)


def _content(annotations: Any) -> list[Any]:
    return sorted(
        (obj.label_id, obj.slice_index, obj.top, obj.left, obj.mask.tolist(), obj.parent_id)
        for obj in annotations.objects
    )


def main() -> None:
    """Measure, print, and fail below the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    for name, (n_cells, speed, cycle) in FILMS.items():
        for seed in range(options.seeds):
            truth = FilmMaker(seed, n_cells, options.side, speed, cycle).make(options.frames)
            for kind, masks in (("true", truth.labels), ("noise", with_noise(truth.labels, seed))):
                linking = Linking(shuffled(masks, seed), truth)
                result = {"film": name, "seed": seed, "masks": kind, **linking.run()}
                results.append(result | {"export": linking.exported_well()})
                if not options.json:
                    print("  ".join(f"{key} {_text(value)}" for key, value in results[-1].items()))
    if options.json:
        print(json.dumps(results, indent=1))
    is_good = all(r["accuracy"] >= LEAST_ACCURACY and r["export"] for r in results)
    sys.exit(0 if is_good else 1)


def _text(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
