"""Requests in the form of hosted endpoints: what is answered, and what is refused row by row."""

import base64
import io
import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from napari_sam.model import Predictor, SamConfig, load_model
from napari_sam.model.build import build_model
from napari_sam.model.sam.vit import ViTConfig
from napari_sam.request import COLUMNS, RequestError, Rules, answer_request
from tests.remembering import RememberingPredictor
from tests.systems import needs_devices

pytestmark = pytest.mark.slow

COINS = data.coins()
BOX = "[[60, 35, 100, 75]]"


@pytest.fixture(scope="module")
def predictor():
    return RememberingPredictor(load_model(), device="cpu")


@pytest.fixture(scope="module")
def small_predictor():
    """All the machinery of a SAM in a hundredth of a second."""
    encoder = ViTConfig(dim=48, depth=2, heads=4, global_blocks=(1,), window=5, out_channels=32)
    config = SamConfig(encoder, image_size=224, embed_dim=32, decoder_heads=4)
    return Predictor(build_model(config).eval().requires_grad_(False), device="cpu")


def as_base64(image, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, **{"format": "PNG", **options})
    return base64.b64encode(file.getvalue()).decode()


def request(*rows, columns=COLUMNS, **others):
    return {"input_data": {"columns": list(columns), "data": [*rows]}, "params": {}, **others}


def masks_of(answer):
    return [
        [
            np.array(Image.open(io.BytesIO(base64.b64decode(mask["encoded_binary_mask"]))))
            for mask in prediction["mask_per_prediction"]
        ]
        for prediction in answer["predictions"]
    ]


SMALL = as_base64(COINS[:40, :60])


def test_a_box_gives_one_mask_as_the_predictor_does(predictor):
    asked = request([as_base64(COINS), "", "[[60, 35, 100, 75], [5, 5, 60, 60]]", "", False])
    asked["input_data"]["index"] = [0]
    (answer,) = json.loads(json.dumps(answer_request(asked, predictor)))
    assert [len(masks) for masks in masks_of(answer)] == [1, 1]
    embedding = predictor.encode(np.repeat(COINS[..., None], 3, axis=2))
    expected = predictor.decode(embedding, box_xyxy=[60, 35, 100, 75], multimask_output=False)
    first = answer["predictions"][0]["mask_per_prediction"][0]
    assert first["iou_score"] == pytest.approx(float(expected.iou_predictions[0]), abs=1e-4)
    np.testing.assert_array_equal(masks_of(answer)[0][0], expected.masks[0])


@pytest.mark.parametrize(
    ("points", "labels", "boxes", "multimask", "counts"),
    [
        ("[10, 20]", "", "", True, [3]),
        ("[[10, 20]]", "[1]", "", "", [3]),
        ("[[10, 20], [30, 30]]", "[1, 0]", "", None, [3]),
        ("[[[10, 20], [30, 30]]]", "[[1, 0]]", "", "false", [1]),
        ("[[[10, 20]], [[30, 30], [4, 4]]]", "[[1], [1, 0]]", "", False, [1, 1]),
        ("[[[10, 20]], [[30, 30]]]", "", "[[1, 1, 30, 30], [20, 20, 40, 35]]", False, [1, 1]),
        ("[[[10, 20], [0, 0]]]", "[[1, -10]]", "", True, [3]),
        ("", "", "[1, 1, 30, 30]", True, [3]),
        ("", "", json.dumps([[1, 1, 30, 30]] * 40), False, [1] * 40),
        ([[10, 20]], None, [[1, 1, 30, 30]], True, [3]),
    ],
)
def test_prompts(small_predictor, points, labels, boxes, multimask, counts):
    (answer,) = answer_request(request([SMALL, points, boxes, labels, multimask]), small_predictor)
    assert [len(masks) for masks in masks_of(answer)] == counts
    assert all(mask.shape == (40, 60) for masks in masks_of(answer) for mask in masks)


def test_shorter_prompts_are_answered_as_if_alone(small_predictor):
    many, one = answer_request(
        request(
            [SMALL, "[[[10, 20]], [[30, 30], [4, 4]]]", "", "[[1], [1, 0]]", True],
            [SMALL, "[[[10, 20]]]", "", "[[1]]", True],
        ),
        small_predictor,
    )
    for mine, expected in zip(
        *(one["predictions"][0]["mask_per_prediction"] for one in (many, one)), strict=True
    ):
        assert mine["iou_score"] == pytest.approx(expected["iou_score"], abs=1e-4)


def test_columns_may_be_fewer_and_in_any_order(small_predictor):
    asked = request([BOX, SMALL], columns=["input_boxes", "image"])
    assert len(answer_request(asked, small_predictor)[0]["predictions"]) == 1


def test_five_bad_rows_of_a_hundred(small_predictor, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    good = [SMALL, "[[10, 20]]", "", "", False]
    rows = [list(good) for _ in range(100)]
    rows[3][0] = str(tmp_path / "broken.png")
    rows[17][1] = "[[10, 20]"
    rows[44] = ["too short"]
    rows[61][0] = "https://example.org/image.png"
    rows[99][1] = ""
    done = []
    answers = answer_request(
        request(*rows), small_predictor, on_row=lambda *counts: done.append(counts)
    )
    bad = {number for number, answer in enumerate(answers) if "error" in answer}
    assert bad == {3, 17, 44, 61, 99}
    assert all(answers[number]["error"]["row"] == number for number in bad)
    assert sum("predictions" in answer for answer in answers) == 95
    assert done[-1] == (100, 100)
    assert answers[0] == answers[98]


def write_16_bit(path):
    tifffile.imwrite(path, COINS.astype(np.uint16) * 13 + 200, photometric="minisblack")


def write_16_bit_rgb(path):
    tifffile.imwrite(path, np.stack([COINS.astype(np.uint16) * 257] * 3, -1), photometric="rgb")


def write_floats(path):
    image = COINS.astype(np.float32) / 7 - 3
    image[3, 4] = np.nan
    tifffile.imwrite(path, image)


def write_rgba(path):
    colors = np.dstack([np.stack([COINS] * 3, -1), np.full(COINS.shape, 40, np.uint8)])
    Image.fromarray(colors).save(path, format="PNG")


def write_palette(path):
    Image.fromarray(COINS).convert("P").save(path, format="PNG", transparency=b"\0\x05")


@pytest.mark.parametrize(
    "write", [write_16_bit, write_16_bit_rgb, write_floats, write_rgba, write_palette]
)
def test_images_of_many_kinds_look_the_same_to_the_model(small_predictor, tmp_path, write):
    write(tmp_path / "image")
    rows = [[image, "[[190, 60]]", "", "", True] for image in (str(tmp_path / "image"), data_url())]
    mine, expected = answer_request(request(*rows), small_predictor)
    for masks, others in zip(masks_of(mine), masks_of(expected), strict=True):
        for mask, other in zip(masks, others, strict=True):
            assert (mask == other).mean() > 0.99


def data_url():
    return f"data:image/jpeg;base64,{as_base64(COINS, format='JPEG', quality=98)}"


@pytest.fixture(scope="module")
def bad_images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    stack = np.zeros((3, 20, 30), np.uint8)
    tifffile.imwrite(folder / "stack.tif", stack, photometric="minisblack")
    Image.new("1", (3000, 2000)).save(folder / "huge.png")
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    (folder / "empty.png").touch()
    (folder / "heavy.png").write_bytes(b"\x89PNG" + bytes(2**21))
    return folder


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("no-such-file.png", "neither a file on this computer nor a base64"),
        ("bm8gaW1hZ2U=", "neither a file on this computer nor a base64"),
        ("data:image/png,abc", "must have the form"),
        ("data:image/png;base64,bm8=", "unsupported format"),
        ("file:///etc/passwd", "needs --allow-urls"),
        ("http://127.0.0.1/secret", "--allow-urls"),
        pytest.param("/dev/zero", "not a file", marks=needs_devices),
        ("~nosuchuser/x", "neither a file on this computer nor a base64"),
        ("~\ud800/x", "neither"),
        ("{tmp}", "not a file"),
        ("{tmp}/empty.png", "is empty"),
        ("{tmp}/stack.tif", "give one plane"),
        ("{tmp}/huge.png", "million pixels"),
        ("{tmp}/bomb.png", "million pixels"),
        ("{tmp}/heavy.png", "larger than 1 MiB"),
        ("A" * 4_000_000, "larger than 1 MiB"),
        ("\0", "neither"),
        ("x" * 5000, "neither"),
        ("", "base64, a path or a data URL"),
        (None, "not null"),
        (7, "not 7"),
        ({"a": [1]}, "base64, a path"),
    ],
)
def test_images_that_are_refused(small_predictor, bad_images, image, words):
    if isinstance(image, str):
        image = image.replace("{tmp}", str(bad_images))
    rules = Rules(max_image_bytes=2**20, max_image_px=5_000_000)
    answer, other = answer_request(
        request([image, "[[1, 2]]", "", "", True], [SMALL, "[[1, 2]]", "", "", True]),
        small_predictor,
        rules,
    )
    assert words in answer["error"]["message"]
    assert "predictions" in other


def test_paths_may_be_forbidden(small_predictor, tmp_path):
    Image.fromarray(COINS).save(tmp_path / "coins.png")
    row = [str(tmp_path / "coins.png"), "[[1, 2]]", "", "", True]
    (answer,) = answer_request(request(row), small_predictor, Rules(allow_paths=False))
    assert "paths are not allowed" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input_points": "[[NaN, 3]]"}, "nowhere near an image"),
        ({"input_points": "[[1e400, 3]]"}, "nowhere near an image"),
        ({"input_points": f"[[{10**400}, 3]]"}, "nowhere near an image"),
        ({"input_boxes": "[[-Infinity, 0, 3, 3]]"}, "nowhere near an image"),
        ({"input_points": "[[1, 2, 3]]"}, "in place of a point [x, y]"),
        ({"input_points": '[["1", 2]]'}, "in place of a point [x, y]"),
        ({"input_points": "[[true, 2]]"}, "in place of a point [x, y]"),
        ({"input_points": "[[[[1, 2]]]]"}, "4 levels of lists"),
        ({"input_points": "[[[1, 2]], []]"}, "in place of the points of an object"),
        ({"input_points": "7"}, "must be a list"),
        ({"input_points": "[" * 100_000}, "must be a JSON string"),
        ({"input_points": "import os"}, "must be a JSON string"),
        ({"input_boxes": "[[1, 2, 3]]"}, "in place of a box [x0, y0, x1, y1]"),
        ({"input_boxes": "[[[1, 2, 3, 4]]]"}, "in place of a box [x0, y0, x1, y1]"),
        ({"input_boxes": "[[1, 2, 3, 4], [1, 2, 3, 4]]", "input_points": "[[1, 2]]"}, "2 boxes"),
        ({"input_boxes": json.dumps([[1, 2, 3, 4]] * 100_001)}, "the limit is 100000"),
        ({"input_points": "", "input_labels": "[1]"}, "without input_points"),
        ({"input_points": "", "input_labels": ""}, "There is no prompt"),
        ({"input_labels": "[1, 0]"}, "one label per point"),
        ({"input_labels": "[[1], [0]]"}, "one label per point"),
        ({"input_labels": "[2]"}, "1 is foreground"),
        ({"input_labels": '["1"]'}, "1 is foreground"),
        ({"multimask_output": "perhaps"}, "true or false"),
        ({"multimask_output": 3}, "true or false"),
    ],
)
def test_prompts_that_are_refused(small_predictor, change, words):
    row = {"image": SMALL, "input_points": "[[1, 2]]", **change}
    asked = request(list(row.values()), columns=list(row))
    (answer,) = answer_request(asked, small_predictor)
    assert words in answer["error"]["message"]
    assert len(answer["error"]["message"]) < 400


@pytest.mark.parametrize(
    "asked",
    [
        None,
        [],
        {},
        {"input_data": []},
        {"input_data": {"columns": ["image"]}},
        {"input_data": {"columns": ["picture"], "data": []}},
        {"input_data": {"columns": ["image", "image"], "data": []}},
        {"input_data": {"columns": [["image"]], "data": []}},
        {"input_data": {"columns": ["input_boxes"], "data": []}},
        {"input_data": {"columns": ["image"], "data": "rows"}},
        {"input_data": {"columns": ["image"], "data": [], "index": [1]}},
        {"input_data": {"columns": ["image"], "data": []}, "params": 3},
    ],
)
def test_what_is_no_request(small_predictor, asked):
    with pytest.raises(RequestError, match=r"must be|The columns are"):
        answer_request(asked, small_predictor)


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        is_there = self.path in ("/coins.png", "/page.html")
        self.send_response(200 if is_there else 404)
        self.end_headers()
        if is_there:
            is_page = self.path.endswith("html")
            self.wfile.write(b"<html>" if is_page else base64.b64decode(SMALL))

    def log_message(self, *args):
        pass


def test_addresses_if_they_are_allowed(small_predictor):
    with HTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        rows = [
            [url, "[[10, 20]]", "", "", True]
            for url in (
                *(f"{address}/{name}" for name in ("coins.png", "none.png", "page.html")),
                "ftp://a/b",
                SMALL,
            )
        ]
        found, missing, page, other, expected = answer_request(
            request(*rows), small_predictor, Rules(allow_urls=True)
        )
        server.shutdown()
        thread.join()
    assert found == expected
    assert "404" in missing["error"]["message"]
    assert "has an unsupported format" in page["error"]["message"]
    assert "neither an http nor an https" in other["error"]["message"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["input_data", "columns", "data", "a"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)
NUMBERS = st.integers(-50, 100) | st.floats() | st.integers()
NESTED = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=4), max_leaves=12)
PAIRS = st.lists(st.lists(st.integers(-9, 70), min_size=2, max_size=2), min_size=1, max_size=3)
PROMPTS = st.one_of(
    st.just(""),
    PAIRS.map(json.dumps),
    st.lists(PAIRS, max_size=3).map(json.dumps),
    st.lists(st.lists(st.integers(0, 60), min_size=4, max_size=4), max_size=3).map(json.dumps),
    NESTED.map(json.dumps),
    st.text(max_size=12),
    ANYTHING,
)
LABELS = st.lists(st.sampled_from([1, 0, -1]), max_size=3).map(json.dumps) | PROMPTS
IMAGES = st.one_of(
    st.just(SMALL),
    st.just(SMALL),
    st.binary(max_size=60).map(lambda content: base64.b64encode(content).decode()),
    st.integers(0, len(SMALL)).map(lambda end: SMALL[:end]),
    st.text(max_size=20),
    ANYTHING,
)
ROWS = st.tuples(IMAGES, PROMPTS, PROMPTS, LABELS, st.booleans() | ANYTHING).map(list)
REQUESTS = st.one_of(
    st.lists(ROWS | ANYTHING, max_size=3).map(lambda rows: request(*rows)), ANYTHING
)
fuzzed = partial(
    settings, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


@fuzzed(max_examples=300)
@given(asked=REQUESTS)
def test_whatever_is_asked_is_answered_or_refused(small_predictor, asked):
    try:
        answers = answer_request(asked, small_predictor)
    except RequestError:
        return
    assert len(answers) == len(asked["input_data"]["data"])
    json.dumps(answers, allow_nan=False)
    for answer in answers:
        assert answer.keys() in ({"predictions"}, {"error"})
        if "error" in answer:
            assert answer["error"]["message"]
        else:
            assert masks_of(answer)[0][0].shape == (40, 60)
