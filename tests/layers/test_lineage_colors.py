"""Objects of one lineage have one color, and the layer gets its own colors back."""

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils.colormaps import direct_colormap, label_colormap

from napari_sam.layers.lineage_colors import LineageColors
from napari_sam.layers.target import TargetLayer
from napari_sam.session.objects.records import RecordChange


def bars(dtype=np.uint16) -> np.ndarray:
    array = np.zeros((4, 6, 12), dtype)
    array[:2, :, 4:8] = 1
    array[2:, :, 2:5], array[2:, :, 5:9] = 2, 3
    array[:, :, 11] = 4
    return array


def change(target: TargetLayer, **parents: int) -> None:
    records = {int(name[1:]): parent for name, parent in parents.items()}
    changes = []
    for label_id, parent_id in records.items():
        record = target.registry.get(label_id)
        assert record is not None
        changes.append(RecordChange(record, replace(record, parent_id=parent_id)))
    target.registry.apply(tuple(changes))


def seams(layer: Labels) -> int:
    (overlay,) = [overlay for name, overlay in layer._overlays.items() if "seams" in name]
    return len(overlay.segments.ends_rc)


def at_once(action) -> None:
    action()


@pytest.mark.parametrize("kind", ["cyclic", "direct"])
def test_descendants_have_the_color_of_their_founder(kind: str) -> None:
    colors = {1: "red", 2: "lime", 3: "blue", 4: "white", None: "gray"}
    colormap = label_colormap(7) if kind == "cyclic" else direct_colormap(colors)
    layer = Labels(bars(), colormap=colormap)
    target, before = TargetLayer(layer, at_once), layer.colormap
    own = {n: tuple(layer.get_color(n)) for n in range(1, 5)}
    coloring = LineageColors(target, 0, at_once, pytest.fail)
    assert layer.colormap is before
    change(target, _2=1, _3=1)
    shown = {n: tuple(np.round(layer.get_color(n), 5)) for n in range(1, 5)}
    assert shown == {n: tuple(np.round(own[m], 5)) for n, m in ((1, 1), (2, 1), (3, 1), (4, 4))}
    change(target, _2=0, _3=0)
    assert layer.colormap is before
    change(target, _2=1)
    coloring.close()
    assert layer.colormap is before


def test_a_line_keeps_daughters_apart_that_touch() -> None:
    viewer = ViewerModel()
    layer = viewer.add_labels(bars())
    viewer.dims.set_current_step(0, 2)
    target = TargetLayer(layer, at_once)
    coloring = LineageColors(target, 0, at_once, pytest.fail)
    assert seams(layer) == 0
    change(target, _2=1, _3=1)
    target.show()
    assert seams(layer) > 0
    change(target, _2=0)
    target.show()
    assert seams(layer) == 0
    coloring.close()
