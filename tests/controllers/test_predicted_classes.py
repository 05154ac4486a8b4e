"""Predicted classes in a real window: the table's columns, accepting, and undo."""

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import Qt

from napari_sam._qt.object_columns import CLASS, CONFIDENCE, PREDICTED
from napari_sam.session.predicted_classes import classifier
from tests.two_kinds import KINDS, two_kinds

TIMEOUT_S = 120


def test_the_table_shows_what_examples_tell_and_one_undo_takes_all_back(
    make_widget, said, monkeypatch
):
    image, array, kinds = two_kinds(8, shape=(240, 240), seed=1)
    viewer, widget = make_widget(Image(image, name="cells"))
    widget.binding.target.set_layer(viewer.add_layer(Labels(array, name="mine")))
    widget.wait_until_idle(TIMEOUT_S)
    session, view = widget.session, widget.controllers.objects.table.view
    model, box = widget.controllers.objects.table.model, widget.controllers.classes.panel.predicted
    assert view.isColumnHidden(PREDICTED)
    box.switch.click()
    widget.wait_until_idle(TIMEOUT_S)
    assert box.note.text().startswith("No class has examples")
    assert not box.accept.isEnabled()

    for kind in KINDS:
        examples = [label_id for label_id, own in kinds.items() if own == kind][:5]
        session.objects.update(examples, class_name=kind)
    widget.wait_until_idle(TIMEOUT_S)
    assert not view.isColumnHidden(PREDICTED)
    assert not view.isColumnHidden(CONFIDENCE)
    rows = {n: model.rows[n] for n in kinds if session.predicted_classes.of(n)}
    assert len(rows) == 6
    shown = {n: model.index(row, PREDICTED).data() for n, row in rows.items()}
    assert np.mean([name == kinds[n] for n, name in shown.items()]) >= 0.8
    assert all(0.5 <= float(model.index(row, CONFIDENCE).data()) <= 1 for row in rows.values())

    box.slider.slider.setValue(50)
    box.accept.click()
    registry = widget.binding.target.labels.registry
    assert {n: registry.get(n).class_name for n in rows} == shown
    assert "6 objects got their predicted classes" in said[-1]
    fonts = {
        n: model.index(row, CLASS).data(Qt.ItemDataRole.FontRole) for n, row in model.rows.items()
    }
    assert {n for n, font in fonts.items() if font is not None and font.italic()} == set(rows)
    session.objects.update([next(iter(rows))], reviewed=True)  # it has been looked at
    assert model.index(model.rows[next(iter(rows))], CLASS).data(Qt.ItemDataRole.FontRole) is None
    session.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert model.index(next(iter(rows.values())), PREDICTED).data() == ""
    session.undo()
    assert not any(registry.get(n).class_name for n in rows)
    box.switch.click()
    assert view.isColumnHidden(PREDICTED)
    assert box.note.text() == ""
    widget.wait_until_idle(TIMEOUT_S)

    monkeypatch.setattr(classifier, "find_spec", lambda _: None)
    box.switch.click()
    assert 'pip install "napari-sam-live[classes]"' in said[-1]
    assert not box.switch.isChecked()
