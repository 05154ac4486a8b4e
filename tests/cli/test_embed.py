"""`napari-sam embed`: real files, weights, processes, and a real viewer that finds its work."""

import json
import os
import signal
import subprocess
import sys
import time

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from skimage import data

from napari_sam.cli.main import main
from napari_sam.session import EmbeddingStore, Phase

pytestmark = pytest.mark.slow

TIMEOUT_S = 120
EMBEDDING_BYTES = 2**22
COINS = data.coins()
WITHOUT_QT = """
import sys
for name in ("qtpy", "PyQt6", "PySide6"):
    sys.modules[name] = None
from napari_sam.cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture(autouse=True)
def _no_bar_of_naparis(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")  # by the command, which leaves it so


@pytest.fixture
def stack_file(tmp_path):
    path = tmp_path / "stack.tif"
    stack = np.stack([np.roll(COINS, shift, axis=1) for shift in range(3)])
    tifffile.imwrite(path, stack, photometric="minisblack")
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["embed", *map(str, arguments)])


# What runs in the background of a shell is born deaf to Ctrl-C.
LISTENING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
RUN = LISTENING + "from napari_sam.cli.main import main; main()"


def start(*arguments, code=RUN):
    return subprocess.Popen(
        [sys.executable, "-c", code, "embed", *map(str, arguments)],
        env={name: value for name, value in os.environ.items() if name != "DISPLAY"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def gray_float(path):
    image = COINS[:200, :150].astype(np.float32) / 7 - 3
    image[3, 4] = np.nan
    tifffile.imwrite(path, image)


def color(path):
    imageio.imwrite(path, data.astronaut()[:300])


def time_and_depth(path):
    planes = [[np.roll(COINS, 2 * t + z, axis=1) for z in range(2)] for t in range(2)]
    tifffile.imwrite(path, np.array(planes), photometric="minisblack")


def above_the_models_side(path):
    tifffile.imwrite(path, np.tile(COINS, (4, 4))[:1100, :1300])


@pytest.mark.parametrize(
    ("write", "name", "count"),
    [
        (gray_float, "gray.tif", 1),
        (color, "color.png", 1),
        (time_and_depth, "series.tif", 4),
        (above_the_models_side, "large.tif", 1),
    ],
)
def test_a_viewer_finds_everything_embedded(
    make_widget, remembering_predictor, monkeypatch, tmp_path, write, name, count
):
    write(tmp_path / name)
    result = run(tmp_path / name)
    assert result.exit_code == 0, result.output
    assert f"{count} embeddings, {count} computed, 0 already there" in result.output

    encoded = []
    true_encode = remembering_predictor.encode

    def encode(image, on_block=None):
        encoded.append(image)
        return true_encode(image, on_block)

    monkeypatch.setattr(remembering_predictor, "encode", encode)
    viewer, widget = make_widget()
    viewer.open(tmp_path / name, plugin="napari")
    widget.wait_until_idle(TIMEOUT_S)
    for place in np.ndindex(*(int(n) for n in viewer.dims.nsteps[:-2])):
        for axis, position in enumerate(place):
            viewer.dims.set_current_step(axis, position)
        widget.wait_until_idle(TIMEOUT_S)
        assert widget.session.state.phase is Phase.READY
    assert encoded == []


def test_what_is_there_is_skipped(stack_file):
    assert "3 computed, 0 already there" in run(stack_file).output
    again = run("--json", stack_file)
    assert again.exit_code == 0
    content = json.loads(again.stdout)
    assert content["folder"] == str(EmbeddingStore().folder)
    assert content["files"] == [
        {"path": str(stack_file), "embeddings": 3, "computed": 0, "found": 3, "failures": []}
    ]


@pytest.mark.usefixtures("reader_leaves_file_open")
def test_what_fails_is_listed_and_the_rest_is_done(stack_file, tmp_path):
    broken, flat, program = tmp_path / "broken.tif", tmp_path / "flat.tif", tmp_path / "run.py"
    broken.write_bytes(b"no image at all")
    tifffile.imwrite(flat, np.zeros((30, 40, 5), np.uint8), photometric="minisblack")
    program.write_text("raise SystemExit('it ran')")
    result = run(tmp_path / "none.tif", broken, flat, program, stack_file)
    assert result.exit_code == 1
    assert "3 embeddings, 3 computed" in result.output
    for text in (
        f"Error: Cannot open {tmp_path / 'none.tif'}: there is no such file.",
        f"Error: Cannot open {broken}: ",
        f"Error: {flat}: Shown as slices of 40 x 5 pixels: add the image",
        f"Error: {program} is a Python script",
    ):
        assert text in result.output
    assert "0 embeddings" not in result.output


@pytest.mark.parametrize(
    "wrong", [(), ("--model", "no-such-model"), ("--device", "abacus"), ("--model", "{file}")]
)
def test_wrong_calls_have_a_code_of_their_own(stack_file, wrong):
    files = [stack_file] if wrong else []
    result = run(*(option.format(file=stack_file) for option in wrong), *files)
    assert result.exit_code == 2
    assert "Error: " in result.output
    assert "Traceback" not in result.output


def test_what_cannot_be_kept_is_no_success(stack_file, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM_EMBEDDINGS", str(stack_file))
    result = run(stack_file)
    assert result.exit_code == 1
    assert f"Error: Could not store embeddings in {stack_file}" in result.output


def test_it_says_beforehand_what_there_is_no_room_for(stack_file, monkeypatch):
    monkeypatch.setattr(EmbeddingStore, "room_bytes", lambda self: 2 * EMBEDDING_BYTES + 2000)
    result = run(stack_file)
    assert result.exit_code == 1
    left_out = result.output.index("1 of 3 slices are left out")
    assert left_out < result.output.index("2 embeddings, 2 computed")


@pytest.mark.skipif(os.name == "nt", reason="there is no such signal")
def test_ctrl_c_keeps_what_is_done(stack_file, embeddings_folder):
    process = start(stack_file)
    deadline = time.monotonic() + TIMEOUT_S
    while not list(embeddings_folder.glob("*.safetensors")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert "run the same command again to continue" in errors
    assert "Traceback" not in errors
    content = json.loads(run("--json", stack_file).stdout)["files"][0]
    assert content["found"] >= 1
    assert content["embeddings"] == 3


def test_it_needs_neither_qt_nor_a_display(tmp_path):
    gray_float(tmp_path / "gray.tif")
    process = start(tmp_path / "gray.tif", code=WITHOUT_QT)
    output, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    assert "1 embeddings, 1 computed" in output
