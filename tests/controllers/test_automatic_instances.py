"""Instance decoders in the Automatic tab of a real window, with a small model of random weights."""

import copy

import numpy as np
import pytest
from napari.layers import Image
from skimage import data

from napari_sam.engine.methods import Method
from napari_sam.model import Predictor
from napari_sam.model.checkpoints.instance_decoders import load_instance_decoder
from napari_sam.model.checkpoints.state_dicts import Checkpoint
from tests.controllers.test_automatic import TIMEOUT_S, accept_button, automatic_layers, press
from tests.model.conftest import tiny_model  # noqa: F401 - a fixture
from tests.model.instance_decoder.published import balanced_decoder

COINS = data.coins()
STACK = np.stack([COINS[:150, :200], COINS[:150, :200] // 8 * 8, COINS[:150, 4:204]])


class CountingPredictor(Predictor):
    encoded = 0

    def encode(self, image, on_block=None):
        self.encoded += 1
        return super().encode(image, on_block)


@pytest.fixture
def predictor(tiny_model):  # noqa: F811
    model = copy.deepcopy(tiny_model)
    image = np.repeat(STACK[0][..., None], 3, axis=2)
    embedding = Predictor(model, device="cpu").encode(image).image_embedding
    checkpoint = Checkpoint({}, balanced_decoder(embedding))
    model.take_instance_decoder(load_instance_decoder(checkpoint, "file", len(embedding)))
    return CountingPredictor(model, device="cpu")


def choose(panel, method):
    panel.run.method.activated.emit(list(Method).index(method))


def count_of(widget):
    return len(widget.session.automatic.picture.masks)


def test_all_objects_by_the_decoder(make_widget, predictor):
    viewer, widget = make_widget(Image(STACK, name="stack"), load_predictor=lambda *_: predictor)
    panel = widget.controllers.automatic.panel
    assert panel.run.method.isVisibleTo(panel)
    assert panel.settings.method is Method.GRID
    choose(panel, Method.AIS)
    assert not panel.run.preset.isEnabled()
    assert panel.filters.sliders["center_distance_threshold"].isVisibleTo(panel)
    assert not panel.filters.sliders["pred_iou_thresh"].isVisibleTo(panel)
    assert panel.run.whole.toolTip() == "Find all objects with the instance decoder"
    press(widget, panel.run.whole)
    count, encoded = count_of(widget), predictor.encoded
    assert count > 1
    assert len(automatic_layers(viewer)) == 1
    panel.filters.sliders["foreground_threshold"].setValue(1)
    widget.wait_until_idle(TIMEOUT_S)
    assert count_of(widget) == 0
    assert "No object is found" in panel.run.outcome.text()
    panel.form.fields["foreground_threshold"].setValue(0.5)
    widget.wait_until_idle(TIMEOUT_S)
    assert count_of(widget) == count
    assert predictor.encoded == encoded

    press(widget, accept_button(widget))
    target = widget.binding.target.labels
    assert len(target.registry) == count
    widget.binding.objects.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert len(target.registry) == 0
    assert count_of(widget) == count

    choose(panel, Method.APG)
    assert panel.settings.instances.min_size == 25
    assert "with the next run" in panel.run.outcome.text()
    panel.form.fields["min_size"].setValue(0)
    press(widget, panel.run.whole)
    clicked = count_of(widget)
    assert clicked > 0
    panel.filters.sliders["center_distance_threshold"].setValue(0.4)
    widget.wait_until_idle(TIMEOUT_S)
    panel.filters.sliders["center_distance_threshold"].setValue(0.5)
    widget.wait_until_idle(TIMEOUT_S)
    assert count_of(widget) == clicked

    choose(panel, Method.AIS)
    panel.run.slices.all.click()
    press(widget, panel.run.whole)
    masks = widget.session.automatic.picture.masks
    assert any(len(mask.linked.masks) > 1 for mask in masks)

    widget.binding.objects.redo()
    widget.wait_until_idle(TIMEOUT_S)
    record = next(iter(target.registry))
    widget.session.objects.reedit(record.label_id)  # from its pixels: no click made it
    assert widget.session.state.prompts.box_xyxy is not None
