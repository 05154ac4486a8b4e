"""The plugin's settings in napari's preferences."""

from dataclasses import asdict
from types import SimpleNamespace

import pytest
from napari.layers import Image
from napari.settings import get_plugin_settings
from npe2 import PluginManager
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication
from skimage import data

from napari_sam.cli.main import DISTRIBUTION
from napari_sam.controllers import preferences
from napari_sam.controllers.preferences import Preferences, preferences_file
from napari_sam.session.models.fetching import ModelFetcher
from napari_sam.storage.folders import EMBEDDINGS_VARIABLE, embeddings_folder


@pytest.fixture
def saved(napari_preferences):
    """Have napari saved something."""
    napari_preferences.touch()
    return napari_preferences


def test_a_widget_begins_with_what_is_set_in_napari(make_widget, saved, tmp_path, monkeypatch):
    PluginManager.instance().discover()
    settings = get_plugin_settings(DISTRIBUTION)
    assert Preferences.load() == Preferences()
    chosen = {
        "model": {"name": "vit_b", "device": "cpu"},
        "objects": {"accept_at_once": True, "color_by_class": True, "journal": False},
        "embeddings": {"prefetch": False, "folder": str(tmp_path / "kept"), "size_gib": 0.5},
    }
    found = []
    with monkeypatch.context() as patched:
        for group, values in chosen.items():
            for name, value in values.items():
                patched.setattr(getattr(settings, group), name, value)
        of_groups = {name: value for values in chosen.values() for name, value in values.items()}
        assert asdict(Preferences.load()) == of_groups
        assert Preferences.load().store().folder == embeddings_folder()  # the variable is set
        patched.delenv(EMBEDDINGS_VARIABLE)
        patched.setattr(ModelFetcher, "find", lambda _, model: found.append(model.name))
        _, widget = make_widget(Image(data.coins()[:64, :64]), wait=False)
        assert found == ["vit_b"]
        assert widget.session.embedding.model.choice.device == "cpu"
        assert widget._store.folder == tmp_path / "kept"
        parts = widget.controllers
        assert parts.classes.is_coloring
        widget.session.editing.add([])
        assert parts.journal.journal_of(widget.binding.target.labels) is None
        box = parts.annotate.prompt_panel.accept_on_click
        assert box.isChecked()
        assert widget.session.object_in_progress.accept_on_click
        box.click()  # the dock and napari's preferences are one place
        assert not settings.objects.accept_at_once
        settings.objects.accept_at_once, settings.objects.color_by_class = True, False
        QApplication.sendEvent(widget, QEvent(QEvent.Type.WindowActivate))  # back from the dialog
        assert box.isChecked()
        assert widget.session.object_in_progress.accept_on_click
        assert not parts.classes.is_coloring
        parts.classes.set_coloring(True)  # for this dock alone
        box.click()
        QApplication.sendEvent(widget, QEvent(QEvent.Type.WindowActivate))
        assert parts.classes.is_coloring
        assert not box.isChecked()
        for is_on in (False, True):
            parts.options.panel.coloring.click()
            assert settings.objects.color_by_class is is_on
        widget.close()


def test_napari_that_does_not_know_the_plugin(saved, monkeypatch):
    def unknown(plugin):
        raise KeyError(plugin)

    monkeypatch.setattr(preferences, "get_plugin_settings", unknown)
    assert Preferences.load() == Preferences()
    preferences.keep_of_objects("accept_at_once", True)
    saved.unlink()
    monkeypatch.setattr(preferences, "get_plugin_settings", None)
    assert Preferences.load() == Preferences()


def test_where_napari_saves_them(tmp_path, monkeypatch):
    settings = SimpleNamespace(config_path=tmp_path / "settings.yaml")
    monkeypatch.setattr(preferences, "get_settings", lambda: settings)
    assert preferences_file() == tmp_path / f"{DISTRIBUTION}.yaml"
