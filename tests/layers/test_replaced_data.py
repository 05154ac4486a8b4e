"""An image edited in place, or replaced: by a longer stack, or one with other axes."""

import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels
from napari.utils.notifications import notification_manager
from skimage import data

from napari_sam.layers import target as target_module
from napari_sam.layers.target import TargetLayer
from napari_sam.session.journal.replaying import read_journal, replay
from napari_sam.session.objects.labels import ArrayLabels

TIMEOUT_S = 120
COIN_RC, OTHER_COIN_RC = (68, 104), (166, 73)
COINS = data.coins()


def messages():
    return [record.message for record in notification_manager.records]


def click(widget, *place):
    widget.binding.prompts.start_points()
    layer = widget.binding.prompts.image_prompts.points.prompts.layer
    layer.add([place[-layer.ndim :]])
    widget.wait_until_idle(TIMEOUT_S)


def accept(widget):
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)


@pytest.mark.parametrize("is_lazy", [False, True])
def test_an_image_edited_in_place_is_embedded_again(make_widget, is_lazy):
    stack = np.stack([COINS] * 3)
    pixels = zarr.array(stack, chunks=(1, 64, 64)) if is_lazy else stack
    _, widget = make_widget(Image(pixels, name="camera"))
    layer, session = widget.binding.plane.image, widget.session
    click(widget, 1, *COIN_RC)
    masks, embedded = session.state.candidates, session.embedding.embedded
    layer.refresh()
    widget.wait_until_idle(TIMEOUT_S)
    assert session.state.candidates is masks
    pixels[...] = 255 - stack
    layer.refresh()
    widget.wait_until_idle(TIMEOUT_S)
    assert session.embedding.embedded.content.key != embedded.content.key
    assert session.state.candidates is not masks
    assert session.state.prompts == masks.prompts


def test_masks_of_a_slice_edited_while_another_one_shows_are_decoded_again(make_widget):
    stack = np.stack([COINS, COINS])
    viewer, widget = make_widget(Image(stack, name="stack"))
    viewer.dims.set_current_step(0, 0)
    widget.wait_until_idle(TIMEOUT_S)
    click(widget, 0, *COIN_RC)
    masks = widget.session.state.candidates
    viewer.dims.set_current_step(0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    stack[0] = 255 - stack[0]
    viewer.dims.set_current_step(0, 0)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts == masks.prompts
    assert widget.session.state.candidates is not masks


def test_a_slice_first_shown_while_the_image_is_hidden_keeps_its_masks(make_widget):
    pixels = zarr.array(np.stack([COINS, COINS]), chunks=(1, 64, 64))
    viewer, widget = make_widget(Image(pixels, name="lazy"))
    layer, session = widget.binding.plane.image, widget.session

    def go(number):
        viewer.dims.set_current_step(0, number)
        widget.wait_until_idle(TIMEOUT_S)

    go(1)
    layer.visible = False
    go(0)
    layer.visible = True
    layer.refresh()
    click(widget, 0, *COIN_RC)
    masks = session.state.candidates
    go(1)
    go(0)
    assert session.state.candidates is masks
    pixels[0] = 255 - COINS
    layer.refresh()
    widget.wait_until_idle(TIMEOUT_S)
    assert session.state.candidates is not masks


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_stack_that_grows_keeps_labels_objects_and_prompts(make_widget, monkeypatch, is_sparse):
    if is_sparse:
        monkeypatch.setattr(target_module, "_MAX_DENSE_BYTES", 0)
    viewer, widget = make_widget(Image(np.stack([COINS] * 2), name="live"))
    session, image = widget.session, viewer.layers["live"]
    viewer.dims.set_current_step(0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    click(widget, 1, *COIN_RC)
    accept(widget)
    target = widget.binding.target.labels
    session.objects.update([1], class_name="coin")
    record = target.registry.get(1)
    click(widget, 1, *OTHER_COIN_RC)
    masks = session.state.candidates
    for count in (3, 4, 9):
        image.data = np.stack([COINS] * count)
        widget.wait_until_idle(TIMEOUT_S)
        assert widget.binding.target.labels is target
        assert target.shape == (count, *COINS.shape)
        assert target.registry.get(1) is record
        assert session.state.candidates is masks
    accept(widget)
    viewer.dims.set_current_step(0, 8)
    widget.wait_until_idle(TIMEOUT_S)
    click(widget, 8, *COIN_RC)
    accept(widget)
    assert [layer for layer in viewer.layers if layer is target.layer or is_target(layer)] == [
        target.layer
    ]
    pixels = np.asarray(target.layer.data)
    assert [sorted({*np.unique(plane).tolist()} - {0}) for plane in pixels[[1, 7, 8]]] == [
        [1, 2],
        [],
        [3],
    ]
    _, journal = widget.controllers.journal._journals[target]
    content = read_journal(journal.path)
    assert content.header.shape == content.header.image.shape == (9, 303, 384)
    restored = ArrayLabels(np.zeros(pixels.shape, pixels.dtype))
    replay(content.entries(), restored)
    np.testing.assert_array_equal(restored.array, pixels)
    while pixels.any():
        widget.binding.objects.undo()
        widget.wait_until_idle(TIMEOUT_S)
        pixels = np.asarray(target.layer.data)
    assert not messages()


def is_target(layer):
    return isinstance(layer, Labels) and not layer.name.startswith("SAM ")


def test_other_labels_are_no_target_of_a_longer_stack(make_widget):
    """Only what was the target of the image grows with it, and only along sliders."""
    viewer, widget = make_widget(Image(np.stack([COINS] * 2), name="stack"))
    viewer.dims.set_current_step(0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    click(widget, 1, *COIN_RC)
    accept(widget)
    target = widget.binding.target.layer
    viewer.layers["stack"].data = np.zeros((3, 400, 384), np.uint8)
    widget.wait_until_idle(TIMEOUT_S)
    assert target.data.shape == (2, 303, 384)
    assert widget.binding.target.layer is None
    assert any("has shape (2, 303, 384)" in message for message in messages())


def test_growing_labels_are_not_copied_for_each_slice():
    layer = Labels(np.zeros((2, 30, 40), np.uint16))
    layer.data[1, 3:6, 4:9] = 7
    target = TargetLayer(layer, lambda _: None)
    arrays = []
    for count in range(3, 40):
        target.grow((count, 30, 40))
        layer.data[-1, 0, 0] = count
        arrays.append(layer.data.base)
    assert len({id(array) for array in arrays}) < 6
    np.testing.assert_array_equal(layer.data[2:, 0, 0], range(3, 40))
    assert (layer.data[1] == 7).sum() == 15
    assert not layer.data[2:, 1:].any()


@pytest.mark.parametrize("is_stack_first", [False, True])
def test_an_image_with_another_number_of_axes(make_widget, is_stack_first):
    first, then = COINS, np.stack([COINS] * 3)
    if is_stack_first:
        first, then = then, first
    viewer, widget = make_widget(Image(first, name="changing"))
    click(widget, 1, *COIN_RC)
    accept(widget)
    former = widget.binding.target.layer
    click(widget, 1, *OTHER_COIN_RC)
    viewer.layers["changing"].data = then
    viewer.dims.set_current_step(0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    assert any("axes" in message for message in messages())
    assert any("has shape" in message for message in messages())
    assert widget.session.state.prompts.is_empty
    layer = widget.binding.prompts.image_prompts.points.prompts.layer
    assert viewer.layers.selection.active is layer
    assert layer.mode == "add"
    assert [own.ndim for own in widget.binding.prompts.image_prompts.own_layers] == [then.ndim]
    click(widget, 1, *COIN_RC)
    accept(widget)
    target = widget.binding.target.layer
    assert target is not former
    assert target.data.shape == then.shape
    assert target.data.any()
    for _ in range(6):
        widget.binding.objects.undo()
        widget.wait_until_idle(TIMEOUT_S)
    assert not target.data.any()
    assert not former.data.any()
