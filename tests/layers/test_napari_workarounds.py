import threading

from napari.layers.shapes import _accelerated_triangulate_dispatch as dispatch

from napari_sam.layers.napari_workarounds import PromptPoints, compile_shapes
from napari_sam.layers.prompt_layers import polarity_options


def test_a_hidden_layer_without_points_can_change_its_colors(make_napari_viewer):
    points = PromptPoints(ndim=2, **polarity_options("face"))
    make_napari_viewer().add_layer(points)
    points.add([[1, 2], [3, 4]])
    points.visible = False
    points.remove([0, 1])
    for polarity in ("background", "foreground"):
        points.feature_defaults = {"polarity": polarity}


def test_what_shapes_need_is_compiled_in_the_background(monkeypatch):
    compiled = []
    monkeypatch.setattr(
        dispatch, "warmup_numba_cache", lambda: compiled.append(threading.current_thread())
    )
    thread = compile_shapes()
    thread.join()
    assert compiled == [thread]
