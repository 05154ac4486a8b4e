"""All measurements of `napari-sam bench`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

# First: it sets how torch's threads wait, which decides the outcome on a busy machine.
from napari_sam.model import Predictor

# isort: split
import torch

from napari_sam.bench.machine import describe_machine, versions
from napari_sam.bench.options import BenchError, Options
from napari_sam.bench.peers import OnnxEncoder, OnnxRuntime, Transformers
from napari_sam.bench.process import run_apart
from napari_sam.bench.report import Report, Row
from napari_sam.bench.timing import Subject, median_times
from napari_sam.bench.workloads import Workload, our_subjects
from napari_sam.model.checkpoints.variants import detect_variant
from napari_sam.model.sam.base import SegmentAnything

Peer = OnnxEncoder | OnnxRuntime | Transformers

_OURS = "napari-sam"
_MEMORY_RUNS = 3  # the C library gives freed memory back or not, which moves a peak by a tenth
_PAUSE_S = 0.2  # ONNX Runtime's threads wait busily for a while, on the cores of who comes next


def run(options: Options, say: Callable[[str], None]) -> Report:
    """Measure everything."""
    model, predictor = options.load()
    names = [*options.peers, *filter(None, [options.peer_encoder])]
    peers = {Path(name).name: _peer(name, model, predictor) for name in names}
    rows = _model_rows(predictor, peers, options.rounds, say)
    rows += _memory_rows(options, say)
    rows += _window_rows(options, say)
    variant, _ = detect_variant(model.state_dict(), "The model")
    settings = {
        "variant": variant,
        "weights": Path(options.checkpoint).name if options.checkpoint else "embedded",
        "device": predictor.device,
        "precision": predictor.precision,
        "threads": torch.get_num_threads(),
        "rounds": options.rounds,
    }
    return Report(
        describe_machine(predictor.device),
        versions(),
        settings,
        rows,
        tuple(peers),
        [f"Medians; {peer.note}." for peer in peers.values()] or ["Medians."],
    )


def _peer(name: str, model: SegmentAnything, predictor: Predictor) -> Peer:
    if name == "transformers":
        return Transformers(model, predictor.device, predictor.precision)
    if predictor.device != "cpu":
        raise BenchError(
            f"onnxruntime is only compared on the CPU, and the model runs on {predictor.device}: "
            "add --device cpu."
        )
    return OnnxRuntime(model) if name == "onnxruntime" else OnnxEncoder(model, Path(name))


def _model_rows(
    predictor: Predictor,
    peers: dict[str, Peer],
    rounds: int,
    say: Callable[[str], None],
) -> list[Row]:
    sources = {_OURS: our_subjects(predictor)}
    sources |= {name: peer.subjects() for name, peer in peers.items()}
    # Workload by workload: what is compared runs right after each other.
    subjects: dict[tuple[str, Workload], Subject] = {
        (owner, workload): subjects[workload]
        for workload in Workload
        for owner, subjects in sources.items()
        if workload in subjects
    }
    medians_s = median_times(
        subjects,
        rounds,
        on_round=lambda number, last: say(f"Model: round {number} of {last} ..."),
        pause_s=_PAUSE_S if peers else 0,
    )
    return [
        Row(
            str(workload),
            "ms",
            medians_s[_OURS, workload] * 1e3,
            {
                peer: medians_s[peer, workload] * 1e3
                for peer in peers
                if (peer, workload) in medians_s
            },
        )
        for workload in Workload
    ]


def _memory_rows(options: Options, say: Callable[[str], None]) -> list[Row]:
    say("Memory: a process that encodes and decodes once ...")
    names: tuple[str, ...] = "peak memory of a process", "of that, beyond the weights"
    try:
        results = [run_apart("napari_sam.bench.memory", options) for _ in range(_MEMORY_RUNS)]
    except BenchError as error:
        return [Row(name, "MB", None, note=f"not measured: {error}") for name in names]
    result = {key: median(result[key] for result in results) for key in results[0]}
    values = [result["peak"], result["peak"] - result["weights"]]
    if "gpu" in result:
        names, values = (*names, "peak memory on the GPU"), [*values, result["gpu"]]
    return [Row(name, "MB", value / 1e6) for name, value in zip(names, values, strict=True)]


def _window_rows(options: Options, say: Callable[[str], None]) -> list[Row]:
    units = ("repaint of the canvas", "ms"), ("previews while the mouse moves", "per s")
    values: tuple[Any, ...] = None, None
    note = ""
    if not options.window:
        note = "not measured: --no-window"
    elif not has_display():
        note = "not measured: no display"
    else:
        say("Window: opening napari ...")
        try:
            result = run_apart("napari_sam.bench.window", options)
            values = result["repaint_s"] * 1e3, result["previews_per_s"]
        except BenchError as error:
            note = f"not measured: {error}"
    return [
        Row(name, unit, value, note=note) for (name, unit), value in zip(units, values, strict=True)
    ]


def has_display() -> bool:
    """Return whether a visible window can be opened."""
    if os.environ.get("QT_QPA_PLATFORM", "") in ("offscreen", "minimal"):
        return False
    on_linux = sys.platform.startswith("linux")
    return not on_linux or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
