"""The images in a file and their planes, looking as they will in napari; needs no window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_sam.cli.exit_codes import check_exists, open_file

if TYPE_CHECKING:
    from napari_sam.session.image.image_plane import ImagePlane


@dataclass(frozen=True, eq=False)
class OpenedPlane:
    """One plane of an image."""

    slice_index: tuple[int, ...]  # where it is in the stack; empty if there is but one plane
    name: str  # what messages call it
    plane: ImagePlane  # its pixels


@dataclass(frozen=True, eq=False)
class OpenedImage:
    """An image of a file, of which there may be several."""

    name: str  # what napari calls its layer
    planes: list[OpenedPlane]  # all planes; axes of length one are left out
    shape: tuple[int, ...]  # lengths of the axes of the stack, then height and width
    scale: tuple[float, ...]  # step along each of these axes
    units: tuple[Any, ...]  # as the layer has them, one for each of these axes
    axis_labels: tuple[str, ...]  # as the layer has them, one for each of these axes


def open_images(file: str, reader: str | None = None) -> list[OpenedImage]:
    """Open a file as napari would, without reading pixels that are not in memory then."""
    from napari.components import ViewerModel
    from napari.layers import Image

    check_exists(file)
    if Path(file).suffix == ".py":  # which napari would run
        msg = f"{file} is a program and no image."
        raise click.ClickException(msg)
    viewer = ViewerModel()
    open_file(viewer, file, reader)
    images = [layer for layer in viewer.layers if isinstance(layer, Image)]
    if not images:
        msg = f"{file} holds no image."
        raise click.ClickException(msg)
    return [_file_image(image, viewer.dims) for image in images]


def _file_image(image: Any, dims: Any) -> OpenedImage:
    from napari_sam.layers.appearance import ImageAppearances
    from napari_sam.layers.plane_view import displayed_plane
    from napari_sam.layers.slices import every_plane

    looks = ImageAppearances()
    shown = displayed_plane(image, dims)
    planes = [
        OpenedPlane(
            tuple(view.index[axis] for axis in shown.axes_of_planes),
            name,
            looks.image_plane(image, view),
        )
        for name, view in every_plane(shown).items()
    ]
    axes = [*shown.axes_of_planes, shown.row_axis, shown.column_axis]

    def along(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(values[axis] for axis in axes)

    return OpenedImage(
        image.name,
        planes,
        along(shown.shape_nd),
        along(image.scale),
        along(image.units),
        along(image.axis_labels),
    )
