"""Measurements in a real window."""

import sys

import pytest

from napari_sam.bench.options import Options
from napari_sam.bench.process import run_apart
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


def test_a_window_is_measured():
    if not has_display():
        pytest.skip("there is no display")
    found = run_apart("napari_sam.bench.window", Options(device="cpu"))
    assert found["repaint_s"] > 0
    assert found["previews_per_s"] > 0
