"""What napari's brush, polygon, fill and undo do is followed, at the cost of what they change."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam.layers.target import TargetLayer
from napari_sam.session import ArrayLabels, find_objects

SIDE = 600


@pytest.fixture
def layer():
    array = np.zeros((SIDE, SIDE), np.uint16)
    starts = range(2, SIDE - 20, 30)
    for label_id, (y, x) in enumerate(((y, x) for y in starts for x in starts), start=1):
        array[y : y + 20, x : x + 20] = label_id
    return Labels(array)


def test_every_way_to_paint_is_followed(layer, monkeypatch):
    sizes = []
    read = TargetLayer.read
    monkeypatch.setattr(
        TargetLayer, "read", lambda *args: sizes.append((part := read(*args)).size) or part
    )
    soon = []
    target = TargetLayer(layer, soon.append)

    def dabs():
        with layer.block_history():
            for at in range(20, SIDE - 20, 5):
                layer.paint((at, at), 60000)

    layer.brush_size = 9
    corners = np.array([[5, 5], [5, SIDE - 5], [SIDE - 5, SIDE - 5]])
    for step in (
        lambda: layer.paint_polygon(corners, 0),
        layer.undo,
        layer.redo,
        layer.undo,
        dabs,
        layer.undo,
        lambda: layer.fill((10, 10), 7),
        lambda: layer.data_setitem((np.array([3, 590]), np.array([590, 5])), 99),
        layer.undo,
    ):
        sizes.clear()
        step()
        assert soon
        soon.pop()()
        soon.clear()
        assert sum(sizes) < 3 * SIDE**2
        expected = find_objects(ArrayLabels(layer.data))
        assert {(one.label_id, one.start, one.stop, one.area_px) for one in target.book} == {
            (one.label_id, one.start, one.stop, one.area_px) for one in expected
        }
    target.close()
