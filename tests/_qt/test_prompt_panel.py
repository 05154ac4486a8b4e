import itertools

import pytest
from qtpy.QtWidgets import QAbstractButton, QCheckBox

from napari_sam._qt.flat_button import FlatButton
from napari_sam._qt.prompt_panel import TOOL_HINTS, TOOLS, PromptPanel
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND
from napari_sam.session.state import SessionState


@pytest.fixture
def panel(qtbot):
    panel = PromptPanel()
    qtbot.addWidget(panel)
    panel.show_state(SessionState(has_image=True))
    return panel


def test_every_tool_is_requested(panel, heard):
    requests = heard(panel, "points_requested", "shape_requested")
    for tool in TOOLS:
        panel._tools[tool.name].click()
    shapes = "rectangle", "lasso", "polygon", "ellipse", "scribble", "line"
    assert requests == [
        ("points_requested",),
        *(("shape_requested", shape) for shape in shapes),
    ]
    assert set(TOOL_HINTS) == {"points", *shapes}


def test_the_tool_in_use_is_pressed(panel, heard):
    requests = heard(panel, "points_requested", "shape_requested")
    for name in ("points", "rectangle", "line"):
        panel.show_tool(name)
        assert [tool for tool, part in panel._tools.items() if part.isChecked()] == [name]
    panel.show_tool("")
    assert not panel._tools["line"].isChecked()
    assert requests == []
    panel._tools["line"].click()
    panel._tools["line"].click()  # a second press does not put it away
    assert panel._tools["line"].isChecked()


def test_the_brush_is_requested_and_pressed_once_it_is_in_use(panel, heard):
    requests = heard(panel, "brush_requested", "points_requested", "shape_requested")
    panel._brush.click()
    assert requests == [("brush_requested",)]
    assert not panel._brush.isChecked()  # it may have been refused
    panel.show_brush(is_used=True)
    assert panel._brush.isChecked()
    panel.texts.show({"brush": "Q"})
    assert panel._brush.key == "Q"


def test_without_an_image_there_is_nothing_to_draw_on(panel, heard):
    requests = heard(panel, "points_requested", "polarity_requested")
    panel.show_state(SessionState())
    panel._tools["points"].click()
    panel._background.click()
    assert requests == []
    assert panel.toolTip() == "Open or drop an image."
    panel.show_state(SessionState(has_image=True))
    panel._tools["points"].click()
    assert requests == [("points_requested",)]
    assert panel.toolTip() == ""


def test_polarity_shows_and_is_requested(panel, heard):
    requests = heard(panel, "polarity_requested")
    assert panel._foreground.isChecked()
    panel.show_polarity(BACKGROUND)
    assert (panel._foreground.isChecked(), panel._background.isChecked()) == (False, True)
    assert requests == []
    panel._foreground.click()
    assert requests == [("polarity_requested", FOREGROUND)]
    assert (panel._foreground.isChecked(), panel._background.isChecked()) == (True, False)


def test_options_are_requested(panel, heard):
    requests = heard(panel, "hover.toggled", "accept_on_click.toggled")
    panel.hover.click()
    panel.accept_on_click.click()
    assert requests == [("hover.toggled", True), ("accept_on_click.toggled", True)]


def test_texts_and_buttons_name_the_keys(panel):
    panel.texts.show({"hover": "H", "flip": "T", "tool_line": "N"})
    assert panel.hover.text() == "preview (H)"
    assert panel._background.toolTip().endswith("(T switches)")
    assert panel._tools["line"].toolTip().endswith("(N)")
    assert panel._tools["line"].key == "N"
    assert panel._tools["points"].key == ""
    panel.texts.show({"hover": "", "tool_points": "Shift+P"})
    assert panel.hover.text() == "preview"
    assert panel._tools["line"].key == ""


def test_every_button_has_a_tooltip(panel):
    for kind in (QAbstractButton, QCheckBox):
        assert all(button.toolTip() for button in panel.findChildren(kind))


def test_all_tools_fit_into_the_narrowest_dock_side_by_side(panel, shown):
    shown(panel, width=324)
    buttons = panel.findChildren(FlatButton)
    assert len({button.y() for button in buttons}) == 1
    edges = sorted((button.x(), button.x() + button.width()) for button in buttons)
    assert all(right <= left for (_, right), (left, _) in itertools.pairwise(edges))
    assert edges[-1][1] <= panel.width()
