"""Whatever a user opens or draws, they get a mask or one clear message, never a traceback."""

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.utils.notifications import notification_manager
from skimage import data

from napari_sam.model import CheckpointError, load_model
from napari_sam.session import Phase, Prompts, TargetError

TIMEOUT_S = 120


def click(viewer, widget, rc):
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([rc])
    widget.wait_until_idle(TIMEOUT_S)


@pytest.mark.parametrize(
    ("pixels", "kwargs", "words"),
    [
        (np.zeros((64, 64, 10), np.uint8), {}, "channel_axis"),
        (np.zeros((200, 200, 3), np.uint8), {"rgb": False}, "rgb=True"),
    ],
    ids=["channels", "color"],
)
def test_what_cannot_be_segmented_says_what_to_do(make_widget, pixels, kwargs, words):
    image = Image(pixels, name="odd one", **kwargs)
    viewer, widget = make_widget(image)
    state = widget.session.state
    assert state.phase is Phase.FAILED
    assert words in state.hint
    assert image.name in state.hint
    widget.binding.prompts.start_points()  # harmless
    widget.binding.objects.accept()
    viewer.add_image(data.coins(), name="coins")
    widget.binding.set_image(viewer.layers["coins"])
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.phase is Phase.READY


GRAY = data.coins()
NAN = GRAY.astype(float)
NAN[:50, :50] = np.nan
NAN[0, 60:70] = np.inf
NAN[0, 80:90] = -np.inf


EVERY_DTYPE = {
    "uint16": GRAY.astype(np.uint16) * 200,
    "float32": GRAY.astype(np.float32) / 255,
    "nan": NAN,
    "int32": GRAY.astype(np.int32) - 128,
    "int64": GRAY.astype(np.int64) * 10**12,
    "bool": GRAY > 100,
}


def test_every_dtype_can_be_annotated(make_widget):
    viewer, widget = make_widget()
    for dtype, pixels in EVERY_DTYPE.items():
        viewer.add_layer(Image(pixels, name="image", contrast_limits=_limits(pixels)))
        widget.wait_until_idle(TIMEOUT_S)
        click(viewer, widget, (68, 104))
        widget.binding.objects.accept()
        labels = widget.binding.target.layer.data
        assert labels[68, 104] == 1, dtype
        assert 300 < np.count_nonzero(labels) < labels.size / 2, dtype
        viewer.layers.clear()
        widget.wait_until_idle(TIMEOUT_S)


def _limits(pixels):
    finite = pixels[np.isfinite(pixels)]
    return float(finite.min()), float(finite.max())


@pytest.mark.parametrize("alpha", [False, True])
def test_color_images_can_be_annotated(make_widget, alpha):
    rgb = data.immunohistochemistry()[:200, :200]
    if alpha:
        rgb = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    viewer, widget = make_widget(Image(rgb, rgb=True, name="color"))
    click(viewer, widget, (100, 100))
    assert len(widget.session.state.candidates) == 3
    widget.binding.objects.accept()
    assert widget.binding.target.layer.data.shape == (200, 200)


@pytest.mark.parametrize("pixels", [np.full((1, 1), 3.0), np.full((40, 50), 7, np.uint16)])
def test_constant_and_one_pixel_images_warn_and_work(make_widget, pixels):
    viewer, widget = make_widget(Image(pixels, name="flat"))
    assert any("have the same value" in record.message for record in notification_manager.records)
    click(viewer, widget, (0, 0))
    widget.binding.objects.accept()
    assert widget.session.state.phase is Phase.READY


def test_an_all_nan_image_warns(make_widget):
    pixels = np.full((30, 30), np.nan)
    _, widget = make_widget(Image(pixels, name="nothing", contrast_limits=(0, 1)))
    assert widget.session.state.phase is Phase.READY
    assert any(
        "all pixels of 'nothing' are NaN or infinite" in record.message
        for record in notification_manager.records
    )


SENSELESS = (
    (Prompts(((104, 68), (9999, 5)), (1, 1)), "outside"),
    (Prompts(((-50, 5),), (1,)), "outside"),
    (Prompts((), (), (10, 10, 10, 60)), "no area"),
    (Prompts((), (), (1000, 1000, 1100, 1100)), "no area"),
    (Prompts(((20, 20),), (0,)), "foreground"),
)


def test_prompts_without_sense_say_so_and_are_kept(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    for prompts, words in SENSELESS:
        widget.session.set_prompts(prompts)
        widget.wait_until_idle(TIMEOUT_S)
        state = widget.session.state
        assert words in state.hint, prompts
        assert state.prompts == prompts
        assert (state.candidates is not None) == ((104, 68) in prompts.points_xy), prompts
        shown = [layer.data for layer in viewer.layers if layer.name == "SAM points"]
        assert sum(map(len, shown)) == len(prompts.points_xy), prompts
        widget.session.object_in_progress.clear()
        widget.wait_until_idle(TIMEOUT_S)
        assert words not in widget.session.state.hint


def test_targets_that_cannot_take_the_object_are_refused(make_widget):
    small = Labels(np.zeros((10, 10), int), name="small")
    elsewhere = Labels(np.zeros((303, 384), int), name="elsewhere", scale=(2, 2))
    _, widget = make_widget(Image(data.coins(), name="coins"), small, elsewhere)
    for layer, words in ((small, "shape"), (elsewhere, "does not lie on")):
        with pytest.raises(TargetError, match=words):
            widget.binding.target.set_layer(layer)
        assert widget.binding.target.layer is None
    widget.controllers.options.panel.target_combo.chosen.emit(small)
    assert any("'small' has shape" in record.message for record in notification_manager.records)
    assert widget.controllers.options.panel.target_combo.layer is None


def test_a_full_target_loses_nothing(make_widget):
    full = Labels(np.zeros((303, 384), np.uint8), name="full")
    full.data[0, 0] = 255
    viewer, widget = make_widget(Image(data.coins(), name="coins"), full)
    widget.binding.target.set_layer(full)
    click(viewer, widget, (68, 104))
    widget.binding.objects.accept()
    assert any(
        "run out of label values" in record.message for record in notification_manager.records
    )
    assert widget.session.state.prompts.points_xy == ((104, 68),)
    assert np.count_nonzero(full.data) == 1


def test_accept_with_nothing_to_accept_says_what_to_do(make_widget):
    _, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.objects.accept()
    assert any("no mask to accept" in record.message for record in notification_manager.records)


def test_an_unreadable_checkpoint_is_a_message(make_widget, tmp_path):
    path = tmp_path / "broken.pt"
    path.write_bytes(b"not a checkpoint")

    def load(*_):
        return load_model("vit_t", checkpoint=path)

    with pytest.raises(CheckpointError):
        load()
    viewer, widget = make_widget(Image(data.coins(), name="coins"), load_predictor=load)
    assert widget.session.state.phase is Phase.FAILED
    assert "broken.pt" in widget.session.state.hint
    click(viewer, widget, (68, 104))
    assert len(viewer.layers["SAM points"].data) == 1


def test_an_image_whose_data_shrinks_is_survived(make_widget):
    image = Image(data.coins(), name="coins")
    viewer, widget = make_widget(image)
    click(viewer, widget, (68, 104))
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    image.data = data.coins()[:100, :120]
    widget.wait_until_idle(TIMEOUT_S)
    widget.session.undo()
    click(viewer, widget, (50, 50))
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.phase is Phase.READY
