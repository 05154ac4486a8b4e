"""Time the model against ONNX Runtime and against the plain formulation, interleaved.

Run by hand:  python benchmarks/model_speed.py [--rounds 7] [--threads 2] [--bfloat16]

Needs `onnx` and `onnxruntime`. All subjects take turns within each round, so that whatever else
the machine does falls on all of them; compare the ratios rather than the milliseconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# First: it settles how torch's threads wait, which decides the outcome on a busy machine.
from napari_sam.model import MaskPrediction, Predictor, load_model

# isort: split
import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/model"))
from plain_reference import PlainDecoder, PlainEncoder

ORIGINAL_SIZE = (1200, 1800)
POINT = {"points_xy": [[900, 600]], "point_labels": [1]}
BATCH = 64
REPEATS = 5  # of the subjects that take milliseconds

Subject = Callable[[], Any]


def onnx_session(
    module: nn.Module, inputs: dict[str, torch.Tensor], threads: int
) -> onnxruntime.InferenceSession:
    """Export a module and open it in ONNX Runtime with as many threads as torch uses."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = str(Path(folder) / "model.onnx")
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            opset_version=17,
            dynamo=False,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def onnx_subject(module: nn.Module, inputs: dict[str, torch.Tensor], threads: int) -> Subject:
    """Return a call of the exported module."""
    session = onnx_session(module, inputs, threads)
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    return lambda: session.run(None, arrays)


def two_steps(prediction: MaskPrediction) -> torch.Tensor:
    """Upscale masks as published."""
    logits = torch.from_numpy(prediction.low_res_logits)[None]
    square = F.interpolate(logits, (1024, 1024), mode="bilinear", align_corners=False)
    height, width = prediction.input_size
    full = F.interpolate(
        square[..., :height, :width], ORIGINAL_SIZE, mode="bilinear", align_corners=False
    )
    return full > 0


def fresh(prediction: MaskPrediction) -> MaskPrediction:
    """Return the prediction without its cached masks."""
    return MaskPrediction(
        prediction.low_res_logits,
        prediction.iou_predictions,
        prediction.original_size,
        prediction.input_size,
        prediction.image_size,
    )


def subjects(threads: int, bfloat16: bool) -> tuple[dict[str, Subject], dict[str, Subject]]:
    """Return the slow and the fast subjects by name."""
    sam = load_model()
    square = torch.randn(1, 3, 1024, 1024)
    image = np.random.default_rng(0).integers(0, 256, (*ORIGINAL_SIZE, 3), dtype=np.uint8)
    predictor = Predictor(sam, "cpu")
    embedding = predictor.encode(image)
    points = np.random.default_rng(1).uniform(0, 1200, (BATCH, 1, 2))
    labels = np.ones((BATCH, 1))
    prediction = predictor.decode(embedding, **POINT)
    decoder_inputs = {
        "image_embedding": torch.randn(1, 256, 64, 64),
        "sparse": torch.randn(1, 2, 256),
        "dense": torch.randn(1, 256, 1, 1),
    }
    slow: dict[str, Subject] = {
        "encoder, ONNX Runtime": onnx_subject(PlainEncoder(sam), {"x": square}, threads),
        "encoder": lambda: sam.image_encoder(square),
        f"decode_batch of {BATCH}": lambda: predictor.decode_batch(embedding, points, labels),
    }
    fast: dict[str, Subject] = {
        "decoder, ONNX Runtime": onnx_subject(PlainDecoder(sam), decoder_inputs, threads),
        "decode": lambda: predictor.decode(embedding, **POINT),
        "decode, one mask": lambda: predictor.decode(embedding, **POINT, multimask_output=False),
        "upscale, two steps": lambda: two_steps(prediction),
        "upscale, masks": lambda: fresh(prediction).masks,
        "upscale, crops": lambda: [fresh(prediction).mask_crop(k) for k in range(3)],
    }
    if bfloat16:
        low = Predictor(sam, "cpu", "bfloat16")
        low_embedding = low.encode(image)
        slow["encode, bfloat16"] = lambda: low.encode(image)
        fast["decode, bfloat16"] = lambda: low.decode(low_embedding, **POINT)
    return slow, fast


def measure(
    slow: dict[str, Subject], fast: dict[str, Subject], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Return the median time of each subject, in seconds; the first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in slow | fast}
    for round_number in range(rounds + 1):
        for name, subject in (slow | fast).items():
            for _ in range(REPEATS if name in fast else 1):
                start = clock()
                subject()
                if round_number:
                    times[name].append(clock() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="slow without such instructions")
    parser.add_argument(
        "--processor-time", action="store_true", help="for busy machines; only with --threads 1"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.processor_time else time.perf_counter
    with torch.inference_mode():
        slow, fast = subjects(arguments.threads, arguments.bfloat16)
        medians = measure(slow, fast, arguments.rounds, clock)

    for name, median in medians.items():
        print(f"{name:32}{median * 1e3:10.1f} ms")
    batch = f"decode_batch of {BATCH}"
    medians["per prompt of the batch"] = medians[batch] / BATCH
    ratios = [
        ("encoder", "encoder, ONNX Runtime"),
        ("encode, bfloat16", "encoder, ONNX Runtime"),
        ("decode", "decoder, ONNX Runtime"),
        ("decode, one mask", "decoder, ONNX Runtime"),
        ("decode, bfloat16", "decoder, ONNX Runtime"),
        ("per prompt of the batch", "decode"),
        ("upscale, masks", "upscale, two steps"),
        ("upscale, crops", "upscale, two steps"),
    ]
    for name, other in ratios:
        if name in medians:
            print(f"{name} / {other}: {medians[name] / medians[other]:.2f}")


if __name__ == "__main__":
    main()
