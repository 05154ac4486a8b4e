"""The plugin's commands as napari's command palette runs them."""

import napari
import numpy as np
import pytest
from napari._app_model.context import get_context
from napari._qt._qapp_model import build_qmodel_menu
from napari.layers import Image
from npe2 import PluginManager
from skimage import data

from napari_sam import _commands
from napari_sam._distribution import DISTRIBUTION, DOCK_NAME
from napari_sam.widget import SamWidget


def test_a_command_runs_in_the_viewer_that_was_used_last(make_widget, monkeypatch):
    image = data.coins()[40:110, 40:140]
    used = [make_widget(Image(image, name="coins"), wait=False) for _ in range(2)]
    for (viewer, _), tool in zip(used, ("rectangle", "points"), strict=True):
        monkeypatch.setattr(napari, "current_viewer", lambda viewer=viewer: viewer)
        PluginManager.instance().commands.execute(f"{DISTRIBUTION}.tool_{tool}")
    assert [widget.binding.prompts.tool for _, widget in used] == ["rectangle", "points"]
    monkeypatch.setattr(napari, "current_viewer", lambda: None)
    _commands.run("accept")
    with pytest.raises(AttributeError):
        _ = _commands.no_command


def test_a_command_opens_the_widget(make_napari_viewer, monkeypatch):
    PluginManager.instance().discover()
    viewer = make_napari_viewer()
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    assert SamWidget.open_in(viewer) is None
    _commands.run("help")
    widget = SamWidget.open_in(viewer)
    assert widget.controllers.shortcuts.panel.isVisible()
    assert list(viewer.window.dock_widgets) == [DOCK_NAME]  # the menu finds it
    widget.close()


def test_an_image_is_segmented_from_the_menu_of_its_layer(make_napari_viewer, monkeypatch):
    PluginManager.instance().discover()
    viewer = make_napari_viewer()
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    first, second = (viewer.add_image(data.coins()[:64, :64], name=name) for name in "ab")
    viewer.layers.selection.active = first
    _commands.segment_image()
    widget = SamWidget.open_in(viewer)
    assert (widget.binding.plane.image, widget.binding.prompts.tool) == (first, "points")
    menu = build_qmodel_menu("napari/layers/context", parent=widget)
    (entry,) = (action for action in menu.actions() if action.text() == "Segment with SAM live")
    for layer, is_offered in ((viewer.add_labels(np.eye(64, dtype=int)), False), (second, True)):
        viewer.layers.selection.active = layer
        menu.update_from_context(get_context(viewer.layers))
        assert entry.isVisible() == is_offered
    entry.trigger()
    assert widget.binding.plane.image is second
    widget.close()
