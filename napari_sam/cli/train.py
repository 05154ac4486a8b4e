"""`napari-sam train`: fine-tune a model on labeled images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from napari_sam.cli.exit_codes import (
    CAN_CONTINUE,
    FAILED,
    end_stopped,
    print_error,
    print_warning,
    usage_errors,
)
from napari_sam.cli.open_images import NapariOpener, hide_progress_of_napari
from napari_sam.cli.options import (
    channels_option,
    checked_choice,
    json_option,
    model_options,
    reader_option,
    require_distributed,
    scheduler_option,
    values_option,
)
from napari_sam.cli.output import print_json, readers_on_stderr
from napari_sam.engine.training_settings import TrainingSettings

if TYPE_CHECKING:
    from napari_sam.batch.images import ImageFile
    from napari_sam.batch.training import TrainingJob, TrainingResult
    from napari_sam.batch.training_card import Epoch
    from napari_sam.batch.training_instances import InstanceEpoch

_DEFAULTS: Final = TrainingSettings()
_Command = TypeVar("_Command", bound=Callable[..., Any])
_EXAMPLES: Final = """\b
Examples:
  napari-sam train images labels -o nuclei.pt
  napari-sam train "plates/*.tif" labels -o cells.pt --model vit_b_lm
  napari-sam train images all.json -o cells.safetensors --epochs 30 --json
  napari-sam train images labels -o nuclei.pt --adapters 4 --device cuda
  napari-sam train plates plates -o cells.pt --model vit_b_lm --decoder
  napari-sam --model nuclei.pt image.tif
  napari-sam convert --hugging-face cells.pt model.safetensors

\b
Exit codes:
  0    the checkpoint is written
  1    it is not: no better than the model before, or a file cannot be read or written
  2    usage error, or CHECKPOINT exists or belongs to a training with other settings
  130  stopped with Ctrl-C; run the same command again to go on
"""


def _setting(
    name: str, kind: click.ParamType[Any], text: str, flag: str | None = None
) -> Callable[[_Command], _Command]:
    """Return the option of a setting, with its default."""
    flags = (f"--{name.replace('_', '-')}" if flag is None else flag, name)
    default = getattr(_DEFAULTS, name)
    return click.option(*flags, type=kind, default=default, show_default=True, help=text)


@click.command(epilog=_EXAMPLES)
@click.argument("images", metavar="IMAGES")
@click.argument("labels", metavar="LABELS")
@click.option(
    *("-o", "--output", "checkpoint"),
    required=True,
    metavar="CHECKPOINT",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The new checkpoint, .pt or .safetensors. Its card (.md) and the curves of training "
    "(.csv) get the same name.",
)
@_setting("epochs", click.IntRange(min=1), "Epochs, unless training ends early.")
@_setting("objects_per_epoch", click.IntRange(min=1), "Objects that are learned from in an epoch.")
@_setting(
    "patience",
    click.IntRange(min=1),
    "Epochs without a better model after which training ends early.",
)
@_setting("learning_rate", click.FloatRange(min=0, min_open=True), "The highest learning rate.")
@_setting(
    "validation_share",
    click.FloatRange(0, 1, min_open=True, max_open=True),
    "Share of the images to validate on.",
    "--validation",
)
@_setting("seed", click.INT, "Of all that is random.")
@click.option(
    "--adapters",
    type=click.IntRange(min=0),
    default=_DEFAULTS.adapters,
    metavar="RANK",
    help="Also adapt the image encoder, by low-rank adapters that become part of its weights. "
    "Slow without a GPU, as images are embedded anew each time.",
)
@click.option(
    "--decoder",
    "instance_decoder",
    is_flag=True,
    help="Also train an instance decoder, afterwards: that of the model, or a new one. 'napari-sam "
    "automatic --method ais' and micro-sam find all objects with it. Slow without a GPU.",
)
@click.option("--overwrite", is_flag=True, help="Replace CHECKPOINT, and begin anew.")
@click.option(
    "--events",
    is_flag=True,
    help="Print a line of JSON for each step, each epoch and the result, as they come.",
)
@scheduler_option(
    "Have the workers of this dask scheduler embed the images: they need the file of the model, "
    "and no other."
)
@model_options
@reader_option
@values_option
@channels_option
@json_option
def train(
    images: str,
    labels: str,
    checkpoint: Path,
    overwrite: bool,
    events: bool,
    scheduler: str | None,
    model: str | None,
    device: str,
    reader: str | None,
    intensities: str,
    channels: int | None,
    as_json: bool,
    **settings: int | float,
) -> None:
    """Fine-tune a model on IMAGES and the LABELS of their objects.

    Both are files, folders or patterns, or the same folder. The labels of cell.tif are
    cell_labels.tif, cell_mask.png or the like, or in a folder of their own also cell.tif; or LABELS
    is one file for all images, such as COCO. All objects of an image should be labeled.

    A share of the images is kept apart, to see after each epoch what one click on an object gives.
    The best state is written, unless it is no better than the model before. A run that was stopped
    goes on when the same command is run again.
    """
    hide_progress_of_napari()
    if scheduler is not None:
        require_distributed()
        if settings["adapters"]:
            raise click.UsageError(
                "--scheduler has images embedded once, and with --adapters they are embedded anew "
                "each time: leave out one of the two."
            )
    choice = checked_choice(model, device)
    from napari_sam.batch.labeled import data_digest, find_pairs
    from napari_sam.batch.training import TrainingJob

    how = reader, intensities, channels
    with usage_errors():
        pairs = find_pairs(images, labels)
        job = TrainingJob(
            checkpoint.absolute(),
            choice,
            TrainingSettings(**settings),  # type: ignore[arg-type]
            data_digest(pairs, how),
            overwrite,
            scheduler or "",
        )
        job.check()
    progress = _Events() if events else _Progress(as_json)
    result = _trained(job, pairs, NapariOpener(*how), progress)
    _end(job, result, events=events, as_json=as_json)


def _trained(
    job: TrainingJob,
    pairs: Sequence[tuple[ImageFile, Path]],
    opener: NapariOpener,
    progress: _Progress | _Events,
) -> TrainingResult:
    """Train, and end the command where that fails or is stopped."""
    from napari_sam.batch.labeled import read_pairs
    from napari_sam.batch.training import Reporting, train
    from napari_sam.session.jobs import user_message

    reporting = Reporting(
        progress.show_epoch, progress.show_instance_epoch, progress.show, print_warning
    )
    try:
        with readers_on_stderr():
            images = read_pairs(pairs, opener)
        return train(job, images, reporting)
    except KeyboardInterrupt:
        end_stopped(CAN_CONTINUE)
    except (RuntimeError, MemoryError, OSError) as error:
        what = f"{job.model.name} cannot be trained"
        message = user_message(error, what, "choose a smaller model")
        raise click.ClickException(f"{message} {CAN_CONTINUE}") from error
    finally:
        progress.clear()


class _Progress:
    """Shows one line for each epoch, and what is done meanwhile on a terminal."""

    def __init__(self, as_json: bool) -> None:
        self._epochs_on_stderr = as_json
        self._has_terminal = sys.stderr.isatty()

    def show_epoch(self, epoch: Epoch) -> None:
        """Print what came of an epoch."""
        ious = f"one click {epoch.one_click_iou:.3f}, box {epoch.box_iou:.3f}"
        text = f"before training: {ious}"
        if epoch.number:
            losses = f"loss {epoch.mask_loss:.3f} (masks), {epoch.score_loss:.3f} (scores)"
            text = f"epoch {epoch.number}: {losses}; {ious}; {epoch.seconds:.0f} s"
        self.clear()
        click.echo(text, err=self._epochs_on_stderr)

    def show_instance_epoch(self, epoch: InstanceEpoch) -> None:
        """Print what came of an epoch of the instance decoder."""
        text = f"instance decoder, before training: F1 {epoch.f1:.3f}"
        if epoch.number:
            text = f"instance decoder, epoch {epoch.number}: loss {epoch.loss:.3f}; "
            text += f"F1 {epoch.f1:.3f}; {epoch.seconds:.0f} s"
        self.clear()
        click.echo(text, err=self._epochs_on_stderr)

    def show(self, step: str, share: float) -> None:
        """Show how much of a step is done."""
        if self._has_terminal:
            click.echo(f"\r\x1b[K{step} {share:.0%}", nl=False, err=True)

    def clear(self) -> None:
        """Clear what `show` shows."""
        if self._has_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)


class _Events:
    """Prints what happens as lines of JSON, for other programs."""

    def show_epoch(self, epoch: Epoch) -> None:
        """Print what came of an epoch."""
        print_json({"epoch": asdict(epoch)}, None)

    def show_instance_epoch(self, epoch: InstanceEpoch) -> None:
        """Print what came of an epoch of the instance decoder."""
        print_json({"instance_epoch": asdict(epoch)}, None)

    def show(self, step: str, share: float) -> None:
        """Print how much of a step is done."""
        print_json({"step": step, "share": round(share, 3)}, None)

    def clear(self) -> None:
        """Leave what was printed as it is."""


def _content(job: TrainingJob, result: TrainingResult) -> dict[str, Any]:
    files = (job.checkpoint, job.card) if result.is_written else ()
    content = {
        "checkpoint": str(job.checkpoint) if result.is_written else None,
        "files": [str(path) for path in (*files, job.curves)],
        "best_epoch": result.best,
        "refusal": result.refusal,
        "epochs": [asdict(epoch) for epoch in result.epochs],
    }
    if result.instances is not None:
        content["best_instance_epoch"] = result.instances.best
        content["instance_epochs"] = [asdict(epoch) for epoch in result.instances.epochs]
    return content


def _end(job: TrainingJob, result: TrainingResult, *, events: bool, as_json: bool) -> None:
    """Print what came of it, and end the command with an error if that is no checkpoint."""
    if events or as_json:
        print_json(_content(job, result), None if events else 2)
    before, best = result.epochs[0], result.epochs[result.best]
    if not result.is_written:
        print_error(
            f"No checkpoint was written: on the validation images, {result.refusal} A new model "
            f"has to be better than {job.model.name} after one click, and as good with a box. "
            f"Or try --learning-rate {job.settings.learning_rate / 4:g}."
        )
        sys.exit(FAILED)
    if not (events or as_json):
        instances = ""
        if result.instances is not None:
            f1 = result.instances.epochs[result.instances.best].f1
            instances = f"; F1 of all objects {f1:.3f}, {result.instances.gain:+.3f}"
        click.echo(
            f"Wrote {job.checkpoint}: IoU after one click {best.one_click_iou:.3f}, "
            f"{best.one_click_iou - before.one_click_iou:+.3f}{instances}. What it was made of is "
            f"in {job.card}."
        )
