"""`napari-sam automatic`: generate all masks of many images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from napari_sam.batch.images import ImageFile, find_images, paths_of_equal_names
from napari_sam.batch.job import OVERLAPS, WITHOUT_EFFECT, BatchJob, ImageResult
from napari_sam.cli.example_files import example_options, taken_examples
from napari_sam.cli.exit_codes import (
    CAN_CONTINUE,
    FAILED,
    end_stopped,
    print_error,
    print_warning,
    usage_errors,
)
from napari_sam.cli.instances import (
    check_instance_decoder,
    instance_options,
    taken_instance_settings,
)
from napari_sam.cli.learned import learned_option, taken_learned
from napari_sam.cli.linking import link_options, taken_link_settings
from napari_sam.cli.open_images import NapariOpener, hide_progress_of_napari
from napari_sam.cli.options import (
    channels_option,
    checked_choice,
    checked_formats,
    json_option,
    load,
    model_options,
    reader_option,
    require_distributed,
    results_option,
    scheduler_option,
    values_option,
)
from napari_sam.cli.output import print_json, readers_on_stderr
from napari_sam.storage.decoder_files import find_decoder
from napari_sam.storage.digests import digest

if TYPE_CHECKING:
    from napari_sam.engine.automatic_settings import AutomaticSettings
    from napari_sam.model import Predictor
    from napari_sam.session.models.model_choice import ModelChoice

_STEPS: Final = 1000
_EXAMPLES: Final = """\b
Examples:
  napari-sam automatic image.tif -o masks
  napari-sam automatic photographs -o masks --format tiff,coco,geojson
  napari-sam automatic "plates/*.tif" -o masks --preset cells --min-mask-region-area 50
  napari-sam automatic image.jpg -o masks --proposals --edges --points-per-side 16
  napari-sam automatic stack.tif -o masks --preset cells --through z --min-slices 3
  napari-sam automatic cells -o masks --model vit_b_lm --method ais
  napari-sam automatic slide.tif -o masks --model vit_b_histopathology --method apg --tiles 1024
  napari-sam automatic cells -o masks --like cell_01.tif cell_01_labels.tif
  napari-sam automatic cells -o masks --learned nuclei.sam-learned.safetensors
  napari-sam automatic cells -o masks --classes-from cell_01.tif classed.json --format coco
  napari-sam automatic slides -o masks --scheduler tcp://10.0.0.1:8786
  napari-sam automatic images -o masks --json > done.json

\b
Formats (and the endings of the files):
  tiff, ome-tiff, png, npy   label images (.tif, .ome.tif, .png, .npy)
  coco, coco-polygons        COCO with run lengths or polygons (.json, _polygons.json)
  geojson, rois, yolo        outlines (.geojson, .zip for ImageJ, .txt)
  npz, csv                   NumPy with all masks, tables of measurements
  sam                        as published SAM returns masks, slice by slice (_sam.json)

\b
Exit codes:
  0    all images are done, in this run or before
  1    some images failed, as listed; the same command tries them again
  2    usage error, or FOLDER holds results of other settings
  130  stopped with Ctrl-C; run the same command again to continue
"""


class AutomaticCommand(click.Command):
    """A command with the published settings as options, under their names.

    They are made when they are asked for: their list needs numpy, which other commands do not.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the command, the published ones before its own."""
        arguments = [param for param in self.params if isinstance(param, click.Argument)]
        options = [param for param in super().get_params(ctx) if param not in arguments]
        made = (*self._published, *instance_options(), *link_options(), *example_options())
        return [*arguments, *made, *options]

    @cached_property
    def _published(self) -> list[click.Parameter]:
        from napari_sam.engine.automatic_presets import MAX_SHARE, PRESETS
        from napari_sam.engine.automatic_settings import (
            OUTPUT_MODES,
            AutomaticSettings,
            offered_settings,
        )

        names = [_key(preset.name) for preset in PRESETS]
        settings = offered_settings(AutomaticSettings) | {"max_share": (float, MAX_SHARE)}
        file = click.Path(exists=True, dir_okay=False, path_type=Path)
        return [
            click.Option(
                ["--preset"],
                type=click.Choice(names),
                help="Settings for a kind of image. Without it and without other settings: cells "
                "for 16-bit gray images, else natural-image.",
            ),
            *(
                click.Option([f"--{name.replace('_', '-')}"], type=kind, help=setting.help)
                for name, (kind, setting) in settings.items()
            ),
            click.Option(
                ["--point-grids"],
                type=file,
                help="JSON file of points from 0 to 1, for each layer [[x, y], ...].",
            ),
            click.Option(
                ["--output-mode"],
                type=click.Choice(OUTPUT_MODES),
                metavar=f"[{'|'.join(OUTPUT_MODES)}]",
                default="coco_rle",
                show_default=True,
                help="How the sam format stores masks.",
            ),
        ]


@click.command(
    cls=AutomaticCommand,
    epilog=_EXAMPLES,
    # Also accept the names with underscores, as in Python.
    context_settings={"token_normalize_func": lambda name: name.replace("_", "-")},
)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@results_option
@click.option(
    *("--format", "formats"),
    default="tiff",
    callback=checked_formats,
    metavar="NAMES",
    help="Output formats, comma-separated; see below.",
    show_default=True,
)
@click.option(
    "--overlap",
    type=click.Choice(list(OVERLAPS)),
    default="smaller",
    help="Which mask wins where masks overlap (label images only).",
    show_default=True,
)
@click.option("--proposals", is_flag=True, help="Also write ranked boxes of likely objects.")
@click.option("--edges", is_flag=True, help="Also write an image of edges.")
@click.option(
    "--overwrite", is_flag=True, help="Replace results of other settings, and unrelated files."
)
@learned_option("find objects like those accepted, each by the mask that fitted them.")
@scheduler_option("Run on this dask scheduler.")
@model_options
@reader_option
@values_option
@channels_option
@json_option
def automatic(
    images: tuple[str, ...],
    output: Path,
    formats: tuple[str, ...],
    overlap: str,
    proposals: bool,
    edges: bool,
    overwrite: bool,
    learned: Path | None,
    scheduler: str | None,
    model: str | None,
    device: str,
    reader: str | None,
    intensities: str,
    channels: int | None,
    as_json: bool,
    **published: Any,
) -> None:
    """Generate all masks of IMAGEs: files, folders or patterns.

    Finished images are skipped, so run a stopped command again to continue it, but never two at a
    time for the same FOLDER. Stacks are processed slice by slice; with --through, the masks become
    objects of several slices, each with one number. The settings have their published names, and
    their published values unless --preset or an option changes them; without any of these,
    16-bit gray images are segmented as cells. Models of micro-sam can find objects without a grid:
    --method ais or apg. With --like, only masks like examples are kept, the most similar
    first; those of the examples are among them. With --classes-from, masks get the classes of
    examples. With --scheduler, all workers must see the images and FOLDER under the same paths.
    """
    hide_progress_of_napari()
    taught = taken_examples(published, NapariOpener(reader, intensities, channels))
    through, links = taken_link_settings(published)
    others = {"proposals": proposals, "edges": edges}
    method, instances, tile_px = taken_instance_settings(published, **others)
    settings, max_share = published_settings(**published)
    choice = checked_choice(model, device if scheduler is None else "auto")
    if scheduler is not None:
        choice = replace(choice, device=device)  # which only the workers need to have
    check_instance_decoder(choice, method)
    taught |= taken_learned(learned, choice, method, published | others)
    job = BatchJob(
        *(output.absolute(), settings, max_share, formats, overlap, proposals, edges),
        *(choice, _weights(choice), reader, intensities, overwrite, channels),
        through=through,
        links=links,
        is_preset_by_image=is_without_settings(**published),
        method=method,
        instances=instances,
        tile_px=tile_px,
        **taught,
    )
    files = _checked_images(images, job)
    with readers_on_stderr():
        results, is_stopped = _run(job, files, scheduler)
    _print_results(results, job, is_stopped, as_json)
    if is_stopped:
        end_stopped(CAN_CONTINUE)
    if any(result.status == "failed" for result in results):
        sys.exit(FAILED)


def _key(name: str) -> str:
    return name.replace(" ", "-")


def is_without_settings(**published: Any) -> bool:
    """Whether no option of an `AutomaticCommand` is given that changes masks."""
    return not any(
        value is not None for name, value in published.items() if name not in WITHOUT_EFFECT
    )


def published_settings(
    preset: str | None = None, max_share: float | None = None, **options: Any
) -> tuple[AutomaticSettings, float]:
    """Return the settings that the options of an `AutomaticCommand` mean, and `max_share`."""
    from napari_sam.engine.automatic_presets import MAX_SHARE, PRESETS
    from napari_sam.engine.automatic_settings import check_number
    from napari_sam.formats.files import read_json

    start = next(item for item in PRESETS if preset in (None, _key(item.name)))
    changes = {name: value for name, value in options.items() if value is not None}
    try:
        if "point_grids" in changes:
            changes["point_grids"] = read_json(changes["point_grids"])
            changes.setdefault("points_per_side", None)
        settings = replace(start.settings, **changes)
        max_share = start.max_share if max_share is None else max_share
        check_number("max_share", max_share, float, MAX_SHARE.lowest)
    except (ValueError, TypeError, RecursionError, OSError) as error:
        raise click.UsageError(str(error)) from error
    return settings, max_share


def _weights(choice: ModelChoice) -> str:
    decoder = find_decoder(choice.file)
    try:
        return "-".join(digest(part) for part in (choice.file, decoder) if part is not None)
    except OSError as error:
        raise click.UsageError(f"The model cannot be read ({error}).") from error


def _checked_images(inputs: Sequence[str], job: BatchJob) -> list[ImageFile]:
    from napari_sam.batch.manifest import RunManifest

    images = find_images(inputs, job.folder)
    if any(Path(path).absolute() == job.folder for path in inputs):
        msg = f"{job.folder} is the folder of the images: choose another one for the results."
        raise click.UsageError(msg)
    if not images:
        raise click.UsageError(f"There are no images in {', '.join(inputs)}.")
    if paths := paths_of_equal_names(images):
        msg = f"The results of {' and '.join(paths[:3])} would have the same name: "
        raise click.UsageError(f"{msg}use separate commands with separate folders.")
    with usage_errors():
        job.folder.mkdir(parents=True, exist_ok=True)
        manifest = RunManifest(job.folder)
        manifest.clear_up()
        manifest.check(images, job)
    return images


def _run(
    job: BatchJob, images: Sequence[ImageFile], scheduler: str | None
) -> tuple[list[ImageResult], bool]:
    """Process all images; return the results, and whether the run was stopped."""
    from napari_sam.batch.manifest import RunError, RunManifest

    results: list[ImageResult] = []
    is_stopped = False
    with click.progressbar(
        length=_STEPS * len(images),
        label="1 image" if len(images) == 1 else f"{len(images)} images",
        item_show_func=lambda text: text,
        file=sys.stderr,
    ) as bar:

        def show(name: str, share: float = 0.0) -> None:
            bar.update(round(_STEPS * (len(results) + share)) - bar.pos, name)

        try:
            with closing(_results(job, images, scheduler, show)) as incoming:
                for result in incoming:
                    results.append(result)
                    show(f"{Path(result.path).name} {result.status}")
        except RunError as error:
            raise click.UsageError(str(error)) from error
        except KeyboardInterrupt:
            is_stopped = True
    if not is_stopped:
        RunManifest(job.folder).clear_up()  # after workers that died
    return results, is_stopped


def _results(
    job: BatchJob, images: Sequence[ImageFile], scheduler: str | None, show: Callable[..., None]
) -> Generator[ImageResult, None, None]:
    from napari_sam.batch.manifest import RunError
    from napari_sam.batch.run import run_here

    opener = NapariOpener(job.reader, job.intensities, job.channels)
    if scheduler is not None:
        require_distributed()
        from napari_sam.batch.cluster import run_on_cluster

        say = partial(click.echo, err=True)
        yield from run_on_cluster(scheduler, job, images, opener, say)
        return

    @cache
    def predictor() -> Predictor:
        try:
            return load(job.model)
        except click.ClickException as error:
            raise RunError(error.message) from error

    yield from run_here(
        job, images, opener, predictor, lambda image, share: show(Path(image.path).name, share)
    )


def _print_results(
    results: Sequence[ImageResult], job: BatchJob, is_stopped: bool, as_json: bool
) -> None:
    count = {
        status: sum(result.status == status for result in results)
        for status in ("done", "skipped", "failed")
    }
    if as_json:
        content = {
            "folder": str(job.folder),
            "is_stopped": is_stopped,
            **count,
            "conditions": job.conditions,
            "images": [asdict(result) for result in results],
        }
        print_json(content)
    else:
        masks = sum(result.masks for result in results)
        click.echo(
            f"{count['done']} done, {count['skipped']} already complete, {count['failed']} failed; "
            f"{masks} {'masks' if job.through is None else 'objects'} in {job.folder}"
        )
    for result in results:
        if result.status == "failed":
            print_error(f"{result.path}: {result.error}")
        if result.warning:
            print_warning(f"{result.path}: {result.warning}")
