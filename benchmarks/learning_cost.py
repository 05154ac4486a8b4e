"""Tell what it costs to learn from accepted objects.

    python benchmarks/learning_cost.py [--kind NAME] [--objects 40] [--clicks 40] [--seed 0]

Objects of an image of benchmarks/cells.py are accepted with one click each, in random order. Prints
the processor time that was spent learning from the first ten objects and from all of them, by how
much the memory of the process has grown since the first object at the most, and how long clicks
take until all of their masks are there: without learning, and while it learns from the object
before. These two alternate.
"""

import argparse
import json
import resource
import statistics
import time
from typing import Any
from unittest import mock

import numpy as np
from annotator import TIMEOUT_S, deepest, made, order_of
from cells import KINDS
from numpy.typing import NDArray

from napari_sam.session import FOREGROUND, AnnotationSession, ArrayPlane, ImagePlane, Prompts
from napari_sam.session.jobs import run_until
from napari_sam.session.learning import learning
from napari_sam.session.learning.measuring import measure


def peak_mb() -> float:
    """Return the most memory that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Clicker:
    """Accepts objects of an image with one click each."""

    def __init__(self, image: NDArray[Any], labels: NDArray[Any], seed: int) -> None:
        self.session = AnnotationSession()
        self.session.set_image(ImagePlane(image))
        self._labels = labels
        self.places = [deepest(labels == n) for n in order_of(labels, "random", seed)]
        self.clear()

    def clear(self) -> None:
        """Begin with an empty target."""
        self.session.set_target(ArrayPlane(np.zeros(self._labels.shape, np.uint16)))
        self.session.wait_until_idle(TIMEOUT_S)

    def click(self, place_xy: tuple[float, float]) -> float:
        """Click; return how many seconds it took until all masks were there."""
        session = self.session
        began_s = time.perf_counter()
        session.set_prompts(Prompts((place_xy,), (FOREGROUND,)))
        run_until(
            lambda: session.state.candidates is not None and not session.state.is_decoding,
            *(session.background.dispatcher, TIMEOUT_S, "session"),
        )
        return time.perf_counter() - began_s

    def accept(self, place_xy: tuple[float, float]) -> None:
        """Accept the mask of a click."""
        self.click(place_xy)
        self.session.accept()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, default="touching")
    parser.add_argument("--objects", type=int, default=40)
    parser.add_argument("--clicks", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    clicker, spent_s = Clicker(*made(chosen.kind, chosen.seed), chosen.seed), list[float]()

    def timed(*about: Any) -> Any:
        began_s = time.thread_time()
        lesson = measure(*about)
        spent_s.append(time.thread_time() - began_s)
        return lesson

    with mock.patch.object(learning, "measure", timed):
        clicker.click(clicker.places[0])
        before_mb = peak_mb()
        for place_xy in clicker.places[: chosen.objects]:
            clicker.accept(place_xy)
            clicker.session.wait_until_idle(TIMEOUT_S)
        numbers = {
            "CPU s after 10": sum(spent_s[:10]),
            f"CPU s after {len(spent_s)}": sum(spent_s),
            "peak MB": peak_mb() - before_mb,
        }
    took_s: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * chosen.clicks):
        is_on, places = bool(number % 2), clicker.places
        clicker.session.learning.switch(is_on)
        if number % len(places) < 2:
            clicker.clear()
        clicker.accept(places[number % len(places)])
        took_s[is_on].append(clicker.click(places[(number + 2) % len(places)]))
        clicker.session.object_in_progress.clear()
        clicker.session.wait_until_idle(TIMEOUT_S)
    without, learning_s = (statistics.median(took_s[is_on]) for is_on in (False, True))
    numbers |= {"click ms": 1000 * without, "while learning": 1000 * learning_s}
    print(json.dumps({name: round(number, 3) for name, number in numbers.items()}))


if __name__ == "__main__":
    main()
