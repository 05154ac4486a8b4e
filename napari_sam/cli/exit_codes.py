"""Opening the image files that a command was given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from napari_sam.storage.text import single_line

if TYPE_CHECKING:
    from napari.components import ViewerModel

STOPPED: Final = 130
"""What shells expect of a program that was stopped with Ctrl-C."""


def examples(*lines: str) -> str:
    """Return the end of a command's help: how it is called, line by line."""
    return "\n  ".join(["\b\nExamples:", *lines])


def check_exists(file: str) -> None:
    """Raise click.ClickException for a path at which there is nothing; addresses are believed."""
    if "://" not in file and not Path(file).exists():
        msg = f"Cannot open {file}: there is no such file."
        raise click.ClickException(msg)


def open_file(viewer: ViewerModel, file: str, reader: str | None) -> None:
    """Add a file to a viewer, as napari's plugins read it."""
    from napari.errors import MultipleReaderError, ReaderPluginError

    try:
        viewer.open(file, plugin=reader)
    except MultipleReaderError as error:
        choice = ", ".join(sorted(error.available_plugins))
        msg = f"Several plugins can read {file}: choose with --reader from {choice}."
        raise click.ClickException(msg) from error
    except Exception as error:  # readers are plugins: they raise whatever they like
        cause = error.original_error if isinstance(error, ReaderPluginError) else error
        msg = f"Cannot open {file}: {single_line(str(cause)) or type(cause).__name__}"
        raise click.ClickException(msg) from error


def find_readers() -> None:
    """Find napari's plugins that read files, as napari does when it opens a window."""
    from napari.settings import get_settings
    from npe2 import PluginManager

    manager = PluginManager.instance()
    for name in get_settings().plugins.disabled_plugins:
        manager.disable(name)
    manager.discover()
