"""Colors by class of objects with numbers that napari's table of colors does not reach."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils.colormaps import label_colormap

from napari_sam.layers import object_colors
from napari_sam.layers.class_colors import ClassColors
from napari_sam.layers.object_colors import ColoringError
from napari_sam.layers.target import TargetLayer
from napari_sam.session import ObjectClass
from napari_sam.session.classes.classes import ClassTable
from napari_sam.session.objects.records import RecordChange


def classed(target, *label_ids):
    before = [target.registry.get(label_id) for label_id in label_ids]
    target.registry.apply(
        tuple(RecordChange(one, replace(one, class_name="cell")) for one in before)
    )


@pytest.mark.skipif(find_spec("numba") is None, reason="napari maps large numbers with numba")
def test_too_many_large_numbers_are_refused_with_a_word(monkeypatch):
    monkeypatch.setattr(object_colors, "MOST_MAPPED", 2)
    data = np.zeros((4, 12), np.uint32)
    data[1, 1:9:2] = 1, 70_000, 80_000, 90_000
    layer = Labels(data, colormap=label_colormap(7))
    before = layer.colormap
    target, table = TargetLayer(layer, lambda action: action()), ClassTable()
    table.ensure([ObjectClass("cell", "#ff0000")])
    classed(target, 1, 90_000)
    said = []
    colors = ClassColors(target, table, lambda action: action(), said.append)
    for label_id, rgba in {1: (1, 0, 0), 90_000: (1, 0, 0), 80_000: (160 / 255,) * 3}.items():
        np.testing.assert_allclose(layer.get_color(label_id)[:3], rgba, atol=1e-6)
    assert said == []
    classed(target, 80_000)
    assert "relabel_sequential" in said[0]
    colors.close()
    assert layer.colormap is before
    with pytest.raises(ColoringError, match="Too many objects"):
        ClassColors(target, table, lambda action: action(), said.append)
    assert layer.colormap is before


def test_without_numba_large_numbers_are_refused_before_napari_fails(monkeypatch):
    monkeypatch.setattr(object_colors, "find_spec", lambda name: None)
    layer = Labels(np.array([[0, 70_000]], np.uint32))
    target = TargetLayer(layer, lambda action: action())
    with pytest.raises(ColoringError, match="Install numba"):
        ClassColors(target, ClassTable(), lambda action: action(), lambda why: None)


def test_objects_of_one_class_that_touch_are_kept_apart_by_a_line():
    layer = Labels(np.array([[1, 2, 0, 3], [1, 2, 0, 3]], np.uint16))
    target, table = TargetLayer(layer, lambda action: action()), ClassTable()
    colors = ClassColors(target, table, lambda action: action(), lambda why: None)
    (seams,) = [overlay for name, overlay in layer._overlays.items() if "seams" in name]
    np.testing.assert_array_equal(seams.segments.ends_rc[:, 1], 0.5)
    target.write((slice(0, 2), slice(1, 2)), np.zeros((2, 1), np.uint16))
    target.show()
    assert not len(seams.segments.ends_rc)
    colors.close()
    assert seams not in layer._overlays.values()


def test_what_has_no_class_has_an_outline():
    layer = Labels(np.array([[1, 1, 0, 3], [1, 1, 0, 0]], np.uint16))
    target, table = TargetLayer(layer, lambda action: action()), ClassTable()
    table.ensure([ObjectClass("cell", "#ff0000")])
    colors = ClassColors(target, table, lambda action: action(), lambda why: None)
    outline = layer._overlays["napari-sam-classless"]
    assert len(outline.segments.ends_rc) == 2 * (4 + 4)
    classed(target, 1)
    assert outline.segments.ends_rc[:, 1].min() == 2.5
    classed(target, 3)
    assert not len(outline.segments.ends_rc)
    colors.close()
    assert outline not in layer._overlays.values()
