"""`napari-sam propagate`: real weights on discs that move through a stack."""

import json

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from napari_sam.cli.main import main
from napari_sam.formats import read_coco
from tests.session.propagation.volume import moving_discs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    path = tmp_path_factory.mktemp("propagate") / "discs.tif"
    tifffile.imwrite(path, moving_discs(6, 80)[:, :72, :72], metadata={"axes": "ZYX"})
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["propagate", *map(str, arguments)])


def slices_of(labels, label_id):
    return np.flatnonzero((labels == label_id).any(axis=(1, 2))).tolist()


def test_points_become_objects_of_many_slices_and_go_on_from_labels(stack, tmp_path):
    out = tmp_path / "out.tif"
    result = run(stack, "--slice", 4, "--point", "30,34", "--first", 2, "-o", out, "--json")
    assert result.exit_code == 0, result.output
    (obj,) = json.loads(result.stdout)["objects"]
    labels = tifffile.imread(out)
    assert slices_of(labels, 1) == [2, 3, 4, 5]
    assert (obj["first_slice"], obj["last_slice"], obj["n_slices"]) == (2, 5, 4)
    assert obj["volume_px"] == np.count_nonzero(labels)
    assert ["annotated", [4]] in obj["origins"]
    some = tmp_path / "some.tif"
    labels[[3, 4]] = 0
    tifffile.imwrite(some, labels)
    result = run(stack, "--from-labels", some, "--first", 2, "-o", tmp_path / "all.json")
    assert result.exit_code == 0, result.output
    (coco,) = read_coco(tmp_path / "all.json")
    assert sorted(part.slice_index for part in coco.objects) == [(2,), (3,), (4,), (5,)]
    assert {part.label_id for part in coco.objects} == {1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--point", "30,34"), "Say with --slice"),
        (("--slice", 2), "Give either --from-labels"),
        (("--slice", 9, "--point", "30,34"), "The slices are 0 to 5, not 9"),
        (("--slice", "0,2", "--point", "30,34"), "has 6 slices"),
        (("--slice", "x", "--point", "30,34"), "--slice is a number"),
        (("--slice", 2, "--point", "30,340"), "lies outside the image"),
        (("--slice", 2, "--point", "30,34", "--first", 3), "between --first and --last"),
    ],
)
def test_what_cannot_be_meant_is_told(stack, tmp_path, arguments, message):
    result = run(stack, *arguments, "-o", tmp_path / "out.tif")
    assert result.exit_code == 2
    assert message in result.output


def test_a_plane_has_no_slices_to_go_to(tmp_path):
    path = tmp_path / "plane.tif"
    tifffile.imwrite(path, np.zeros((30, 40), np.uint8))
    result = run(path, "--slice", 0, "--point", "5,5", "-o", tmp_path / "out.tif")
    assert result.exit_code == 2
    assert "has no slices" in result.output
