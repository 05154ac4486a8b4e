"""Small detectors with random weights against transformers' own ways to use them."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from napari_sam.catalogue.detectors import DETECTORS, detector_place
from napari_sam.detectors import DetectorError, load, load_detector
from napari_sam.detectors.heat_map import regions_of
from napari_sam.engine.detection import LEAST_SCORE

WORDS = ("coin", "ring")


@pytest.fixture(scope="module")
def image():
    return np.ascontiguousarray(data.astronaut()[100:140, 150:210])


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("kind", ["owlv2", "grounding-dino"])
def test_boxes_are_those_of_the_pipeline(detector_folders, image, kind):
    from transformers import pipeline

    detector = load_detector(detector_folders[kind])
    detections = detector.detect(image, WORDS)
    labels = [f"{word}." if kind == "grounding-dino" else word for word in WORDS]
    published = pipeline("zero-shot-object-detection", model=str(detector_folders[kind]))(
        Image.fromarray(image), candidate_labels=labels, threshold=LEAST_SCORE
    )
    assert len(detections) == len(published) > 10
    detections.sort(key=lambda one: (one.word, -one.score))
    published.sort(key=lambda one: (one["label"], -one["score"]))
    assert [one.word for one in detections] == [one["label"].strip(".") for one in published]
    np.testing.assert_allclose(
        [one.score for one in detections], [one["score"] for one in published], atol=1e-5
    )
    edges = np.array([one.box_xyxy for one in detections]) + 0.5
    names = ("xmin", "ymin", "xmax", "ymax")
    whole_px = np.array([[one["box"][name] for name in names] for one in published])
    assert (np.abs(edges - whole_px) < 1 + 1e-3).all()  # the pipeline cuts fractions off


def test_heat_map_is_that_of_the_model(detector_folders, image):
    import torch
    from transformers import AutoProcessor, CLIPSegForImageSegmentation

    detector = load_detector(detector_folders["clipseg"])
    heat = detector.heat_map(image, "coin")
    model = CLIPSegForImageSegmentation.from_pretrained(detector_folders["clipseg"]).eval()
    processor = AutoProcessor.from_pretrained(detector_folders["clipseg"])
    with torch.inference_mode():
        inputs = processor(text=["coin"], images=[Image.fromarray(image)], return_tensors="pt")
        published = torch.sigmoid(model(**inputs).logits).squeeze().numpy()
    np.testing.assert_allclose(heat, published, atol=1e-5)
    for detection in detector.detect(image, ["coin"]):
        x0, y0, x1, y1 = detection.box_xyxy
        assert -0.5 <= x0 < x1 <= image.shape[1] - 0.5
        assert -0.5 <= y0 < y1 <= image.shape[0] - 0.5
        assert detection.region.mask.any()


def test_each_peak_of_a_heat_map_is_a_region():
    rows, columns = np.mgrid[:60, :80]

    def hill(row, column, height):
        return height * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 60)

    heat = (hill(20, 20, 0.9) + hill(40, 60, 0.5) + hill(10, 70, 0.02)).astype(np.float32)
    regions = sorted(regions_of(heat), reverse=True, key=lambda one: one[0])
    assert [round(score, 1) for score, _ in regions] == [0.9, 0.5]
    for (_, crop), center in zip(regions, [(20, 20), (40, 60)], strict=True):
        middle = np.add(np.argwhere(crop.mask).mean(axis=0), (crop.top, crop.left))
        np.testing.assert_allclose(middle, center, atol=0.6)
        assert crop.mask.sum() == pytest.approx(np.pi * 60 * np.log(2), rel=0.1)


def test_what_cannot_be_used_says_what_to_do(tmp_path, monkeypatch):
    from transformers import BertConfig

    for source, why in (
        ("no-such-owner/no-such-name", "connect to the internet"),
        ("no such folder", "neither a folder nor a repository"),
    ):
        with pytest.raises(DetectorError, match=why):
            load_detector(source)
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(DetectorError, match="type bert: choose Grounding DINO"):
        load_detector(tmp_path)
    monkeypatch.setattr(load, "find_spec", lambda name: None)
    with pytest.raises(DetectorError, match=r"pip install \"napari-sam-live\[text\]\""):
        load_detector(tmp_path)


def test_a_repository_is_pinned_by_the_catalogue_or_the_user(tmp_path):
    first = DETECTORS[0]
    assert detector_place(first.repository) == (first.repository, first.revision)
    assert detector_place(f"{first.repository}@v2") == (first.repository, "v2")
    folder = tmp_path / "saved@v2"
    folder.mkdir()
    assert detector_place(str(folder)) == (str(folder), None)


def test_a_search_is_interrupted_between_layers(detector_folders, image):
    def interrupt():
        raise InterruptedError

    for folder in detector_folders.values():
        detector, calls = load_detector(folder), []
        detector.detect(image, WORDS, lambda calls=calls: calls.append(1))
        assert len(calls) >= 2
        with pytest.raises(InterruptedError):
            detector.detect(image, WORDS, interrupt)
        assert detector.detect(image, WORDS)
