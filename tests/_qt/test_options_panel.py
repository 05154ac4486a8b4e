from napari_sam._qt.options_panel import OptionsPanel
from napari_sam.session.objects.edits import Overlap


def test_cleaning_is_requested_with_its_strength(qtbot, heard):
    panel = OptionsPanel()
    qtbot.addWidget(panel)
    requests = heard(panel, "clean_requested")
    panel.show_clean(True, 0.25)
    assert requests == []
    panel.clean_strength.slider.setValue(75)
    panel.clean.click()
    assert not panel.clean_strength.slider.isEnabled()
    panel.clean.click()
    assert panel.clean_strength.slider.isEnabled()
    expected = [("clean_requested", is_on, 0.75) for is_on in (True, False, True)]
    assert requests == expected


def test_what_is_drawn_is_requested_by_the_user_only(qtbot, heard):
    panel = OptionsPanel()
    qtbot.addWidget(panel)
    requests = heard(panel, "outlined_requested", "opacity_requested")
    panel.show_display(True, 0.5)
    assert (panel.style_combo.currentText(), panel.opacity_slider.value) == ("outlines", 50)
    assert requests == []
    panel.style_combo.activated.emit(1)
    panel.opacity_slider.slider.setValue(30)
    assert requests == [("outlined_requested", True), ("opacity_requested", 0.3)]


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
