"""The plugin's settings in napari's preferences."""

from types import SimpleNamespace

import pytest
from napari.settings import get_plugin_settings
from npe2 import PluginManager

from napari_sam.cli.main import DISTRIBUTION
from napari_sam.controllers import preferences
from napari_sam.controllers.preferences import Preferences
from napari_sam.storage.folders import EMBEDDINGS_VARIABLE, embeddings_folder


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Have napari saved something."""
    file = tmp_path / "saved.yaml"
    file.touch()
    monkeypatch.setattr(preferences, "preferences_file", lambda: file)
    return file


def test_a_widget_begins_with_what_is_set_in_napari(make_widget, saved, tmp_path, monkeypatch):
    PluginManager.instance().discover()
    settings = get_plugin_settings(DISTRIBUTION)
    assert Preferences.load() == Preferences()
    with monkeypatch.context() as patched:
        patched.setattr(settings.model, "device", "cpu")
        patched.setattr(settings.embeddings, "prefetch", False)
        patched.setattr(settings.embeddings, "folder", str(tmp_path / "kept"))
        patched.setattr(settings.embeddings, "size_gib", 0.5)
        assert Preferences.load() == Preferences("cpu", False, str(tmp_path / "kept"), 0.5)
        assert Preferences.load().store().folder == embeddings_folder()  # the variable is set
        patched.delenv(EMBEDDINGS_VARIABLE)
        _, widget = make_widget(wait=False)
        assert widget.session.embedding.model.choice.device == "cpu"
        assert widget._store.folder == tmp_path / "kept"
        widget.close()


def test_napari_that_does_not_know_the_plugin(saved, monkeypatch):
    def unknown(plugin):
        raise KeyError(plugin)

    monkeypatch.setattr(preferences, "get_plugin_settings", unknown)
    assert Preferences.load() == Preferences()
    saved.unlink()
    monkeypatch.setattr(preferences, "get_plugin_settings", None)
    assert Preferences.load() == Preferences()


def test_where_napari_saves_them(tmp_path, monkeypatch):
    settings = SimpleNamespace(config_path=tmp_path / "settings.yaml")
    monkeypatch.setattr(preferences, "get_settings", lambda: settings)
    assert preferences.preferences_file() == tmp_path / f"{DISTRIBUTION}.yaml"
