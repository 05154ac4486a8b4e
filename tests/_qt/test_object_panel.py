from napari_sam._qt.object_panel import ObjectPanel
from napari_sam.session.state import SessionState


def test_buttons_follow_the_state_and_ask(qtbot, heard):
    panel = ObjectPanel()
    qtbot.addWidget(panel)
    requests = heard(panel, "accept_requested", "undo_requested", "redo_requested")
    for button in (panel._accept, panel._undo, panel._redo):
        button.click()
    assert requests == []  # there is nothing to do
    panel.show_state(SessionState(is_decoding=True, can_undo=True, can_redo=True))
    for button in (panel._accept, panel._undo, panel._redo):
        button.click()
    assert requests == [("accept_requested",), ("undo_requested",), ("redo_requested",)]
    panel.texts.show({"accept": "J", "undo": "Ctrl+Z"})
    assert panel._accept.text() == "Accept (J)"
    assert panel._undo.toolTip().endswith("(Ctrl+Z)")
    assert "(" not in panel._redo.toolTip()
