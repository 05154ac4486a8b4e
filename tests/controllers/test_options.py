"""The options of masks and display: in force at once, and kept for the next start."""

import numpy as np
import pytest
from napari.layers import Image
from skimage import data

from napari_sam.engine.cleaning import CLEAN_STRENGTH
from napari_sam.session import Prompts
from napari_sam.storage.options import load_options, save_options
from napari_sam.widget import SamWidget

TIMEOUT_S = 120


def panel_of(widget):
    return widget.controllers.options.panel


def strength(widget):
    candidates = widget.session.state.candidates
    return {mask.cut.clean_strength for mask in candidates.masks}


def click(widget):
    widget.binding.prompts.start_points()
    widget.session.set_prompts(Prompts(((211, 192),), (1,)))
    widget.wait_until_idle(TIMEOUT_S)


def test_outlines_are_clean_by_default_and_shown_masks_follow_at_once(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    panel = panel_of(widget)
    click(widget)
    assert strength(widget) == {CLEAN_STRENGTH}
    widget.session.object_in_progress.choose(2)
    layer = viewer.layers["SAM mask 3"]
    clean = layer.data.copy()
    panel.clean.click()
    assert strength(widget) == {0}
    assert not np.array_equal(layer.data, clean)
    panel.clean.click()
    np.testing.assert_array_equal(layer.data, clean)
    panel.clean_strength.slider.setValue(100)
    assert strength(widget) == {1}


def test_they_are_kept_for_the_next_start(make_widget):
    _, widget = make_widget()
    panel = panel_of(widget)
    panel.clean_strength.slider.setValue(80)
    panel.clean.click()
    widget.close()
    assert load_options() == {"clean": False, "clean_strength": 0.8}
    _, widget = make_widget(Image(data.coins()))
    assert not panel_of(widget).clean.isChecked()
    click(widget)
    assert strength(widget) == {0}
    panel_of(widget).clean.click()
    assert strength(widget) == {0.8}


def test_display_preview_and_accept_at_once_are_kept_too(make_widget):
    _, widget = make_widget()
    panel, prompt_panel = panel_of(widget), widget.controllers.annotate.prompt_panel
    widget.binding.shortcuts.run("outlines")
    panel.opacity_slider.slider.setValue(40)
    prompt_panel.hover.click()
    prompt_panel.accept_on_click.click()
    widget.close()
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    panel, prompt_panel = panel_of(widget), widget.controllers.annotate.prompt_panel
    assert prompt_panel.hover.isChecked()
    assert prompt_panel.accept_on_click.isChecked()
    assert (panel.style_combo.currentText(), panel.opacity_slider.value) == ("outlines", 40)
    assert viewer.layers.selection.active is viewer.layers["coins"]  # no tool yet
    click(widget)  # accepted at once
    target = widget.binding.target.layer
    assert target.data.any()
    assert (target.contour, target.opacity) == (1, 0.8)
    prompt_panel.hover.click()
    widget.close()
    kept = {"outlined": True, "fill_opacity": 0.4, "preview": False}
    assert load_options() == kept


def test_a_strength_that_is_none_gives_the_default(make_widget):
    viewer, _ = make_widget()
    for value in (0, 2, float("nan"), "0.5", True, None, [1]):
        save_options({"clean": True, "clean_strength": value})
        widget = SamWidget(viewer)
        assert panel_of(widget).clean_strength.value == round(100 * CLEAN_STRENGTH), value
        widget.close()


def test_the_display_and_its_key_agree(make_widget):
    _, widget = make_widget(Image(data.coins(), name="coins"))
    panel, display = panel_of(widget), widget.binding.display
    click(widget)
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    target = widget.binding.target.layer
    widget.binding.shortcuts.run("outlines")
    assert panel.style_combo.currentText() == "outlines"
    panel.style_combo.setCurrentText("filled")
    panel.style_combo.activated.emit(panel.style_combo.currentIndex())
    assert not display.is_outlined
    assert target.contour == 0
    assert target.opacity == pytest.approx(panel.opacity_slider.value / 100) == 0.5
    panel.opacity_slider.slider.setValue(100)
    assert target.opacity == 1  # nothing is seen below
    display.set_opacity(0.25)
    assert panel.opacity_slider.value == 25
