import threading

import numpy as np
from napari.layers import Labels
from napari.layers.shapes import _accelerated_triangulate_dispatch as dispatch

from napari_sam.layers.napari_workarounds import PromptPoints, SessionLabels, compile_shapes
from napari_sam.layers.prompt_layers import polarity_options


def test_a_hidden_layer_without_points_can_change_its_colors(make_napari_viewer):
    points = PromptPoints(ndim=2, **polarity_options("face"))
    make_napari_viewer().add_layer(points)
    points.add([[1, 2], [3, 4]])
    points.visible = False
    points.remove([0, 1])
    for polarity in ("background", "foreground"):
        points.feature_defaults = {"polarity": polarity}


def test_a_layer_of_masks_has_its_tools_drawn_once_it_is_the_users():
    pixels = np.zeros((4, 5), np.uint8)
    usual = {name: overlay.visible for name, overlay in Labels(pixels)._overlays.items()}
    layer = SessionLabels(pixels, print)
    assert not any(overlay.visible for overlay in layer._overlays.values())
    layer.release()
    assert {name: overlay.visible for name, overlay in layer._overlays.items()} == usual


def test_what_shapes_need_is_compiled_in_the_background(monkeypatch):
    compiled = []
    monkeypatch.setattr(
        dispatch, "warmup_numba_cache", lambda: compiled.append(threading.current_thread())
    )
    thread = compile_shapes()
    thread.join()
    assert compiled == [thread]
