"""`napari-sam automatic --method ais` and `apg`, with a small model of random weights."""

import imageio.v3 as imageio
import numpy as np
import pytest
import skimage.data
import tifffile
from click.testing import CliRunner

from napari_sam.cli.main import main
from napari_sam.engine.instance_settings import PUBLISHED
from napari_sam.engine.methods import Method
from napari_sam.formats import read_coco
from napari_sam.model import Predictor, load_model
from napari_sam.model.automatic.instance_set import InstanceSet
from tests.model.conftest import tiny, tiny_model  # noqa: F401 - fixtures
from tests.model.instance_decoder.published import save_model

PIXELS = skimage.data.coins()[:150, :300]


@pytest.fixture
def model(tiny, tiny_model, tmp_path):  # noqa: F811
    return save_model(tmp_path, tiny_model, np.repeat(PIXELS[..., None], 3, axis=2))


@pytest.fixture
def image(tmp_path):
    """Return the path of an image that is longer than the model's input."""
    imageio.imwrite(tmp_path / "coins.png", PIXELS)
    return tmp_path / "coins.png"


def run(*arguments):
    return CliRunner().invoke(main, ["automatic", *map(str, arguments)])


def test_instances_of_a_file(model, image, tmp_path):
    outcome = run(image, "-o", tmp_path / "a", "--model", model, "--method", "ais")
    assert outcome.exit_code == 0, outcome.output
    labels = tifffile.imread(tmp_path / "a" / "coins.tif")
    predictor = Predictor(load_model(checkpoint=model), device="cpu")
    pixels = np.repeat(PIXELS[..., None], 3, axis=2)
    maps = predictor.instance_decoder.decode(predictor.encode(pixels))
    records = InstanceSet(Method.AIS, maps).select()
    assert len(records) > 2
    assert sorted(np.bincount(labels.ravel())[1:]) == sorted(record.area for record in records)

    more = ("--format", "coco", "--min-size", 0, "--nms-threshold", 0.5)
    outcome = run(image, "-o", tmp_path / "b", "--model", model, "--method", "apg", *more)
    assert outcome.exit_code == 0, outcome.output
    (annotations,) = read_coco(tmp_path / "b" / "coins.json")
    assert annotations.objects
    total = np.zeros(pixels.shape[:2], int)
    for obj in annotations.objects:
        height, width = obj.mask.shape
        total[obj.top : obj.top + height, obj.left : obj.left + width] += obj.mask
    assert total.max() == 1

    again = run(image, "-o", tmp_path / "b", "--model", model, "--method", "ais", *more[:2])
    assert again.exit_code == 2
    assert "method" in again.stderr


def test_tiles_show_more_detail(model, image, tmp_path):
    arguments = (image, "--model", model, "--method", "ais", "--format", "npy", "--json")
    labels = {}
    for name, more in {"whole": (), "tiles": ("--tiles", 150)}.items():
        outcome = run(*arguments, "-o", tmp_path / name, *more)
        assert outcome.exit_code == 0, outcome.output
        labels[name] = np.load(tmp_path / name / "coins.npy")
    assert labels["tiles"].shape == labels["whole"].shape == (150, 300)
    assert (labels["tiles"] != labels["whole"]).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "ais"), "has no instance decoder: choose one of micro-sam's"),
        (("--method", "ais", "--points-per-side", "8"), "--points-per-side is about a grid"),
        (("--method", "apg", "--edges"), "--edges is about a grid"),
        (("--min-size", "8"), "--min-size is about instance decoders"),
        (("--tiles", "512", "--method", "grid"), "--tiles is about instance decoders"),
        (("--method", "ais", "--foreground-threshold", "-1"), "foreground_threshold is -1.0"),
    ],
)
def test_options_that_do_not_fit_are_refused(image, tmp_path, options, message):
    outcome = run(image, "-o", tmp_path / "masks", *options)
    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert PUBLISHED[Method.APG].min_size == 25
