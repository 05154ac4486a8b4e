"""`napari-sam predict --text`: the masks are those of the boxes that a detector finds."""

import json

import imageio.v3 as imageio
import numpy as np
import pytest
from click.testing import CliRunner
from skimage import data

from napari_sam.cli.main import main
from napari_sam.engine.detection import Detection
from napari_sam.formats import read_coco
from tests.detectors.tiny_detectors import save_detector

pytestmark = pytest.mark.slow

COINS = {"coin": (128, 24, 182, 78), "ring": (188, 24, 242, 78)}


class ScriptedDetector:
    """Knows where two coins are."""

    name, revision, side, default_threshold = "scripted", None, 1024, 0.3

    def detect(self, image, words, check=lambda: None):
        scores = {"coin": 0.5, "ring": 0.4}
        return [Detection(word, scores[word], COINS[word]) for word in words if word in scores]


@pytest.fixture
def scripted(monkeypatch):
    loaded = []

    def load(*place, device):
        loaded.append(place)
        return ScriptedDetector()

    monkeypatch.setattr("napari_sam.detectors.load_detector", load)
    return loaded


@pytest.fixture(scope="module")
def coins_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("words") / "coins.png"
    imageio.imwrite(path, data.coins())
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["predict", *map(str, arguments)])


def objects_in(path):
    (coco,) = read_coco(path)
    return coco.objects


def as_text(box):
    return ",".join(map(str, box))


def test_masks_are_those_of_boxes_drawn_by_hand(scripted, coins_file, tmp_path):
    boxes = [part for box in COINS.values() for part in ("--box", as_text(box))]
    assert run(coins_file, *boxes, "-o", tmp_path / "boxes.json").exit_code == 0
    words = "--text", "coin, ring", "--text", "penny"
    result = run(coins_file, *words, "-o", tmp_path / "words.json", "--json")
    assert result.exit_code == 0, result.output
    assert scripted == [
        ("IDEA-Research/grounding-dino-tiny", "a2bb814dd30d776dcf7e30523b00659f4f141c71")
    ]
    found, drawn = objects_in(tmp_path / "words.json"), objects_in(tmp_path / "boxes.json")
    assert [obj.class_name for obj in found] == ["coin", "ring"]
    for one, other in zip(found, drawn, strict=True):
        assert (one.top, one.left) == (other.top, other.left)
        np.testing.assert_array_equal(one.mask, other.mask)
    printed = json.loads(result.stdout)["objects"]
    assert [entry["class_name"] for entry in printed] == ["coin", "ring"]
    assert [entry["text_score"] for entry in printed] == [0.5, 0.4]
    assert [tuple(entry["text_box_xyxy"]) for entry in printed] == [*COINS.values()]


def test_threshold_and_clicks_choose(scripted, coins_file, tmp_path):
    out = tmp_path / "out.json"
    both = (coins_file, "--text", "coin", "--text", "ring", "--detector", "a/b@v1", "-o", out)
    for options, classes in (
        (("--text-threshold", 0.45), ["coin"]),
        (("--point", "215,51"), ["ring"]),
        (("--point", "215,51", "--point", "155,51", "--background", "131,27"), ["coin", "ring"]),
    ):
        result = run(*both, *options)
        assert result.exit_code == 0, result.output
        assert [obj.class_name for obj in objects_in(out)] == classes
        assert f", {classes[0]}: score" in result.stdout
    assert scripted == [("a/b", "v1")] * 3
    for options, code, why in (
        (("--point", "10,10"), 1, "No box of these words holds 10,10"),
        (("--text-threshold", 0.9), 1, "Nothing was found for coin, ring with a score of 0.9"),
        (("--box", "1,1,9,9"), 2, "choose and correct, not --box"),
        (("--multimask", "all"), 2, "choose and correct, not --multimask"),
    ):
        result = run(*both, *options)
        assert result.exit_code == code
        assert why in result.stderr
    assert "--text has no word" in run(coins_file, "--text", " , ").stderr


def test_the_whole_way_with_a_detector_from_a_folder(tmp_path):
    from PIL import Image
    from transformers import pipeline

    folder = save_detector("owlv2", tmp_path / "detector")
    image = np.ascontiguousarray(data.astronaut()[100:136, 150:186])  # as large as it sees
    imageio.imwrite(tmp_path / "face.png", image)
    options = "--text", "face", "--text-threshold", "0.5", "--detector", str(folder), "--json"
    result = run(tmp_path / "face.png", *options)
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)["objects"]
    find = pipeline("zero-shot-object-detection", model=str(folder))
    published = find(Image.fromarray(image), candidate_labels=["face"], threshold=0.5)
    names = ("xmin", "ymin", "xmax", "ymax")
    of_pipeline = [(one["score"], *(one["box"][name] for name in names)) for one in published]
    assert printed
    assert len(printed) <= len(of_pipeline)  # of those of one object, the surest stays
    for entry in printed:
        # The pipeline cuts fractions off, and has boxes that reach beyond the image.
        score, *edges = min(of_pipeline, key=lambda one: abs(one[0] - entry["text_score"]))
        assert score == pytest.approx(entry["text_score"], abs=1e-5)
        clipped = np.clip(edges, 0, 36)
        assert (np.abs(np.add(entry["text_box_xyxy"], 0.5) - clipped) <= 1.02).all()
    assert max(entry["text_score"] for entry in printed) == pytest.approx(published[0]["score"])
    rows = [[str(tmp_path / "face.png"), "face"]]
    content = {"input_data": {"columns": ["image", "input_text"], "data": rows}}
    (tmp_path / "request.json").write_text(json.dumps(content))
    answer = CliRunner().invoke(main, ["request", str(tmp_path / "request.json"), *options[2:-1]])
    (answered,) = json.loads(answer.stdout)
    keys = "class_name", "text_score", "text_box_xyxy"
    assert [[one[key] for key in keys] for one in answered["predictions"]] == [
        [entry[key] for key in keys] for entry in printed
    ]


def test_a_request_has_a_column_for_words(scripted, coins_file):
    def answered(*rows, columns=("image", "input_text", "input_points")):
        content = {"input_data": {"columns": [*columns], "data": [*rows]}}
        result = CliRunner().invoke(main, ["request", "-"], input=json.dumps(content))
        return json.loads(result.stdout)

    image = str(coins_file)
    boxes = json.dumps([*COINS.values()])
    found, chosen, none, missed, wrong = answered(
        (image, "coin, ring", ""),
        (image, "coin, ring", "[[215, 51]]"),
        (image, "penny", ""),
        (image, "coin", "[[5, 5]]"),
        (image, 7, ""),
    )
    (drawn,) = answered((image, boxes), columns=("image", "input_boxes"))
    entries = [{**one} for one in found["predictions"]]
    masks = [one.pop("mask_per_prediction") for one in entries]
    assert masks == [one["mask_per_prediction"] for one in drawn["predictions"]]
    assert entries == [
        {"class_name": word, "text_score": score, "text_box_xyxy": [*box]}
        for (word, box), score in zip(COINS.items(), (0.5, 0.4), strict=True)
    ]
    assert [one["class_name"] for one in chosen["predictions"]] == ["ring"]
    assert none == {"predictions": []}
    assert "No box of these words holds 5,5" in missed["error"]["message"]
    assert "input_text must be words" in wrong["error"]["message"]
    assert len(scripted) == 1
