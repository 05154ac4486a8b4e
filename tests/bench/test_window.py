"""Measurements in a real window."""

import sys
import time
from types import SimpleNamespace

import napari
import pytest

from napari_sam.bench import window
from napari_sam.bench.options import Options
from napari_sam.bench.run import has_display

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_display(monkeypatch, variable):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not has_display()
    monkeypatch.setenv(variable, ":1")
    assert has_display()
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert not has_display()


@pytest.fixture
def quick(monkeypatch, make_napari_viewer):
    """Measure a moment of work, however busy the machine is, in a viewer of the test's."""
    if not has_display():
        pytest.skip("there is no display")
    monkeypatch.setattr(napari, "Viewer", lambda: make_napari_viewer(show=True))
    monkeypatch.setattr(window, "REPAINTS", 2)
    monkeypatch.setattr(window, "HOVER_S", 2)
    monkeypatch.setattr(window, "time", SimpleNamespace(perf_counter=time.process_time))


def test_a_window_is_measured(quick):
    measured = window.measure(Options(device="cpu"))
    assert measured["repaint_s"] > 0
    assert measured["previews_per_s"] > 0


def test_a_window_without_a_model_says_why(quick):
    with pytest.raises(SystemExit, match="There is no checkpoint file"):
        window.measure(Options(checkpoint="none.pt"))
