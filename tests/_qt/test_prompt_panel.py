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
    requests = heard(panel, "points.clicked", "shape_requested")
    for text in ("Click points", "Draw box", "Ellipse", "Polygon", "Lasso", "Scribble", "Line"):
        button(panel, text).click()
    assert requests == [
        ("points.clicked", True),
        *(
            ("shape_requested", shape)
            for shape in ("rectangle", "ellipse", "polygon", "lasso", "scribble", "line")
        ),
    ]


def test_the_tool_in_use_is_pressed(panel, heard):
    requests = heard(panel, "points.clicked", "shape_requested")
    for name, text in (("points", "Click points"), ("rectangle", "Draw box"), ("line", "Line")):
        panel.show_tool(name)
        pressed = [part.text() for part in panel.findChildren(QPushButton) if part.isChecked()]
        assert pressed == [text]
    panel.show_tool("")
    assert not button(panel, "Line").isChecked()
    assert requests == []


def test_polarity_shows_and_is_requested(panel, heard):
    requests = heard(panel, "polarity_requested")
    assert panel._foreground.isChecked()
    panel.show_polarity(BACKGROUND)
    assert (panel._foreground.isChecked(), panel._background.isChecked()) == (False, True)
    assert requests == []
    panel._foreground.click()
    assert requests == [("polarity_requested", FOREGROUND)]


def test_options_are_requested(panel, heard):
    requests = heard(panel, "hover.toggled", "accept_on_click.toggled", "feedback.toggled")
    panel.hover.click()
    button(panel, "accept on click").click()
    button(panel, "refine the previous mask").click()
    assert requests == [
        ("hover.toggled", True),
        ("accept_on_click.toggled", True),
        ("feedback.toggled", False),
    ]


def test_clear_is_there_with_prompts(panel, heard):
    requests = heard(panel, "clear.clicked")
    panel.show_state(SessionState())
    panel.clear.click()
    panel.show_state(SessionState(prompts=Prompts(((1, 2),), (1,))))
    panel.clear.click()
    assert requests == [("clear.clicked", False)]


def test_texts_name_the_keys(panel):
    panel.texts.show({"hover": "H", "flip": "T", "clear": ""})
    assert panel.hover.text() == "preview under the cursor (H)"
    assert panel._background.toolTip().endswith("(T switches)")
    assert panel.clear.toolTip() == "Remove the prompts of this object"


def test_every_button_has_a_tooltip(panel):
    for kind in (QPushButton, QCheckBox):
        assert all(one.toolTip() for one in panel.findChildren(kind) if one.text())
