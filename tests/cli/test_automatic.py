"""`napari-sam automatic`: real files and weights, runs that are stopped, and a real cluster."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import click
import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.numpy import save_file

from napari_sam.batch import job, outputs
from napari_sam.cli.automatic import automatic, is_without_settings, published_settings
from napari_sam.cli.main import main
from napari_sam.engine.automatic_presets import PRESETS
from napari_sam.engine.automatic_settings import OUTPUT_MODES, AutomaticSettings
from napari_sam.formats import read_coco
from napari_sam.session import ModelChoice, write_learned
from napari_sam.session.decoding.recipe import Policy
from napari_sam.session.learning.kept import lessons_to_json
from napari_sam.session.learning.lessons import Lesson
from tests.session.propagation.volume import moving_discs

pytestmark = pytest.mark.slow

TIMEOUT_S = 120
FEW = ("--points-per-side", "3", "--pred-iou-thresh", "0.5", "--stability-score-thresh", "0.5")


def picture(seed, size=(60, 80)):
    """Return some bright rectangles on a dark background."""
    generator = np.random.default_rng(seed)
    image = generator.integers(20, 40, (*size, 3), np.uint8)
    for top, left in ((8, 8), (8, 45), (34, 26)):
        image[top : top + 18, left : left + 24] = generator.integers(120, 255, 3)
    return image


@pytest.fixture
def folder(tmp_path):
    """Return a folder with images of four kinds, and one that is broken."""
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    imageio.imwrite(folder / "rgb.png", picture(0))
    alpha = np.full((60, 80, 1), 90, np.uint8)
    imageio.imwrite(folder / "deep" / "rgba.png", np.dstack([picture(1), alpha]))
    stack = np.stack([picture(seed)[..., 0].astype(np.uint16) * 200 + 900 for seed in (2, 3)])
    tifffile.imwrite(folder / "stack.tif", stack, photometric="minisblack")
    (folder / "broken.tif").write_bytes(b"no image at all")
    return folder


def run(*arguments):
    return CliRunner().invoke(main, ["automatic", *map(str, arguments)])


def start(*arguments):
    # What runs in the background of a shell is born deaf to Ctrl-C.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from napari_sam.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "automatic", *map(str, arguments)],
        env={name: value for name, value in os.environ.items() if name != "DISPLAY"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def files(folder):
    """Return what lies there, but for what a killed program had only half written."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".part"
    }


def assert_same_results(folder, expected):
    """Compare all files; scores up to what another order of additions makes of them."""
    found = files(folder)
    assert found.keys() == expected.keys()
    for name, content in found.items():
        if name.endswith(".tif"):
            pixels = [tifffile.imread(io.BytesIO(file)) for file in (content, expected[name])]
            np.testing.assert_array_equal(*pixels, err_msg=name)
        elif not name.startswith(".napari-sam"):
            mine, other = (json.loads(file) for file in (content, expected[name]))
            scores = [[obj.pop("score") for obj in file["annotations"]] for file in (mine, other)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-4)
            assert mine == other


def wait_until(condition, process):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


def address_in(file):
    """Return the address in a scheduler's file, none while the file is still being written."""
    try:
        return json.loads(file.read_text())["address"]
    except (FileNotFoundError, json.JSONDecodeError):
        return None


@pytest.mark.usefixtures("reader_leaves_file_open")
def test_a_folder(folder, tmp_path):
    results = tmp_path / "masks"
    arguments = (folder, "-o", results, "--format", "tiff,coco,geojson,sam", *FEW)
    outcome = run(*arguments, "--proposals", "--edges")
    assert outcome.exit_code == 1
    assert "3 done, 0 already complete, 1 failed" in outcome.stdout
    assert f"Error: {folder / 'broken.tif'}: Cannot open" in outcome.stderr
    endings = (".tif", ".json", ".geojson", "_sam.json", "_proposals.csv", "_edges.tif")
    for name in ("rgb", "deep/rgba", "stack"):
        assert all((results / f"{name}{ending}").is_file() for ending in endings)

    labels = tifffile.imread(results / "stack.tif")
    assert labels.shape == (2, 60, 80)
    (coco,) = read_coco(results / "stack.json")
    assert len(coco.objects) >= 4
    assert set(np.unique(labels)) - {0} <= {obj.label_id for obj in coco.objects}
    published = json.loads((results / "rgb_sam.json").read_text())
    (coco,) = read_coco(results / "rgb.json")
    assert published[0]["image"] == {"file_name": "rgb.png", "height": 60, "width": 80}
    assert [obj["area"] for obj in published[0]["annotations"]] == [
        obj.area_px for obj in coco.objects
    ]
    edges = tifffile.imread(results / "stack_edges.tif")
    assert edges.shape == (2, 60, 80)
    assert edges.dtype == np.float32
    assert edges.max() > 0.5
    rows = (results / "stack_proposals.csv").read_text().splitlines()
    assert rows[0] == "z,rank,x0,y0,x1,y1,score"
    assert rows[1].startswith("0,1,")

    before = files(results)
    (folder / "broken.tif").unlink()
    again = run(*arguments, "--json")
    assert again.exit_code == 0
    content = json.loads(again.stdout)
    assert (content["done"], content["skipped"], content["failed"]) == (0, 3, 0)
    assert {image["status"] for image in content["images"]} == {"skipped"}
    assert files(results) == before

    refused = run(folder, "-o", results, "--points-per-side", 2)
    assert refused.exit_code == 2
    assert "another points_per_side (3, not 2)" in refused.stderr
    assert files(results) == before
    single = run(folder / "rgb.png", "-o", results, "--points-per-side", 2, "--overwrite")
    assert single.exit_code == 0, single.output
    assert not (results / "rgb.json").exists()
    assert (results / "stack.json").exists()


def test_masks_of_slices_become_objects_through_a_stack(tmp_path):
    image = tmp_path / "stack.tif"
    tifffile.imwrite(image, moving_discs(6)[3:], imagej=True, metadata={"axes": "ZYX"})
    grids = tmp_path / "grids.json"
    grids.write_text("[[[0.31, 0.35], [0.73, 0.7]]]")
    results = tmp_path / "masks"
    arguments = (image, "-o", results, "--through", "z", "--format", "tiff,coco", "--json")
    grid = ("--point-grids", grids, "--max-share", "0.3", "--stability-score-thresh", "0.9")
    outcome = run(*arguments, *grid)
    assert outcome.exit_code == 0, outcome.output
    content = json.loads(outcome.stdout)
    (done,) = content["images"]
    objects = [obj for obj in done["objects"] if obj["n_slices"] > 2]
    assert [(obj["first_slice"], obj["last_slice"]) for obj in objects] == [(0, 2), (0, 2)]
    labels = tifffile.imread(results / "stack.tif")
    assert labels.shape == (3, 96, 96)
    for obj in objects:
        pixels = labels == obj["object"]
        assert np.flatnonzero(pixels.any(axis=(1, 2))).tolist() == [*range(3)]
        assert np.count_nonzero(pixels) == obj["volume_px"]
        assert obj["origins"][0][0] == "automatic"
        assert 0.3 <= obj["confidence"] <= 1
    (coco,) = read_coco(results / "stack.json")
    assert {obj.label_id for obj in coco.objects} == {obj["object"] for obj in done["objects"]}
    again = json.loads(run(*arguments, *grid).stdout)
    assert again["skipped"] == 1
    assert again["images"][0]["objects"] == done["objects"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--min-slices", 3), "add --through"),
        (("--through", "z", "--max-gap", -1), "max_gap is -1"),
        (("--through", "z", "--splits", "three"), "--splits"),
    ],
)
def test_how_slices_are_linked_is_checked_first(folder, tmp_path, arguments, message):
    result = run(folder, "-o", tmp_path / "masks", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_objects_like_those_learned_from(folder, tmp_path):
    path = tmp_path / "boxes.sam-learned.safetensors"
    lessons = [Lesson(432.0, 0.5, {Policy(0, 2, True): 0.9})] * 12
    write_learned(path, lessons_to_json(lessons, "mobile_sam"), ModelChoice(), "boxes")
    arguments = (folder / "rgb.png", "-o", tmp_path / "masks", "--learned", path)
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    areas = np.bincount(tifffile.imread(tmp_path / "masks" / "rgb.tif").ravel())[1:]
    np.testing.assert_allclose(areas, [432] * 3, rtol=0.1)
    for more, message in (
        (("--points-per-side", 3), "leave out one of the two"),
        (("--edges",), "--edges is about all masks"),
        (("--method", "ais"), "no instance decoder"),
    ):
        refused = run(*arguments, *more)
        assert (refused.exit_code, message in refused.stderr) == (2, True)
    with safe_open(path, "numpy") as file:
        about = file.metadata()
    save_file({}, path, about | {"weights": "0", "model": "vit_h"})
    refused = run(*arguments)
    assert (refused.exit_code, "learned with vit_h" in refused.stderr) == (2, True)


def test_an_axis_that_an_image_does_not_have(folder, tmp_path):
    for name, message in (("rgb.png", "is a single slice"), ("stack.tif", "no slices along c")):
        result = run(folder / name, "-o", tmp_path / "masks", "--through", "c")
        assert result.exit_code == 1
        assert message in result.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("--format", "jpg"),
        ("--points-per-side", 0),
        ("--crop-overlap-ratio", 2),
        ("--max-share", "nan"),
        ("--preset", "dogs"),
        ("--model", "no-such-model"),
        ("--point-grids", "{folder}/broken.tif"),
        ("--scheduler", "tcp://127.0.0.1:9"),
        ("-o", "{folder}"),
        ("{folder}/empty",),
    ],
)
def test_wrong_calls_have_a_code_of_their_own(folder, tmp_path, wrong, monkeypatch):
    monkeypatch.setattr("napari_sam.batch.cluster._TIMEOUT_S", 1)
    (folder / "empty").mkdir()
    images = [] if wrong[0].startswith("{") else [folder]
    arguments = [str(argument).format(folder=folder) for argument in wrong]
    result = run(*images, "-o", tmp_path / "masks", *arguments)
    assert result.exit_code == 2, result.output
    assert "Error: " in result.stderr
    assert "Traceback" not in result.output


def test_published_names_and_defaults():
    options = {option.name for option in automatic.get_params(click.Context(automatic))}
    assert set(vars(AutomaticSettings())) <= options
    assert published_settings("natural-image") == (AutomaticSettings(), 1)
    assert published_settings() == published_settings("natural-image")
    values = {"points_per_side": 5, "crop_n_layers": None}
    settings, _ = published_settings("few-large", **values)
    assert settings.points_per_side == 5
    assert settings.box_nms_thresh == 0.5
    assert published_settings("cells")[1] < 1
    assert published_settings("cells", max_share=0.9)[1] == 0.9
    assert is_without_settings(preset=None, points_per_batch=8, output_mode="coco_rle")
    assert not is_without_settings(preset="natural-image")
    assert not is_without_settings(preset=None, max_share=1.0)


def test_the_help_lists_the_choices_of_the_code():
    text = run("--help").stdout
    presets = "|".join(preset.name.replace(" ", "-") for preset in PRESETS)
    assert f"--preset [{presets}]" in text
    assert f"--output-mode [{'|'.join(OUTPUT_MODES)}]" in " ".join(text.split())
    assert f"--overlap [{'|'.join(job.OVERLAPS)}]" in text
    formats = text.partition("Formats")[2].replace(",", " ").split()
    assert set(outputs.FORMAT_KEYS) <= set(formats)


def test_every_command_has_examples():
    for name in main.commands:
        if name != "open":
            shown = CliRunner().invoke(main, [name, "--help"]).stdout
            assert f"Examples:\n    napari-sam {name}" in shown


def test_own_points_and_names_with_underscores(folder, tmp_path):
    grids = tmp_path / "grids.json"
    grids.write_text("[[[0.25, 0.3], [0.7, 0.3]]]")
    result = run(
        *(folder / "rgb.png", "-o", tmp_path / "masks", "--point_grids", grids),
        *("--output_mode", "binary_mask", "--format", "sam", "--pred_iou_thresh", 0),
    )
    assert result.exit_code == 0, result.output
    (published,) = json.loads((tmp_path / "masks" / "rgb_sam.json").read_text())
    for obj in published["annotations"]:
        assert np.array(obj["segmentation"]).sum() == obj["area"]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    for number in range(4):
        imageio.imwrite(folder / f"image{number}.png", picture(number))
    return folder


@pytest.fixture(scope="module")
def uninterrupted(many, tmp_path_factory):
    """Return the files of a run that nothing happens to."""
    folder = tmp_path_factory.mktemp("expected")
    result = run(many, "-o", folder, "--format", "tiff,coco", *FEW)
    assert result.exit_code == 0, result.output
    return files(folder)


@pytest.mark.skipif(os.name == "nt", reason="there is no such signal")
def test_a_run_that_is_killed_and_one_that_is_stopped(many, uninterrupted, tmp_path):
    results = tmp_path / "masks"
    arguments = (many, "-o", results, "--format", "tiff,coco", *FEW)
    killed = start(*arguments)
    wait_until(lambda: len(list(results.glob("*.tif"))) >= 1, killed)
    killed.kill()
    killed.communicate(timeout=TIMEOUT_S)
    count = len(list(results.glob("*.tif")))
    assert count < len(list(many.iterdir()))

    stopped = start(*arguments)
    wait_until(lambda: len(list(results.glob("*.tif"))) >= count + 1, stopped)
    stopped.send_signal(signal.SIGINT)
    _, errors = stopped.communicate(timeout=TIMEOUT_S)
    assert stopped.returncode == 130, errors
    assert "run the same command again to continue" in errors
    assert "Traceback" not in errors

    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert int(result.stdout.split(" done, ")[1].split()[0]) >= count
    assert_same_results(results, uninterrupted)


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs processes that can be killed")
def test_a_cluster_of_which_one_worker_is_killed(many, uninterrupted, tmp_path):
    pytest.importorskip("distributed")
    results = tmp_path / "masks"
    address_file = tmp_path / "scheduler.json"
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image at all")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    to_scheduler = ("--scheduler-file", str(address_file), "--no-dashboard")
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", *to_scheduler],
        **quiet,
    )
    worker_options = ("--nthreads", "1", "--no-nanny", *to_scheduler)
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", *worker_options], **quiet
        )
        for _ in range(2)
    ]
    processes = [scheduler, *workers]
    try:
        wait_until(lambda: address_in(address_file), scheduler)
        command = start(
            *(many, broken, "-o", results, "--format", "tiff,coco", *FEW),
            *("--scheduler", address_in(address_file), "--json"),
        )
        processes.append(command)
        wait_until(lambda: len(list(results.glob("*.tif"))) >= 1, command)
        workers[0].kill()
        output, errors = command.communicate(timeout=TIMEOUT_S)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert command.returncode == 1, errors
    content = json.loads(output)
    # What the worker had written before it could say so is found complete.
    assert content["done"] + content["skipped"] == 4
    assert content["failed"] == 1
    assert f"Error: {broken}: Cannot open" in errors
    assert_same_results(results, uninterrupted)
