"""Exporting and measuring, from the command line; no test depends on how long anything takes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from napari_sam.bench import run as bench_run
from napari_sam.bench.machine import describe_machine
from napari_sam.bench.options import PEERS, BenchError, Options
from napari_sam.bench.peers import OnnxRuntime, Transformers
from napari_sam.bench.process import run_apart
from napari_sam.bench.report import Report, Row
from napari_sam.bench.timing import Subject, median_times
from napari_sam.bench.window import has_display
from napari_sam.bench.work import POINT_XY, Task, example_image
from napari_sam.cli.bench import bench
from napari_sam.cli.main import main
from napari_sam.model import load_model

MODEL_ROWS = [str(task) for task in Task]
OTHER_ROWS = [
    "peak memory of a process",
    "of that, beyond the weights",
    "repaint of the canvas",
    "previews while the mouse moves",
]


def _run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_help_names_the_commands():
    output = _run("--help").output
    assert "export-onnx" in output
    assert "bench" in output
    assert "point_coords" in _run("export-onnx", "--help").output
    assert "onnxruntime|transformers" in _run("bench", "--help").output


def test_the_choice_of_peers_is_that_of_the_code():
    (option,) = (param for param in bench.params if param.name == "peers")
    assert tuple(option.type.choices) == PEERS


# Exporting -------------------------------------------------------------------------------------


def test_export(tmp_path):
    onnx = pytest.importorskip("onnx")
    folder = tmp_path / "web"
    result = _run("export-onnx", folder)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        str(folder / "encoder.onnx"),
        str(folder / "decoder.onnx"),
    ]
    properties = {p.key: p.value for p in onnx.load(folder / "encoder.onnx").metadata_props}
    assert properties["source"].startswith("mobile_sam")
    assert properties["licence"] == "Apache-2.0"
    assert "Faster Segment Anything" in properties["citation"]

    again = _run("export-onnx", folder)
    assert again.exit_code == 1
    assert "exists already" in again.output


def test_export_of_a_checkpoint_that_is_not_there(tmp_path):
    result = _run("export-onnx", tmp_path / "web", "--checkpoint", tmp_path / "none.pt")
    assert result.exit_code == 1
    assert "There is no checkpoint file" in result.output
    assert not (tmp_path / "web").exists()


def test_export_names_the_checkpoint_without_its_folder(tmp_path, monkeypatch):
    from napari_sam.model.build import DEFAULT_VARIANT
    from napari_sam.model.checkpoints.variants import VARIANTS
    from napari_sam.model.onnx import export as onnx_export

    written = {}

    def remember(model, folder, overwrite, metadata):
        written.update(metadata)
        raise onnx_export.ExportError("enough")

    monkeypatch.setattr(onnx_export, "export_onnx", remember)
    checkpoint = VARIANTS[DEFAULT_VARIANT].embedded_checkpoint
    result = _run("export-onnx", tmp_path, "--checkpoint", checkpoint)
    assert result.output == "Error: enough\n"
    assert written == {"source": checkpoint.name}


# Measuring -------------------------------------------------------------------------------------


def test_a_small_run_gives_every_row():
    result = CliRunner().invoke(main, ["bench", "--rounds", "1", "--no-window", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    rows = {row["name"]: row for row in report["rows"]}
    assert list(rows) == MODEL_ROWS + OTHER_ROWS
    for name in MODEL_ROWS + OTHER_ROWS[:2]:
        assert rows[name]["ours"] > 0, name
        assert rows[name]["peers"] == {}
    assert rows["peak memory of a process"]["ours"] > rows["of that, beyond the weights"]["ours"]
    for name in OTHER_ROWS[2:]:
        assert rows[name]["ours"] is None
        assert rows[name]["note"] == "not measured: --no-window"
    assert report["settings"]["variant"] == "vit_t"
    assert report["settings"]["rounds"] == 1
    assert report["versions"]["torch"] == torch.__version__
    assert all(report["machine"].values())
    assert "Model: round 1 of 1" in result.stderr


@pytest.fixture(scope="module")
def sam():
    return load_model()


def test_onnxruntime_does_the_same_work(sam, remembering_predictor):
    pytest.importorskip("onnxruntime")
    peer = OnnxRuntime(sam)
    assert peer.subjects().keys() == set(Task) - {Task.UPSCALE}
    embedding = remembering_predictor.encode(example_image())
    expected = remembering_predictor.decode(embedding, [POINT_XY], [1])
    masks, scores = peer.decode(POINT_XY, "masks")
    torch.testing.assert_close(
        torch.from_numpy(scores[0, 1:]), torch.from_numpy(expected.iou_predictions)
    )
    assert ((masks[0, 1:] > 0) != expected.masks).mean() < 1e-5


def test_transformers_does_the_same_work(sam, remembering_predictor):
    pytest.importorskip("transformers")
    peer = Transformers(sam, "cpu", "float32")
    assert peer.subjects().keys() == set(Task) - {Task.ENCODE}
    assert "no vit_t encoder" in peer.note
    embedding = remembering_predictor.encode(example_image())
    peer._embedding = torch.from_numpy(embedding.numpy())[None]
    expected = remembering_predictor.decode(embedding, [POINT_XY], [1])
    (masks,) = peer.upscale(peer.decode([[POINT_XY]]))
    assert masks.shape == (1, 3, 1200, 1800)
    # Not closer: its normalisations add a smaller number to the variance than the published ones.
    assert (masks[0].numpy() != expected.masks).mean() < 1e-3


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_that_is_not_installed(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    result = _run("bench", "--peer", name, "--no-window")
    assert result.exit_code == 1
    assert f"The package {name} is missing; run `pip install" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "nonsense"], "choose 'auto'"),
        (["--precision", "int8"], "float32, bfloat16"),
        (["--checkpoint", "none.pt"], "There is no checkpoint file"),
    ],
)
def test_what_cannot_be_used(arguments, words):
    result = _run("bench", *arguments)
    assert result.exit_code == 1
    assert words in result.output


def test_onnxruntime_is_not_compared_with_an_accelerator(sam):
    class Elsewhere:
        device = "cuda:1"

    with pytest.raises(BenchError, match="--device cpu"):
        bench_run._peer("onnxruntime", sam, Elsewhere())


@pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_display(monkeypatch, variable):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not has_display()
    monkeypatch.setenv(variable, ":1")
    assert has_display()
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert not has_display()


def test_a_window_is_measured():
    if not has_display():
        pytest.skip("there is no display")
    found = run_apart("napari_sam.bench.window", Options(device="cpu"))
    assert found["repaint_s"] > 0
    assert found["previews_per_s"] > 0


def test_without_a_display_the_table_says_so(monkeypatch):
    monkeypatch.setattr(bench_run, "has_display", lambda: False)
    rows = bench_run._window_rows(Options(), lambda text: None)
    assert [row.name for row in rows] == OTHER_ROWS[2:]
    assert {row.note for row in rows} == {"not measured: no display"}


def test_what_a_process_says_last_is_in_the_table(monkeypatch):
    monkeypatch.setattr(bench_run, "has_display", lambda: True)
    options = Options(checkpoint="none.pt")
    for rows in (
        bench_run._memory_rows(options, lambda text: None),
        bench_run._window_rows(options, lambda text: None),
    ):
        for row in rows:
            assert row.ours is None
            assert row.note.startswith("not measured: ")


def test_medians_leave_the_first_round_out():
    now = [0.0]
    called = []

    def work(name, durations):
        remaining = iter(durations)

        def call():
            called.append(name)
            now[0] += next(remaining)

        return call

    subjects = {
        "one": Subject(work("one", [100, 1, 5, 2])),
        "two": Subject(work("two", [100, 100, 8, 8, 4, 4, 6, 6]), repeats=2, count=4),
    }
    medians = median_times(subjects, 3, clock=lambda: now[0])
    assert medians == {"one": 2, "two": 1.5}
    assert called == ["one", "two", "two"] * 4


def test_table():
    rows = [
        Row("fast", "ms", 10.0, {"other": 40.0}),
        Row("unseen", "MB", None, note="not measured: so it is"),
    ]
    report = Report({"cores": "2"}, {"torch": "2"}, {"rounds": 1}, rows, ("other",), ["A note."])
    assert report.as_markdown().splitlines() == [
        "- Machine: cores 2",
        "- Versions: torch 2",
        "- Settings: rounds 1",
        "- A note.",
        "",
        "| measured | napari-sam             | other   | ours / other |",
        "|----------|------------------------|---------|--------------|",
        "| fast     | 10.0 ms                | 40.0 ms | 0.25         |",
        "| unseen   | not measured: so it is |         |              |",
    ]
    assert report.as_dict()["rows"][0]["ratios"] == {"other": 0.25}


def test_the_machine_is_described_without_whose_it_is():
    machine = describe_machine("cpu")
    assert list(machine) == ["system", "processor", "cores", "memory", "gpu"]
    assert str(Path.home()) not in str(machine)
