"""`napari-sam predict`: real weights on an image with squares of known place."""

import json

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from napari_sam.cli.main import main
from napari_sam.formats import read_coco

pytestmark = pytest.mark.slow

LEFT, RIGHT = (10, 20, 39, 59), (60, 20, 99, 59)  # boxes, the last pixel included


@pytest.fixture(scope="module")
def image_file(tmp_path_factory):
    image = np.full((80, 120, 3), 40, np.uint8)
    for (x0, y0, x1, y1), color in ((LEFT, (220, 60, 50)), (RIGHT, (60, 90, 230))):
        image[y0 : y1 + 1, x0 : x1 + 1] = color
    path = tmp_path_factory.mktemp("predict") / "squares.png"
    imageio.imwrite(path, np.dstack([image, np.full((80, 120), 90, np.uint8)]))
    (path.parent / "link_2.png").symlink_to(path)
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["predict", *map(str, arguments)])


def mask_of(box):
    x0, y0, x1, y1 = box
    mask = np.zeros((80, 120), bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def iou(one, other):
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


def text(box):
    return ",".join(map(str, box))


def test_a_box_each_and_what_is_printed(image_file, tmp_path):
    out = tmp_path / "out.json"
    result = run(image_file, "--box", text(LEFT), "--box", text(RIGHT), "-o", out, "--json")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["size"] == [80, 120]
    assert content["files"] == [str(out)]
    (coco,) = read_coco(out)
    assert coco.image.name == "squares.png"
    for box, obj, printed in zip((LEFT, RIGHT), coco.objects, content["objects"], strict=True):
        mask = np.zeros((80, 120), bool)
        mask[obj.region] = obj.mask
        assert iou(mask, mask_of(box)) > 0.9
        assert printed["area"] == obj.area_px
        assert obj.score == pytest.approx(printed["iou_score"])
        np.testing.assert_allclose(printed["box_xyxy"], box, atol=2)


def test_points_a_mask_and_all_candidates(image_file, tmp_path):
    center = "25,40"
    result = run(image_file, "--point", center, "--background", "80,40", "-o", tmp_path / "a.tif")
    assert result.exit_code == 0, result.output
    first = tifffile.imread(tmp_path / "a.tif")
    assert iou(first == 1, mask_of(LEFT)) > 0.9
    assert "object 1, mask 1: score" in result.stdout

    result = run(image_file, "--mask", tmp_path / "a.tif", "-o", tmp_path / "b.npy")
    assert result.exit_code == 0, result.output
    assert iou(np.load(tmp_path / "b.npy") == 1, mask_of(LEFT)) > 0.9

    out = tmp_path / "c.v1.png"
    result = run(image_file, "--point", center, "--multimask", "all", "-o", out, "--json")
    content = json.loads(result.stdout)
    assert [mask["candidate"] for mask in content["objects"]] == [1, 2, 3]
    assert content["files"] == [str(tmp_path / f"c.v1_{number}.png") for number in (1, 2, 3)]
    labels = imageio.imread(tmp_path / "c.v1_1.png")
    assert np.count_nonzero(labels) == content["objects"][0]["area"]


def test_a_clean_mask_is_nearly_the_published_one(image_file):
    areas = []
    for option in ("--clean", "--no-clean"):
        result = run(image_file, "--point", "25,40", option, "--json")
        assert result.exit_code == 0, result.output
        areas.append(json.loads(result.stdout)["objects"][0]["area"])
    assert areas[0] == pytest.approx(areas[1], rel=0.05)


def test_one_slice_of_a_stack(tmp_path):
    stack = np.full((3, 80, 120), 400, np.uint16)
    stack[2][mask_of(RIGHT)] = 60_000
    stack[0][mask_of(LEFT)] = 60_000
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    result = run(tmp_path / "stack.tif", "--slice", 2, "--box", text(RIGHT), "--json")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(json.loads(result.stdout)["objects"][0]["box_xyxy"], RIGHT, atol=2)
    result = run(tmp_path / "stack.tif", "--box", text(RIGHT))
    assert result.exit_code == 2
    assert "has 3 slices: choose one with --slice, from 0 to 2" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "There is no prompt"),
        (("--point", "3"), "is not of the form X,Y"),
        (("--point", "nan,3"), "is not of the form X,Y"),
        (("--box", "1,2,3"), "is not of the form X0,Y0,X1,Y1"),
        (("--point", "500,3"), "lies outside the image, which is 120 wide and 80 high"),
        (("--box", "1,1,5,5", "--box", "1,1,5,5", "--point", "3,3"), "an object of its own"),
        (("--point", "3,3", "-o", "masks.bmp"), "choose one of .tif"),
        (("--point", "3,3", "-o", "{image}"), "would replace the image"),
        (("--point", "3,3", "--multimask", "all", "-o", "{folder}/link.png"), "would replace"),
        (("--point", "3,3", "--slice", "1"), "one plane and no slices"),
        (("--point", "3,3", "--layer", "other"), "with --layer: squares"),
        (("--mask", "{folder}/small.npy"), "is of shape (5, 5)"),
        (("--mask", "{folder}/none.npy"), "does not exist"),
    ],
)
def test_wrong_calls_have_a_code_of_their_own(image_file, arguments, words):
    np.save(image_file.parent / "small.npy", np.ones((5, 5), np.uint8))
    filled = [text.format(image=image_file, folder=image_file.parent) for text in arguments]
    result = run(image_file, *filled)
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.stderr.split())


@pytest.mark.parametrize(("value", "why"), [(np.nan, "NaN or infinite"), (7, "same value (7)")])
def test_an_image_without_anything_to_be_seen_is_refused(tmp_path, value, why):
    path = tmp_path / "nothing.tif"
    tifffile.imwrite(path, np.full((80, 120), value, np.float32))
    result = run(path, "--point", "25,40", "-o", tmp_path / "out.png")
    assert result.exit_code == 1
    assert "SAM sees nothing here" in result.stderr
    assert why in result.stderr
    assert not (tmp_path / "out.png").exists()


def test_what_cannot_be_read_or_written(image_file, tmp_path):
    missing = run(tmp_path / "none.png", "--point", "3,3")
    assert missing.exit_code == 1
    assert "there is no such file" in missing.stderr
    unwritable = run(image_file, "--point", "25,40", "-o", image_file / "below.png")
    assert unwritable.exit_code == 1
    assert "cannot be written" in unwritable.stderr


def test_extreme_values_are_told_and_cured_by_robust_percentiles(image_file, tmp_path):
    pixels = imageio.imread(image_file)[..., 0].astype(np.float32)
    pixels += np.random.default_rng(0).random(pixels.shape, np.float32)
    pixels[2, 110] = 1e30
    tifffile.imwrite(tmp_path / "hot.tif", pixels)
    arguments = (tmp_path / "hot.tif", "--point", "25,40", "--json")
    plain, robust = run(*arguments), run(*arguments, "--values", "robust")
    assert "Warning: Nearly all pixels of 'hot' look the same to SAM" in plain.stderr
    assert "Warning" not in robust.stderr
    areas = [json.loads(result.stdout)["objects"][0]["area"] for result in (plain, robust)]
    assert abs(areas[0] - 1200) > 900
    assert abs(areas[1] - 1200) < 100
