"""Embedding the slices of a stack from the widget, in a real viewer."""

import numpy as np
import pytest
from napari.layers import Image
from skimage import data

from napari_sam.session import Phase

TIMEOUT_S = 120


def stack(count=5):
    return np.stack([np.roll(data.coins(), number, axis=1) for number in range(count)])


@pytest.fixture
def opened(make_widget):
    return make_widget(Image(stack(), name="stack", contrast_limits=(0, 255)))


def visible(row):
    parts = {"prepare": row.embed_all, "bar": row._progress, "pause": row._pause}
    return {name for name, part in parts.items() if not part.isHidden()}


def test_a_stack_is_ready_to_its_ends(opened, remembering_predictor, monkeypatch):
    viewer, widget = opened
    row = widget.controllers.batch_prompts.prefetch_row
    assert not row.isHidden()
    assert visible(row) == {"prepare"}
    assert "all 5 slices" in row.embed_all.toolTip()
    row.embed_all.click()
    assert visible(row) == {"bar", "pause"}
    assert row._progress.maximum() == 5
    widget.wait_until_idle(TIMEOUT_S)
    assert visible(row) == {"prepare"}
    assert row._outcome.text() == "5 of 5 slices embedded"

    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(remembering_predictor, "encode", refuse)
    for place in (0, 4):
        viewer.dims.set_current_step(0, place)
        widget.wait_until_idle(TIMEOUT_S)
        assert widget.session.state.phase is Phase.READY
    assert row._outcome.text() == "5 of 5 slices embedded"


def test_pause_resume_and_cancel(opened):
    _, widget = opened
    row = widget.controllers.batch_prompts.prefetch_row
    row.embed_all.click()
    row._pause.click()
    assert row._progress.text() == "0 of 5, paused"
    assert row._pause.text() == "Resume"
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prefetch.done == 0
    row._pause.click()
    assert row._pause.text() == "Pause"
    row.cancel.click()
    assert widget.session.state.prefetch is None
    assert visible(row) == {"prepare"}
    assert row._outcome.isHidden()


def test_another_image_or_look_ends_it_and_says_so(opened, monkeypatch):
    viewer, widget = opened
    heard = []
    widget.session.notifier.warned.connect(heard.append)
    row = widget.controllers.batch_prompts.prefetch_row
    row.embed_all.click()
    row._pause.click()
    viewer.layers[0].contrast_limits = (10, 200)
    widget.wait_until_idle(TIMEOUT_S)
    ended = "embedding slices has stopped after 0 of 5."
    assert heard == [f"The appearance of the image changed: {ended}"]

    row.embed_all.click()
    row._pause.click()
    image = viewer.add_image(data.coins(), name="coins")
    widget.binding.set_image(image)
    widget.wait_until_idle(TIMEOUT_S)
    assert heard[1:] == [f"Another image was chosen: {ended}"]
    assert row.isHidden()


def test_the_next_slices_wait_while_the_box_is_off(make_widget):
    viewer, widget = make_widget()
    row = widget.controllers.batch_prompts.prefetch_row
    row.prefetch.click()
    viewer.add_layer(Image(stack(), name="stack", contrast_limits=(0, 255)))
    widget.wait_until_idle(TIMEOUT_S)
    embedder = widget.session.embedding.embedder
    assert len(embedder._cache) == 1
    row.prefetch.click()
    widget.wait_until_idle(TIMEOUT_S)
    assert len(embedder._cache) == 3


def test_the_number_of_kept_embeddings_is_never_stale(opened, qtbot):
    _, widget = opened
    widget.controllers.batch_prompts.prefetch_row.embed_all.click()
    widget.wait_until_idle(TIMEOUT_S)
    label = widget.controllers.embeddings.store_row._label
    qtbot.waitUntil(lambda: label.text() == "5 embeddings on disk, 21 MB", timeout=10_000)


@pytest.mark.parametrize("step", ["slider", "prepare"])
def test_no_slice_keeps_the_contrast_of_before_a_change_that_has_not_come_to_rest(opened, step):
    viewer, widget = opened
    image, row = viewer.layers[0], widget.controllers.batch_prompts.prefetch_row
    row.embed_all.click()
    row._pause.click()
    image.contrast_limits = (10, 200)
    if step == "slider":
        viewer.dims.set_current_step(0, 1)
        widget.binding.plane.check()  # long before the widget's timer
        assert widget.session.state.prefetch is None
    row.embed_all.click()
    row._pause.click()
    planes = [tile.plane for tile in widget.session.prefetch._queue._waiting]
    planes.append(widget.session.embedding.plane)
    assert {plane.contrast_limits for plane in planes} == {(10, 200)}
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prefetch.total == 5


def test_describing_a_plane_changes_nothing(opened):
    viewer, widget = opened
    viewer.layers[0].contrast_limits = (10, 200)
    widget.binding.plane.source.appearances.image_plane(viewer.layers[0], widget.binding.plane.view)
    assert widget.binding.plane.source.appearances.is_outdated(viewer.layers[0])


def test_a_preparation_can_be_paused_where_no_stack_is_shown(opened):
    viewer, widget = opened
    row = widget.controllers.batch_prompts.prefetch_row
    row.embed_all.click()
    row._pause.click()
    viewer.dims.ndisplay = 3
    widget.wait_until_idle(TIMEOUT_S)
    assert not row.isHidden()
    assert visible(row) == {"bar", "pause"}
    row.cancel.click()
    assert row.isHidden()
    viewer.dims.ndisplay = 2
    widget.wait_until_idle(TIMEOUT_S)
    assert not row.isHidden()
    assert visible(row) == {"prepare"}
