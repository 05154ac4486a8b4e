"""What layers and files ask for on one plane of a stack, whatever their scale and order of axes."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam.controllers.batch_prompts import batch_prompts_of
from napari_sam.formats import FilePrompt, PromptKind
from napari_sam.layers.plane_view import displayed_plane
from napari_sam.layers.prompt_sources import prompts_in_layer, prompts_on_slices, region_at
from napari_sam.session import OutlineKind, TargetError


@pytest.fixture
def stack():
    """Return a viewer with a stack of 3 slices that shows the second one."""
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((3, 40, 50), np.uint8), scale=(2, 1, 0.5))
    viewer.dims.set_current_step(0, 1)
    return viewer, image


def asked(viewer, image, layer):
    view = displayed_plane(image, viewer.dims)
    return prompts_in_layer(layer, image, view, viewer.dims)()


def test_points_and_shapes_of_the_slice_that_is_shown(stack):
    viewer, image = stack
    points = viewer.add_points(
        [(1, 10, 20), (0, 1, 2), (1, 5, 6), (2, 5, 6), (1, 7, 8)],
        scale=(2, 1, 0.5),
        features={"kind": [1, 2, 3, 4, 5], "Class": ["a", "b", "c", "d", ""]},
    )
    found = asked(viewer, image, points)
    assert [one.prompts.points_xy for one in found] == [((20, 10),), ((6, 5),), ((8, 7),)]
    assert [one.class_name for one in found] == ["a", "c", None]
    flat = viewer.add_shapes(ndim=2, scale=(2, 1))  # 2-D: on every slice
    flat.add_rectangles([[2, 1], [2, 5], [8, 5], [8, 1]])
    flat.add_ellipses([[2, 1], [2, 5], [8, 5], [8, 1]])
    flat.add_polygons([[2, 1], [2, 5], [8, 5]])
    flat.add_lines([[2, 1], [2, 5]])
    box, ellipse, polygon, line = (one.prompts for one in asked(viewer, image, flat))
    assert box.box_xyxy == (2, 4, 10, 16)
    assert box.outline is None
    assert ellipse.outline.kind is OutlineKind.ELLIPSE
    assert ellipse.box_xyxy == pytest.approx((2, 4, 10, 16))
    assert polygon.outline.vertices_xy == ((2, 4), (10, 4), (10, 16))
    assert line.scribbles[0].vertices_xy == ((2, 4), (10, 4))


@pytest.mark.parametrize("is_transposed", [False, True])
def test_labels_ask_for_each_of_their_objects(stack, is_transposed):
    viewer, image = stack
    data = np.zeros((3, 40, 50), np.int64)
    data[1, 4:9, 10:30] = 1_000_000
    data[1, 30, 40] = data[1, 32, 41] = 7  # in two pieces
    data[0, 0, 0] = 3
    labels = viewer.add_labels(data, scale=(2, 1, 0.5))
    if is_transposed:
        viewer.dims.order = (0, 2, 1)
    first, second = asked(viewer, image, labels)
    small, large = (first, second) if first.region[0].sum() == 2 else (second, first)
    corner, shape = ((10, 4), (20, 5)) if is_transposed else ((4, 10), (5, 20))
    assert large.region[1:] == corner
    assert large.region[0].shape == shape
    assert small.region[0].shape == ((2, 3) if is_transposed else (3, 2))
    view = displayed_plane(image, viewer.dims)
    mask, top, left = region_at(labels, image, view, (2, 6, 7))
    np.testing.assert_array_equal(mask, large.region[0])
    assert (top, left) == corner
    assert region_at(labels, image, view, (2, 20, 7)) is None
    assert region_at(labels, image, view, (2, 200, 7)) is None


def test_labels_that_lie_elsewhere_are_refused(stack):
    viewer, image = stack
    elsewhere = viewer.add_labels(np.ones((3, 40, 50), int))
    with pytest.raises(TargetError, match="does not lie on the image"):
        asked(viewer, image, elsewhere)
    view = displayed_plane(image, viewer.dims)
    assert region_at(elsewhere, image, view, (2, 6, 7)) is None
    with pytest.raises(TargetError, match="neither points nor shapes nor labels"):
        asked(viewer, image, image)
    empty = viewer.add_labels(np.zeros((3, 40, 50), int), scale=(2, 1, 0.5))
    assert asked(viewer, image, empty) == []
    full = viewer.add_labels(np.ones((3, 40, 50), int), scale=(2, 1, 0.5))
    (one,) = asked(viewer, image, full)
    assert one.region[0].all()


def test_points_shapes_and_labels_on_several_slices(stack):
    viewer, image = stack
    points = viewer.add_points(
        [(1, 10, 20), (0, 1, 2), (1.4, 5, 6), (2, 5, 6), (3, 7, 8), (-1, 7, 8)],
        scale=(2, 1, 0.5),
        features={"class": list("abcdef")},
    )
    view = displayed_plane(image, viewer.dims)

    def read(layer, indices):
        return prompts_on_slices(layer, image, view, viewer.dims, indices)()

    found = read(points, range(1, 3))
    assert {n: [one.class_name for one in on_slice] for n, on_slice in found.items()} == {
        **{1: ["a", "c"], 2: ["d"]}
    }
    assert found[2][0].prompts.points_xy == ((6, 5),)
    shapes = viewer.add_shapes(ndim=3, scale=(2, 1, 0.5))
    for n in (0, 2):
        shapes.add_rectangles([[n, 2, 1], [n, 2, 5], [n, 8, 5], [n, 8, 1]])
    shapes.add_rectangles([[0, 2, 1], [0, 2, 5], [2, 8, 5], [2, 8, 1]])  # on several slices
    assert {n: len(on_slice) for n, on_slice in read(shapes, range(3)).items()} == {
        0: 1,
        1: 0,
        2: 1,
    }
    labels = np.zeros((3, 40, 50), int)
    labels[0, 2:5, 2:5] = labels[2, 2:5, 2:5] = 9
    labels[2, 9:14, 9:14] = 4
    found = read(viewer.add_labels(labels, scale=(2, 1, 0.5)), range(3))
    assert {n: [one.object_id for one in on_slice] for n, on_slice in found.items()} == {
        **{0: [9], 1: [], 2: [4, 9]}
    }


def test_prompts_of_files_on_other_slices_are_left_out():
    def prompt(kind, vertices, *slice_index):
        return FilePrompt(kind, vertices, slice_index, "x")

    square = ((1, 2), (5, 2), (5, 4), (1, 4))
    found = batch_prompts_of(
        [
            prompt(PromptKind.POINT, ((3, 4),), 1),
            prompt(PromptKind.POINT, ((3, 4),), 2),
            prompt(PromptKind.BOX, ((5, 4), (1, 2))),
            prompt(PromptKind.ELLIPSE, square, 1),
            prompt(PromptKind.POLYGON, square, 1),
            prompt(PromptKind.LINE, square, 1),
        ],
        {(1,): 4},
        here=2,
    )[4]
    assert [one.class_name for one in found] == ["x"] * 5
    point, box, ellipse, polygon, line = (one.prompts for one in found)
    assert (point.points_xy, point.point_labels) == (((3, 4),), (1,))
    assert box.box_xyxy == (1, 2, 5, 4)
    assert ellipse.outline.kind is OutlineKind.ELLIPSE
    assert polygon.outline.kind is OutlineKind.POLYGON
    assert line.scribbles[0].vertices_xy == square
