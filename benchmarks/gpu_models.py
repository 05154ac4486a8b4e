"""Time all families of models on an accelerator, beside transformers, and check what they compute.

Run by hand:  python benchmarks/gpu_models.py [--device cuda] [--rounds 10] [--models vit_h ...]
Try it:       python benchmarks/gpu_models.py --device cpu --tiny --rounds 1

For vit_t (bundled weights), vit_h, hiera_tiny and hiera_large (random weights), in float32 and
bfloat16, it prints the milliseconds of: encode, decode one click, decode 64 clicks, and, for SAM
2.1, a slice that an object is carried to; with transformers' in parentheses where it has the model.
Then how far the masks are from those that the processor computes in float32, and the peak memory
on the accelerator. One line each, so that what was measured by then is there if it is stopped.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from napari_sam.model import VARIANTS, Predictor, SamConfig, load_model

# isort: split
import numpy as np
import torch
import transformers

from napari_sam.bench.peers import Transformers
from napari_sam.bench.workloads import BATCH, Workload, batch_xy, example_image, wait_for
from napari_sam.engine.sequences import memory_of
from napari_sam.model.build import build_model
from napari_sam.model.runtime.devices import PRECISIONS
from napari_sam.model.sam.base import SegmentAnything
from napari_sam.model.sam.vit import ViTConfig
from napari_sam.model.sam2.config import Sam2Config
from napari_sam.model.sam2.sam2 import Sam2

sys.path.insert(0, str(Path(__file__).parent))
from sam2_models import Theirs, film, pixels_of, random_model, theirs_of
from sam2_speed import FULL_MEMORY, TINY

MODELS = ("vit_t", "vit_h", "hiera_tiny", "hiera_large")
TINY_SAM = SamConfig(
    ViTConfig(dim=48, depth=4, heads=4, global_blocks=(1, 3), window=5), image_size=224
)


def model_of(name: str) -> SegmentAnything:
    """Return a model on the processor, with the bundled or with random weights."""
    if name == "vit_t":
        return load_model()
    config = VARIANTS[name]
    if isinstance(config, Sam2Config):
        return random_model(config)
    torch.manual_seed(0)
    model = build_model(config)
    for key, parameter in model.named_parameters():
        if "rel_pos" in key or "pos_embed" in key:
            parameter.data.normal_(std=0.1)
    return model.eval().requires_grad_(False)


def time_ms(call: Callable[[], Any], device: str, rounds: int) -> float:
    """Return the median time of a call in milliseconds, after one that does not count."""
    times = []
    for _ in range(rounds + 1):
        wait_for(device)
        start_s = time.perf_counter()
        call()
        wait_for(device)
        times.append(time.perf_counter() - start_s)
    return 1e3 * median(times[1:])


def times_of_ours(predictor: Predictor, rounds: int) -> dict[str, float]:
    """Time a predictor as the plugin uses it."""
    predictor.warm_up()
    image, points = example_image(), batch_xy()
    embedding, labels = predictor.encode(image), np.ones(points.shape[:2])
    calls = {
        "encode": lambda: predictor.encode(image),
        "decode": lambda: predictor.decode(embedding, points[9], [1]),
        f"{BATCH} clicks": lambda: predictor.decode_batch(embedding, points, labels),
    }
    return {name: time_ms(call, predictor.device, rounds) for name, call in calls.items()}


def times_of_theirs(model: SegmentAnything, predictor: Predictor, rounds: int) -> dict[str, float]:
    """Time transformers with the same weights; nothing if it does not have the model."""
    try:
        peer = Transformers(model, predictor.device, predictor.precision)
    except (RuntimeError, ValueError) as error:
        print(f"  transformers: {error}", file=sys.stderr)
        return {}
    subjects = peer.subjects()
    names = {
        "encode": Workload.ENCODE,
        "decode": Workload.DECODE,
        f"{BATCH} clicks": Workload.DECODE_BATCH,
    }
    return {
        name: time_ms(subjects[workload].call, predictor.device, rounds)
        for name, workload in names.items()
        if workload in subjects
    }


def slices_of_ours(predictor: Predictor, frames: list[Any], rounds: int) -> float:
    """Time a slice that an object is carried to, when as much is remembered as ever."""
    memory = memory_of(predictor)
    assert memory is not None
    embeddings = [predictor.encode(frame) for frame in frames]
    state, click = memory.start(embeddings[0]), len(frames[0]) * 0.4
    memory.add_prompt(state, 0, 1, embeddings[0], [(click, click)], [1])
    count = FULL_MEMORY + rounds + 1
    slices = ((number, embeddings[number % 2]) for number in range(count))
    run = memory.propagate(state, slices, 1)
    for _ in range(FULL_MEMORY):
        next(run)
    return time_ms(lambda: next(run), predictor.device, rounds)


def slices_of_theirs(model: Sam2, predictor: Predictor, frames: list[Any], rounds: int) -> float:
    """Time the same in transformers."""
    dtype = PRECISIONS[predictor.precision]
    theirs = theirs_of(model, predictor.device, dtype)
    pixels = pixels_of(predictor, model, frames)
    click = len(frames[0]) * 0.4
    run = Theirs.begin(theirs, pixels, FULL_MEMORY + rounds + 1, (click, click))
    numbers = iter(range(FULL_MEMORY + rounds + 1))
    for _ in range(FULL_MEMORY):
        run.step(next(numbers))
    return time_ms(lambda: run.step(next(numbers)), predictor.device, rounds)


def check(reference: Any, predictor: Predictor) -> str:
    """Say how far masks and logits are from those that the processor computes."""
    image, point = example_image(), batch_xy()[9]
    result = predictor.decode(predictor.encode(image), point, [1])
    logits, expected = result.low_res_logits, reference.low_res_logits
    far = np.abs(logits - expected).max() / max(1e-9, np.abs(expected).max())
    pairs = zip(result.masks, reference.masks, strict=True)
    ious = [(a & b).sum() / max(1, (a | b).sum()) for a, b in pairs]
    return f"logits at most {far:.1e} of the largest apart, IoU of masks at least {min(ious):.4f}"


def peak_text(device: str) -> str:
    """Return the peak memory on an accelerator since the last reset."""
    if not device.startswith("cuda"):
        return "not measured on this device"
    return f"{torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB"


def measure(name: str, options: argparse.Namespace) -> None:
    """Measure one model in all precisions."""
    model, device = model_of(name), options.device
    point = batch_xy()[9]
    on_cpu = Predictor(model, device="cpu")
    reference = on_cpu.decode(on_cpu.encode(example_image()), point, [1])
    frames = film(model.image_size)
    for precision in options.precisions:
        if device.startswith("cuda"):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        predictor = Predictor(model, device, precision)
        ours = times_of_ours(predictor, options.rounds)
        if isinstance(model, Sam2):
            ours["slice"] = slices_of_ours(predictor, frames, options.rounds)
        checked, peak = check(reference, predictor), peak_text(device)
        theirs = times_of_theirs(model, predictor, options.rounds)
        if isinstance(model, Sam2):
            theirs["slice"] = slices_of_theirs(model, predictor, frames, options.rounds)
        text = ", ".join(
            f"{what} {ms:.1f}" + (f" ({theirs[what]:.1f})" if what in theirs else "")
            for what, ms in ours.items()
        )
        print(f"{name} {precision} on {device}, ms: {text}", flush=True)
        print(f"  against the processor: {checked}; peak memory {peak}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.tiny:
        VARIANTS.update({"vit_h": TINY_SAM, "hiera_tiny": TINY, "hiera_large": TINY})
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    if options.device.startswith("cuda"):
        print(torch.cuda.get_device_name(options.device))
    warnings.simplefilter("ignore")
    for model_name in options.models:
        measure(model_name, options)
