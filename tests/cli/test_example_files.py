"""Masks like examples, and with their classes: a few labeled objects of one image tell."""

import csv
import json
from importlib.util import find_spec

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from napari_sam.batch import example_files
from napari_sam.cli.main import main
from napari_sam.engine.masks import MaskCrop
from napari_sam.formats import Annotations, ImageInfo, objects_from_labels, read_coco, write_coco
from napari_sam.session import Embedder, ImagePlane, examples_of, find_like
from napari_sam.session.automatic.settings import AutomaticRunSettings
from tests.two_kinds import KINDS, two_kinds

pytestmark = pytest.mark.slow

FEW = ("--points-per-side", "10")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with two images of cells, and labels of five grainy ones in the first."""
    folder = tmp_path_factory.mktemp("cells")
    for number in (1, 2):
        image, labels, kinds = two_kinds(8, shape=(200, 200), seed=number)
        imageio.imwrite(folder / f"{number}.png", image)
        np.save(folder / f"{number}.npy", labels)
        (folder / f"{number}.json").write_text(json.dumps(kinds))
    labels, kinds = truth(folder, 1)
    grainy = [label_id for label_id, kind in kinds.items() if kind == KINDS[1]]
    examples = np.where(np.isin(labels, grainy[:5]), labels, 0).astype(np.uint16)
    tifffile.imwrite(folder / "examples.tif", examples)
    write_coco(folder / "classed.json", classed(labels, kinds))
    few = dict.fromkeys(grainy[:2], KINDS[1]) | dict.fromkeys(grainy[2:5], "large")
    write_coco(folder / "few.json", classed(labels, few))
    return folder


def classed(labels, kinds):
    return Annotations(ImageInfo(labels.shape, "1.png"), objects_from_labels(labels, kinds))


def truth(folder, number):
    kinds = json.loads((folder / f"{number}.json").read_text())
    return np.load(folder / f"{number}.npy"), {int(n): kind for n, kind in kinds.items()}


def run(*arguments, command="automatic"):
    return CliRunner().invoke(main, [command, *map(str, arguments)])


def kinds_found(masks, labels, kinds):
    """Return the kind of the object that most of each mask lies on; None beside the objects."""
    return [kinds.get(int(np.bincount(labels[mask]).argmax())) for mask in masks]


def test_masks_like_examples_in_another_image(folder, tmp_path):
    like = "--like", folder / "1.png", folder / "examples.tif", *FEW
    outcome = run(folder / "2.png", "-o", tmp_path / "out", *like, "--format", "tiff,csv,geojson")
    assert outcome.exit_code == 0, outcome.output
    found = tifffile.imread(tmp_path / "out" / "2.tif")
    kinds = kinds_found([found == n for n in np.unique(found[found > 0])], *truth(folder, 2))
    assert kinds.count(KINDS[1]) >= 6
    assert len(kinds) - kinds.count(KINDS[1]) <= 1
    assert len(example_files._MEASURED) == 0  # the model is gone with the command

    like = *like, "--format", "tiff,csv,geojson"
    (collection,) = [json.loads((tmp_path / "out" / "2.geojson").read_text())]
    told = [one["properties"]["measurements"]["likeness"] for one in collection["features"]]
    assert told == sorted(told, reverse=True)
    assert min(told) >= 0.4
    with (tmp_path / "out" / "2.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["likeness"]) for row in rows] == pytest.approx(told)
    assert "class_confidence" not in rows[0]

    again = run(folder / "2.png", "-o", tmp_path / "out", *like)
    assert "0 done, 1 already complete" in again.output
    stricter = run(folder / "2.png", "-o", tmp_path / "out", *like, "--least-likeness", "0.9")
    assert stricter.exit_code == 2
    assert "least_likeness (0.4, not 0.9)" in stricter.output


def test_masks_get_the_classes_of_examples(folder, tmp_path):
    pytest.importorskip("sklearn")
    options = "--classes-from", folder / "1.png", folder / "classed.json", *FEW
    outcome = run(folder / "2.png", "-o", tmp_path / "out", "--format", "coco", *options)
    assert outcome.exit_code == 0, outcome.output
    (annotations,) = read_coco(tmp_path / "out" / "2.json")
    labels, kinds = truth(folder, 2)
    masks = [
        MaskCrop(one.mask, one.top, one.left).within(0, 0, labels.shape)
        for one in annotations.objects
    ]
    pairs = zip(kinds_found(masks, labels, kinds), annotations.objects, strict=True)
    right = [kind == one.class_name for kind, one in pairs if kind is not None]
    assert len(right) >= 12
    assert sum(right) >= len(right) - 1
    assert all(0.5 <= one.class_confidence <= 1 for one in annotations.objects)


def test_labels_that_are_there_get_classes(folder, tmp_path):
    pytest.importorskip("sklearn")
    labels, kinds = truth(folder, 2)
    tifffile.imwrite(tmp_path / "2_labels.tif", labels.astype(np.uint16))
    options = "--classes-from", folder / "1.png", folder / "classed.json", "--json"
    files = folder / "2.png", tmp_path / "2_labels.tif", "-o", tmp_path / "out"
    outcome = run(*files, *options, command="classify")
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["images"][0]["predicted"] == len(kinds)
    (annotations,) = read_coco(tmp_path / "out" / "2.json")
    right = [one.class_name == kinds[one.label_id] for one in annotations.objects]
    assert len(right) == len(kinds)
    assert sum(right) >= len(right) - 1

    # Without other images, the objects that have a class are the examples, and keep it.
    known = dict(sorted(kinds.items(), key=lambda one: one[0] % 2)[: len(kinds) // 2])
    write_coco(
        tmp_path / "2.json",
        Annotations(ImageInfo(labels.shape, "2.png"), objects_from_labels(labels, known)),
    )
    files = folder / "2.png", tmp_path / "2.json", "-o", tmp_path / "own"
    outcome = run(*files, "--format", "geojson", command="classify")
    assert outcome.exit_code == 0, outcome.output
    assert f"{len(kinds) - len(known)} of {len(kinds)} objects got a class" in outcome.stdout
    collection = json.loads((tmp_path / "own" / "2.geojson").read_text())
    properties = {
        one["properties"]["measurements"]["label_id"]: one["properties"]
        for one in collection["features"]
    }
    names = {n: one["classification"]["name"] for n, one in properties.items()}
    assert {n: names[n] for n in known} == known
    assert all("class_confidence" not in properties[n]["measurements"] for n in known)
    assert sum(names[n] == kind for n, kind in kinds.items()) >= len(kinds) - 2


def test_a_script_finds_what_is_left_in_the_image_of_the_examples(folder, remembering_predictor):
    embedder = Embedder(load_predictor=lambda *_: remembering_predictor)
    plane = ImagePlane(imageio.imread(folder / "1.png"))
    labels = tifffile.imread(folder / "examples.tif")
    examples = examples_of(embedder, plane, labels)
    assert len(examples) == 5
    settings = AutomaticRunSettings().with_values(points_per_side=10)
    found = find_like(embedder, plane, examples, 0.3, labels, settings)
    masks = [one.crop.within(0, 0, plane.shape) for one in found]
    assert kinds_found(masks, *truth(folder, 1))[:2] == [KINDS[1]] * 2
    assert not any((mask & (labels > 0)).sum() > mask.sum() / 2 for mask in masks)
    values = [one.likeness for one in found]
    assert values == sorted(values, reverse=True)
    assert values[-1] >= 0.3


def test_what_is_wrong_with_examples_is_said_before_anything_is_computed(folder, tmp_path):
    def refused(*options):
        outcome = run(folder / "2.png", "-o", tmp_path / "out", *options)
        assert outcome.exit_code == 2
        return outcome.output

    assert "give --like, too" in refused("--least-likeness", "0.5")
    tifffile.imwrite(tmp_path / "none.tif", np.zeros((200, 200), np.uint8))
    assert "There are no objects in the labels" in refused(
        "--like", folder / "1.png", tmp_path / "none.tif"
    )
    if find_spec("sklearn") is not None:
        refusal = refused("--classes-from", folder / "1.png", folder / "few.json")
        assert "Too few examples: 'grainy' has 2 objects of 3" in refusal
    tifffile.imwrite(tmp_path / "other.tif", np.ones((9, 9), np.uint8))
    assert "cannot be used" in refused("--like", folder / "1.png", tmp_path / "other.tif")
