"""The outlines of the objects that the user means."""

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_sam.session.objects.records import ObjectRecord

TIMEOUT_S = 120
NAME = "napari-sam-object"


@pytest.fixture
def opened(make_widget):
    """Open a stack with three objects, the last of which is on another slice."""
    image = Image(np.zeros((2, 40, 40), np.uint8), name="stack")
    labels = np.zeros((2, 40, 40), np.uint16)
    labels[0, 5:10, 5:15], labels[0, 20:30, 20:30], labels[1, 1:3, 1:3] = 1, 2, 3
    viewer, widget = make_widget(image)
    layer = viewer.add_labels(labels)
    widget.binding.target.set_layer(layer)
    viewer.dims.set_point(0, 0)
    widget.wait_until_idle(TIMEOUT_S)
    return viewer, widget, layer


def outlined(widget, layer):
    """How long the outlines are, in pixels."""
    widget.wait_until_idle(TIMEOUT_S)
    overlay = layer._overlays.get(NAME)
    return (
        0
        if overlay is None
        else np.abs(np.diff(overlay.segments.ends_rc.reshape(-1, 2, 2), axis=1)).sum()
    )


def test_rows_and_outlines_say_the_same(opened):
    viewer, widget, layer = opened
    table, outlines = widget.controllers.objects.table, widget.binding.objects.outlines
    assert outlined(widget, layer) == 0
    table.select(1)
    assert outlines.label_ids == (1,)
    assert outlined(widget, layer) == 30
    widget.binding.objects.object_pointed_at.emit(2)
    assert outlines.label_ids == (1, 2)
    assert outlined(widget, layer) == 30 + 40
    widget.binding.objects.object_pointed_at.emit(None)
    table.view.clearSelection()
    assert outlined(widget, layer) == 0
    table.select(3)  # goes to its slice
    assert viewer.dims.current_step[0] == 1
    assert outlined(widget, layer) == 8
    viewer.dims.set_point(0, 0)
    assert outlined(widget, layer) == 0


def test_outlines_follow_changes_and_go_with_the_widget(opened):
    _, widget, layer = opened
    outlines, session = widget.binding.objects.outlines, widget.session
    outlines.choose([1, 2])
    assert outlined(widget, layer) == 70
    session.objects.remove([2])
    assert outlined(widget, layer) == 30
    session.undo()
    assert outlined(widget, layer) == 70
    widget.close()
    assert NAME not in layer._overlays


def test_outlines_leave_a_target_that_is_no_longer_the_target(opened):
    viewer, widget, layer = opened
    widget.binding.objects.outlines.choose([1])
    assert outlined(widget, layer) == 30
    other = Labels(np.zeros((2, 40, 40), np.uint16))
    viewer.add_layer(other)
    widget.binding.target.set_layer(other)
    assert outlined(widget, other) == 0
    assert NAME not in layer._overlays
    viewer.layers.remove(other)
    widget.wait_until_idle(TIMEOUT_S)


def test_an_object_too_large_to_outline_quickly_has_none(opened, monkeypatch):
    _, widget, layer = opened
    monkeypatch.setattr("napari_sam.layers.object_outlines._MAX_OUTLINED_PX", 60)
    assert isinstance(widget.binding.target.labels.registry.get(2), ObjectRecord)
    widget.binding.objects.outlines.choose([1, 2])
    assert outlined(widget, layer) == 30
