"""The panel for automatic masks alone: settings in, signals out."""

import pytest
from qtpy.QtCore import Qt

from napari_sam._qt.automatic_panel import AutomaticPanel
from napari_sam._qt.building import ShortcutTexts
from napari_sam.engine.automatic_presets import PRESETS
from napari_sam.engine.automatic_settings import AutomaticSettings
from napari_sam.engine.instance_settings import InstanceSettings
from napari_sam.engine.methods import Method
from napari_sam.session.automatic.generator import AutomaticState
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.linking.settings import LinkSettings, Splits


@pytest.fixture
def panel(qtbot):
    panel = AutomaticPanel(ShortcutTexts())
    qtbot.addWidget(panel)
    panel.show_plane((3000, 2000), 1024)
    return panel


def test_all_parts_show_the_same_settings(panel, heard):
    changes = heard(panel, "settings_changed")
    panel.filters.sliders["pred_iou_thresh"].setValue(0.95)
    assert panel.form.fields["pred_iou_thresh"].value() == 0.95
    assert panel.run.preset.currentText() == "custom settings"
    panel.form.fields["box_nms_thresh"].setValue(0.5)
    assert panel.filters.sliders["box_nms_thresh"].value() == 0.5
    assert len(changes) == 2
    assert panel.settings.published.pred_iou_thresh == 0.95
    cells = next(preset for preset in PRESETS if preset.name == "cells")
    panel.run.preset.activated.emit(PRESETS.index(cells))
    assert panel.settings == AutomaticRunSettings.of_preset(cells)
    assert panel.run.preset.currentText() == "cells"
    assert panel.run.preset.findText("custom settings") < 0
    assert panel.form.fields["max_share"].value() == cells.max_share


def test_in_a_low_window_two_thresholds_are_in_the_window_of_settings_alone(panel):
    names = "pred_iou_thresh", "stability_score_thresh", "box_nms_thresh"
    for is_low, hidden in ((True, {*names[1:]}), (False, set())):
        panel.set_low(is_low)
        assert {name for name in names if panel.filters.sliders[name].isHidden()} == hidden
    assert {*names} <= panel.form.fields.keys()


def test_the_form_offers_every_published_setting(panel):
    scripts_only = {"point_grids", "output_mode"}
    more = {"max_share", "least_iou", "max_gap", "min_slices", *vars(InstanceSettings())}
    assert set(panel.form.fields) == set(vars(AutomaticSettings())) - scripts_only | more
    assert all(box.toolTip() for box in panel.form.fields.values())


def test_how_slices_are_linked_belongs_to_no_preset(panel, heard):
    changes = heard(panel, "settings_changed")
    panel.form.fields["min_slices"].setValue(5)
    panel.form.splits.activated.emit(0)
    links = LinkSettings(min_slices=5, splits=Splits.ONE)
    assert [settings.links for _, settings in changes] == [LinkSettings(min_slices=5), links]
    assert panel.run.preset.currentText() == PRESETS[0].name
    panel.run.preset.activated.emit(1)
    assert panel.settings.links == links
    assert panel.run.preset.currentText() == PRESETS[1].name
    assert panel.form.splits.currentText() == "one"


def test_methods_of_instance_decoders_come_and_go_with_the_model(panel, heard):
    changes = heard(panel, "settings_changed")
    assert not panel.run.method.isVisibleTo(panel)
    panel.show_methods(is_offered=True)
    assert panel.run.method.isVisibleTo(panel)
    panel.run.method.activated.emit(2)
    assert panel.settings.method is Method.APG
    assert panel.form.fields["min_size"].value() == 25
    assert not panel.run.preset.isEnabled()
    panel.run.detail.setCurrentIndex(1)
    assert panel.run.whole.toolTip().endswith("with the instance decoder in 2 tiles")
    panel.filters.sliders["center_distance_threshold"].setValue(0.25)
    assert panel.form.fields["center_distance_threshold"].value() == 0.25
    panel.show_methods(is_offered=False)
    assert not panel.run.method.isVisibleTo(panel)
    assert panel.settings.method is Method.GRID
    assert panel.run.method.currentIndex() == 0
    assert panel.run.preset.isEnabled()
    assert len(changes) == 3


def test_a_run_through_slices_costs_more(panel):
    assert not panel.run.slices.isVisibleTo(panel)
    panel.run.slices.show_stack(12, 3)
    assert panel.run.slices.isVisibleTo(panel)
    assert "slices" not in panel.run.whole.toolTip()
    panel.run.slices.all.click()
    assert "1,024 clicks on each of 12 slices" in panel.run.whole.toolTip()


def test_settings_that_do_not_go_together_are_refused(panel, heard):
    refusals, fields = heard(panel, "refused"), panel.form.fields
    fields["crop_n_layers"].setValue(2)
    fields["points_per_side"].setValue(3)
    fields["crop_n_points_downscale_factor"].setValue(8)
    ((_, message),) = refusals
    assert "3 points per side leave none for layer 2" in message
    assert fields["crop_n_points_downscale_factor"].value() == 1
    assert panel.settings.published.crop_n_points_downscale_factor == 1


def test_the_tooltips_tell_the_cost(panel):
    assert "1,024 clicks" in panel.run.whole.toolTip()
    assert "reduced from 3,000 to 1024 pixels" in panel.run.detail.toolTip()
    panel.run.detail.setCurrentIndex(panel.run.detail.findData(1024))
    assert panel.run.finest_px == 1024
    assert "tiles" in panel.run.whole.toolTip()


def test_sizes_follow_the_model_and_the_settings(panel):
    detail = panel.run.detail
    assert [detail.itemData(row) for row in range(detail.count())] == [None, 2048, 1024, 512, 256]
    assert "smaller than about 93 pixels" in detail.toolTip()
    panel.set_settings(panel.settings.with_values(points_per_side=10))
    assert "smaller than about 300 pixels" in detail.toolTip()
    detail.setCurrentIndex(detail.findData(512))
    panel.show_plane((3000, 2000), 512)
    assert [detail.itemData(row) for row in range(detail.count())] == [
        None,
        2048,
        1024,
        512,
        256,
        128,
    ]
    assert panel.run.finest_px == 512
    assert "reduced from 3,000 to 512 pixels" in detail.toolTip()


def test_buttons_are_enabled_when_they_have_an_effect(panel, heard):
    run, results = panel.run, panel.results
    requests = heard(run, "whole.clicked", "cancel.clicked")
    run.whole.click()
    panel.show_state(AutomaticState(True, 1, 4, 0.25, 30))
    assert not run.whole.isEnabled()
    assert not results.edges.isEnabled()
    assert run.progress.text() == "25%, tile 1 of 4, 30 s left"
    run.cancel.click()
    assert [name for name, *_ in requests] == ["whole.clicked", "cancel.clicked"]
    panel.show_state(AutomaticState())
    assert not any(button.isEnabled() for button in (results.discard, results.restore))
    results.show_masks(3, 2, 14)
    assert results.restore_rejected.text() == "Bring back 2"
    assert results.restore.text() == "Restore 14"
    assert results.discard.isEnabled()
    assert results.restore.isEnabled()
    assert not results.reject.isEnabled()
    results.show_review(is_reviewing=True)
    assert results.reject.isEnabled()
    panel.show_plane((3000, 2000), 1024, is_here=False)
    assert results.next.isEnabled()  # it goes there
    assert not results.reject.isEnabled()
    assert results.boxes.isEnabled()
    panel.show_plane(None, 1024)
    assert not run.whole.isEnabled()


def test_settings_are_suggested_until_the_user_chooses_some(panel):
    cells, natural, few = (
        AutomaticRunSettings.of_preset(preset) for preset in PRESETS[1::-1] + PRESETS[2:3]
    )
    assert panel.suggest(cells)
    assert panel.run.preset.currentText() == "cells"
    assert panel.suggest(natural)
    assert panel.run.preset.currentText() == "natural image"
    panel.run.preset.activated.emit(2)
    assert not panel.suggest(cells)
    assert panel.settings == few


def test_nothing_of_the_panel_moves_whatever_it_shows(panel, shown):
    shown(panel)
    panel.layout().activate()
    parts = (
        panel.run.whole,
        panel.matching.size_box,
        panel.filters.areas,
        panel.results.next,
        panel.results.discard,
    )

    def places():
        for part in (panel, panel.run, panel.filters, panel.results):
            part.layout().activate()
        return [part.mapTo(panel, part.rect().topLeft()) for part in parts]

    def state():
        return places(), panel.minimumSizeHint().height(), panel.minimumSizeHint().width()

    idle = state()
    panel.show_state(AutomaticState(True, 1, 4, 0.25, 30))
    assert state() == idle
    panel.show_state(AutomaticState())
    panel.results.show_masks(12345, 678, 90)
    panel.run.show_outcome("12,345 masks, 678 covered by others. " * 3)
    assert state() == idle
    panel.results.show_review(is_reviewing=True)
    panel.filters.sliders["pred_iou_thresh"].setValue(0.9)
    panel.filters._on_areas((1, 6))
    assert state() == idle


def test_a_click_on_what_was_found_elsewhere_goes_there(panel, qtbot, heard):
    requests = heard(panel.run, "go_requested")
    for is_link in (True, False):
        panel.run.show_outcome("3 masks. They belong to 'coins'.", is_link=is_link)
        qtbot.mouseClick(panel.run.outcome, Qt.MouseButton.LeftButton)
    assert requests == [("go_requested",)]
