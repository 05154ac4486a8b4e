"""Exit codes of the commands, and how they end with an error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import click

FAILED: Final = 1
"""Something could not be done, as listed; usage errors end with 2, which is click's."""
STOPPED: Final = 130
"""What shells expect of a program that was stopped with Ctrl-C."""

NOTHING_WRITTEN: Final = "Nothing was written."
CAN_CONTINUE: Final = "Finished work is kept; run the same command again to continue."


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn errors in the block into usage errors."""
    try:
        yield
    except click.ClickException as error:
        raise click.UsageError(error.message) from error
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from error


@contextmanager
def errors_of_segmentation(file: str, consequence: str) -> Iterator[None]:
    """End the command with a message if the block fails or is stopped; then also say `consequence`.

    Usage errors and the like pass through.
    """
    from napari_sam.session.jobs import user_message

    try:
        yield
    except KeyboardInterrupt:
        end_stopped(consequence)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    except (RuntimeError, MemoryError, OSError) as error:
        raise click.ClickException(user_message(error, f"{file} cannot be segmented")) from error


def print_error(message: str) -> None:
    """Print an error without ending the command."""
    click.echo(f"Error: {message}", err=True)


def print_warning(message: str) -> None:
    """Print what makes results doubtful."""
    click.echo(f"Warning: {message}", err=True)


def end_stopped(consequence: str) -> NoReturn:
    """End a command that was stopped with Ctrl-C."""
    click.echo(f"Stopped. {consequence}", err=True)
    sys.exit(STOPPED)
