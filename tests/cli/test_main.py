"""The napari-sam command; windows are real, only napari's event loop is not entered."""

import subprocess
import sys
from importlib import metadata

import napari
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from napari._app_model import get_app_model
from napari.settings import get_settings
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QApplication

from napari_sam import __version__
from napari_sam._distribution import DISTRIBUTION, DOCK_NAME, broken_qt_warning
from napari_sam.catalogue.table import BUNDLED
from napari_sam.cli.main import dock_widget, main
from napari_sam.cli.options import choose_model
from napari_sam.session import ModelChoice

pytestmark = pytest.mark.slow

GRAY = np.tile(np.arange(40, dtype=np.uint8), (30, 1))


@pytest.fixture
def image_file(tmp_path):
    path = tmp_path / "ramp.tif"
    tifffile.imwrite(path, GRAY)
    return path


@pytest.fixture
def opened(make_napari_viewer, monkeypatch):
    """Let the command make a viewer of the test's, and return those that it ran."""
    ran = []
    viewer = make_napari_viewer()
    monkeypatch.setattr(napari, "Viewer", lambda show: viewer)
    monkeypatch.setattr(napari, "run", lambda: ran.append(viewer))
    return ran


def _run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def _widget(viewer):
    return viewer.window.dock_widgets[DOCK_NAME]


def test_help_has_examples_and_the_options():
    result = _run("--help")
    assert result.exit_code == 0
    for text in ("napari-sam image.tif", "--sample", "--reader", "--version"):
        assert text in result.output


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "napari_sam.cli", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    usage, help_text = shown.split("\n", 1)
    assert usage.endswith("-m napari_sam.cli [OPTIONS] [FILE]...")
    result = CliRunner().invoke(main, ["--help"], terminal_width=78)
    assert help_text == result.output.split("\n", 1)[1]


def test_version():
    assert _run("--version").output.split()[-1] == __version__


def test_missing_file_is_named_before_a_window_opens(opened, tmp_path):
    result = _run(tmp_path / "none.tif")
    assert result.exit_code == 1
    assert result.output == f"Error: Cannot open {tmp_path / 'none.tif'}: there is no such file.\n"
    assert opened == []


@pytest.mark.usefixtures("reader_leaves_file_open")
@pytest.mark.parametrize("name", ["broken.tif", "unknown.xyz"])
def test_unreadable_file_gives_one_message(opened, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"no image at all")
    result = _run(path)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: Cannot open {path}: ")
    assert result.output.count("\n") == 1
    assert opened == []


def test_unknown_reader_gives_one_message(opened, image_file):
    result = _run("--reader", "no-such-plugin", image_file)
    assert result.exit_code == 1
    assert "no-such-plugin" in result.output
    assert opened == []


def test_unknown_sample_is_a_usage_error():
    result = _run("--sample", "moon")
    assert result.exit_code == 2
    assert "immunohistochemistry" in result.output


def test_the_topmost_file_is_annotated_and_the_next_click_is_a_prompt(opened, image_file, tmp_path):
    second = tmp_path / "second.tif"
    tifffile.imwrite(second, GRAY.T)
    result = _run(second, image_file)
    assert (result.exit_code, result.output) == (0, "")
    (viewer,) = opened
    widget = _widget(viewer)
    assert widget.binding.plane.image is viewer.layers["ramp"]
    np.testing.assert_array_equal(widget.binding.plane.image.data, GRAY)
    assert viewer.layers.selection.active is viewer.layers["SAM points"]
    assert viewer.layers["SAM points"].mode == "add"


def test_sample(opened):
    assert _run("--sample", "cell").exit_code == 0
    (viewer,) = opened
    assert _widget(viewer).binding.plane.image is viewer.layers["cell"]


def test_the_first_window_is_no_wider_than_the_screen(opened, monkeypatch):
    monkeypatch.setattr(get_settings().application, "first_time", True)
    assert _run("--sample", "coins").exit_code == 0
    (viewer,) = opened
    window = viewer.window._qt_window
    for _ in range(3):
        QApplication.processEvents()
    room = window.screen().availableGeometry()
    assert window.width() <= room.width()
    assert window.height() <= room.height()


def test_without_files_the_widget_waits(opened):
    assert _run().exit_code == 0
    (viewer,) = opened
    assert _widget(viewer).binding.plane.image is None
    assert len(viewer.layers) == 0


def test_menu_toggles_the_docked_widget(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    widget = dock_widget(viewer)
    qtbot.waitUntil(widget.isVisible)
    get_app_model().commands.execute_command(f"{DISTRIBUTION}.widget").result()
    assert list(viewer.window.dock_widgets) == [DOCK_NAME]
    assert _widget(viewer) is widget
    assert not widget.isVisible()


def test_what_cannot_work_with_the_package_is_reported(monkeypatch, opened):
    other = {"napari-sam": "0.4.1", "PySide6": "6.12.0"}
    true_version = metadata.version

    def version(name):
        if name == "PyQt6":
            raise metadata.PackageNotFoundError(name)
        return other.get(name) or true_version(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr("napari_sam._distribution._IMMORTAL_NONE", (99,))
    result = _run()
    assert result.exit_code == 0
    shown = "\n".join(record.message for record in notification_manager.records)
    for text in (shown, result.stderr):
        assert "napari-sam 0.4.1" in text
        assert "pip uninstall napari-sam" in text
        assert "PySide6 6.12.0 crashes Python" in text
        assert "pip install 'PySide6!=6.12.0'" in text
    monkeypatch.setattr("napari_sam._distribution._IMMORTAL_NONE", (3, 0))
    assert not broken_qt_warning()


def test_nothing_is_reported_otherwise(opened):
    assert _run().stderr == ""


def test_a_model_and_a_device_to_begin_with(opened, tmp_path):
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(BUNDLED.bundled.read_bytes())
    assert _run("--sample", "cell", "--model", copy, "--device", "cpu").exit_code == 0
    (viewer,) = opened
    widget = _widget(viewer)
    choice = ModelChoice(device="cpu").with_weights("mine.safetensors", copy)
    assert widget.session.state.active_model == choice
    assert widget.session.state.active_model.name == "mine.safetensors"
    assert widget.controllers.models.panel.combo.offer.path == copy


@pytest.mark.parametrize(
    ("name", "words"),
    [("sam3", ("is not a file", "vit_b")), ("vit_h", ("napari-sam download vit_h",))],
)
def test_a_model_that_is_not_there(opened, monkeypatch, tmp_path, name, words):
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(tmp_path))
    monkeypatch.setattr(
        "napari_sam.catalogue.local_files.shared_model_folders", lambda: {"Hugging Face": tmp_path}
    )
    result = _run("--model", name)
    assert result.exit_code == 1
    assert all(word in result.output for word in words)
    assert opened == []


def test_a_published_name_goes_before_a_file_and_paths_are_absolute(opened, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mobile_sam").write_bytes(BUNDLED.bundled.read_bytes())
    (tmp_path / "vit_h").mkdir()
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(tmp_path))
    monkeypatch.setattr(
        "napari_sam.catalogue.local_files.shared_model_folders", lambda: {"Hugging Face": tmp_path}
    )
    result = _run("--model", "vit_h")
    assert result.exit_code == 1
    assert "napari-sam download vit_h" in result.output
    assert "./vit_h" in result.output
    assert choose_model("mobile_sam", "auto").checkpoint is None
    choice = choose_model("./mobile_sam", "auto")
    assert (choice.name, choice.checkpoint) == ("mobile_sam", tmp_path / "mobile_sam")
    assert choice.version is not None


def test_an_empty_model_name(opened):
    result = _run("--model", "")
    assert result.exit_code == 2
    assert "napari-sam models" in result.output
    assert opened == []


def test_a_device_that_is_not_there_is_refused_before_a_window_opens(opened):
    result = _run("--device", "nonsense")
    assert result.exit_code == 1
    assert "This computer has no device 'nonsense'; choose one of auto, " in result.output
    assert "cpu" in result.output
    assert opened == []


def test_a_misspelled_command_is_named():
    result = CliRunner().invoke(main, ["predikt"])
    assert result.exit_code == 1
    assert "Did you mean 'napari-sam predict'?" in result.output


INTERRUPTED_FINALIZER = """
import signal
import click
from napari_sam.cli.main import main

class Stopped:
    def __del__(self):
        raise KeyboardInterrupt

# A shell has programs in the background ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

@main.command()
def wait():
    Stopped()
    for _ in range(10_000_000):
        pass

main(["wait"])
"""


def test_ctrl_c_is_not_lost_in_a_finalizer():
    command = [sys.executable, "-c", INTERRUPTED_FINALIZER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr.strip()) == (1, "Aborted!")
