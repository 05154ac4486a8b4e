"""The command that finds everything in many images."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from napari_sam.cli.automatic_options import published_options, published_settings
from napari_sam.cli.exit_codes import STOPPED, find_readers
from napari_sam.cli.model_option import checked_choice, load_chosen

if TYPE_CHECKING:
    from napari_sam.batch.images import ImageFile
    from napari_sam.batch.task import ImageResult, Task
    from napari_sam.model import Predictor
    from napari_sam.session.models.model_choice import ModelChoice

FORMATS: Final = (
    *("tiff", "ome-tiff", "png", "npy", "npz", "coco", "coco-polygons", "geojson", "rois"),
    *("yolo", "csv", "sam"),
)
OVERLAPS: Final = ("smaller", "larger", "better")
_STEPS: Final = 1000
_EXAMPLES: Final = """\b
Examples:
  napari-sam automatic image.tif -o masks
  napari-sam automatic photographs -o masks --format tiff,coco,geojson
  napari-sam automatic "plates/*.tif" -o masks --preset cells --min-mask-region-area 50
  napari-sam automatic image.jpg -o masks --proposals --edges --points-per-side 16
  napari-sam automatic slides -o masks --scheduler tcp://10.0.0.1:8786
  napari-sam automatic images -o masks --json > done.json

\b
Formats (ending of the files):
  tiff, ome-tiff, png, npy   a number for each pixel (.tif, .ome.tif, .png, .npy)
  coco, coco-polygons        COCO, as runs or outlines (.json, _polygons.json)
  geojson, rois, yolo        outlines (.geojson, .zip for ImageJ, .txt)
  npz, csv                   NumPy with all masks, a table of measurements
  sam                        as published SAM returns masks (_sam.json)

\b
Exit codes:
  0    all images are done, now or before
  1    some are not, as listed; the same command tries them again
  2    the command was called wrongly, or FOLDER has results of other settings
  130  stopped with Ctrl-C; the same command goes on
"""


def _formats(context: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip().lower() for name in value.split(",")))
    for name in names:
        if name not in FORMATS:
            msg = f"there is no format {name!r}; choose of {', '.join(FORMATS)}."
            raise click.BadParameter(msg)
    if find_spec("pycocotools") is None and any(name.startswith("coco") for name in names):
        msg = "COCO files need pycocotools: pip install 'napari-sam-live[export]'"
        raise click.BadParameter(msg)
    return names


@click.command(
    epilog=_EXAMPLES,
    # So that the names that Python knows, with underscores, will do.
    context_settings={"token_normalize_func": lambda name: name.replace("_", "-")},
)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    *("-o", "--output"),
    required=True,
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the results go, named as the images.",
)
@click.option(
    *("--format", "formats"),
    default="tiff",
    callback=_formats,
    metavar="NAMES",
    help="What to write, with commas between; see below.",
    show_default=True,
)
@published_options
@click.option(
    "--overlap",
    type=click.Choice(OVERLAPS),
    default=OVERLAPS[0],
    help="Of overlapping masks, which has the pixel; other formats keep all masks.",
    show_default=True,
)
@click.option("--proposals", is_flag=True, help="Also write boxes of likely objects, ranked.")
@click.option("--edges", is_flag=True, help="Also write an image of edges.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace results of other settings, and other files.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Have a dask cluster do it.")
@click.option("--model", metavar="NAME|FILE", help="A model of `napari-sam models`, or a file.")
@click.option("--device", default="auto", help="What the model runs on, such as cpu or cuda:1.")
@click.option("--reader", metavar="PLUGIN", help="The napari plugin that shall read the images.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def automatic(
    images: tuple[str, ...],
    output: Path,
    formats: tuple[str, ...],
    overlap: str,
    proposals: bool,
    edges: bool,
    overwrite: bool,
    scheduler: str | None,
    model: str | None,
    device: str,
    reader: str | None,
    as_json: bool,
    **published: Any,
) -> None:
    """Find the masks of everything in IMAGEs: files, folders, patterns.

    Results of images that are complete are not made again, so that a command that was stopped
    goes on when it is given again; give one command at a time for a FOLDER. Stacks are done slice
    by slice. Settings have their published names, and the published values unless --preset or an
    option says otherwise. With --scheduler, all workers have to reach the images and FOLDER under
    the same names.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # napari's bar for opening files
    from napari_sam.batch import Task  # tqdm looks when it is imported

    settings, max_share = published_settings(**published)
    choice = checked_choice(model, device if scheduler is None else "auto")
    if scheduler is not None:
        choice = replace(choice, device=device)  # which the workers have to have
    task = Task(
        output.absolute(),
        settings,
        max_share,
        formats,
        overlap,
        proposals,
        edges,
        choice,
        _weights(choice),
        reader,
        overwrite,
    )
    found = _checked_images(images, task)
    outcomes, is_stopped = _run(task, found, scheduler)
    _tell(outcomes, task, is_stopped, as_json)
    if is_stopped:
        click.echo("Stopped. What is done is kept: the same command goes on.", err=True)
        sys.exit(STOPPED)
    if any(outcome.status == "failed" for outcome in outcomes):
        sys.exit(1)


def _weights(choice: ModelChoice) -> str:
    from napari_sam.batch.task import digest
    from napari_sam.catalogue import EMBEDDED

    file = choice.checkpoint or EMBEDDED.embedded
    assert file is not None
    try:
        return digest(file)
    except OSError as error:
        raise click.UsageError(f"The model cannot be read ({error}).") from error


def _checked_images(inputs: Sequence[str], task: Task) -> list[ImageFile]:
    from napari_sam.batch.images import find_images, names_given_twice
    from napari_sam.batch.records import RunError, RunManifest

    images = find_images(inputs, task.folder)
    if any(Path(one).absolute() == task.folder for one in inputs):
        msg = f"{task.folder} is the folder of the images: choose another one for the results."
        raise click.UsageError(msg)
    if not images:
        raise click.UsageError(f"There are no images in {', '.join(inputs)}.")
    if twice := names_given_twice(images):
        msg = f"Results of {' and '.join(twice[:3])} would have one name: do them one by one."
        raise click.UsageError(msg)
    try:
        task.folder.mkdir(parents=True, exist_ok=True)
        records = RunManifest(task.folder)
        records.clear_up()
        records.check(images, task)
    except (RunError, OSError) as error:
        raise click.UsageError(str(error)) from error
    return images


def _run(
    task: Task, images: Sequence[ImageFile], scheduler: str | None
) -> tuple[list[ImageResult], bool]:
    """Do everything; return what came of it, and whether it was stopped."""
    from napari_sam.batch.records import RunError, RunManifest

    outcomes: list[ImageResult] = []
    is_stopped = False
    with click.progressbar(
        length=_STEPS * len(images),
        label=f"{len(images)} images",
        item_show_func=lambda text: text,
        file=sys.stderr,
    ) as bar:

        def show(name: str, share: float = 0.0) -> None:
            bar.update(round(_STEPS * (len(outcomes) + share)) - bar.pos, name)

        try:
            with closing(_outcomes(task, images, scheduler, show)) as coming:
                for outcome in coming:
                    outcomes.append(outcome)
                    show(f"{Path(outcome.path).name} {outcome.status}")
        except RunError as error:
            raise click.UsageError(str(error)) from error
        except KeyboardInterrupt:
            is_stopped = True
    if not is_stopped:
        RunManifest(task.folder).clear_up()  # after workers that died
    return outcomes, is_stopped


def _outcomes(
    task: Task, images: Sequence[ImageFile], scheduler: str | None, show: Callable[..., None]
) -> Generator[ImageResult, None, None]:
    from napari_sam.batch.run import run_here

    if scheduler is not None:
        if find_spec("distributed") is None:
            msg = "--scheduler needs distributed: pip install 'napari-sam-live[distributed]'"
            raise click.UsageError(msg)
        from napari_sam.batch.cluster import run_on_cluster

        yield from run_on_cluster(scheduler, task, images)
        return
    find_readers()
    loaded: list[Predictor] = []

    def predictor() -> Predictor:
        if not loaded:
            loaded.append(load_chosen(task.model))
        return loaded[0]

    yield from run_here(
        task, images, predictor, lambda image, share: show(Path(image.path).name, share)
    )


def _tell(outcomes: Sequence[ImageResult], task: Task, is_stopped: bool, as_json: bool) -> None:
    count = {
        status: sum(outcome.status == status for outcome in outcomes)
        for status in ("done", "skipped", "failed")
    }
    if as_json:
        content = {
            "folder": str(task.folder),
            "is_stopped": is_stopped,
            **count,
            "conditions": task.conditions,
            "images": [asdict(outcome) for outcome in outcomes],
        }
        click.echo(json.dumps(content, indent=2))
    else:
        masks = sum(outcome.masks for outcome in outcomes)
        click.echo(
            f"{count['done']} done, {count['skipped']} were complete already, {count['failed']} "
            f"failed; {masks} masks in {task.folder}"
        )
    for outcome in outcomes:
        if outcome.status == "failed":
            click.echo(f"Error: {outcome.path}: {outcome.error}", err=True)
