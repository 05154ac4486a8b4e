"""The scripts in examples/ do what they say, on the coins and less."""

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from skimage import data, io

from napari_sam.formats import read_label_tiff
from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, Prompts

FOLDER = Path(__file__).parents[1] / "examples"
TIMEOUT_S = 120
COINS = data.coins()


def example(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_scripts_without_a_window(tmp_path, capsys, monkeypatch, remembering_predictor):
    monkeypatch.setattr("napari_sam.model.Predictor", lambda *_: remembering_predictor)
    (tmp_path / "images").mkdir()
    io.imsave(tmp_path / "images" / "coins.png", COINS)
    example("segment_folder").main([str(tmp_path / "images"), str(tmp_path / "masks")])
    labels, _ = read_label_tiff(tmp_path / "masks" / "coins.tif")
    objects = json.loads((tmp_path / "masks" / "coins.json").read_text())["annotations"]
    assert len(objects) == len(np.unique(labels)) - 1 > 15
    assert f"coins.png: {len(objects)} objects" in capsys.readouterr().out

    example("session_api").main([str(tmp_path / "two.json")])
    content = json.loads((tmp_path / "two.json").read_text())
    assert [row["name"] for row in content["categories"]] == ["coin"]
    assert [row["area"] > 500 for row in content["annotations"]] == [True, True]

    table = tmp_path / "polygons.csv"
    example("custom_exporter").main([str(tmp_path / "masks" / "coins.tif"), str(table)])
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [int(row["id"]) for row in rows] == sorted(set(labels.flat) - {0})
    assert all(row["wkt"].startswith("POLYGON((") for row in rows)


def test_a_model_of_ones_own():
    session = AnnotationSession(example("custom_engine").load_wand)
    session.set_image(ImagePlane(COINS))
    labels = np.zeros(COINS.shape, np.uint8)
    session.set_target(ArrayPlane(labels))
    session.set_prompts(Prompts(box_xyxy=(312, 153, 379, 221)))
    session.wait_until_idle(TIMEOUT_S)
    assert len(session.state.candidates) == 3
    session.accept()
    session.wait_until_idle(TIMEOUT_S)
    session.close()
    assert labels[153:221, 312:379].sum() > 100


def test_boxes_of_a_detector(make_widget, monkeypatch):
    viewer, widget = make_widget()
    script = example("detector_boxes")
    viewer.add_image(COINS[:120], name="coins")
    widget.wait_until_idle(TIMEOUT_S)
    layer = script.add_boxes(viewer, COINS[:120])
    batch = widget.controllers.batch_prompts
    batch.tab.select()
    widget.wait_until_idle(TIMEOUT_S)
    batch.use_layer(layer)
    widget.wait_until_idle(TIMEOUT_S)
    assert len(layer.data) == 6
    assert batch.panel.start.text() == "Segment 6 objects"
