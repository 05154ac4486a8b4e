"""Time SAM 2.1 against transformers (sdpa), and compare the memory of a long and a short sequence.

Run by hand:  python benchmarks/sam2_speed.py [--variant hiera_tiny] [--rounds 3] [--tiny]

Weights are random. Both take turns, so that whatever else the machine does falls on both; compare
the ratios. `--cpu-time` counts the processor's time in place of the clock's, for busy machines:
then set OMP_NUM_THREADS=1 as well. `--tiny` runs everything at a small size, to try the script.
"""

import argparse
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

# First: it settles how torch's threads wait, which decides the outcome on a busy machine.
from napari_sam.model import VARIANTS, Predictor

# isort: split
import numpy as np
import torch

from napari_sam.bench.memory import peak_bytes
from napari_sam.model.sam2.config import Sam2Config
from napari_sam.model.sam2.hiera import HieraConfig

sys.path.insert(0, str(Path(__file__).parent))
from sam2_models import Theirs, film, pixels_of, random_model, theirs_of

TINY = replace(
    VARIANTS["hiera_tiny"],
    image_encoder=HieraConfig(16, 1, (1, 2, 3, 2), (4,)),
    image_size=256,
)
FULL_MEMORY = 8
"""Slices after which as many are remembered as ever."""
SHORT, LONG = 20, 100


def config_of(options: argparse.Namespace) -> Sam2Config:
    """Return the shape of the model to run."""
    config = TINY if options.tiny else VARIANTS[options.variant]
    assert isinstance(config, Sam2Config)
    return config


def compare(options: argparse.Namespace) -> None:
    """Print the times of both, their ratio, and how far their results are apart."""
    clock = time.process_time if options.cpu_time else time.perf_counter
    model = random_model(config_of(options))
    predictor = Predictor(model, device="cpu")
    theirs = theirs_of(model, "cpu", torch.float32)
    side = model.image_size
    frames = film(side)
    pixels = pixels_of(predictor, model, frames)
    times: dict[str, list[float]] = {name: [] for name in ("ours", "theirs")}
    with torch.inference_mode():
        for number in range(options.rounds + 1):
            calls = {
                "ours": lambda: model.encode(pixels[:1]),
                "theirs": lambda: theirs.get_image_features(pixels[:1], return_dict=True),
            }
            for name, call in calls.items():
                start_s = clock()
                call()
                if number:
                    times[name].append(clock() - start_s)
    print_ratio("encode", times)

    count = FULL_MEMORY + options.rounds
    click = (side * 0.4, side * 0.4)
    film_of_theirs = Theirs.begin(theirs, pixels, count, click)
    embeddings = [predictor.encode(frame) for frame in frames]
    memory = predictor.memory
    state = memory.start(embeddings[0], count)
    memory.add_prompt(state, 0, 1, embeddings[0], [click], [1])
    slices = ((number, embeddings[number % 2]) for number in range(count))
    ours, times, furthest = memory.propagate(state, slices, 1), {"ours": [], "theirs": []}, 0.0
    for number in range(count):
        start_s = clock()
        _, masks = next(ours)
        between_s = clock()
        expected = film_of_theirs.step(number).numpy()
        if number >= FULL_MEMORY:
            times["ours"].append(between_s - start_s)
            times["theirs"].append(clock() - between_s)
        difference = np.abs(masks[1].prediction.low_res_logits[0] - expected).max()
        furthest = max(furthest, float(difference / np.abs(expected).max()))
    print_ratio("propagated slice", times)
    print(f"masks of {count} slices: at most {furthest:.1e} of the largest logit apart")


def print_ratio(name: str, times: dict[str, list[float]]) -> None:
    """Print the medians and the median of the ratios."""
    ratio = median(a / b for a, b in zip(times["ours"], times["theirs"], strict=True))
    ours, theirs = (median(values) for values in times.values())
    print(f"{name}: ours {ours:.3f} s, transformers {theirs:.3f} s, ratio {ratio:.2f}")


def run_sequence(options: argparse.Namespace) -> None:
    """Carry an object through slices that are encoded as they are reached; print the peak."""
    model = random_model(config_of(options))
    predictor = Predictor(model, device="cpu")
    frames = film(model.image_size)
    memory, first = predictor.memory, predictor.encode(frames[0])
    state = memory.start(first)
    memory.add_prompt(state, 0, 1, first, [(model.image_size * 0.4,) * 2], [1])
    slices = ((number, predictor.encode(frames[number % 2])) for number in range(options.slices))
    for _ in memory.propagate(state, slices, 1):
        pass
    print(f"{peak_bytes()} {state.nbytes}")


def compare_lengths(options: argparse.Namespace) -> None:
    """Print the peak memory of processes that carry an object through sequences."""
    peaks = []
    for count in (SHORT, LONG):
        command = [sys.executable, __file__, "--slices", str(count), "--variant", options.variant]
        command += ["--tiny"] if options.tiny else []
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peak, kept = map(int, done.stdout.split())
        peaks.append(peak)
        print(f"{count} slices: peak {peak / 1e6:.0f} MB, of it {kept / 1e6:.1f} MB remembered")
    print(f"memory: {LONG} slices take {peaks[1] / peaks[0]:.2f} of what {SHORT} take")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="hiera_tiny")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--slices", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.slices is not None:
        run_sequence(options)
    else:
        compare(options)
        compare_lengths(options)
