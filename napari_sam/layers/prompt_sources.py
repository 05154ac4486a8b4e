"""Batch prompts from a layer of the user: one per point, shape or label."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.components import Dims
from napari.layers import Image, Labels, Layer, Points, Shapes
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop
from napari_sam.formats.prompt_tables import CLASS_COLUMNS
from napari_sam.layers.plane_view import PlaneView, levels, lies_on
from napari_sam.layers.prompt_layers import points_on_plane, points_on_slices
from napari_sam.layers.shape_prompts import Area, shapes_on_plane, shapes_on_slices, with_area
from napari_sam.session.batch_prompts.decode import BatchPrompt, prompt_of_region
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts
from napari_sam.session.prompts.shapes import Scribble

ReadPrompts = Callable[[], list[BatchPrompt]]
"""Returns batch prompts; may be called on any thread."""
ReadSlicePrompts = Callable[[], dict[int, list[BatchPrompt]]]
"""Returns batch prompts by slice; may be called on any thread."""


def prompts_in_layer(layer: Layer, image: Image, view: PlaneView, dims: Dims) -> ReadPrompts:
    """Return a function that reads the prompts of a layer on the displayed plane of an image."""
    if isinstance(layer, Points):
        prompts = _of_points(layer, image, view, dims)
    elif isinstance(layer, Shapes):
        prompts = _of_shapes(layer, image, view, dims)
    elif isinstance(layer, Labels):
        read = labels_on_plane(layer, image, view)
        return lambda: _of_labels(read())
    else:
        raise _unfit(layer)
    return lambda: prompts


def prompts_on_slices(
    layer: Layer, image: Image, view: PlaneView, dims: Dims, indices: range
) -> ReadSlicePrompts:
    """Return a function that reads the prompts of a layer on some slices of an image."""
    prompts: dict[int, list[BatchPrompt]] = {index: [] for index in indices}
    if isinstance(layer, Labels):
        reads = {n: labels_on_plane(layer, image, view.at_slice(n)) for n in indices}
        return lambda: {n: _of_labels(read(), are_linked=True) for n, read in reads.items()}
    classes = _classes(layer) if isinstance(layer, Points | Shapes) else []
    if isinstance(layer, Points):
        for slice_index, index, point in points_on_slices(layer, image, view, dims):
            if slice_index in indices:
                prompts[slice_index] += _of_point(point, classes[index])
    elif isinstance(layer, Shapes):
        for slice_index, index, shape in shapes_on_slices(layer, image, view, dims):
            if slice_index in indices:
                prompts[slice_index] += _of_shape(shape, classes[index])
    else:
        raise _unfit(layer)
    return lambda: prompts


def _unfit(layer: Layer) -> TargetError:
    return TargetError(
        f"'{layer.name}' has neither points nor shapes nor labels: choose another layer."
    )


def _of_shapes(layer: Shapes, image: Image, view: PlaneView, dims: Dims) -> list[BatchPrompt]:
    classes, prompts = _classes(layer), []
    for index, shape in shapes_on_plane(layer, image, view, dims):
        prompts += _of_shape(shape, classes[index])
    return prompts


def _of_shape(shape: Area | Scribble, class_name: str | None) -> list[BatchPrompt]:
    """Return the prompt that a shape is; none if it is background."""
    if not isinstance(shape, Scribble):
        return [BatchPrompt(with_area(Prompts(), shape), class_name)]
    is_prompt = shape.label == FOREGROUND
    return [BatchPrompt(Prompts(scribbles=(shape,)), class_name)] if is_prompt else []


def _of_labels(labels: NDArray[Any], *, are_linked: bool = False) -> list[BatchPrompt]:
    """Return a prompt for each label; one that is on other slices, too, may be of one object."""
    values, inverse = np.unique(labels, return_inverse=True)
    indices = inverse.reshape(labels.shape) + (0 if values[0] == 0 else 1)
    named = values[values != 0].tolist()
    return [
        prompt_of_region(
            MaskCrop(indices[box] == index, box[0].start, box[1].start),
            object_id=named[index - 1] if are_linked else None,
        )
        for index, box in enumerate(ndimage.find_objects(indices), start=1)
        if box is not None
    ]


def labels_on_plane(layer: Labels, image: Image, view: PlaneView) -> Callable[[], NDArray[Any]]:
    """Return a function that reads the (H, W) labels of a layer on a plane; for any thread."""
    where, data = view.for_labels(layer.ndim), levels(layer)[0]
    if tuple(data.shape) != where.shape_nd or not lies_on(layer, image, view):
        msg = f"'{layer.name}' does not lie on the image: choose labels of the image's shape."
        raise TargetError(msg)
    index = tuple(where.index_at(slice(None), slice(None)))

    def read() -> NDArray[Any]:
        plane = np.asarray(data[index])
        return plane.T if where.is_transposed else plane

    return read


def region_at(
    layer: Labels, image: Image, view: PlaneView, world: tuple[float, ...]
) -> MaskCrop | None:
    """Return the object of a Labels layer at a position, in pixels of a plane of an image."""
    try:
        read = labels_on_plane(layer, image, view)
    except TargetError:
        return None
    ((x, y),) = view.to_xy(np.asarray(image.world_to_data(world), float)[np.newaxis])
    row, column = round(float(y)), round(float(x))
    if not (0 <= row < view.shape[0] and 0 <= column < view.shape[1]):
        return None
    labels = read()
    if labels[row, column] == 0:
        return None
    ((rows, columns),) = ndimage.find_objects((labels == labels[row, column]).astype(np.uint8))
    mask = labels[rows, columns] == labels[row, column]
    return MaskCrop(mask, rows.start, columns.start)


def _of_points(layer: Points, image: Image, view: PlaneView, dims: Dims) -> list[BatchPrompt]:
    classes, prompts = _classes(layer), []
    for index, point in points_on_plane(layer, image, view, dims):
        prompts += _of_point(point, classes[index])
    return prompts


def _of_point(point: tuple[float, float, int], class_name: str | None) -> list[BatchPrompt]:
    """Return the prompt that a point is; none if it is background."""
    x, y, label = point
    return [BatchPrompt(Prompts(((x, y),), (label,)), class_name)] if label == FOREGROUND else []


def _classes(layer: Points | Shapes) -> list[str | None]:
    """Return the class of each point or shape; None where there is none."""
    columns = {str(name).lower(): layer.features[name] for name in layer.features.columns}
    for name in [name for name in CLASS_COLUMNS if name in columns]:
        values = columns[name].tolist()
        if all(isinstance(value, str) or value != value for value in values):
            return [value.strip() or None if isinstance(value, str) else None for value in values]
    return [None] * len(layer.data)
