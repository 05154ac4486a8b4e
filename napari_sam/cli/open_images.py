"""Open image files with napari's readers, in a viewer or without a window."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from operator import itemgetter
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Final

import click

from napari_sam._distribution import DISTRIBUTION
from napari_sam.batch.open_images import ImageOpener, OpenedImage, OpenedPlane, OpenError
from napari_sam.storage.regular_files import require_regular_file
from napari_sam.storage.text import single_line

if TYPE_CHECKING:
    from napari.components import Dims, ViewerModel
    from napari.layers import Image


_READ_BY_NAPARI: Final = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class NapariOpener:
    """An `ImageOpener`: opens files as napari does, and leaves lazy pixels unread."""

    reader: str | None = None  # the napari plugin that reads the files
    intensities: str = "as shown"  # a value of `Intensities`
    channels: int | None = None  # the axis that holds them

    def __call__(self, file: str) -> list[OpenedImage]:
        """Open a file."""
        from napari.components import ViewerModel
        from napari.layers import Image

        from napari_sam.layers.conversion import as_image, is_opened_as_labels
        from napari_sam.layers.plane_view import is_gray_with_alpha

        _find_readers()
        check_exists(file)
        viewer = ViewerModel()
        open_file(viewer, file, self.reader)
        layers = list(viewer.layers)
        images = [layer for layer in layers if isinstance(layer, Image)]
        # Where there is an image, labels beside it are its objects.
        images = images or [as_image(layer) for layer in layers if is_opened_as_labels(layer)]
        if not images:
            raise OpenError(f"{file} contains no image.")
        images = [as_image(image) if is_gray_with_alpha(image) else image for image in images]
        return [self._opened(image, viewer.dims) for image in images]

    def _opened(self, image: Image, dims: Dims) -> OpenedImage:
        from napari_sam.layers.appearance import ImageAppearances
        from napari_sam.layers.plane_view import displayed_plane, every_plane, levels
        from napari_sam.session.image.intensity import Appearance, Intensities, first_colors

        appearance, axis = Appearance(Intensities(self.intensities)), None
        if self.channels is not None:
            axis = _channel_axis(image, self.channels)
            colors = first_colors(levels(image)[0].shape[axis])
            appearance = replace(appearance, channel_axis=axis, colors=colors)
            slider = axis + dims.ndim - image.ndim
            dims.order = sorted(range(dims.ndim), key=lambda number: number != slider)
        appearances = ImageAppearances()
        appearances.choose(image, appearance)
        shown = displayed_plane(image, dims, axis)
        planes = [
            OpenedPlane(
                tuple(view.index[axis] for axis in shown.axes_of_planes),
                name,
                appearances.image_plane(image, view),
            )
            for name, view in every_plane(shown).items()
        ]
        along = itemgetter(*shown.axes_of_planes, shown.row_axis, shown.column_axis)
        about_axes = (shown.shape_nd, image.scale, image.units, image.axis_labels)
        return OpenedImage(image.name, planes, *map(along, about_axes))


def chosen_image(file: str, open_images: ImageOpener, layer: str | None) -> OpenedImage:
    """Open a file and return its only image, or the one that was named."""
    images = chosen = open_images(file)
    if layer is not None or len(images) > 1:
        chosen = [image for image in images if image.name == layer]
    if len(chosen) != 1:
        names = ", ".join(image.name for image in images)
        raise click.UsageError(f"Choose one image of {file} with --layer: {names}.")
    return chosen[0]


def _channel_axis(image: Image, channels: int) -> int:
    """Return the axis that is meant by its number, which may be negative."""
    from napari_sam.layers.plane_view import levels
    from napari_sam.session.image.intensity import ChannelAxis

    shape = levels(image)[0].shape
    if image.rgb or len(shape) < 3:
        raise OpenError(f"{image.name} has no axis of channels: omit --channels.")
    if not -len(shape) <= channels < len(shape) or not ChannelAxis.can_have(shape[channels]):
        msg = f"{image.name} has the shape {shape}: choose another axis with --channels."
        raise OpenError(msg)
    return channels % len(shape)


def hide_progress_of_napari() -> None:
    """Keep napari from showing a progress bar for each file that it opens."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # read by tqdm when it is first imported


def check_exists(file: str) -> None:
    """Raise `OpenError` unless there is a file or a folder; addresses are not checked."""
    if "://" in file:
        return
    if not Path(file).exists():
        raise OpenError(f"Cannot open {file}: there is no such file.")
    if Path(file).suffix.lower() == ".py":  # which napari would run
        raise OpenError(f"{file} is a Python script, not an image.")
    if not Path(file).is_dir():
        try:
            require_regular_file(file)
        except OSError as error:
            raise OpenError(f"Cannot open {file}: {error.strerror}.") from error


def open_file(viewer: ViewerModel, file: str, reader: str | None) -> None:
    """Add a file to a viewer, as napari's plugins read it."""
    from napari.errors import MultipleReaderError, ReaderPluginError

    if Path(file).suffix.lower() == ".dcm":  # napari's own reads the first series of the folder
        if reader == "napari":
            raise OpenError(
                f"napari's own reader may read another DICOM file than {file}: omit --reader."
            )
        reader = reader or DISTRIBUTION
    try:
        viewer.open(file, plugin=reader)
    except MultipleReaderError as error:
        plugins = ", ".join(sorted(error.available_plugins))
        msg = f"Several plugins can read {file}: choose one with --reader from {plugins}."
        raise OpenError(msg) from error
    except Exception as error:  # readers are plugins and may raise anything
        cause = error.original_error if isinstance(error, ReaderPluginError) else error
        raise OpenError(f"Cannot open {file}: {_reason(cause, Path(file).suffix)}") from error


def _reason(error: BaseException, suffix: str) -> str:
    """Return why a reader failed; advice of imageio is about its plugins, not napari's."""
    text = single_line(str(error)) or f"napari cannot show it ({type(error).__name__})"
    if "'imagecodecs'" in text:
        return f"{text}; run: pip install imagecodecs."
    if "returned no data" in text or "refused the file" in text:
        return "it contains no image."
    is_advice = "pip install" in text and _is_of_imageio(error)
    if not is_advice and not text.startswith("No plugin found"):
        return text
    if suffix.lower() in _READ_BY_NAPARI:
        return "it is damaged or not an image."
    return (
        f"no reader is installed for {suffix or 'files without a suffix'}; install a napari "
        "plugin that reads it, or save the image as TIFF."
    )


def _is_of_imageio(error: BaseException) -> bool:
    modules = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    return any(module.partition(".")[0] == "imageio" for module in modules)


@cache
def _find_readers() -> None:
    """Discover napari's reader plugins, as napari does when it opens a window."""
    from napari.settings import get_settings
    from npe2 import PluginManager

    manager = PluginManager.instance()
    for name in get_settings().plugins.disabled_plugins:
        manager.disable(name)
    manager.discover()
