import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Shapes
from napari.layers.shapes._shapes_mouse_bindings import initiate_polygon_draw

from napari_sam.layers.plane_view import displayed_plane
from napari_sam.layers.prompt_layers import label_of_each, polarity_options
from napari_sam.layers.shape_prompts import ShapePrompts
from napari_sam.session import Prompts


@pytest.mark.parametrize("mode", ["add_polygon", "add_path"])
def test_a_shape_that_was_given_up_shifts_no_polarity(mode):
    layer = Shapes(ndim=2, **polarity_options("edge"))
    prompts = ShapePrompts(layer, True, lambda: None, lambda _: None)
    layer.mode = mode
    initiate_polygon_draw(layer, (5.0, 5.0))
    layer._finish_drawing()  # as Escape does: one vertex is no shape
    assert (len(layer.data), len(layer.features)) == (0, 0)
    prompts.set_polarity(0)
    layer.add_lines(np.array([[1, 1], [5, 5]]))
    assert label_of_each(layer).tolist() == [0]


def test_more_features_than_shapes_do_not_break_a_layer_of_the_user():
    layer = Shapes(ndim=2, **polarity_options("edge"))
    layer.mode = "add_polygon"
    initiate_polygon_draw(layer, (5.0, 5.0))
    layer._finish_drawing()
    assert label_of_each(layer).tolist() == []


@pytest.mark.parametrize("is_opened_again", [True, False])
def test_a_polygon_that_is_being_drawn_is_left_alone(is_opened_again):
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((40, 50)))
    layer = viewer.add_layer(Shapes(ndim=2, **polarity_options("edge")))
    prompts = ShapePrompts(layer, True, lambda: None, lambda _: None)
    layer.add_lines(np.array([[1, 1], [5, 5]]))
    layer.mode = "add_polygon"
    initiate_polygon_draw(layer, (5.0, 5.0))
    if is_opened_again:
        prompts.close()
        prompts = ShapePrompts(layer, True, lambda: None, lambda _: None)
    else:
        layer.events.data(value=layer.data, action="changed", data_indices=(0,))
    prompts.write(Prompts(), image, displayed_plane(image, viewer.dims), viewer.dims)
    assert len(layer.data) == 2
    layer._finish_drawing()
    prompts.write(Prompts(), image, displayed_plane(image, viewer.dims), viewer.dims)
    assert len(layer.data) == 0


def test_a_shape_that_was_given_up_is_no_trouble_in_3d():
    viewer = ViewerModel()
    viewer.add_image(np.zeros((3, 40, 50)))
    layer = viewer.add_layer(Shapes(ndim=3, **polarity_options("edge")))
    ShapePrompts(layer, True, lambda: None, lambda _: None)
    layer.add_lines(np.array([[0, 1, 1], [0, 5, 5]]))
    layer.mode = "add_polygon"
    initiate_polygon_draw(layer, (0.0, 5.0, 5.0))
    layer._finish_drawing()
    viewer.dims.ndisplay = 3
    assert len(layer.data) == 1
