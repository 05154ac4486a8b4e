"""Images that napari opened as something else: integers as labels, gray with alpha as a stack."""

from pathlib import Path

from napari.layers import Image, Labels, Layer
from napari.layers._source import layer_source

from napari_sam.layers.plane_view import placement


def is_gray_with_alpha(layer: Layer) -> bool:
    """Whether a layer holds a gray PNG file, whose last axis is gray and alpha."""
    path, data = layer.source.path, layer.data
    is_png = path is not None and Path(path).suffix.lower() == ".png"
    return isinstance(layer, Image) and is_png and data.ndim == 3 and data.shape[-1] == 2


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
