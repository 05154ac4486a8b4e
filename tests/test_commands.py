"""The plugin's commands as napari's command palette runs them."""

import napari
import pytest
from napari.layers import Image
from npe2 import PluginManager
from skimage import data

from napari_sam import _commands
from napari_sam.cli.main import DISTRIBUTION
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
    widget.close()
