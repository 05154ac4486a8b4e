"""The widget on a model with another number of candidates than SAM."""

import numpy as np
from napari.layers import Image

from napari_sam.engine.protocols import Engine
from napari_sam.widget import SamWidget
from tests.engine.test_toy_engine import MASKS, PIXELS, iou
from tests.engine.toy_engine import ToyDecoder, ToyEncoder

TIMEOUT_S = 60


def test_the_fourth_mask_is_shown_and_accepted(make_napari_viewer):
    viewer = make_napari_viewer()
    viewer.add_layer(Image(PIXELS, name="discs"))
    engine = Engine(ToyEncoder(), ToyDecoder())
    widget = SamWidget(viewer, load_predictor=lambda *_: engine)
    viewer.window.add_dock_widget(widget)
    widget.wait_until_idle(TIMEOUT_S)
    detail = widget.controllers.automatic.panel.run.detail
    sides = [detail.itemData(row) for row in range(detail.count())]
    assert sides == [None, 256, 128]  # a half and a quarter of the model's side
    widget.binding.prompts.start_points()
    viewer.layers.selection.active.add([(60, 220)])
    widget.wait_until_idle(TIMEOUT_S)
    assert len(widget.session.state.candidates) == 4
    widget.session.object_in_progress.choose(3)
    widget.wait_until_idle(TIMEOUT_S)
    shown = [
        layer
        for layer in viewer.layers
        if layer.visible and layer.name.startswith("SAM mask") and np.any(layer.data)
    ]
    assert [layer.name for layer in shown] == ["SAM mask 4"]
    assert iou(shown[0].data > 0, MASKS[1]) > 0.9
    widget.close()
