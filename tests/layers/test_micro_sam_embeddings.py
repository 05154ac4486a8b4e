"""micro-sam's embeddings in the widget, in a real viewer."""

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtWidgets import QFileDialog
from skimage import data

from napari_sam.session import ModelChoice, Phase
from tests.micro_sam_store import damage, write_store

TIMEOUT_S = 240
COINS = data.coins()
STACK = np.stack([np.roll(COINS, step, axis=1) for step in (0, 7)])


@pytest.fixture
def encoded(remembering_predictor, monkeypatch):
    """Return a list of the images that are embedded."""
    images, encode = [], remembering_predictor.encode

    def note(image, on_block=None):
        images.append(image)
        return encode(image, on_block)

    monkeypatch.setattr(remembering_predictor, "encode", note)
    return images


@pytest.fixture
def store(tmp_path, remembering_predictor):
    return write_store(tmp_path / "stack.zarr", STACK, remembering_predictor)


@pytest.fixture
def opened(make_widget, encoded):
    """Return the viewer and the widget with the stack, and the messages of the widget."""
    viewer, widget = make_widget(Image(STACK, name="stack", contrast_limits=(0, 200)))
    heard = []
    widget.session.notifier.warned.connect(heard.append)
    encoded.clear()
    return viewer, widget, heard


def import_folder(widget, monkeypatch, folder):
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    widget.controllers.embeddings.micro_sam_row._use.click()
    assert widget.controllers.embeddings.micro_sam_row.stop.text() == "Cancel"
    widget.wait_until_idle(TIMEOUT_S)


def click(viewer, widget):
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([viewer.dims.current_step[0], 68, 104])
    widget.wait_until_idle(TIMEOUT_S)
    shown = widget.session.state.candidates
    return shown.masks[0].prediction.masks[shown.best]


def line(widget):
    row = widget.controllers.embeddings.micro_sam_row
    return "" if row._text.isHidden() else row._text.text()


def test_nothing_is_encoded_when_they_fit(opened, encoded, store, monkeypatch):
    viewer, widget, heard = opened
    row = widget.controllers.embeddings.micro_sam_row
    assert line(widget) == ""
    assert row.stop.isHidden()
    import_folder(widget, monkeypatch, store)
    assert line(widget) == "embeddings of 2 slices, vit_t, from stack.zarr"
    assert row.stop.text() == "Stop using them"
    encoded.clear()
    viewer.dims.set_current_step(0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    assert click(viewer, widget).any()
    viewer.layers[0].contrast_limits = (20, 100)
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    assert viewer.layers["stack labels"].data[1].any()
    assert encoded == []
    assert heard == []


def test_clicks_outlive_importing_and_stopping(opened, encoded, store, monkeypatch):
    viewer, widget, _ = opened
    own = click(viewer, widget)
    import_folder(widget, monkeypatch, store)
    prompts = widget.session.state.prompts
    assert prompts.points_xy == ((104, 68),)
    encoded.clear()
    widget.controllers.embeddings.micro_sam_row.stop.click()
    widget.wait_until_idle(TIMEOUT_S)
    assert line(widget) == ""
    assert widget.session.state.prompts == prompts
    shown = widget.session.state.candidates
    assert (shown.masks[0].prediction.masks[shown.best] == own).all()


def test_axes_in_another_order_are_embedded_here(opened, encoded, store, monkeypatch):
    viewer, widget, _ = opened
    import_folder(widget, monkeypatch, store)
    encoded.clear()
    viewer.dims.order = (0, 2, 1)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.phase is Phase.READY
    assert encoded[0].shape == (384, 303, 3)
    assert line(widget).startswith("Not used in this view: roll the axes")
    viewer.dims.order = (0, 1, 2)
    widget.wait_until_idle(TIMEOUT_S)
    assert line(widget) == "embeddings of 2 slices, vit_t, from stack.zarr"


def test_other_pixels_and_other_data(opened, encoded, store, monkeypatch):
    viewer, widget, heard = opened
    changed = STACK.copy()
    changed[1, 200, 300] ^= 1
    viewer.layers[0].data = changed
    widget.wait_until_idle(TIMEOUT_S)
    import_folder(widget, monkeypatch, store)
    assert "another image" in line(widget)
    assert heard == [line(widget)]
    assert widget.controllers.embeddings.micro_sam_row.stop.text() == "Dismiss"
    viewer.layers[0].data = STACK
    widget.wait_until_idle(TIMEOUT_S)
    import_folder(widget, monkeypatch, store)
    assert line(widget).startswith("embeddings of 2 slices")
    assert widget.session.state.thumbnail is None
    viewer.layers[0].data = changed
    widget.wait_until_idle(TIMEOUT_S)
    assert heard[1:] == ["'stack' has changed: new embeddings replace the imported ones."]
    assert line(widget) == ""
    assert widget.session.state.thumbnail is not None


def test_damage(opened, encoded, store, monkeypatch):
    viewer, widget, heard = opened
    damage(store, 0)
    import_folder(widget, monkeypatch, store)
    assert line(widget).startswith("embeddings of 2 slices")
    assert widget.session.state.phase is Phase.READY
    assert click(viewer, widget).any()
    assert len(heard) == 1
    assert "tile 0 of slice 0 is damaged" in heard[0]


def test_each_image_has_its_own(opened, encoded, store, monkeypatch):
    viewer, widget, _ = opened
    import_folder(widget, monkeypatch, store)
    other = viewer.add_image(COINS[:200], name="other")
    widget.binding.set_image(other)
    widget.wait_until_idle(TIMEOUT_S)
    assert line(widget) == ""
    widget.binding.set_image(viewer.layers["stack"])
    widget.wait_until_idle(TIMEOUT_S)
    assert line(widget).startswith("embeddings of 2 slices")
    viewer.layers.remove("stack")
    widget.wait_until_idle(TIMEOUT_S)
    assert line(widget) == ""


def test_a_scale_of_many_resolutions_and_colors(make_widget, encoded, tmp_path, monkeypatch):
    colors = data.astronaut()[:200, :300]
    levels = [colors, colors[::2, ::2]]
    _, widget = make_widget(Image(levels, name="stack", rgb=True, multiscale=True))
    predictor = widget.session.embedding.embedder.load()
    store = write_store(tmp_path / "colors.zarr", colors, predictor, ndim=2)
    import_folder(widget, monkeypatch, store)
    assert line(widget) == "embeddings of the image, vit_t, from colors.zarr"
    assert widget.session.state.thumbnail is None
    assert widget.session.state.phase is Phase.READY


def test_another_model(opened, store, monkeypatch, tmp_path):
    _, widget, heard = opened
    import zarr

    zarr.open_group(store).attrs.update({"model_type": "vit_b", "model_name": "vit_b_lm"})
    import_folder(widget, monkeypatch, store)
    assert "choose vit_b_lm under Model" in line(widget)
    assert heard == [line(widget)]
    widget.session.set_model(ModelChoice(device="cpu"))
    widget.wait_until_idle(TIMEOUT_S)
    assert "choose vit_b_lm under Model" in line(widget)
