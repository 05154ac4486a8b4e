"""Images that napari opened as something else: integers as labels, gray with alpha as a stack."""

from napari.layers import Image, Labels, Layer
from napari.layers._source import layer_source

from napari_sam.layers.plane_view import is_gray_with_alpha, placement


def is_opened_as_labels(layer: Layer) -> bool:
    """Whether napari took a file of integers for labels."""
    return isinstance(layer, Labels) and layer.source.path is not None


def as_image(layer: Layer) -> Image:
    """Return a new layer that shows the pixels of a layer as an image, at the same place."""
    data, place = layer.data, placement(layer)
    if is_gray_with_alpha(layer):
        data = data[..., 0]
        # The first two axes remain; rotations are of the three that a PNG file has not.
        place = {name: place[name][:2] for name in ("scale", "translate", "units", "axis_labels")}
    with layer_source(path=layer.source.path, reader_plugin=layer.source.reader_plugin):
        return Image(data, name=layer.name, multiscale=layer.multiscale, **place)
