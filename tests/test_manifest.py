"""The plugin manifest, as npe2 and napari read it."""

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Layer
from npe2 import PluginManager, PluginManifest

import napari_sam
from napari_sam import _writer
from napari_sam._distribution import DISTRIBUTION, DOCK_NAME
from napari_sam.catalogue.table import MODELS
from napari_sam.cli.main import SAMPLES
from napari_sam.formats.registry import FORMATS
from napari_sam.layers import SHORTCUTS
from napari_sam.widget import SamWidget

MANIFEST = PluginManifest.from_file(Path(napari_sam.__file__).with_name("napari.yaml"))
SAMPLE_SHAPES = {
    "coins": (303, 384),
    "cell": (660, 550),
    "retina": (1411, 1411, 3),
    "immunohistochemistry": (512, 512, 3),
    "stack": (24, 256, 256),
    "film": (20, 256, 256),
    "multiscale": (1411, 1411, 3),
}


@pytest.fixture(autouse=True)
def discovered() -> None:
    """Have npe2 find the installed plugins, as napari does when it starts."""
    PluginManager.instance().discover()


def test_manifest_belongs_to_the_distribution() -> None:
    assert MANIFEST.name == DISTRIBUTION
    (entry_point,) = metadata.distribution(DISTRIBUTION).entry_points.select(
        group="napari.manifest"
    )
    assert (entry_point.name, entry_point.value) == (DISTRIBUTION, "napari_sam:napari.yaml")


def test_every_command_can_be_imported() -> None:
    MANIFEST.validate_imports()
    assert all(
        command.id.startswith(f"{DISTRIBUTION}.") for command in MANIFEST.contributions.commands
    )


def test_every_contribution_has_its_command() -> None:
    contributions = MANIFEST.contributions
    menus = [item for items in contributions.menus.values() for item in items]
    kinds = (contributions.widgets, contributions.sample_data, contributions.writers)
    used = [item.command for kind in (*kinds, contributions.readers, menus) for item in kind]
    with_keys = {f"{DISTRIBUTION}.{shortcut.command}": shortcut.help for shortcut in SHORTCUTS}
    titles = {command.id: command.title for command in contributions.commands}
    of_layers = {f"{DISTRIBUTION}.segment_image"}
    assert set(used) | with_keys.keys() | of_layers == titles.keys()
    assert titles | with_keys == titles


def test_widget_is_in_the_menus_and_named_alike() -> None:
    (widget,) = MANIFEST.contributions.widgets
    assert widget.get_callable() is SamWidget
    assert f"{widget.display_name} ({MANIFEST.display_name})" == DOCK_NAME
    assert "napari/layers/segment" in MANIFEST.contributions.menus


def test_preferences_offer_the_models_of_the_catalogue() -> None:
    offered = MANIFEST.contributions.configurations["model"].properties["name"].enum
    assert offered == [model.name for model in MODELS]


def test_samples_are_those_of_the_command() -> None:
    assert tuple(sample.key for sample in MANIFEST.contributions.sample_data) == SAMPLES


@pytest.mark.parametrize("sample", MANIFEST.contributions.sample_data, ids=lambda item: item.key)
def test_sample_data_makes_layers(sample) -> None:
    ((data, settings, kind),) = sample.open()
    layer = Layer.create(data, settings, kind)
    assert (layer.name, layer.rgb) == (sample.key, settings.get("rgb", False))
    largest = data[0] if layer.multiscale else data
    assert largest.shape == SAMPLE_SHAPES[sample.key]
    assert largest.dtype == np.uint8


def test_writers_are_those_of_the_formats() -> None:
    offered = {
        f"write_{file_format.key.replace('-', '_')}": file_format
        for file_format in FORMATS
        if file_format.napari_name
    }
    commands = {command.id: command for command in MANIFEST.contributions.commands}
    written = {writer.command: writer for writer in MANIFEST.contributions.writers}
    assert set(written) == {f"{DISTRIBUTION}.{name}" for name in offered}
    for name, file_format in offered.items():
        writer = written[f"{DISTRIBUTION}.{name}"]
        assert writer.display_name == file_format.napari_name
        assert tuple(writer.filename_extensions) == file_format.suffixes
        assert commands[writer.command].python_name == f"napari_sam._writer:{name}"
        assert getattr(_writer, name).args == (file_format.key,)
