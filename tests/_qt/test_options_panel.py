from napari_sam._qt.options_panel import OptionsPanel
from napari_sam.session.objects.edits import Overlap


def test_options_are_requested(qtbot, heard):
    panel = OptionsPanel()
    qtbot.addWidget(panel)
    requests = heard(
        panel, "feedback.toggled", "coloring.toggled", "overlap_combo.currentTextChanged"
    )
    panel.feedback.click()
    panel.coloring.click()
    panel.overlap_combo.setCurrentText(str(Overlap.REPLACE))
    assert requests == [
        ("feedback.toggled", False),
        ("coloring.toggled", True),
        ("overlap_combo.currentTextChanged", str(Overlap.REPLACE)),
    ]
