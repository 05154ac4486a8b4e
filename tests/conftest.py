import gc
import os
import sys

# pytest imports it at the first file that is left open (imageio's, of a damaged image). Garbage
# collected meanwhile reports another one, for which it is "partially initialized" then.
import tracemalloc  # noqa: F401
from collections import Counter
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import FunctionType, SimpleNamespace

import pytest
import torch
from napari import settings
from napari._qt.widgets.qt_viewer_buttons import LayerCreationState, QtViewerPushButton
from napari.utils.events.event import EventEmitter
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from vispy.visuals.shaders.function import Function
from vispy.visuals.shaders.shader_object import ShaderObject

from napari_sam._distribution import DISTRIBUTION
from napari_sam.controllers import annotate, preferences, thumbnails
from napari_sam.model import Predictor, load_model
from napari_sam.session import jobs
from napari_sam.session.journal import files as journal_files
from napari_sam.widget import SamWidget
from tests.remembering import MaskRememberingPredictor, RememberingPredictor

TIMEOUT_S = 120
REST_MS = 20
SLOW_FIXTURES = frozenset({"make_napari_viewer", "predictor", "remembering_predictor"})
"""Tests that ask for these open a window or run the bundled model."""
LONG_FILES = frozenset(
    Path(__file__).parent / name
    for name in (
        "bench/test_window.py",
        "cli/test_automatic.py",
        "cli/test_embed.py",
        "model/automatic/test_by_products.py",
        "model/automatic/test_generate.py",
        "scripts/test_demo.py",
        "session/propagation/test_propagate.py",
        "test_closing.py",
        "test_killed.py",
        "test_random_annotation.py",
    )
)
"""Few tests that take long: begun first, so that no process waits for another in the end."""


def pytest_configure():
    """Share the cores among the suite's processes: threads that wait for a core cost time.

    And look for garbage more seldom than after 700 objects, of which a window has thousands.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    threads = max(1, (os.cpu_count() or 1) // processes)
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # for the processes that tests start
    gc.set_threshold(10_000, 20, 50)


def pytest_collection_modifyitems(items):
    """Mark more tests as slow by what they need; `make test-fast` leaves them out."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        counts = Counter(item.path for item in items)
        items.sort(key=lambda item: (item.path not in LONG_FILES, -counts[item.path], item.path))
    for item in items:
        if not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module", autouse=True)
def imports_are_no_garbage():
    """Spare what was imported from being looked at: napari collects garbage layer by layer."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def manifests_are_read_once():
    """Do not read the manifests of all plugins again for each viewer, as napari's fixture does."""
    discover = PluginManifest.discover
    discover_once = cache(lambda *paths: tuple(discover(paths)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            PluginManifest, "discover", staticmethod(lambda paths=(): discover_once(*paths))
        )
        yield


@pytest.fixture(scope="session", autouse=True)
def code_is_looked_at_once():
    """Do not ask the same functions for their arguments, and shaders for their indentation, again.

    napari and vispy do so for each connection and visual, some thousands of times in a window.
    """
    clean, takes_event, known = Function._clean_code, EventEmitter._check_signature, {}

    def takes_event_once(callback):
        given = callback.args if type(callback) is partial and not callback.keywords else ()
        called = callback.func if given else callback
        if isinstance(called, EventEmitter):
            called = called.__call__
        function = getattr(called, "__func__", called)
        if (
            type(function) is not FunctionType
            or {"__wrapped__", "__signature__"} & vars(function).keys()
        ):
            return takes_event(callback)
        key = function.__code__, len(function.__defaults__ or ()), function is called, len(given)
        if key not in known:
            known[key] = takes_event(callback)
        return known[key]

    clean_once = cache(partial(clean, None))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(EventEmitter, "_check_signature", staticmethod(takes_event_once))
        patched.setattr(Function, "_clean_code", lambda _, code: clean_once(code))
        yield


@pytest.fixture(scope="session", autouse=True)
def what_changes_nothing_is_left_out():
    """Style no button anew that stays as it is, and tell nobody where nobody listens.

    napari and vispy do so at each change of the selection, and of a shader, some hundred times in
    a window.
    """
    restyle, disconnect = QtViewerPushButton._change_selection_state, EventEmitter.disconnect
    tell = ShaderObject.changed

    def restyle_if_new(button, state):
        if button.property("creation_state") != LayerCreationState(state).value:
            restyle(button, state)

    def disconnect_if_any(emitter, callback=None):
        if emitter._callbacks:
            disconnect(emitter, callback)

    def tell_if_any(shader, code_changed=False, value_changed=False):
        if shader._dependents:
            tell(shader, code_changed, value_changed)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(QtViewerPushButton, "_change_selection_state", restyle_if_new)
        patched.setattr(EventEmitter, "disconnect", disconnect_if_any)
        patched.setattr(ShaderObject, "changed", tell_if_any)
        yield


@pytest.fixture(scope="session", autouse=True)
def rests_are_short():
    """Take camera, contrast and masks for at rest soon, and see it soon: all tests wait for it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jobs, "_POLL_S", REST_MS / 2000)
        patched.setattr("napari_sam.widget._FIRST_PAINT_S", REST_MS / 1000)
        patched.setattr(annotate, "_CAMERA_MS", REST_MS)
        patched.setattr(annotate, "_APPEARANCE_MS", REST_MS)
        patched.setattr(thumbnails, "_AFTER_MASK_MS", REST_MS)
        yield


@pytest.fixture(scope="session", autouse=True)
def settings_of_napari_are_the_users():
    """Do not write napari's settings, which are the user's, as often as a window is docked."""
    settings.get_settings()._save_on_change = False


@pytest.fixture(scope="session", autouse=True)
def no_garbage_is_looked_for_as_layers_go():
    """Leave that to `make_napari_viewer`: napari needs it for drivers on Windows only."""
    with pytest.MonkeyPatch.context() as patched:
        if sys.platform != "win32":
            patched.setattr("napari._vispy.canvas.gc", SimpleNamespace(collect=lambda: None))
        yield


@pytest.fixture(autouse=True)
def nothing_was_said_before():
    """Forget the messages of the tests before."""
    notification_manager.records.clear()


@pytest.fixture(autouse=True)
def no_button_stays_pressed():
    """Tell who holds a mouse button, as `QTest.mouseDClick` does: later tests go wrong by it."""
    yield
    if QApplication.instance() is not None:
        assert QApplication.mouseButtons() == Qt.MouseButton.NoButton


@pytest.fixture(scope="session", autouse=True)
def encoded_images(tmp_path_factory):
    """Let the suite's processes find the images that the others have encoded."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    RememberingPredictor.folder = folder / "encoded"
    RememberingPredictor.folder.mkdir(exist_ok=True)


@pytest.fixture(scope="session")
def remembering_predictor() -> Predictor:
    return MaskRememberingPredictor(load_model("vit_t"), device="cpu")


@pytest.fixture(autouse=True)
def remembered_embeddings(monkeypatch):
    """Encode each image once, too, where the code under test loads the model by itself."""
    monkeypatch.setattr("napari_sam.model.Predictor", RememberingPredictor)


@pytest.fixture(autouse=True)
def embeddings_folder(tmp_path_factory, monkeypatch):
    """Keep embeddings apart from the user's, and from those of other tests."""
    folder = tmp_path_factory.mktemp("embeddings")
    monkeypatch.setenv("NAPARI_SAM_EMBEDDINGS", str(folder))
    return folder


@pytest.fixture(autouse=True)
def journals_folder(tmp_path_factory, monkeypatch):
    """Keep journals apart from the user's, and from those of other tests."""
    folder = tmp_path_factory.mktemp("journals")
    monkeypatch.setenv("NAPARI_SAM_JOURNALS", str(folder))
    return folder


@pytest.fixture
def other_program(monkeypatch):
    """Have what was written up to now be of a program that runs no longer."""

    def end():
        monkeypatch.setattr(journal_files, "_started", lambda pid: 1)
        monkeypatch.setattr(journal_files, "_since_boot", lambda pid: None)

    return end


@pytest.fixture(autouse=True)
def settings_folder(tmp_path_factory, monkeypatch):
    """Keep settings apart from the user's, and from those of other tests."""
    folder = tmp_path_factory.mktemp("settings")
    monkeypatch.setenv("NAPARI_SAM_SETTINGS", str(folder))
    return folder


@pytest.fixture(autouse=True)
def napari_preferences(tmp_path_factory, monkeypatch):
    """Keep what is set in napari's preferences apart from the user's, and from other tests'."""
    folder = tmp_path_factory.mktemp("preferences")
    monkeypatch.setattr(settings, "_CFG_PATH", str(folder / "settings.yaml"))
    file = folder / f"{DISTRIBUTION}.yaml"
    monkeypatch.setattr(preferences, "preferences_file", lambda: file)
    settings._clear_plugin_settings_cache()
    yield file
    settings._clear_plugin_settings_cache()


@pytest.fixture
def make_widget(make_napari_viewer, remembering_predictor):
    """Open a real viewer with these images and the widget docked; waits for the embedding."""
    widgets = []

    def make(*layers, wait=True, show=False, load_predictor=lambda *_: remembering_predictor):
        viewer = make_napari_viewer(show=show)
        for layer in layers:
            viewer.add_layer(layer)
        widget = SamWidget(viewer, load_predictor=load_predictor)
        viewer.window.add_dock_widget(widget, name="SAM live")
        widgets.append(widget)
        if wait:
            widget.wait_until_idle(TIMEOUT_S)
        return viewer, widget

    yield make
    for widget in widgets:
        with suppress(RuntimeError):  # a test may have destroyed it with its window
            widget.close()
