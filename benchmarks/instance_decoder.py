"""Time AIS on a tile of 1024 pixels after its embedding, and compare with what micro-sam finds.

Run by hand:  python benchmarks/instance_decoder.py [--peer micro-sam] [--rounds 3] [--transposed]

The peer needs micro-sam and torch-em, which install from PyPI without their dependencies (pip
install --no-deps micro-sam==1.8.14 torch-em, and what they import: bioimage-cpp, python-elf,
segment-anything, matplotlib, kornia); torchvision and timm, which this path does not use, are
replaced where they are missing. Weights are random, and balanced so that there are objects. Both
take turns, so that whatever else the machine does falls on both; compare the ratios. `--cpu-time`
counts the processor's time in place of the clock's, for busy machines: then set OMP_NUM_THREADS=1
as well.
"""

import argparse
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from types import ModuleType, SimpleNamespace
from typing import Any

# First: it settles how torch's threads wait.
from napari_sam.model.checkpoints.instance_decoders import load_instance_decoder

# isort: split
import numpy as np
import torch
from torch import Tensor

from napari_sam.engine.instance_settings import PUBLISHED
from napari_sam.engine.instances import InstanceMaps
from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.methods import Method
from napari_sam.model.automatic.instance_set import InstanceSet, PromptedMask
from napari_sam.model.automatic.instances import point_prompts
from napari_sam.model.checkpoints.state_dicts import Checkpoint

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.model.instance_decoder.published import published_maps, random_state

SIDE, EMBED_DIM = 64, 256
SIZE = (1024, 1024)


class _Replacing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives any name in packages that are imported but not used."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name.split(".")[0] in self.names:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> ModuleType:
        module = _Anything(spec.name)
        module.__path__, module.__version__ = [], "0"
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Anything(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def smooth_embedding() -> Tensor:
    """Return an embedding that changes slowly, as those of images do."""
    noise = torch.randn(1, EMBED_DIM, SIDE // 4, SIDE // 4)
    return torch.nn.functional.interpolate(noise, size=(SIDE, SIDE), mode="bicubic")[0]


def balanced_state(embedding: Tensor, is_transposed: bool) -> dict[str, Tensor]:
    """Return random weights whose maps are as often above a half as below."""
    state = random_state(is_transposed)
    with torch.inference_mode():
        maps = published_maps(state, embedding)
    state["out_conv.bias"] -= torch.logit(maps.flatten(1).median(dim=1).values)
    return state


class Ours:
    """The decoder and what is made of its maps."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.network = load_instance_decoder(Checkpoint({}, state), "weights", EMBED_DIM)

    def maps(self, embedding: Tensor) -> InstanceMaps:
        """Decode an embedding."""
        with torch.inference_mode():
            return InstanceMaps(*self.network(embedding).numpy())

    def segment(self, maps: InstanceMaps) -> np.ndarray:
        """Return the labels of AIS."""
        labels = np.zeros(SIZE, np.int32)
        for number, record in enumerate(InstanceSet(Method.AIS, maps).select(), start=1):
            paint(labels, record.crop, number)
        return labels


class MicroSam:
    """The same in micro-sam."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        wanted = ("torchvision", "timm")
        missing = tuple(name for name in wanted if importlib.util.find_spec(name) is None)
        sys.meta_path.insert(0, _Replacing(missing))
        import micro_sam.instance_segmentation as theirs

        encoder = torch.nn.Module()
        encoder.img_size, encoder.in_chans = SIZE[0], 3
        encoder.neck = torch.nn.ModuleList(
            [torch.nn.Identity(), torch.nn.Identity(), torch.nn.Conv2d(EMBED_DIM, EMBED_DIM, 3)]
        )
        self._theirs = theirs
        self._decoder = theirs.get_decoder(encoder, state, "cpu").eval()
        predictor = SimpleNamespace(original_size=SIZE)
        self._ais = theirs.InstanceSegmentationWithDecoder(predictor, self._decoder)

    def maps(self, embedding: Tensor) -> InstanceMaps:
        """Decode an embedding."""
        with torch.inference_mode():
            maps = self._decoder(embedding[None], SIZE, SIZE)
        return InstanceMaps(*maps.cpu().numpy().squeeze(0))

    def segment(self, maps: InstanceMaps) -> np.ndarray:
        """Return the labels of AIS."""
        self._ais.set_state(maps._asdict())
        return np.asarray(self._ais.generate())

    def points(self, maps: InstanceMaps) -> np.ndarray:
        """Return the clicks of APG."""
        derive = self._theirs._derive_point_prompts
        return derive(*maps)["points"][:, 0]

    def merged(self, masks: list[PromptedMask]) -> np.ndarray:
        """Return the labels that APG makes of masks."""
        from micro_sam.util import apply_nms

        predictions = [
            {
                "segmentation": torch.from_numpy(mask.crop.within(0, 0, SIZE)),
                "predicted_iou": mask.predicted_iou,
                "stability_score": mask.stability_score,
                "bbox": [mask.crop.left, mask.crop.top, *mask.crop.mask.shape[::-1]],
            }
            for mask in masks
        ]
        return np.asarray(apply_nms(predictions, min_size=PUBLISHED[Method.APG].min_size))


def paint(labels: np.ndarray, crop: MaskCrop, number: int) -> None:
    """Write a mask into labels."""
    height, width = crop.mask.shape
    below = labels[crop.top : crop.top + height, crop.left : crop.left + width]
    below[crop.mask] = number


def compare_labels(name: str, mine: np.ndarray, theirs: np.ndarray) -> None:
    """Print how many objects there are, and how many pixels are in another one."""
    pairs, counts = np.unique(
        np.stack([mine.ravel(), theirs.ravel().astype(np.int64)]), axis=1, return_counts=True
    )
    best: dict[int, int] = {}
    for (a, _), count in zip(pairs.T, counts, strict=True):
        best[a] = max(best.get(a, 0), count)
    differing = mine.size - sum(best.values())
    print(
        f"{name}: {mine.max()} and {len(np.unique(theirs)) - 1} objects, {differing} of "
        f"{mine.size:,} pixels belong to another one"
    )


def compare(options: argparse.Namespace) -> None:
    """Print times, their ratios, and how the results differ."""
    clock = time.process_time if options.cpu_time else time.perf_counter
    torch.manual_seed(0)
    embedding = smooth_embedding()
    state = balanced_state(embedding, options.transposed)
    subjects = {"ours": Ours(state)}
    if options.peer:
        subjects["micro-sam"] = MicroSam(state)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    results = {}
    for number in range(options.rounds + 1):
        for name, subject in subjects.items():
            start_s = clock()
            maps = subject.maps(embedding)
            middle_s = clock()
            labels = subject.segment(maps)
            results[name] = maps, labels
            if number:  # the first one warms up
                times[name].append((middle_s - start_s, clock() - middle_s))
    medians = {name: np.median(of_name, axis=0) for name, of_name in times.items()}
    for name, (decoding_s, segmenting_s) in medians.items():
        print(f"{name}: maps {decoding_s:.2f} s, watershed {segmenting_s:.2f} s")
    if not options.peer:
        return
    ratios = [
        sum(ours) / sum(theirs)
        for ours, theirs in zip(times["ours"], times["micro-sam"], strict=True)
    ]
    print(f"ours / micro-sam: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    (maps, labels), (their_maps, their_labels) = results["ours"], results["micro-sam"]
    apart = max(abs(a - b).max() for a, b in zip(maps, their_maps, strict=True))
    print(f"maps are at most {apart:.1e} apart")
    compare_labels("AIS", labels, their_labels)
    compare_clicks(subjects["micro-sam"], their_maps)


def compare_clicks(peer: Any, maps: InstanceMaps) -> None:
    """Compare the clicks of APG, and what becomes of the same masks."""
    mine = {tuple(point) for point in point_prompts(maps, PUBLISHED[Method.APG])}
    theirs = {tuple(map(float, point)) for point in peer.points(maps)}
    print(f"APG: {len(mine)} and {len(theirs)} clicks, {len(mine & theirs)} in the same place")
    generator = np.random.default_rng(0)
    known = {}
    for x, y in sorted(mine):
        half = int(generator.integers(4, 40))
        top, left = max(0, int(y) - half), max(0, int(x) - half)
        height, width = (min(2 * half, SIZE[0] - top), min(2 * half, SIZE[1] - left))
        crop = MaskCrop(generator.random((height, width)) < 0.995, top, left)
        known[x, y] = PromptedMask(crop, *generator.random(2).tolist())
    found = replace(InstanceSet(Method.APG, maps), known=known)
    labels = np.zeros(SIZE, np.int32)
    for number, record in enumerate(found.select(), start=1):
        paint(labels, record.crop, number)
    compare_labels("APG", labels, peer.merged(list(known.values())))


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", choices=["micro-sam"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--transposed", action="store_true")
    parser.add_argument("--cpu-time", action="store_true")
    compare(parser.parse_args())


if __name__ == "__main__":
    main()
