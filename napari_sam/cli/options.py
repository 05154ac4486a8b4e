"""Options that several commands have, the model they choose, and the examples in the help."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from napari_sam.cli.exit_codes import usage_errors

if TYPE_CHECKING:
    from napari_sam.model import Predictor
    from napari_sam.session.models.model_choice import ModelChoice

Command = TypeVar("Command", bound=Callable[..., Any])


def examples(*lines: str) -> str:
    """Return the end of a command's help: example calls, line by line."""
    return "\n  ".join(["\b\nExamples:", *lines])


def model_options(command: Command) -> Command:
    """Add the options that `choose_model` resolves."""
    text = "A model listed by 'napari-sam models', or a checkpoint file."
    return click.option("--model", metavar="NAME|FILE", help=text)(device_option(command))


device_option = click.option(
    "--device", default="auto", help="Device that runs the model, for example cpu or cuda:1."
)
reader_option = click.option("--reader", metavar="PLUGIN", help="napari reader plugin to use.")
_VALUES: Final = {"shown": "as shown", "robust": "robust percentiles", "full": "full range"}
"""The choices of `values_option`, and the `Intensities` that they mean."""
values_option = click.option(
    "--values",
    "intensities",
    type=click.Choice(list(_VALUES)),
    default="shown",
    show_default=True,
    callback=lambda context, option, value: _VALUES[value],
    help="Values that the model sees as black and white: as napari shows the image; without the "
    "darkest and brightest thousandth; or all that the data type can hold.",
)
channels_option = click.option(
    "--channels",
    type=int,
    metavar="AXIS",
    help="Axis whose channels the model sees as red, green and blue: 0 for the first, -1 for the "
    "last.",
)
results_option = click.option(
    *("-o", "--output"),
    required=True,
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the results, which are named like the images.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def scheduler_option(what: str) -> Callable[[Command], Command]:
    """Return the option for a cluster, with what it does."""
    return click.option("--scheduler", metavar="ADDRESS", help=what)


def require_distributed() -> None:
    """Refuse a cluster where the package for it is missing."""
    if find_spec("distributed") is None:
        msg = "--scheduler needs distributed: pip install 'napari-sam-live[distributed]'"
        raise click.UsageError(msg)


def find_checkpoint(name: str) -> Path | None:
    """Return the file of a published model on this computer, or the file called `name`.

    A published name goes before a file of that name; ``./name`` means the file. None stands for
    the model inside the package.
    """
    from napari_sam.catalogue.local_files import locate
    from napari_sam.catalogue.table import BUNDLED, find_model

    if not name:
        raise click.UsageError("The model name is empty; 'napari-sam models' lists the names.")
    try:
        model = find_model(name)
    except ValueError as error:
        if Path(name).exists():
            return Path(name).absolute()
        msg = f"{name} is not a file, and {str(error)[0].lower()}{str(error)[1:]}"
        raise click.ClickException(msg) from error
    path = locate(model)
    if path is None:
        msg = f"{name} is not on this computer: run 'napari-sam download {name}'."
        if Path(name).exists():
            msg += f" To use the file of that name, give --model .{os.sep}{name}."
        raise click.ClickException(msg)
    return None if path == BUNDLED.bundled else path


def choose_model(name: str | None, device: str) -> ModelChoice:
    """Return the choice of a model and a device."""
    from napari_sam.session.models.model_choice import AUTO, ModelChoice, check_device

    checkpoint = None if name is None else find_checkpoint(name)
    if device != AUTO:  # imports torch, which takes a while
        try:
            check_device(device)
        except ValueError as error:
            raise click.ClickException(str(error)) from error
    choice = ModelChoice(device=device)
    if checkpoint is None or name is None:
        return choice
    is_file = checkpoint == Path(name).absolute()
    return choice.with_weights(checkpoint.name if is_file else name, checkpoint)


def checked_choice(name: str | None, device: str) -> ModelChoice:
    """Return the choice of a model and a device after checking the file; imports torch."""
    from napari_sam.session.models.model_choice import check

    with usage_errors():
        choice = choose_model(name, device)
        check(choice)
        return choice


def load(choice: ModelChoice) -> Predictor:
    """Load a checked model."""
    from napari_sam.session.jobs import user_message
    from napari_sam.session.models.model_choice import find_runtime, load_predictor

    try:
        return load_predictor(choice, find_runtime(choice))
    except (ValueError, RuntimeError, MemoryError, OSError) as error:
        failure = f"The model {choice.name} cannot be loaded"
        message = user_message(error, failure, "choose a smaller model")
        raise click.ClickException(message) from error


def checked_formats(context: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
    """Return the output formats that a comma-separated list names."""
    from napari_sam.batch.outputs import FORMAT_KEYS

    names = tuple(dict.fromkeys(name.strip().lower() for name in value.split(",")))
    for name in names:
        if name not in FORMAT_KEYS:
            msg = f"unknown format {name!r}; choose from {', '.join(FORMAT_KEYS)}."
            raise click.BadParameter(msg)
    return names
