"""Measure how well objects are carried through volumes, from one and from three true slices.

    python benchmarks/volumes.py [IMAGE LABELS] [--kinds NAME ...] [--objects N] [--seed S]
        [--clicks] [--planes SIDE ...] [--peer micro-sam [--modes NAME ...]] [--json]

Without IMAGE and LABELS (stacks as TIFF): the volumes of benchmarks/volumes_made.py, of which the
truth is known. An object starts from its true mask on the middle slice; and then from those at 15,
50 and 85 % of its extent. With --clicks also from one click where it is deepest on the middle
slice: from the mask that is preselected, and from the best of the three. Prints, per volume, the
share of objects of 0.7 or more, by how many slices objects went too far and ended too soon, the
mean 3-D intersection over union of each start, and the processor time for each slice that an object
came to, from one slice and from three, without the time to embed it; and last the means over all
volumes.

With --planes, the volumes lie in larger planes of so many pixels a side, filled with mirror images,
and objects are also carried through them on embeddings of whole planes, in place of tiles of the
object's size.

With --peer, another program carries the same objects from the same slices, in all of its modes, on
the same embeddings, of whole planes. `micro-sam` runs where the packages micro_sam and
segment_anything can be imported; a click then starts from its own masks.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import tifffile
from annotator import deepest, mask_of
from micro_sam_peer import MicroSam, modes
from numpy.typing import NDArray
from volumes_made import KINDS

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.engine.spec import ModelSpec
from napari_sam.model import Predictor, load_model
from napari_sam.session import (
    FOREGROUND,
    AnnotationSession,
    ImagePlane,
    ModelChoice,
    Projection,
    Prompts,
    propagate,
)
from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder
from napari_sam.session.image.tiles import Box, Tile, TilePyramid

LEAST_SLICES: Final = 6
GOOD_IOU: Final = 0.7
PLACES: Final = {"IoU": (0.5,), "IoU of three": (0.15, 0.5, 0.85)}
CLICKS: Final = ("IoU of a click", "IoU of its best mask")
TIMEOUT_S: Final = 600
PEER: Final = "micro-sam"

Mask = NDArray[np.bool_]
Row = dict[str, float]


class TimedEmbedder(Embedder):
    """Keeps every embedding, and notes the processor time that they took."""

    def __init__(self) -> None:
        self.model = load_model()
        self.predictor = Predictor(self.model)
        # As in the dock, and once for all objects: what decodes a single prompt is made, too.
        self.predictor.warm_up()
        black = self.predictor.encode(np.zeros((64, 64, 3), np.uint8))
        self.predictor.decode(black, [[32, 32]], [1], is_only=True)
        super().__init__(ModelChoice(), lambda *_: self.predictor)
        self.spent_s = 0.0
        self._kept: dict[tuple[int, Tile], EmbeddedTile] = {}

    def embed(self, plane: ImagePlane, tile: Tile, *_: Any) -> EmbeddedTile:
        """Embed a tile, or remember it."""
        start_s, key = time.process_time(), (id(plane), tile)
        if key not in self._kept:
            self._kept[key] = super().embed(plane, tile)
        self.spent_s += time.process_time() - start_s
        return self._kept[key]

    def find(self, plane: ImagePlane, tile: Tile) -> EmbeddedTile:
        """Embed a tile at once: none is embedded beside what is timed."""
        return self.embed(plane, tile)


class Way(Protocol):
    """What carries an object through a stack."""

    def carried(self, annotated: Mapping[int, MaskCrop]) -> Mask:
        """Return an object, given its masks on some slices."""

    def clicked(self, index: int, true: Mask) -> list[MaskCrop]:
        """Return the masks of a click where an object is deepest: the one taken, the best."""


class Ours:
    """Propagation as in the dock.

    Parameters
    ----------
    planes : list of ImagePlane
        The stack.
    embedder : TimedEmbedder
        Embeds it.
    """

    def __init__(self, planes: list[ImagePlane], embedder: TimedEmbedder) -> None:
        self._planes, self._embedder = planes, embedder
        self._projection = Projection(embedder)

    def carried(self, annotated: Mapping[int, MaskCrop]) -> Mask:
        """Return an object, given its masks on some slices."""
        result = np.zeros((len(self._planes), *self._planes[0].shape), bool)
        for index, crop in annotated.items():
            paint(result[index], crop)
        for found in propagate(self._planes, annotated, self._projection).values():
            paint(result[found.slice_index], found.crop)
        return result

    def clicked(self, index: int, true: Mask) -> list[MaskCrop]:
        """Return the masks of a click where an object is deepest: the one taken, the best."""
        session = AnnotationSession(lambda *_: self._embedder.predictor)
        session.set_image(self._planes[index])
        session.set_prompts(Prompts((deepest(true),), (FOREGROUND,)))
        session.wait_until_idle(TIMEOUT_S)
        candidates, chosen = session.state.candidates, session.state.chosen
        assert candidates is not None
        assert chosen is not None
        masks = [mask_of(candidates, number, true.shape) for number in range(len(candidates))]
        session.close()
        return [tight_crop(masks[chosen]), tight_crop(best_of(masks, true))]


class WholePyramid(TilePyramid):
    """Only the whole plane, however small an object is in it."""

    def is_tiny(self, tile: Tile, box: Box) -> bool:
        """No object is."""
        return False


class WholePlane(ImagePlane):
    """A plane that is always embedded as a whole."""

    def pyramid(self, spec: ModelSpec) -> TilePyramid:
        """Return the only tile there is."""
        return WholePyramid(self.shape, spec)


def padded(stack: NDArray[Any], side: int, *, is_mirrored: bool) -> NDArray[Any]:
    """Return a stack in the middle of larger planes."""
    spare = [max(0, side - length) for length in stack.shape[1:]]
    widths = [(0, 0), *((n // 2, n - n // 2) for n in spare)]
    return np.pad(stack, widths, mode="reflect" if is_mirrored else "constant")


class Peer:
    """One mode of another program."""

    def __init__(self, program: MicroSam, mode: str) -> None:
        self._program, self._mode = program, mode

    def carried(self, annotated: Mapping[int, MaskCrop]) -> Mask:
        """Return an object, given its masks on some slices."""
        return self._program.carried(annotated, self._mode)

    def clicked(self, index: int, true: Mask) -> list[MaskCrop]:
        """Return the masks of a click where an object is deepest: the one taken, the best."""
        masks, taken = self._program.clicked(index, deepest(true))
        return [tight_crop(masks[taken]), tight_crop(best_of(masks, true))]


def best_of(masks: Sequence[Mask], true: Mask) -> Mask:
    """Return the mask most like the true one."""
    return max(masks, key=lambda mask: iou(mask, true))


def iou(mask: Mask, true: Mask) -> float:
    """Return the intersection over union."""
    return np.count_nonzero(mask & true) / max(1, np.count_nonzero(mask | true))


def paint(plane: Mask, crop: MaskCrop) -> None:
    """Add a mask to a plane."""
    height, width = crop.mask.shape
    plane[crop.top : crop.top + height, crop.left : crop.left + width] |= crop.mask


def extent(mask: Mask) -> tuple[int, int]:
    """Return the first and the last slice of an object."""
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    return int(slices[0]), int(slices[-1])


class Measured:
    """What became of the objects that one way has carried."""

    def __init__(self, way: Way, embedder: TimedEmbedder) -> None:
        self._way, self._embedder = way, embedder
        self._rows: list[Row] = []

    def measure(self, true: Mask, *, with_clicks: bool) -> None:
        """Carry one object from all starts."""
        present = np.flatnonzero(true.any(axis=(1, 2)))
        row: Row = {}
        for name, shares in PLACES.items():
            slices = [int(present[round(share * (len(present) - 1))]) for share in shares]
            start_s = time.process_time() - self._embedder.spent_s
            result = self._way.carried({n: tight_crop(true[n]) for n in slices})
            spent_s = time.process_time() - self._embedder.spent_s - start_s
            reached = np.count_nonzero(result.any(axis=(1, 2))) - len(slices)
            if name == "IoU":
                (first, last), (begin, end) = extent(true), extent(result)
                row["too far"] = max(0, first - begin) + max(0, end - last)
                row["too short"] = max(0, begin - first) + max(0, last - end)
                middle = slices[0]
            row[name], row[f"s for {name}"] = iou(result, true), spent_s
            row[f"slices for {name}"] = reached
        row["share >= 0.7"] = row["IoU"] >= GOOD_IOU
        if with_clicks:
            starts = self._way.clicked(middle, true[middle])
            for name, mask in zip(CLICKS, starts, strict=True):
                result = self._way.carried({middle: mask}) if mask.mask.any() else ~true & False
                row[name] = iou(result, true)
        self._rows.append(row)

    def summary(self) -> Row:
        """Return the means."""
        names = ["share >= 0.7", "too far", "too short", *PLACES, *CLICKS]
        result: Row = {"objects": len(self._rows)}
        result |= {n: mean(row[n] for row in self._rows) for n in names if n in self._rows[0]}
        for name, title in zip(PLACES, ("s a slice", "s a slice of three"), strict=True):
            slices = sum(row[f"slices for {name}"] for row in self._rows)
            result[title] = sum(row[f"s for {name}"] for row in self._rows) / max(1, slices)
        return result


def mean(values: Iterator[float]) -> float:
    """Return the mean."""
    return float(np.mean(list(values)))


def measure(
    image: NDArray[Any], labels: NDArray[Any], arguments: argparse.Namespace
) -> dict[str, Row]:
    """Carry objects of a volume through it, in all ways."""
    planes, embedder = [ImagePlane(pixels) for pixels in image], TimedEmbedder()
    ways: dict[str, Way] = {"ours": Ours(planes, embedder)}
    if arguments.planes:
        ways["whole planes"] = Ours([WholePlane(pixels) for pixels in image], embedder)
    if arguments.peer == PEER:
        spec = embedder.load().encoder.spec
        wholes = [embedder.embed(plane, plane.pyramid(spec).whole) for plane in planes]
        peer = MicroSam(embedder.model, [embedded.embedding for embedded in wholes])
        ways |= {mode: Peer(peer, mode) for mode in arguments.modes or modes()}
    measured = {name: Measured(way, embedder) for name, way in ways.items()}
    count = 0
    for label in np.unique(labels)[1:]:
        true = labels == label
        first, last = extent(true)
        if last - first + 1 >= LEAST_SLICES and count < arguments.objects:
            count += 1
            for one in measured.values():
                one.measure(true, with_clicks=arguments.clicks)
    return {name: one.summary() for name, one in measured.items()}


def volumes(arguments: argparse.Namespace) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Yield a name, an image and labels for each volume to measure."""
    for name, stack, labels in given(arguments):
        if not arguments.planes:
            yield name, stack, labels
        for side in arguments.planes:
            mirrored = padded(stack, side, is_mirrored=True)
            yield f"{name}, {side}", mirrored, padded(labels, side, is_mirrored=False)


def given(arguments: argparse.Namespace) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Yield the volumes as they are."""
    if arguments.files:
        image, labels = arguments.files
        yield image.name, tifffile.imread(image), tifffile.imread(labels)
        return
    for name in arguments.kinds:
        yield name, *KINDS[name](arguments.seed)


def show(volume: str, way: str, row: Row, *, as_json: bool) -> None:
    """Print a line."""
    if as_json:
        print(json.dumps({"volume": volume, "way": way, **row}), flush=True)
    else:
        columns = "   ".join(f"{column} {value:.3g}" for column, value in row.items())
        print(f"{volume:23}{way:17}{columns}", flush=True)


def main() -> None:
    """Print one line per volume and way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="IMAGE LABELS")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--objects", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clicks", action="store_true", help="start from clicks, too")
    parser.add_argument("--planes", nargs="+", type=int, default=[], metavar="SIDE")
    parser.add_argument("--peer", choices=[PEER], help="compare with this program")
    parser.add_argument("--modes", nargs="+", help="of the peer; by default all")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if len(arguments.files) not in (0, 2):
        parser.error("give both IMAGE and LABELS, or neither")
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    for name, image, labels in volumes(arguments):
        for way, row in measure(image, labels, arguments).items():
            rows[way].append(row)
            show(name, way, row, as_json=arguments.json)
    for way, some in rows.items():
        means = {column: mean(row[column] for row in some) for column in some[0]}
        show("all", way, means, as_json=arguments.json)


if __name__ == "__main__":
    main()
