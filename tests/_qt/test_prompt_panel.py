import pytest
from qtpy.QtWidgets import QAbstractButton, QCheckBox, QPushButton

from napari_sam._qt.prompt_panel import PromptPanel
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND, Prompts
from napari_sam.session.state import SessionState


@pytest.fixture
def panel(qtbot):
    panel = PromptPanel()
    qtbot.addWidget(panel)
    return panel


def button(panel, text):
    (found,) = [one for one in panel.findChildren(QAbstractButton) if one.text() == text]
    return found


def test_every_tool_is_requested(panel, heard):
    requests = heard(panel, "points_requested", "boxes_requested", "shape_requested")
    for text in ("Click points", "Draw box", "Ellipse", "Polygon", "Lasso", "Scribble", "Line"):
        button(panel, text).click()
    assert requests == [
        ("points_requested",),
        ("boxes_requested",),
        *(
            ("shape_requested", shape)
            for shape in ("ellipse", "polygon", "lasso", "scribble", "line")
        ),
    ]


def test_polarity_shows_and_is_requested(panel, heard):
    requests = heard(panel, "polarity_requested")
    assert panel._foreground.isChecked()
    panel.show_polarity(BACKGROUND)
    assert (panel._foreground.isChecked(), panel._background.isChecked()) == (False, True)
    assert requests == []
    panel._foreground.click()
    assert requests == [("polarity_requested", FOREGROUND)]


def test_options_are_requested(panel, heard):
    requests = heard(panel, "hover_requested", "accept_on_click_requested", "feedback_requested")
    panel._hover.click()
    button(panel, "accept on click").click()
    button(panel, "refine the previous mask").click()
    assert requests == [
        ("hover_requested", True),
        ("accept_on_click_requested", True),
        ("feedback_requested", False),
    ]


def test_clear_is_there_with_prompts(panel, heard):
    requests = heard(panel, "clear_requested")
    panel.show_state(SessionState())
    panel._clear.click()
    panel.show_state(SessionState(prompts=Prompts(((1, 2),), (1,))))
    panel._clear.click()
    assert requests == [("clear_requested",)]


def test_texts_name_the_keys(panel):
    panel.texts.show({"hover": "H", "flip": "T", "clear": ""})
    assert panel._hover.text() == "preview under the cursor (H)"
    assert panel._background.toolTip().endswith("(T switches)")
    assert panel._clear.toolTip() == "Remove the prompts of this object"


def test_every_button_has_a_tooltip(panel):
    for kind in (QPushButton, QCheckBox):
        assert all(one.toolTip() for one in panel.findChildren(kind) if one.text())
