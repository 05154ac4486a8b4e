"""What the panels show of the ranking, and accepting on click, in a real viewer."""

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox
from skimage import data

from napari_sam._qt.mask_panel import MaskButton
from napari_sam._qt.painted_labels import PaintedLabel

TIMEOUT_S = 120
COIN_RC = (68, 104)
OTHER_COIN_RC = (68, 150)


@pytest.fixture
def opened(make_widget):
    return make_widget(Image(data.coins(), name="coins"))


def click(viewer, widget, rc):
    widget.binding.prompts.start_points()
    viewer.layers.selection.active.add([rc])
    widget.wait_until_idle(TIMEOUT_S)


def checkbox(widget, text):
    (found,) = [box for box in widget.findChildren(QCheckBox) if box.text() == text]
    return found


def reasons(widget):
    panel = widget.controllers.annotate.mask_panel
    labels = panel.findChildren(PaintedLabel, options=Qt.FindChildOption.FindDirectChildrenOnly)
    return [label.text() for label in labels if label.text()]


def test_the_panel_says_why_and_gives_the_numbers(opened):
    viewer, widget = opened
    buttons = widget.controllers.annotate.mask_panel.findChildren(MaskButton)
    key = " (W shows the next mask)"
    assert reasons(widget) == []
    assert buttons[0].toolTip() == f"Mask 1{key}"

    click(viewer, widget, COIN_RC)
    candidates = widget.session.state.candidates
    assert reasons(widget) == [f"Mask {candidates.best + 1}: {candidates.ranking.reason}"]
    for number in range(3):
        area = candidates.masks[number].area_px
        score = candidates.iou_predictions[number]
        tooltip = buttons[number].toolTip().partition("\n")[0]
        assert tooltip.startswith(f"Mask {number + 1}: score {score:.2f}, stability ")
        assert tooltip.endswith(f"about {area:,.0f} pixels{key}")

    widget.session.object_in_progress.clear()
    assert reasons(widget) == []
    assert buttons[0].toolTip() == f"Mask 1{key}"


def test_the_reason_follows_what_was_accepted(opened):
    viewer, widget = opened
    click(viewer, widget, COIN_RC)
    before, best = reasons(widget), widget.session.state.candidates.best
    widget.session.object_in_progress.choose(other := (best + 1) % 3)
    assert reasons(widget) == [f"Mask {other + 1}: your choice"]
    widget.session.object_in_progress.choose(best)
    assert reasons(widget) == before
    widget.session.object_in_progress.choose(other)
    widget.binding.objects.accept()
    assert reasons(widget) == []
    widget.session.objects.reedit(1)
    widget.wait_until_idle(TIMEOUT_S)
    assert reasons(widget) == [f"Mask {other + 1}: the mask you accepted before"]
    widget.session.object_in_progress.choose(third := (best + 2) % 3)
    assert reasons(widget) == [f"Mask {third + 1}: your choice"]
    viewer.layers["SAM points"].add([(COIN_RC[0] + 4, COIN_RC[1])])  # others than before
    widget.wait_until_idle(TIMEOUT_S)
    widget.session.object_in_progress.choose(other)
    assert not reasons(widget)[0].endswith("you accepted before")
    widget.session.object_in_progress.clear()
    click(viewer, widget, OTHER_COIN_RC)
    ranking = widget.session.state.candidates.ranking
    assert reasons(widget) == [f"Mask {ranking.order[0] + 1}: {ranking.reason}"]


def test_a_long_reason_makes_the_widget_no_wider(opened):
    viewer, widget = opened
    before = widget.minimumSizeHint().width()
    click(viewer, widget, COIN_RC)
    widget.controllers.annotate.mask_panel.findChildren(PaintedLabel)[0].set_text("why " * 200)
    assert widget.minimumSizeHint().width() == before


def test_accept_on_click_makes_the_target_and_undo_takes_object_and_click_back(opened):
    viewer, widget = opened
    box = checkbox(widget, "accept at once")
    assert not box.isChecked()
    assert box.toolTip()
    box.setChecked(True)
    assert widget.session.object_in_progress.accept_on_click

    click(viewer, widget, COIN_RC)
    labels = viewer.layers["coins labels"]
    assert labels.data[COIN_RC] == 1
    assert len(viewer.layers["SAM points"].data) == 0
    click(viewer, widget, OTHER_COIN_RC)
    assert labels.data[OTHER_COIN_RC] == 2

    widget.binding.objects.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert sorted(np.unique(labels.data)) == [0, 1]
    assert len(viewer.layers["SAM points"].data) == 0
    widget.binding.objects.redo()
    widget.wait_until_idle(TIMEOUT_S)
    assert labels.data[OTHER_COIN_RC] == 2

    box.setChecked(False)
    click(viewer, widget, (130, 104))
    assert len(viewer.layers["SAM points"].data) == 1
