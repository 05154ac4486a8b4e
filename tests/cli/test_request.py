"""`napari-sam request`: from a file or standard input to an answer, and codes to trust."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from napari_sam.cli.main import main

pytestmark = pytest.mark.slow

COLUMNS = ["image", "input_boxes", "multimask_output"]


@pytest.fixture
def image_file(tmp_path):
    image = np.full((60, 80, 3), 40, np.uint8)
    image[20:40, 30:60] = 220
    path = tmp_path / "square.png"
    Image.fromarray(image).save(path)
    return path


def run(*arguments, **options):
    return CliRunner().invoke(main, ["request", *map(str, arguments)], **options)


def text(*rows):
    return json.dumps({"input_data": {"columns": COLUMNS, "data": rows}, "params": {}})


def test_answers_and_codes(image_file, tmp_path):
    good = [str(image_file), "[[30, 20, 59, 39]]", False]
    result = run("-", input=text(good))
    assert result.exit_code == 0, result.output
    (answer,) = json.loads(result.stdout)
    assert len(answer["predictions"][0]["mask_per_prediction"]) == 1

    (tmp_path / "request.json").write_text(text(good, ["none.png", "[[1, 2, 3, 4]]", False]))
    result = run(tmp_path / "request.json", "-o", tmp_path / "answer.json")
    assert result.exit_code == 1
    assert "Error: row 1: The image 'none.png' is neither a file" in result.stderr
    first, second = json.loads((tmp_path / "answer.json").read_text())
    assert first == answer
    assert second["error"]["row"] == 1

    assert run("-", "-o", image_file / "below.json", input=text(good)).exit_code == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "is not JSON"), ("[" * 100_000, "is not JSON"), ("[]", "must be an object")],
)
def test_what_is_no_request_has_a_code_of_its_own(content, words):
    result = run("-", input=content)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_model_is_a_wrong_call():
    assert run("-", "--model", "no-such-model", input=text()).exit_code == 2
