from napari_sam.layers.napari_workarounds import PromptPoints
from napari_sam.layers.prompt_layers import polarity_options


def test_a_hidden_layer_without_points_can_change_its_colors(make_napari_viewer):
    points = PromptPoints(ndim=2, **polarity_options("face"))
    make_napari_viewer().add_layer(points)
    points.add([[1, 2], [3, 4]])
    points.visible = False
    points.remove([0, 1])
    for polarity in ("background", "foreground"):
        points.feature_defaults = {"polarity": polarity}
