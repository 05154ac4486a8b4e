"""What the commands print on stdout: their results, and nothing that readers print."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, Final

import click

from napari_sam.storage.json_text import json_text

_STDOUT: Final = 1
_STDERR: Final = 2


def print_json(content: Any, indent: int | None = 2) -> None:
    """Print JSON, with null for numbers that JSON does not have."""
    click.echo(json_text(content, indent=indent))


@contextmanager
def readers_on_stderr() -> Iterator[None]:
    """Send whatever the block prints to stderr: readers are plugins, and may print anything.

    The descriptor is changed, too, because they may print from C or have another program print.
    """
    sys.stdout.flush()
    try:
        saved = os.dup(_STDOUT)
        os.dup2(_STDERR, _STDOUT)
    except OSError:  # one of them is closed
        saved = None
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if saved is not None:
            _flush_c()
            os.dup2(saved, _STDOUT)
            os.close(saved)


def _flush_c() -> None:
    """Write what C still holds back of the block."""
    with suppress(OSError, TypeError, AttributeError):  # not on Windows
        ctypes.CDLL(None).fflush(None)
