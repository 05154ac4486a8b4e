"""Options that several commands have, and the examples in their help."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def examples(*lines: str) -> str:
    """Return the end of a command's help: example calls, line by line."""
    return "\n  ".join(["\b\nExamples:", *lines])


def model_options(command: Command) -> Command:
    """Add the options that `napari_sam.cli.model_option` resolves."""
    text = "A model listed by `napari-sam models`, or a checkpoint file."
    return click.option("--model", metavar="NAME|FILE", help=text)(device_option(command))


device_option = click.option(
    "--device", default="auto", help="Device that runs the model, for example cpu or cuda:1."
)
reader_option = click.option("--reader", metavar="PLUGIN", help="napari reader plugin to use.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
