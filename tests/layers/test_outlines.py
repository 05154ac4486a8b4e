"""Outlines of masks: where their pieces lie, and that they are seen on a real canvas."""

from itertools import pairwise

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_sam.layers.outlines import NO_SEGMENTS, LayerOutline, Segments

YELLOW = np.array((255, 230, 0))


def pieces(segments):
    """The ends of the edges of single pixels, in any order."""
    edges = set()
    for first, last in np.array(segments.ends_rc, float).reshape(-1, 2, 2):
        count = round(np.abs(last - first).sum())
        ends = np.linspace(first, last, count + 1).tolist()
        edges |= {frozenset(map(tuple, pair)) for pair in pairwise(ends)}
    return edges


def test_a_pixel_is_surrounded_by_its_four_edges():
    corners = (2.5, 4.5), (2.5, 5.5), (3.5, 5.5), (3.5, 4.5)
    sides = {frozenset((corners[n], corners[n - 1])) for n in range(4)}
    assert pieces(Segments.around([(np.array([[True]]), 3, 5)])) == sides


def test_holes_and_several_masks_are_outlined():
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    segments = Segments.around([(ring, 0, 0), (np.ones((1, 2), bool), 9, 9)])
    assert len(pieces(segments)) == 12 + 4 + 6
    assert not len(Segments.around([(np.zeros((2, 2), bool), 0, 0)]).ends_rc)
    assert not len(Segments.around([]).ends_rc)


def test_edges_in_line_are_one_piece():
    assert len(Segments.around([(np.ones((20, 30), bool), 0, 0)]).ends_rc) == 4 * 2


def test_the_edges_of_any_mask_are_where_it_differs_from_its_neighbors():
    mask = np.random.default_rng(3).random((9, 7)) > 0.4
    padded = np.pad(mask, 1)
    expected = np.abs(np.diff(padded.astype(int), axis=0)).sum()
    expected += np.abs(np.diff(padded.astype(int), axis=1)).sum()
    assert len(pieces(Segments.around([(mask, 0, 0)]))) == expected


def test_seams_lie_between_objects_that_touch():
    labels = np.array([[1, 1, 0], [2, 2, 0], [0, 0, 3]])
    expected = {frozenset(((0.5, -0.5), (0.5, 0.5))), frozenset(((0.5, 0.5), (0.5, 1.5)))}
    assert pieces(Segments.between(labels)) == expected


def bounds_on_canvas(viewer):
    """The first and last row and column of the canvas with a yellow pixel; None without one."""
    shot = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    is_yellow = (np.abs(shot - YELLOW) < 40).all(axis=2)
    rows, columns = np.flatnonzero(is_yellow.any(1)), np.flatnonzero(is_yellow.any(0))
    return (rows[0], rows[-1], columns[0], columns[-1]) if len(rows) else None


def on_canvas(viewer, rows, columns):
    """The same for a box of the world."""
    camera, (height, width) = viewer.scene.camera, viewer.canvas.size
    centre, zoom = np.array(camera.center[-2:]), camera.zoom
    return (
        *(height / 2 + (np.array(rows) - centre[0]) * zoom),
        *(width / 2 + (np.array(columns) - centre[1]) * zoom),
    )


@pytest.mark.parametrize("is_multiscale", [False, True])
def test_an_outline_is_drawn_around_its_pixels_at_every_zoom(make_napari_viewer, is_multiscale):
    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.zeros((2000, 2000), np.uint8), contrast_limits=(0, 255))
    data = np.zeros((2000, 2000), np.uint16)
    levels = [data, data[::2, ::2], data[::4, ::4]] if is_multiscale else data
    layer = viewer.add_labels(levels, multiscale=is_multiscale)
    outline = LayerOutline(layer, "test", "#ffe600")
    assert bounds_on_canvas(viewer) is None
    outline.show(Segments.around([(np.ones((200, 400), bool), 500, 1000)]))
    for zoom in (0.16, 0.6):
        viewer.scene.camera.center, viewer.scene.camera.zoom = (600, 1200), zoom
        viewer.screenshot(flash=False)  # napari chooses the level while it draws
        expected = on_canvas(viewer, (499.5, 699.5), (999.5, 1399.5))
        np.testing.assert_allclose(bounds_on_canvas(viewer), expected, atol=4)
    outline.show(NO_SEGMENTS)
    assert bounds_on_canvas(viewer) is None
    outline.show(Segments.around([(np.ones((200, 400), bool), 500, 1000)]))
    viewer.dims.ndisplay = 3
    assert bounds_on_canvas(viewer) is None
    viewer.dims.ndisplay = 2
    outline.remove()
    assert bounds_on_canvas(viewer) is None


@pytest.mark.parametrize("is_multiscale", [False, True])
def test_an_outline_is_in_place_before_its_layer_changes(make_napari_viewer, is_multiscale):
    viewer = make_napari_viewer(show=True)
    data = np.zeros((40, 60), np.uint16)
    levels = [data, data[::2, ::2]] if is_multiscale else data
    layer = viewer.add_labels(levels, multiscale=is_multiscale)
    viewer.scene.camera.zoom = 20
    viewer.screenshot(flash=False)
    LayerOutline(layer, "test", "#ffe600").show(Segments.around([(np.ones((6, 8), bool), 18, 26)]))
    places = [bounds_on_canvas(viewer)]
    layer.refresh()
    places.append(bounds_on_canvas(viewer))
    assert places[0] == places[1] is not None


def test_an_outline_that_another_has_replaced_is_left_alone():
    layer = Labels(np.zeros((4, 4), np.uint8))
    first, second = (LayerOutline(layer, "test", "white") for _ in range(2))
    first.remove()
    assert "test" in layer._overlays
    second.remove()
    assert "test" not in layer._overlays


def test_the_shown_candidate_has_an_outline_and_none_is_left_behind(make_widget):
    rows, columns = np.mgrid[:120, :120]
    disk = np.where((rows - 60) ** 2 + (columns - 60) ** 2 < 900, 200, 40).astype(np.uint8)
    viewer, widget = make_widget(Image(disk, name="disk"), show=True)
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(60, 60)])
    widget.wait_until_idle(120)
    assert bounds_on_canvas(viewer) is not None
    widget.session.object_in_progress.clear()
    widget.wait_until_idle(120)
    assert bounds_on_canvas(viewer) is None
