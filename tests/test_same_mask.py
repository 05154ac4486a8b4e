"""The same click gives the same pixels in the widget, in a script and on the command line."""

from dataclasses import dataclass

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from napari.layers import Image
from skimage import data

from napari_sam.cli.main import main
from napari_sam.engine.cleaning import CLEAN_STRENGTH
from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, Prompts
from napari_sam.session.batch_prompts.decode import BatchPrompt

TIMEOUT_S = 120


@dataclass(frozen=True)
class Case:
    """An image, the plane that is annotated, and a click on it."""

    pixels: np.ndarray
    x: int
    y: int
    position: int | None = None
    is_rgb: bool = False
    moves: bool = False  # to a smaller tile than the whole plane

    @property
    def plane(self):
        return self.pixels if self.position is None else self.pixels[self.position]

    def write(self, folder):
        if self.is_rgb:
            path = folder / "image.png"
            imageio.imwrite(path, self.pixels)
        else:
            path = folder / "image.tif"
            tifffile.imwrite(path, self.pixels, photometric="minisblack")
        return path


def stack():
    slices = [np.roll(data.coins(), 15 * shift, axis=1) for shift in range(3)]
    return np.stack(slices).astype(np.uint16) * 13 + 200


CASES = {
    "coin": Case(data.coins(), 104, 68),
    "background of coins": Case(data.coins(), 130, 110),
    "nucleus": Case(data.immunohistochemistry(), 218, 145, is_rgb=True),
    "tissue": Case(data.immunohistochemistry(), 300, 400, is_rgb=True),
    "slice of a stack": Case(stack(), 119, 68, position=1),
    "tiny object of a large image": Case(np.tile(data.coins(), (6, 6)), 488, 371, moves=True),
    "wide RGB": Case(np.tile(data.astronaut(), (1, 4, 1)), 220, 90, is_rgb=True),
}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    return CASES[request.param]


def in_widget(make_widget, file, case, strengths):
    """Return the masks of a click at some strengths of cleaning; None: as they are."""
    viewer, widget = make_widget()
    assert widget.controllers.options.panel.clean.isChecked()
    viewer.open(file, plugin="napari")
    (image,) = (layer for layer in viewer.layers if isinstance(layer, Image))
    assert bool(image.rgb) == case.is_rgb
    click = (case.y, case.x)
    if case.position is not None:
        viewer.dims.set_current_step(0, case.position)
        click = (case.position, *click)
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.prompts.start_points()
    viewer.layers.selection.active.add([click])
    widget.wait_until_idle(TIMEOUT_S)
    tile = widget.session.state.candidates.tile
    assert (tile.size != case.plane.shape[:2]) == case.moves
    return [accepted(viewer, widget, case, clean) for clean in strengths]


def accepted(viewer, widget, case, clean):
    """Return what is accepted at a strength of cleaning, and take it back."""
    panel = widget.controllers.options.panel
    if panel.clean.isChecked() == (clean is None):
        panel.clean.click()
    if clean is not None and round(100 * clean) != panel.clean_strength.value:
        panel.clean_strength.slider.setValue(round(100 * clean))
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    (labels,) = (layer.data for layer in viewer.layers if layer.name == "image labels")
    mask = np.asarray(labels if case.position is None else labels[case.position]) > 0
    widget.session.undo()
    widget.wait_until_idle(TIMEOUT_S)
    return mask


def image_plane(case):
    # As napari shows it: from the smallest to the largest value of the whole image.
    limits = None if case.is_rgb else (case.pixels.min(), case.pixels.max())
    limits = (0, 255) if case.pixels.dtype == np.uint8 and not case.is_rgb else limits
    return ImagePlane(case.plane, case.is_rgb, limits)


@pytest.fixture
def script(remembering_predictor, case):
    session = AnnotationSession(lambda *_: remembering_predictor)
    session.set_image(image_plane(case))
    labels = np.zeros(case.plane.shape[:2], np.uint16)
    session.set_target(ArrayPlane(labels))
    yield session, labels
    session.close()


def in_script(script, case, clean):
    session, labels = script
    session.object_in_progress.set_clean(clean or 0)
    session.set_prompts(Prompts(((case.x, case.y),), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    session.accept()
    session.wait_until_idle(TIMEOUT_S)
    return labels > 0


def in_batch(script, case, clean):
    session, labels = script
    session.object_in_progress.set_clean(clean or 0)
    session.batch_prompts.start([BatchPrompt(Prompts(((case.x, case.y),), (1,)))])
    session.wait_until_idle(TIMEOUT_S)
    return labels > 0


def on_command_line(file, folder, case, clean):
    arguments = ["predict", str(file), "--point", f"{case.x},{case.y}", "-o", str(folder / "a.npy")]
    if case.position is not None:
        arguments += ["--slice", str(case.position)]
    if clean is not None:
        arguments += ["--clean"]
        if clean != CLEAN_STRENGTH:
            arguments += ["--clean-strength", str(clean)]
    result = CliRunner().invoke(main, [*arguments, "--device", "cpu"])
    assert result.exit_code == 0, result.output
    return np.load(folder / "a.npy") > 0


def test_widget_script_and_command_line_agree(make_widget, script, tmp_path, case):
    file, strengths = case.write(tmp_path), (CLEAN_STRENGTH, None)
    masks = in_widget(make_widget, file, case, strengths)
    for clean, expected in zip(strengths, masks, strict=True):
        assert expected.any()
        np.testing.assert_array_equal(in_script(script, case, clean), expected)
        script[0].undo()
        np.testing.assert_array_equal(on_command_line(file, tmp_path, case, clean), expected)


@pytest.mark.parametrize("case", ["tissue"], indirect=True)
def test_they_agree_at_another_strength_and_strengths_differ(make_widget, script, tmp_path, case):
    file = case.write(tmp_path)
    (expected,) = in_widget(make_widget, file, case, (0.9,))
    np.testing.assert_array_equal(on_command_line(file, tmp_path, case, 0.9), expected)
    for clean in (None, CLEAN_STRENGTH):
        mask = in_script(script, case, clean)
        script[0].undo()
        assert not np.array_equal(mask, expected)


@pytest.mark.parametrize("clean", [None, CLEAN_STRENGTH])
def test_a_batch_of_prompts_agrees_with_clicks(script, case, clean):
    mask = in_batch(script, case, clean)
    session, _ = script
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(in_script(script, case, clean), mask)
