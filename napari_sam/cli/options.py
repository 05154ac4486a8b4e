"""Options that several commands have, and the examples in their help."""

from collections.abc import Callable, Sequence
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


class LazyChoice(click.ParamType[str]):
    """One of several names, which are imported from where they are defined when needed."""

    name = "choice"

    def __init__(self, names: Callable[[], Sequence[str]]) -> None:
        self.names = names

    def get_metavar(self, *args: Any, **kwargs: Any) -> str:
        """Return the names for the help."""
        return f"[{'|'.join(self.names())}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse other names."""
        return click.Choice(self.names()).convert(value, param, ctx)
