"""The planes of a stack, and an object carried through one in a viewer."""

import numpy as np
import pytest
from napari.layers import Image

from napari_sam.layers.image_stack import ImageStack
from napari_sam.layers.plane_source import PlaneSource
from napari_sam.layers.plane_view import displayed_plane
from napari_sam.session import AnnotationSession, Origin
from tests.session.propagation.volume import moving_discs


@pytest.fixture
def source():
    session = AnnotationSession()
    yield PlaneSource(session)
    session.close()


def stack_of(source, viewer, image):
    return source.stack(image, displayed_plane(image, viewer.dims))


def test_planes_are_those_along_the_slider_as_they_look_now(make_napari_viewer, source):
    viewer = make_napari_viewer()
    data = np.random.default_rng(0).integers(0, 99, (3, 4, 20, 30)).astype(np.uint8)
    image = viewer.add_image(data, scale=(1, 3, 0.5, 0.5), axis_labels=("t", "z", "y", "x"))
    viewer.dims.set_current_step(0, 2)
    image.contrast_limits = (5, 90)
    stack = stack_of(source, viewer, image)
    image.contrast_limits = (0, 99)
    viewer.dims.set_current_step(0, 1)
    assert isinstance(stack, ImageStack)
    assert (len(stack), stack.axis_name, stack.slice_distance_px) == (4, "z", 6)
    plane = stack.image_plane(3)
    np.testing.assert_array_equal(plane.data[:, :], data[2, 3])
    assert plane.contrast_limits == (5, 90)


def test_slices_through_time_have_no_distance(make_napari_viewer, source):
    viewer = make_napari_viewer()
    film = viewer.add_image(np.zeros((3, 20, 30, 3), np.uint8), rgb=True, axis_labels="tyx")
    stack = stack_of(source, viewer, film)
    assert (len(stack), stack.slice_distance_px) == (3, None)
    assert stack.image_plane(2).is_rgb
    assert stack_of(source, viewer, viewer.add_image(np.zeros((20, 30)))) is None


def test_a_painted_slice_is_an_anchor_in_the_viewer(make_widget):
    viewer, widget = make_widget(Image(moving_discs(7), name="discs"))
    stack, target = widget.session.stack, widget.binding.target
    viewer.dims.set_current_step(0, 4)
    widget.wait_until_idle(60)
    widget.binding.prompts.start_points()
    viewer.layers.selection.active.add([4, 34, 30])
    widget.wait_until_idle(60)
    stack.propagate(first=3)
    widget.wait_until_idle(60)
    carried = target.layer.data.copy()
    assert np.flatnonzero((carried == 1).any(axis=(1, 2))).tolist() == [3, 4, 5, 6]
    viewer.dims.set_current_step(0, 6)
    widget.wait_until_idle(60)
    target.layer.brush_size = 6
    target.layer.paint((6, 48, 30), 1)
    widget.wait_until_idle(60)
    origins = {entry.slice_index: entry.origin for entry in stack.state.slices}
    assert origins[6] is Origin.ANNOTATED
    assert origins[5] in (Origin.PROPAGATED, Origin.INTERPOLATED)  # whichever fits the stroke
    widget.session.undo()  # the stroke and what follows it are one step
    np.testing.assert_array_equal(target.layer.data, carried)
    viewer.dims.ndisplay = 3
    widget.wait_until_idle(60)
    assert (stack.state.n_slices, (target.layer.data == 1).sum() > 0) == (1, True)
