"""The steps to a first object, which are shown until there is one."""

from napari.layers import Image
from skimage import data

from napari_sam.storage.first_run import is_first_run

TIMEOUT_S = 120


def test_the_steps_are_shown_until_an_object_is_accepted_and_never_again(make_widget, qtbot):
    viewer, widget = make_widget(show=True)
    qtbot.waitUntil(widget.isVisible)
    panel = widget.controllers.annotate.mask_panel
    assert panel.first_run.isVisible()
    assert panel.first_run.step == 0
    viewer.add_layer(Image(data.coins(), name="coins"))
    widget.wait_until_idle(TIMEOUT_S)
    assert panel.first_run.step == 1
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(68, 104)])
    widget.wait_until_idle(TIMEOUT_S)
    assert not panel.first_run.isVisible()  # the masks are there
    assert is_first_run()
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    assert not panel.first_run.isVisible()
    assert not is_first_run()
    _, another = make_widget()
    assert not another.controllers.annotate.mask_panel.is_first_run


def test_the_steps_can_be_dismissed_and_shown_again(make_widget):
    _, widget = make_widget()
    panel = widget.controllers.annotate.mask_panel
    assert panel.is_first_run
    panel.first_run.dismiss.click()
    assert not panel.is_first_run
    assert not is_first_run()
    for is_shown in (True, False):
        widget.binding.shortcuts.run("first_steps")
        assert panel.is_first_run == is_shown
