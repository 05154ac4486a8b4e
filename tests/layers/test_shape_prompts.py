import numpy as np
import pytest
from napari.layers import Shapes
from napari.layers.shapes._shapes_mouse_bindings import initiate_polygon_draw

from napari_sam.layers.prompt_layers import label_of_each, polarity_options
from napari_sam.layers.shape_prompts import ShapePrompts


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
