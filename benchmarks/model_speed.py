"""Time the model against ONNX Runtime and against the plain formulation, interleaved.

Run by hand:  python benchmarks/model_speed.py [--rounds 7] [--threads 2] [--bfloat16]

Needs `onnx` and `onnxruntime`. All subjects take turns within each round, so that whatever else
the machine does falls on all of them; compare the ratios rather than the milliseconds.
"""

import argparse
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

# First: it settles how torch's threads wait, which decides the outcome on a busy machine.
from napari_sam.model import MaskPrediction, Predictor, load_model

# isort: split
import onnxruntime
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from napari_sam.bench.timing import Subject, median_times
from napari_sam.bench.workloads import (
    FAST_REPEATS,
    ORIGINAL_SIZE,
    POINT_XY,
    Workload,
    example_image,
    our_subjects,
)

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.model.plain_reference import PlainDecoder, PlainEncoder

POINT = {"points_xy": [POINT_XY], "point_labels": [1]}


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


def onnx_subject(
    module: nn.Module, inputs: dict[str, torch.Tensor], threads: int, repeats: int = 1
) -> Subject:
    """Return a call of the exported module."""
    session = onnx_session(module, inputs, threads)
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    return Subject(lambda: session.run(None, arrays), repeats)


def two_steps(prediction: MaskPrediction) -> torch.Tensor:
    """Upscale masks as published."""
    logits = torch.from_numpy(prediction.low_res_logits)[None]
    square = F.interpolate(logits, (1024, 1024), mode="bilinear", align_corners=False)
    height, width = prediction.input_size
    full = F.interpolate(
        square[..., :height, :width], ORIGINAL_SIZE, mode="bilinear", align_corners=False
    )
    return full > 0


def plain_subjects(predictor: Predictor, threads: int) -> dict[str, Subject]:
    """Return the plain formulation, and parts of ours that compare with it."""
    sam = load_model()
    square = torch.randn(1, 3, 1024, 1024)
    decoder_inputs = {
        "image_embedding": torch.randn(1, 256, 64, 64),
        "sparse": torch.randn(1, 2, 256),
        "dense": torch.randn(1, 256, 1, 1),
    }
    prediction = predictor.decode(predictor.encode(example_image()), **POINT)
    return {
        "encoder, ONNX Runtime": onnx_subject(PlainEncoder(sam), {"x": square}, threads),
        "encoder": Subject(lambda: sam.image_encoder(square)),
        "decoder, ONNX Runtime": onnx_subject(
            PlainDecoder(sam), decoder_inputs, threads, FAST_REPEATS
        ),
        "upscale, two steps": Subject(lambda: two_steps(prediction), FAST_REPEATS),
        "upscale, crops": Subject(
            lambda: [replace(prediction).mask_crop(k) for k in range(3)], FAST_REPEATS
        ),
    }


def low_subjects() -> dict[str, Subject]:
    """Return encode and decode in bfloat16."""
    subjects = our_subjects(Predictor(load_model(), "cpu", "bfloat16"))
    return {
        f"{workload}, bfloat16": subjects[workload]
        for workload in (Workload.ENCODE, Workload.DECODE)
    }


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
        predictor = Predictor(load_model(), "cpu")
        subjects = {str(workload): subject for workload, subject in our_subjects(predictor).items()}
        subjects |= plain_subjects(predictor, arguments.threads)
        if arguments.bfloat16:
            subjects |= low_subjects()
        medians = median_times(subjects, arguments.rounds, clock)

    for name, median in medians.items():
        print(f"{name:52}{median * 1e3:10.1f} ms")
    ratios = [
        ("encoder", "encoder, ONNX Runtime"),
        (f"{Workload.ENCODE}, bfloat16", "encoder, ONNX Runtime"),
        (Workload.DECODE, "decoder, ONNX Runtime"),
        (Workload.DECODE_ONE, "decoder, ONNX Runtime"),
        (f"{Workload.DECODE}, bfloat16", "decoder, ONNX Runtime"),
        (Workload.DECODE_BATCH, Workload.DECODE),
        (Workload.UPSCALE, "upscale, two steps"),
        ("upscale, crops", "upscale, two steps"),
    ]
    for name, other in ratios:
        if name in medians:
            print(f"{name} / {other}: {medians[name] / medians[other]:.2f}")


if __name__ == "__main__":
    main()
