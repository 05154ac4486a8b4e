"""Commands about models: list, download, convert, check the installation, clear embeddings."""

import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

import click

from napari_sam import __version__
from napari_sam._distribution import (
    DISTRIBUTION,
    broken_qt_warning,
    installed_versions,
    old_distribution_warning,
)
from napari_sam.cli.exit_codes import usage_errors
from napari_sam.cli.options import examples, json_option
from napari_sam.cli.output import print_json

_PACKAGES: Final = ("napari", "torch", "numpy", "safetensors", "qtpy", "PyQt6", "PySide6")
_MEMBERS: Final = (
    *("name", "variant", "good_for", "license", "parameters", "size_bytes"),
    *("url", "sha256", "xxh128", "page", "citation"),
)
"""What `models --json` tells about a model, besides where it is."""
_MIB: Final = 2**20
_GIB: Final = 2**30
_LOW_MEMORY_GIB: Final = 4


@click.command(epilog=examples("napari-sam models", "napari-sam models --json > models.json"))
@json_option
def models(as_json: bool) -> None:
    """List the models, which of them are on this computer, and the detectors."""
    from napari_sam.catalogue.detectors import DETECTORS
    from napari_sam.catalogue.local_files import candidates
    from napari_sam.catalogue.offers import list_offers
    from napari_sam.catalogue.table import MODELS
    from napari_sam.storage.folders import models_folder

    offers = list_offers()
    if as_json:
        content = {
            "folder": str(models_folder()),
            "models": [
                {name: getattr(model, name) for name in _MEMBERS}
                | {"paths": [str(path) for path in candidates(model)]}
                for model in MODELS
            ],
            "own_files": [str(offer.path) for offer in offers if offer.model is None],
            "detectors": [asdict(detector) for detector in DETECTORS],
        }
        print_json(content)
        return
    rows: list[Sequence[str]] = [("NAME", "SIZE", "ON DISK", "LICENSE", "GOOD FOR")]
    rows += [offer.cells for offer in offers]
    click.echo(_table(rows))
    rows = [("DETECTOR (predict --text)", "LICENSE", "GOOD FOR")]
    rows += [(one.repository, one.license, one.good_for) for one in DETECTORS]
    click.echo(f"\n{_table(rows)}")
    click.echo(f"\nPut your own checkpoint files into {models_folder()}.")


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Align all columns but the last."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    )


@click.command(epilog=examples("napari-sam doctor"))
def doctor() -> None:
    """Show versions, devices, memory and folders, and what to repair."""
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
    problems += filter(None, (old_distribution_warning(), broken_qt_warning()))
    for problem in problems:
        click.echo(f"To repair: {problem}")
    if not problems:
        click.echo("Nothing to repair.")


def _versions(problems: list[str]) -> Iterator[str]:
    yield f"{DISTRIBUTION} {__version__}"
    yield f"Python {platform.python_version()} on {platform.platform()} ({sys.executable})"
    versions = installed_versions(*_PACKAGES)
    yield from (f"{name} {version}" for name, version in versions.items())
    if not versions.keys() & {"PyQt6", "PySide6"}:
        problems.append("Qt is missing, so no window can open: run 'pip install PyQt6'.")


def _devices(problems: list[str]) -> Iterator[str]:
    try:
        import torch

        from napari_sam.model.runtime.devices import available_devices, fastest_precision
    except (ImportError, OSError) as error:
        problems.append(f"PyTorch cannot be imported ({error}): reinstall it.")
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
            "use vit_l or vit_h."
        )


def _folders(problems: list[str]) -> Iterator[str]:
    from napari_sam.storage import folders

    written = {
        folders.EMBEDDINGS_VARIABLE: folders.embeddings_folder(),
        folders.JOURNALS_VARIABLE: folders.journals_folder(),
    }
    shown = {
        "models": folders.models_folder(),
        "embeddings": folders.embeddings_folder(),
        "journals": folders.journals_folder(),
        **folders.shared_model_folders(),
    }
    for title, folder in shown.items():
        try:
            size = _size(folder)
        except OSError as error:
            size = f"cannot be read ({error.strerror})"
            problems.append(f"You have no permission to read {error.filename or folder}.")
        yield f"{title}: {folder}, {size}"
    for variable, folder in written.items():
        if reason := _why_unwritable(folder):
            problems.append(
                f"Cannot write to {folder} ({reason}): make it a writable folder, or set the "
                f"environment variable {variable} to another one."
            )


def _size(folder: Path) -> str:
    if folder.is_dir():
        return f"{_size_bytes(folder) / _MIB:.0f} MiB"
    return "not a folder" if folder.exists() else "does not exist yet"


def _why_unwritable(folder: Path) -> str:
    """Return why no file can be written to a folder, which need not exist yet; "" if one can."""
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with TemporaryFile(dir=existing):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _size_bytes(folder: Path) -> int:
    # Links are left out: in Hugging Face's cache every file would count twice.
    # Not by `rglob`, which silently skips folders that it cannot read.
    paths = [path for path in folder.iterdir() if not path.is_symlink()]
    return sum(_size_bytes(path) if path.is_dir() else path.stat().st_size for path in paths)


@click.command(
    epilog=examples(
        "napari-sam convert sam_vit_b_01ec64.pth vit_b.safetensors",
        "napari-sam convert --overwrite finetuned.pt finetuned.safetensors",
        "napari-sam convert --hugging-face sam2.1_hiera_tiny.pt model.safetensors",
    )
)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@click.option(
    "--hugging-face",
    is_flag=True,
    help="Write the names of Hugging Face's SamModel or Sam2VideoModel, not those of Meta.",
)
def convert(source: Path, target: Path, overwrite: bool, hugging_face: bool) -> None:
    """Convert the checkpoint IN to OUT, a .safetensors file, or a .pt file like Meta's.

    IN may be a file from Meta, MobileSAM, MedSAM, MedSAM2, micro-sam or Hugging Face, or a folder
    that Hugging Face's SamModel, Sam2Model or Sam2VideoModel was saved to. Code inside it is never
    run.
    """
    from napari_sam.model.conversion import convert as convert_checkpoint

    done = convert_checkpoint(source, target, overwrite, hugging_face)
    click.echo(f"Wrote {done.path} ({done.variant}).")
    if done.decoder_path is not None:
        click.echo(f"Wrote its instance decoder to {done.decoder_path}.")


@click.command(epilog=examples("napari-sam download vit_b"))
@click.argument("name")
def download(name: str) -> None:
    """Download the published model NAME and keep it for use offline.

    'napari-sam models' lists the names. The file is verified before it is used. Models of micro-sam
    come with their instance decoder, also where only that is missing.
    """
    from napari_sam.catalogue.download import download as download_model
    from napari_sam.catalogue.local_files import locate
    from napari_sam.catalogue.table import find_model
    from napari_sam.storage.decoder_files import find_decoder

    with usage_errors():
        model = find_model(name)
    path = locate(model)
    if path is None or (model.decoder is not None and find_decoder(path) is None):
        with click.progressbar(length=1000, label=name, file=sys.stderr) as bar:
            path = download_model(
                model, lambda done, total: bar.update(_thousandths(done, total) - bar.pos)
            )
    click.echo(str(path))


def _thousandths(done_bytes: int, total_bytes: int) -> int:
    """Return the share that is done; 0 while the total is unknown."""
    return 1000 * done_bytes // total_bytes if total_bytes else 0


@click.command(epilog=examples("napari-sam cache", "napari-sam cache --clear"))
@click.option("--clear", is_flag=True, help="Delete all embeddings.")
def cache(clear: bool) -> None:
    """Show where image embeddings are kept and how many, or delete them.

    Images with a stored embedding are ready at once. To keep the embeddings in another folder, set
    the environment variable NAPARI_SAM_EMBEDDINGS.
    """
    from napari_sam.session.embedding.store import EmbeddingStore

    store = EmbeddingStore()
    if clear:
        store.clear()
    usage = store.usage()
    noun = "embedding" if usage.count == 1 else "embeddings"
    click.echo(f"{usage.count} {noun}, {usage.size_bytes / _MIB:.0f} MiB, in {store.folder}")


COMMANDS: Final = (models, download, doctor, cache, convert)
"""The commands in this module."""
