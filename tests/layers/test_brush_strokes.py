"""What napari's brush, polygon, fill and undo do is followed, at the cost of what they change."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam.layers.target import TargetLayer
from napari_sam.session import ArrayLabels
from napari_sam.session.objects import painting
from napari_sam.session.objects.measuring import find_objects, remeasured

SIDE = 600


def places(records):
    return {(one.label_id, one.start, one.stop, one.area_px) for one in records}


@pytest.fixture
def layer():
    array = np.zeros((SIDE, SIDE), np.uint16)
    starts = range(2, SIDE - 20, 30)
    for label_id, (y, x) in enumerate(((y, x) for y in starts for x in starts), start=1):
        array[y : y + 20, x : x + 20] = label_id
    return Labels(array)


@pytest.mark.parametrize("max_measured_px", [None, 0])
def test_every_way_to_paint_is_followed(layer, monkeypatch, max_measured_px):
    if max_measured_px is not None:
        monkeypatch.setattr(painting, "_MAX_MEASURED_PX", max_measured_px)
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
        assert places(target.registry) == places(find_objects(ArrayLabels(layer.data)))
    target.close()


def test_a_dab_on_what_extends_through_a_volume_costs_what_it_changes(monkeypatch):
    array = np.zeros((40, 256, 256), np.uint16)
    array[0, 10:60, 10:60] = array[-1, -60:-10, -60:-10] = 1
    layer, n_read = Labels(array), [0]
    read = TargetLayer.read

    def counting(target, region):
        part = read(target, region)
        n_read[0] += part.size
        return part

    monkeypatch.setattr(TargetLayer, "read", counting)
    soon = []
    target = TargetLayer(layer, soon.append)

    def follow():
        while soon:
            soon.pop(0)()
        assert places(target.registry) == places(find_objects(ArrayLabels(layer.data)))

    def drag(value, *places_rc):
        with layer.block_history():
            for place in places_rc:
                layer.paint(place, value)

    layer.brush_size = 30
    for value, where in (
        (1, [(3, 100, 100), (3, 104, 100)]),
        (2, [(3, 100, 100)]),
        (1, [(3, 100, 104), (3, 200, 2)]),
        (0, [(3, 200, 2)]),
    ):
        n_read[0] = 0
        drag(value, *where)
        follow()
        assert n_read[0] < array.size / 10
    layer.undo()
    follow()
    layer.redo()
    follow()
    layer.brush_size = 250
    drag(0, (39, 200, 200))  # the box ends at the next of its pixels, far away
    follow()
    assert target.registry.get(1).stop[0] == 4
    drag(0, (3, 100, 100), (0, 50, 50))
    follow()
    assert len(target.registry) == 0
    target.close()


def test_what_is_written_while_a_stroke_goes_on_is_counted_once(monkeypatch):
    monkeypatch.setattr(painting, "_MAX_MEASURED_PX", 0)
    layer = Labels(np.zeros((100, 100), np.uint16))
    layer.data[10:40, 10:40] = 1
    soon = []
    target = TargetLayer(layer, soon.append)
    one = target.registry.get(1)
    with layer.block_history():
        layer.brush_size = 5
        layer.paint((60, 60), 1)
        region = (slice(0, 100), slice(0, 100))
        target.write(region, np.where(layer.data == 1, 1, 2))
        changes = remeasured(target, target.registry, 1, (0, 0), (100, 100))
        target.registry.apply(tuple(changes))
        assert target.registry.get(1).area_px > one.area_px
    for action in soon:
        action()
    assert target.registry.get(1).area_px == np.count_nonzero(layer.data == 1)
    target.close()


def test_undo_of_a_stroke_in_a_hidden_layer_or_one_that_has_grown_is_followed():
    layer = Labels(np.zeros((2, 60, 70), np.uint16))
    target = TargetLayer(layer, lambda _: None)
    layer.brush_size = 9
    for place, label_id in (((1, 20, 20), 3), ((1, 40, 40), 4)):
        layer.paint(place, label_id)
    for step in (
        lambda: target.grow((5, 60, 70)),
        layer.undo,
        layer.redo,
        lambda: setattr(layer, "visible", False),
        layer.undo,
        layer.undo,
        layer.redo,
    ):
        step()
        assert places(target.registry) == places(find_objects(ArrayLabels(layer.data)))
    target.close()
