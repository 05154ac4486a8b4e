"""The `napari-sam` command; Qt and napari are imported only when a window opens."""

from __future__ import annotations

import _thread
import sys
import threading
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import click

from napari_sam import __version__
from napari_sam._distribution import (
    DISTRIBUTION,
    broken_qt_warning,
    old_distribution_warning,
)
from napari_sam.batch.open_images import OpenError
from napari_sam.cli.automatic import automatic
from napari_sam.cli.bench import COMMANDS as BENCH_COMMANDS
from napari_sam.cli.classify import classify
from napari_sam.cli.embed import embed
from napari_sam.cli.models import COMMANDS
from napari_sam.cli.open_images import check_exists, open_file
from napari_sam.cli.options import choose_model, examples, model_options, reader_option
from napari_sam.cli.predict import predict
from napari_sam.cli.propagate import propagate
from napari_sam.cli.request import request
from napari_sam.cli.train import train

if TYPE_CHECKING:
    from napari import Viewer

    from napari_sam.session.models.model_choice import ModelChoice
    from napari_sam.widget import SamWidget

SAMPLES: Final = (
    "coins",
    "cell",
    "retina",
    "immunohistochemistry",
    "stack",
    "film",
    "multiscale",
)
_MOMENT_S: Final = 0.01


def _repeat_interrupt(ignored: sys.UnraisableHookArgs) -> None:
    """Let Ctrl-C reach the command even if it came while an object was being finalized."""
    if isinstance(ignored.exc_value, KeyboardInterrupt):
        # Not here, where it would be ignored again.
        threading.Timer(_MOMENT_S, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(ignored)


class _OpenByDefault(click.Group):
    """A group of commands in which anything but the name of a command goes to `open`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `open` in front unless a command, or an option of the group, comes first."""
        options = {name for option in self.get_params(ctx) for name in option.opts}
        if not args or args[0] not in {*self.commands, *options}:
            args = ["open", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """End with the message of one of our errors, which says what to do."""
        former, sys.unraisablehook = sys.unraisablehook, _repeat_interrupt
        try:
            return super().invoke(ctx)
        except ValueError as error:
            if not type(error).__module__.startswith("napari_sam."):
                raise
            raise click.ClickException(str(error)) from error
        finally:
            sys.unraisablehook = former

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the usage of `open`."""
        formatter.write_usage(ctx.command_path, "[OPTIONS] [FILE]...")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the options of `open` as those of the group."""
        options = [
            *(param for param in open_.params if isinstance(param, click.Option)),
            *self.get_params(ctx),
        ]
        records = [record for option in options if (record := option.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl(records)
        self.format_commands(ctx, formatter)


@click.group(
    cls=_OpenByDefault,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "napari-sam",
        "napari-sam image.tif",
        "napari-sam --sample coins",
        "napari-sam --model vit_b image.tif",
        "napari-sam embed stack.tif",
    ),
)
@click.version_option(__version__, package_name=DISTRIBUTION, prog_name="napari-sam")
def main() -> None:
    """Open FILEs in napari, with the widget that segments what you click on.

    The topmost image is ready to be annotated: click on an object.
    """
    if warning := old_distribution_warning():
        click.echo(warning, err=True)


@main.command(name="open", hidden=True)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--sample", type=click.Choice(SAMPLES), help="Open one of the sample images.")
@reader_option
@model_options
def open_(
    files: tuple[str, ...], sample: str | None, reader: str | None, model: str | None, device: str
) -> None:
    """Open files or a sample in napari with the widget."""
    for file in files:
        try:
            check_exists(file)
        except OpenError as error:
            similar = get_close_matches(file, main.commands, n=1)
            hint = f" Did you mean 'napari-sam {similar[0]}'?" if similar else ""
            raise OpenError(f"{error}{hint}") from error
    choice = choose_model(model, device)
    if warning := broken_qt_warning():  # here, too: it may not live to show a notification
        click.echo(warning, err=True)
    import napari

    viewer = napari.Viewer(show=False)
    try:
        for file in files:
            open_file(viewer, file, reader)
    except OpenError:
        viewer.close()
        raise
    if sample is not None:
        viewer.open_sample(DISTRIBUTION, sample)
    dock_widget(viewer, choice).fit_view_once_laid_out()
    viewer.show()
    _keep_on_screen(viewer)
    napari.run()


def _keep_on_screen(viewer: Viewer) -> None:
    """Make the window no larger than its screen; napari's first one is as large as it likes."""
    window = viewer.window._qt_window
    room, frame = window.screen().availableGeometry().size(), window.frameGeometry().size()
    window.resize(window.size().boundedTo(room - (frame - window.size())))


_OWN = predict, propagate, automatic, classify, embed, request, train
for _command in (*_OWN, *COMMANDS, *BENCH_COMMANDS):
    main.add_command(_command)


def dock_widget(viewer: Viewer, choice: ModelChoice | None = None) -> SamWidget:
    """Dock the widget, ready for the first click on the topmost image."""
    from napari.layers import Image

    from napari_sam.widget import SamWidget

    images: list[Image] = [layer for layer in viewer.layers if isinstance(layer, Image)]
    if images:
        viewer.layers.selection.active = images[-1]  # the topmost
    widget = SamWidget.docked_in(viewer, model=choice)
    if images:
        widget.binding.prompts.start_points()
    return widget
