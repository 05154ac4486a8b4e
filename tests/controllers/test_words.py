"""Words in a real window: from the typed line to objects, with clicks and a threshold between."""

import threading

import numpy as np
import pytest
from napari.layers import Image
from skimage import data

from napari_sam.engine.detection import Detection
from napari_sam.engine.masks import MaskCrop
from napari_sam.session import Prompts
from tests.detectors.tiny_detectors import save_detector

TIMEOUT_S = 240
BOXES = {"coin": (128, 24, 182, 78), "ring": (188, 24, 242, 78), "penny": (249, 26, 303, 80)}
SCORES = {"coin": 0.5, "ring": 0.4, "penny": 0.2}


class ScriptedDetector:
    """Knows where three coins are, each by another word."""

    name, revision, side, default_threshold = "scripted", None, 1024, 0.3

    def __init__(self):
        self.calls, self.gate = 0, threading.Event()
        self.gate.set()

    def detect(self, image, words, check=lambda: None):
        self.calls += 1
        while not self.gate.wait(0.01):
            check()
        return [Detection(word, SCORES[word], BOXES[word]) for word in words if word in BOXES]


@pytest.fixture
def detector(monkeypatch):
    scripted = ScriptedDetector()
    monkeypatch.setattr("napari_sam.detectors.load_detector", lambda *_, **__: scripted)
    return scripted


@pytest.fixture
def window(make_widget):
    """A window with the coins, and the Batch tab on top."""
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.controllers.batch_prompts.tab.select()
    return viewer, widget


def find(widget, text):
    row = widget.controllers.words.row
    row.words.setText(text)
    row.find.click()
    widget.wait_until_idle(TIMEOUT_S)


def segment(widget):
    widget.wait_until_idle(TIMEOUT_S)
    panel = widget.controllers.batch_prompts.panel
    panel.start.click()
    widget.wait_until_idle(TIMEOUT_S)
    return widget.binding.target.labels.registry


def boxes_in(layer):
    return sorted((x.min(), y.min(), x.max(), y.max()) for y, x in (box.T for box in layer.data))


def test_words_become_boxes_and_objects(window, detector, qtbot):
    viewer, widget = window
    controllers, row, said = widget.controllers, widget.controllers.words.row, []
    widget.session.words.finished.connect(said.append)
    find(widget, "coin, ring; penny")
    assert said == ["2 objects found for coin, ring, penny: check the boxes, then press Segment."]
    layer = viewer.layers["coins: words"]
    assert boxes_in(layer) == [BOXES["coin"], BOXES["ring"]]
    assert row.threshold.value == 30
    assert controllers.batch_prompts.panel.combo.currentText() == layer.name
    row.threshold.slider.setValue(15)
    assert boxes_in(layer) == sorted(BOXES.values())
    assert layer.features["class"].tolist() == ["coin", "ring", "penny"]
    row.threshold.slider.setValue(45)
    assert boxes_in(layer) == [BOXES["coin"]]
    row.threshold.slider.setValue(30)
    layer.selected_data = {layer.features["class"].tolist().index("coin")}
    layer.remove_selected()  # the user wants only the ring, and another box
    layer.add_rectangles(np.array([(30, 76), (30, 124), (78, 124), (78, 76)]))
    row.threshold.slider.setValue(20)
    assert boxes_in(layer) == sorted([BOXES["ring"], BOXES["penny"], (76, 30, 124, 78)])
    assert detector.calls == 1
    row.threshold.slider.setValue(0)
    registry = segment(widget)
    assert sorted(record.class_name for record in registry) == ["penny", "ring", "ring"]
    target = widget.binding.target.layer
    widget.binding.objects.undo()
    assert len(registry) == 0
    find(widget, "coin, ring")
    assert boxes_in(layer) == sorted([BOXES["coin"], BOXES["ring"], (76, 30, 124, 78)])
    viewer.layers.remove(layer)
    assert widget.session.words.detections == []
    find(widget, "nothing")
    assert layer not in viewer.layers
    assert "Nothing found for nothing" in said[-1]
    assert not target.data.any()


def test_the_masks_are_those_of_boxes_drawn_by_hand(window, detector):
    viewer, widget = window
    find(widget, "coin, ring")
    registry = segment(widget)
    by_words = widget.binding.target.layer.data.copy()
    widget.binding.objects.undo()
    by_hand = viewer.add_shapes(
        [np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)]) for x0, y0, x1, y1 in BOXES.values()][
            :2
        ],
        name="by hand",
    )
    widget.controllers.batch_prompts.take(by_hand)
    segment(widget)
    assert len(registry) == 2
    drawn = widget.binding.target.layer.data
    for by_word, by_hand in zip((1, 2), (3, 4), strict=True):
        np.testing.assert_array_equal(drawn == by_hand, by_words == by_word)


def test_a_click_chooses_a_box_and_corrects_its_object(window, detector):
    viewer, widget = window
    session = widget.session
    find(widget, "coin, ring")
    points = widget.binding.prompts
    points.start_points()
    viewer.layers["SAM points"].add((51, 215))
    widget.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts.box_xyxy == BOXES["ring"]
    assert session.state.prompts.points_xy == ((215, 51),)
    assert len(viewer.layers["SAM boxes"].data) == 1
    viewer.layers["SAM points"].add((60, 220))
    widget.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts.size == 3
    widget.binding.objects.undo()
    widget.binding.objects.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts.is_empty
    assert len(viewer.layers["SAM boxes"].data) == 0
    viewer.layers["SAM points"].add((200, 100))  # in no box
    widget.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts.box_xyxy is None
    session.object_in_progress.clear()
    session.object_in_progress.set_accept_on_click(True)
    viewer.layers["SAM points"].add((51, 155))
    widget.wait_until_idle(TIMEOUT_S)
    registry = widget.binding.target.labels.registry
    assert [record.state.prompts.box_xyxy for record in registry] == [BOXES["coin"]]


def test_a_search_in_a_stack_shows_its_progress_and_is_stopped(make_widget, detector, qtbot):
    viewer, widget = make_widget(Image(np.stack([data.coins()] * 2), name="coins"))
    viewer.dims.set_current_step(0, 1)
    widget.controllers.batch_prompts.tab.select()
    row, words = widget.controllers.words.row, widget.session.words
    detector.gate.clear()
    row.words.setText("coin")
    row.find.click()
    qtbot.waitUntil(lambda: detector.calls == 1)
    assert (row.find.isHidden(), row.stop.isHidden()) == (True, False)
    row.stop.click()
    widget.wait_until_idle(TIMEOUT_S)
    assert words.state is None
    assert (row.find.isHidden(), row.stop.isHidden()) == (False, True)
    assert words.detections == []
    detector.gate.set()
    find(widget, "coin, ring")
    layer = viewer.layers["coins: words"]
    assert {corner for box in layer.data for corner in box[:, 0]} == {1}
    assert [tuple(box.max(axis=0)[1:]) for box in layer.data] == [(78, 182), (78, 242)]
    viewer.dims.set_current_step(0, 0)
    widget.wait_until_idle(TIMEOUT_S)
    click = Prompts(((155, 51),), (1,))
    assert words.joined(click) is click  # the box lies on the other slice


def test_the_whole_way_with_a_detector_from_a_folder(make_widget, tmp_path):
    from PIL import Image as PilImage
    from transformers import pipeline

    folder = save_detector("grounding-dino", tmp_path / "detector")
    image = np.ascontiguousarray(data.astronaut()[100:136, 150:186])
    viewer, widget = make_widget(Image(image, name="face", rgb=True))
    widget.controllers.batch_prompts.tab.select()
    widget.controllers.words.use_folder(folder)
    find(widget, "face")
    widget.controllers.words.row.threshold.slider.setValue(10)
    layer = viewer.layers["face: words"]
    published = pipeline("zero-shot-object-detection", model=str(folder))(
        PilImage.fromarray(image), candidate_labels=["face."], threshold=0.1
    )
    scores = [one["score"] for one in published]
    np.testing.assert_allclose(sorted(layer.features["score"]), sorted(scores), atol=1e-4)
    names = ("xmin", "ymin", "xmax", "ymax")
    whole_px = [[one["score"], *(one["box"][name] for name in names)] for one in published]
    for box, score in zip(layer.data, layer.features["score"], strict=True):
        edges = [score, *(box.min(axis=0)[::-1] + 0.5), *(box.max(axis=0)[::-1] + 0.5)]
        # The pipeline cuts fractions off.
        assert (np.abs(np.subtract(whole_px, edges)) <= (1e-4, *[1.02] * 4)).all(axis=1).any()


def test_regions_of_a_map_are_the_start_of_their_masks(window, detector, monkeypatch):
    _, widget = window
    x0, y0, x1, y1 = BOXES["coin"]
    region = MaskCrop(np.ones((40, 40), bool), 31, 135)
    found = [Detection("coin", 0.5, region.edges_xyxy, region)]
    monkeypatch.setattr(detector, "detect", lambda *_: found)
    find(widget, "coin")
    (prompt,) = widget.controllers.batch_prompts._reader()()[0][0]
    np.testing.assert_array_equal(prompt.region.mask, region.mask)
    assert (prompt.region.top, prompt.region.left) == (region.top, region.left)
    assert prompt.class_name == "coin"
    registry = segment(widget)
    (record,) = registry
    mask = widget.binding.target.layer.data > 0
    assert mask[y0:y1, x0:x1].mean() > 0.5
    assert mask.sum() - mask[y0:y1, x0:x1].sum() < 0.2 * mask.sum()
    assert record.class_name == "coin"
