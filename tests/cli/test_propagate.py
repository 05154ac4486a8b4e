"""`napari-sam propagate`: real weights on discs that move through a stack."""

import json

import numpy as np
import pytest
import tifffile
import torch
from click.testing import CliRunner

from napari_sam.cli.main import main
from napari_sam.formats import read_coco
from tests.model.sam2_models import tiny_2, tiny_sam2  # noqa: F401 - fixtures
from tests.session.propagation.volume import moving_discs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    path = tmp_path_factory.mktemp("propagate") / "discs.tif"
    tifffile.imwrite(path, moving_discs(6), metadata={"axes": "ZYX"})
    return path


@pytest.fixture(scope="module")
def shared_embeddings(tmp_path_factory):
    return tmp_path_factory.mktemp("shared_embeddings")


@pytest.fixture(autouse=True)
def each_slice_is_embedded_once(shared_embeddings, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM_EMBEDDINGS", str(shared_embeddings))


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
    assert obj["volume_px"] == obj["volume"] == np.count_nonzero(labels)
    assert obj["volume_unit"] == "pixel^3"
    assert obj["origins"] == [["propagated", 2, 3], ["annotated", 4, 4], ["propagated", 5, 5]]
    some = tmp_path / "some.tif"
    labels[[3, 4]] = 0
    tifffile.imwrite(some, labels)
    result = run(stack, "--from-labels", some, "--first", 2, "-o", tmp_path / "all.json")
    assert result.exit_code == 0, result.output
    (coco,) = read_coco(tmp_path / "all.json")
    assert sorted(part.slice_index for part in coco.objects) == [(2,), (3,), (4,), (5,)]
    assert {part.label_id for part in coco.objects} == {1}
    origins = {part.slice_index[0]: part.origin for part in coco.objects}
    assert origins == dict(
        zip((2, 3, 4, 5), ("annotated", *["interpolated"] * 2, "annotated"), strict=True)
    )
    assert len({part.score for part in coco.objects}) == 1


def test_prompts_of_a_file_are_carried_through_time(stack, shared_embeddings, tmp_path):
    slices, film = tifffile.imread(stack), tmp_path / "film.tif"
    frames = np.zeros((3, 2, *slices.shape[1:]), np.uint8)
    frames[:, 1] = slices[3:6]
    tifffile.imwrite(film, frames, imagej=True, metadata={"axes": "TZYX"})
    prompts, out = tmp_path / "boxes.csv", tmp_path / "out.tif"
    prompts.write_text("t,z,x0,y0,x1,y1\n1,1,16,20,45,49\n0,0,1,1,9,9\n")
    n_embedded = len(list(shared_embeddings.rglob("*.*")))
    options = "--axis", "t", "--slice", "1,1", "--depth", "none", "--csv", "-o", out
    result = run(film, "--prompts", prompts, *options)
    assert result.exit_code == 0, result.output
    assert "object 1: slices 0 to 2" in result.stdout
    labels = tifffile.imread(out)
    assert labels.shape == frames.shape
    assert not labels[:, 0].any()
    assert labels[:, 1].any(axis=(1, 2)).all()
    head, *rows = (tmp_path / "out_slices.csv").read_text().splitlines()
    assert head == "object,slice,origin,confidence,area_px"
    assert [row.split(",")[:3] for row in rows] == [
        ["1", "0", "propagated"],
        ["1", "1", "annotated"],
        ["1", "2", "propagated"],
    ]
    if n_embedded:  # by the test before
        assert len(list(shared_embeddings.rglob("*.*"))) == n_embedded


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--point", "30,34"), "Say with --slice"),
        (("--slice", 2), "Give either --from-labels"),
        (("--slice", 9, "--point", "30,34"), "The slices are 0 to 5, not 9"),
        (("--slice", "0,2", "--point", "30,34"), "has 6 slices"),
        (("--slice", "x", "--point", "30,34"), "--slice is a number"),
        (("--slice", 2, "--point", "30,340"), "lies outside the image"),
        (("--slice", 2, "--point", "30,34", "--depth", 0), "neither a number of slices nor none"),
        (("--slice", 2, "--point", "30,34", "--axis", "c"), "no slices along c"),
        (("--slice", 2, "--point", "30,34", "--first", 3), "between --first and --last"),
    ],
)
def test_what_cannot_be_meant_is_told(stack, tmp_path, arguments, message):
    result = run(stack, *arguments, "-o", tmp_path / "out.tif")
    assert result.exit_code == 2
    assert message in result.output


def test_labels_of_one_slice_need_to_know_which_one(stack, tmp_path):
    labels = tmp_path / "labels.tif"
    tifffile.imwrite(labels, np.eye(96, dtype=np.uint8))
    result = run(stack, "--from-labels", labels, "-o", tmp_path / "out.tif")
    assert result.exit_code == 1
    assert "say with --slice which one" in result.output


def test_a_plane_has_no_slices_to_go_to(tmp_path):
    path = tmp_path / "plane.tif"
    tifffile.imwrite(path, np.zeros((30, 40), np.uint8))
    result = run(path, "--slice", 0, "--point", "5,5", "-o", tmp_path / "out.tif")
    assert result.exit_code == 2
    assert "has no slices" in result.output


def test_memory_needs_a_model_that_remembers(stack, tmp_path, tiny_2, monkeypatch):  # noqa: F811
    options = "--slice", 4, "--box", "10,10,50,50", "--memory", "-o", tmp_path / "out.tif"
    result = run(stack, *options)
    assert result.exit_code == 1
    assert "choose SAM 2.1 with --model" in result.output
    torch.save({"model": tiny_2}, tmp_path / "model.pt")
    monkeypatch.setattr("napari_sam.session.propagation.remembering._ENDED", 0)
    result = run(stack, *options, "--model", tmp_path / "model.pt", "--depth", 1, "--json")
    (obj,) = json.loads(result.stdout)["objects"]
    assert (obj["first_slice"], obj["last_slice"]) == (3, 5)
