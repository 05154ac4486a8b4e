from napari.layers import Image
from skimage import data

from napari_sam._qt.appearance_panel import AppearancePanel
from napari_sam._qt.automatic_panel import AutomaticPanel
from napari_sam._qt.class_panel import ClassPanel
from napari_sam._qt.options_panel import OptionsPanel
from napari_sam._qt.stack_panel import StackPanel
from napari_sam._qt.tracks_panel import TracksPanel

LATER = AppearancePanel, AutomaticPanel, ClassPanel, OptionsPanel


def test_keys_work_before_their_panels_are_built_and_tabs_build_them(make_widget):
    _, widget = make_widget(Image(data.coins()), show=True)
    controllers, run = widget.controllers, widget.binding.shortcuts.run
    for command, message in (
        ("reject", "no automatic masks to reject"),
        ("correct_slice", "Choose an object first"),
    ):
        run(command)
        assert message in controllers.annotate.hint.text()
    never = StackPanel, TracksPanel  # as the image is no stack
    assert not any(widget.findChildren(panel_type) for panel_type in (*LATER, *never))
    controllers.annotate.image_panel.appearance.click()
    controllers.classes.window.toggle()
    for tab in (tab for tab in controllers.tabs.tabs if tab.is_offered):
        tab.select()
        assert any(child.isVisible() for child in tab.children() if child.isWidgetType())
    for panel_type in LATER:
        (panel,) = widget.findChildren(panel_type)
        assert panel.isEnabled()
    assert controllers.automatic.panel.run.whole.isEnabled()
    assert controllers.automatic.panel.results.reject.text() == "Reject (X)"
