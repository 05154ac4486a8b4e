from qtpy.QtCore import Qt

from napari_sam._qt.object_panel import ObjectPanel
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.state import SessionState

BUTTONS = "accept", "clear", "undo", "redo"


def test_buttons_follow_the_state_and_ask(qtbot, heard):
    panel = ObjectPanel()
    qtbot.addWidget(panel)
    requests = heard(panel, *(f"{name}.clicked" for name in BUTTONS))
    for button in (panel.accept, panel.clear, panel.undo, panel.redo):
        button.click()
    assert requests == []  # there is nothing to do
    prompts = Prompts(((1, 2),), (1,))
    panel.show_state(SessionState(prompts=prompts, is_decoding=True, can_undo=True, can_redo=True))
    for button in (panel.accept, panel.clear, panel.undo, panel.redo):
        button.click()
    assert requests == [(f"{name}.clicked",) for name in BUTTONS]
    panel.texts.show({"accept": "J", "undo": "Ctrl+Z"})
    assert panel.accept.text() == "Accept (J)"
    assert panel.undo.toolTip().endswith("(Ctrl+Z)")
    assert "(" not in panel.redo.toolTip()
    assert panel.clear.toolTip() == "Remove the prompts of this object"


def test_a_reedited_object_is_replaced(qtbot):
    panel = ObjectPanel()
    qtbot.addWidget(panel)
    panel.texts.show({"accept": "C"})
    panel.show_state(SessionState(reedited_label_id=12))
    assert panel.accept.text() == "Replace object 12 (C)"
    panel.show_state(SessionState())
    assert panel.accept.text() == "Accept (C)"


def test_automatic_masks_are_accepted_by_the_same_button(qtbot, heard):
    panel = ObjectPanel()
    qtbot.addWidget(panel)
    panel.texts.show({"accept": "C"})
    requests = heard(panel, "accept_requested", "accept_automatic_requested")
    panel.show_automatic("Accept all 24", is_reviewing=False)
    assert panel.accept.text() == "Accept all 24"  # by the button alone
    assert "'overlaps' in Options" in panel.accept.toolTip()
    panel.accept.click()
    panel.show_automatic("Accept 3 of 24", is_reviewing=True)
    assert panel.accept.text() == "Accept 3 of 24 (C)"
    panel.accept.click()
    panel.show_state(SessionState(prompts=Prompts(((1, 2),), (1,)), is_decoding=True))
    assert panel.accept.text() == "Accept (C)"  # the object in progress comes first
    panel.accept.click()
    panel.show_state(SessionState())
    panel.show_automatic("", is_reviewing=False)
    assert panel.accept.text() == "Accept (C)"
    assert not panel.accept.isEnabled()
    names = ["accept_automatic_requested"] * 2 + ["accept_requested"]
    assert [name for name, *_ in requests] == names


def test_a_double_click_accepts_an_object_but_not_all_automatic_masks_as_well(qtbot, shown, heard):
    panel = shown(ObjectPanel())
    requests = heard(panel, "accept_requested", "accept_automatic_requested")
    panel.show_automatic("Accept all 24", is_reviewing=False)
    panel.show_state(SessionState(prompts=Prompts(((1, 2),), (1,)), is_decoding=True))
    panel.accept_requested.connect(lambda: panel.show_state(SessionState()))
    for press in (qtbot.mouseClick, qtbot.mouseDClick, qtbot.mouseRelease):
        press(panel.accept, Qt.MouseButton.LeftButton)
    assert [name for name, *_ in requests] == ["accept_requested"]
    assert panel.accept.text() == "Accept all 24"
    qtbot.mouseClick(panel.accept, Qt.MouseButton.LeftButton)
    assert [name for name, *_ in requests][1:] == ["accept_automatic_requested"]
