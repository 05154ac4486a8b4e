from types import SimpleNamespace

from napari_sam._qt.layer_combo import LayerCombo


def test_layers_of_any_names_and_none(qtbot, heard):
    first, second, third = (SimpleNamespace(name=name) for name in ("a", "b", "no layer"))
    combo = LayerCombo("no layer", "which one")
    qtbot.addWidget(combo)
    emitted = heard(combo, "chosen")
    assert combo.layer is None
    combo.set_layers([first, second, third], second)
    assert combo.layers == [None, first, second, third]
    assert combo.layer is second
    texts = [combo.itemText(row) for row in range(combo.count())]
    assert texts == ["no layer", "a", "b", "no layer (layer)"]
    assert emitted == []
    combo.setCurrentIndex(0)
    combo.setCurrentIndex(3)
    assert emitted == [("chosen", None), ("chosen", third)]
    combo.set_layers([first], third)  # one that is gone
    assert combo.layer is None
