"""`napari-sam bench` and `napari-sam export-onnx`; no test depends on how long anything takes."""

import json
import sys
from importlib.metadata import version

import numpy as np
import pytest
from click.testing import CliRunner

from napari_sam.bench import run as bench_run
from napari_sam.bench import workloads
from napari_sam.bench.options import PEERS
from napari_sam.bench.workloads import Workload
from napari_sam.cli.main import main

pytestmark = pytest.mark.slow

MODEL_ROWS = [str(workload) for workload in Workload]
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
    assert "|".join(PEERS) in _run("bench", "--help").output


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
    assert properties["license"] == "Apache-2.0"
    assert "Faster Segment Anything" in properties["citation"]

    again = _run("export-onnx", folder)
    assert again.exit_code == 1
    assert "already exists" in again.output


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
        raise onnx_export.OnnxExportError("enough")

    monkeypatch.setattr(onnx_export, "export_onnx", remember)
    checkpoint = VARIANTS[DEFAULT_VARIANT].bundled_checkpoint
    result = _run("export-onnx", tmp_path, "--checkpoint", checkpoint)
    assert result.output == "Error: enough\n"
    assert written == {"source": checkpoint.name}


def test_a_small_run_gives_every_row(monkeypatch):
    monkeypatch.setattr(bench_run, "_MEMORY_RUNS", 1)
    monkeypatch.setattr(workloads, "batch_xy", lambda: np.array([[workloads.POINT_XY]] * 2))
    monkeypatch.setattr(workloads, "FAST_REPEATS", 1)
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
    assert report["versions"]["torch"] == version("torch")
    assert all(report["machine"].values())
    assert "Model: round 1 of 1" in result.stderr


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_that_is_not_installed(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    result = _run("bench", "--peer", name, "--no-window")
    assert result.exit_code == 1
    assert f"The package {name} is missing; run 'pip install" in result.output


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
