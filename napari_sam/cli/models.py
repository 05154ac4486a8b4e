"""Commands about models: what there is, what works here, and converting checkpoints."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Final

import click

from napari_sam import __version__
from napari_sam._distribution import DISTRIBUTION, old_distribution_warning
from napari_sam.cli.exit_codes import examples

if TYPE_CHECKING:
    from napari_sam.catalogue import PublishedModel

_PACKAGES: Final = ("napari", "torch", "numpy", "safetensors", "qtpy", "PyQt6", "PySide6")
_MIB: Final = 2**20
_GIB: Final = 2**30
_LOW_MEMORY_GIB: Final = 4


@click.command(epilog=examples("napari-sam models", "napari-sam models --json > models.json"))
@click.option("--json", "as_json", is_flag=True, help="Print all that is known, for programs.")
def models(as_json: bool) -> None:
    """List the models that can be used, and those that are on this computer."""
    from napari_sam.catalogue import MODELS, list_offers
    from napari_sam.storage.folders import models_folder

    found = list_offers()
    if as_json:
        own = [str(offer.path) for offer in found if offer.model is None]
        known = [_as_dict(model) for model in MODELS]
        content = {"folder": str(models_folder()), "models": known, "own_files": own}
        click.echo(json.dumps(content, indent=2))
        return
    rows: list[Sequence[str]] = [("NAME", "SIZE", "ON DISK", "LICENCE", "GOOD FOR")]
    rows += [offer.cells for offer in found]
    click.echo(_table(rows))
    click.echo(f"\nPut files of your own into {models_folder()}.")


def _as_dict(model: PublishedModel) -> dict[str, Any]:
    from napari_sam.catalogue import candidates

    return {
        "name": model.name,
        "variant": model.variant,
        "good_for": model.good_for,
        "licence": model.licence,
        "parameters": model.parameters,
        "size_bytes": model.size_bytes,
        "url": model.url,
        "sha256": model.sha256,
        "xxh128": model.xxh128,
        "page": model.page,
        "citation": model.citation,
        "paths": [str(path) for path in candidates(model)],
    }


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Align all columns but the last, which may be as long as it likes."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    )


@click.command(epilog=examples("napari-sam doctor"))
def doctor() -> None:
    """Say what is installed, what the models can run on, and what to repair."""
    problems: list[str] = []
    for title, lines in (
        ("Versions", _versions(problems)),
        ("Devices", _devices(problems)),
        ("Memory", _memory(problems)),
        ("Folders", _folders(problems)),
    ):
        click.echo(title)
        for line in lines:
            click.echo(f"  {line}")
    if warning := old_distribution_warning():
        problems.append(warning)
    for problem in problems:
        click.echo(f"To repair: {problem}")
    if not problems:
        click.echo("Nothing to repair.")


def _versions(problems: list[str]) -> Iterator[str]:
    yield f"{DISTRIBUTION} {__version__}"
    yield f"Python {platform.python_version()} on {platform.platform()} ({sys.executable})"
    found = {name: version for name in _PACKAGES if (version := _version(name))}
    yield from (f"{name} {version}" for name, version in found.items())
    if not found.keys() & {"PyQt6", "PySide6"}:
        problems.append("There is no Qt, so no window can open: run `pip install PyQt6`.")


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _devices(problems: list[str]) -> Iterator[str]:
    try:
        import torch

        from napari_sam.model.runtime.devices import available_devices, fastest_precision
    except (ImportError, OSError) as error:
        problems.append(f"PyTorch does not load ({error}): install it again.")
        return
    devices = available_devices()
    for device in devices:
        about = f"{torch.get_num_threads()} threads" if device == "cpu" else _about(device)
        yield f"{device}, {about}; fastest in {fastest_precision(device)}"
    yield f"'auto' chooses {devices[0]}"


def _about(device: str) -> str:
    import torch

    if not device.startswith("cuda"):
        return "an accelerator"
    free, total = torch.cuda.mem_get_info(device)
    name = torch.cuda.get_device_name(device)
    return f"{name}, {free / _GIB:.1f} of {total / _GIB:.1f} GiB free"


def _memory(problems: list[str]) -> Iterator[str]:
    import psutil

    free = psutil.virtual_memory().available
    yield f"{free / _GIB:.1f} GiB available"
    if free < _LOW_MEMORY_GIB * _GIB:
        problems.append(
            f"Only {free / _GIB:.1f} GiB of memory are available: close other programs before you "
            "choose vit_l or vit_h."
        )


def _folders(problems: list[str]) -> Iterator[str]:
    from napari_sam.storage import folders

    written = {
        folders.EMBEDDINGS_VARIABLE: folders.embeddings_folder(),
        folders.JOURNALS_VARIABLE: folders.journals_folder(),
    }
    own = {
        "ours": folders.models_folder(),
        "embeddings": folders.embeddings_folder(),
        "journals": folders.journals_folder(),
    }
    for owner, folder in {**own, **folders.shared_model_folders()}.items():
        try:
            size = _size(folder)
        except OSError as error:
            size = f"cannot be read ({error.strerror})"
            problems.append(f"Give yourself the right to read {error.filename or folder}.")
        yield f"{owner}: {folder}, {size}"
    for variable, folder in written.items():
        if why := _why_unwritable(folder):
            problems.append(
                f"Nothing can be kept in {folder} ({why}): make it a folder that you may write "
                f"to, or name another one with the variable {variable}."
            )


def _size(folder: Path) -> str:
    if folder.is_dir():
        return f"{_size_bytes(folder) / _MIB:.0f} MiB"
    return "no folder" if folder.exists() else "not there"


def _why_unwritable(folder: Path) -> str:
    """Return why no file can be written in a folder, which need not exist yet; "" if one can."""
    try:
        existing = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        with TemporaryFile(dir=existing):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _size_bytes(folder: Path) -> int:
    # Links are left out: in Hugging Face's cache every file would count twice.
    # Not by `rglob`, which has no word for a folder that it cannot read.
    found = [path for path in folder.iterdir() if not path.is_symlink()]
    return sum(_size_bytes(path) if path.is_dir() else path.stat().st_size for path in found)


@click.command(
    epilog=examples(
        "napari-sam convert sam_vit_b_01ec64.pth vit_b.safetensors",
        "napari-sam convert --overwrite finetuned.pt finetuned.safetensors",
    )
)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
def convert(source: Path, target: Path, overwrite: bool) -> None:
    """Write the checkpoint IN as OUT, a safetensors file.

    IN may be a file of Meta, MobileSAM, MedSAM, micro-sam or Hugging Face, or a folder that
    Hugging Face's SamModel was saved to. No code inside it is run.
    """
    from napari_sam.model import CheckpointError
    from napari_sam.model.checkpoints.conversion import convert as convert_checkpoint

    try:
        done = convert_checkpoint(source, target, overwrite)
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{done.path} is a {done.variant}.")
    if done.decoder_path is not None:
        click.echo(f"Its instance decoder is in {done.decoder_path}.")


@click.command(epilog=examples("napari-sam download vit_b"))
@click.argument("name")
def download(name: str) -> None:
    """Download the published model NAME, for later use without a network.

    `napari-sam models` lists the names. The file is checked before it gets its name.
    """
    from napari_sam.catalogue import DownloadError, find_model, locate
    from napari_sam.catalogue import download as download_model

    try:
        model = find_model(name)
        found = locate(model)
        if found is None:
            with click.progressbar(length=1000, label=name, file=sys.stderr) as bar:
                found = download_model(
                    model, lambda done, total: bar.update(_thousandths(done, total) - bar.pos)
                )
    except DownloadError as error:
        raise click.ClickException(str(error)) from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(str(found))


def _thousandths(done_bytes: int, total_bytes: int) -> int:
    """Return the share that is done; nothing while the total is unknown."""
    return 1000 * done_bytes // total_bytes if total_bytes else 0


@click.command(epilog=examples("napari-sam cache", "napari-sam cache --clear"))
@click.option("--clear", is_flag=True, help="Remove all that is kept.")
def cache(clear: bool) -> None:
    """Show where image embeddings are kept and how many, or remove them.

    An image that was embedded before is ready at once. The variable NAPARI_SAM_EMBEDDINGS names
    another folder.
    """
    from napari_sam.session.embedding.store import EmbeddingStore

    store = EmbeddingStore()
    if clear:
        store.clear()
    usage = store.usage()
    click.echo(f"{usage.count} embeddings, {usage.size_bytes / _MIB:.0f} MiB, in {store.folder}")


COMMANDS: Final = (models, download, doctor, cache, convert)
"""All that `napari-sam` can do besides opening a window."""
