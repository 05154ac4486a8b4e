"""`napari-sam embed`: compute image embeddings ahead of time, without a window."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from napari_sam.batch.open_images import OpenError
from napari_sam.cli.exit_codes import CAN_CONTINUE, FAILED, end_stopped, print_error
from napari_sam.cli.open_images import NapariOpener, hide_progress_of_napari
from napari_sam.cli.options import (
    channels_option,
    checked_choice,
    json_option,
    model_options,
    reader_option,
    values_option,
)
from napari_sam.cli.output import print_json, readers_on_stderr

if TYPE_CHECKING:
    from napari_sam.batch.open_images import ImageOpener
    from napari_sam.session.models.model_choice import ModelChoice
    from napari_sam.session.prefetch.queue import PrefetchTile
    from napari_sam.session.state import SessionState

_EXAMPLES: Final = """\b
Examples:
  napari-sam embed stack.tif
  napari-sam embed --model vit_b *.tif
  napari-sam embed --json a.tif b.tif > done.json

\b
Exit codes:
  0    everything is embedded
  1    some slices or files are not, as listed
  2    usage error: see the message
  130  stopped with Ctrl-C; finished embeddings are kept
"""


@dataclass(frozen=True)
class _FileResult:
    """How many embeddings of a file there are, where they come from, and what failed."""

    path: str
    embeddings: int
    computed: int
    found: int
    failures: tuple[str, ...]


@click.command(epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@model_options
@reader_option
@values_option
@channels_option
@json_option
def embed(
    files: tuple[str, ...],
    model: str | None,
    device: str,
    reader: str | None,
    intensities: str,
    channels: int | None,
    as_json: bool,
) -> None:
    """Embed all slices of FILEs, so that they are ready when napari opens them.

    Any image that napari can read can be embedded. Slices that are already embedded are skipped,
    so run a stopped command again to continue it. 'napari-sam cache' shows where the embeddings
    are kept.
    """
    hide_progress_of_napari()
    run = _Run(checked_choice(model, device), NapariOpener(reader, intensities, channels))
    results = []
    is_stopped = False
    try:
        for file in files:
            with readers_on_stderr():
                result = run.embed(file)
            results.append(result)
            if not as_json and (result.embeddings or not result.failures):
                click.echo(
                    f"{result.path}: {result.embeddings} embeddings, {result.computed} computed, "
                    f"{result.found} already there"
                )
            for failure in result.failures:
                print_error(failure)
    except KeyboardInterrupt:
        is_stopped = True
    with readers_on_stderr():
        trouble = run.close()
    if as_json:
        content = {
            "folder": str(run.folder),
            "is_stopped": is_stopped,
            "trouble": trouble,
            "files": [asdict(result) for result in results],
        }
        print_json(content)
    if trouble:
        print_error(trouble)
    if is_stopped:
        end_stopped(CAN_CONTINUE)
    if trouble or any(result.failures for result in results):
        sys.exit(FAILED)


class _Run:
    """A session with one model, and the store of the embeddings of all files."""

    def __init__(self, choice: ModelChoice, open_images: ImageOpener) -> None:
        from napari_sam.session.embedding.store import EmbeddingStore
        from napari_sam.session.session import AnnotationSession

        self._open_images = open_images
        self._store = EmbeddingStore()
        self._session = AnnotationSession(model=choice, store=self._store)
        self._warnings: list[str] = []
        self._session.notifier.warned.connect(self._warnings.append)
        self._stored = 0
        self.folder = self._store.folder

    def close(self) -> str:
        """Stop and write what is done; return why it cannot be kept, or ""."""
        self._session.close()
        self._store.flush()
        self._store.close()
        return self._store.trouble

    def embed(self, file: str) -> _FileResult:
        """Embed all slices of all images in a file."""
        from napari_sam.session.prefetch.queue import PrefetchTile

        spec = self._session.state.spec
        try:
            # As the widget embeds them while a user scrolls through the slices.
            tiles = [
                PrefetchTile(
                    opened.plane, opened.plane.pyramid(spec).whole, f"{image.name}, {opened.name}"
                )
                for image in self._open_images(file)
                for opened in image.planes
            ]
        except OpenError as error:
            return _FileResult(file, 0, 0, 0, (str(error),))
        except ValueError as error:
            return _FileResult(file, 0, 0, 0, (f"{file}: {error}",))
        capacity = max(0, self._session.embedding.embedder.capacity_tiles - self._stored)
        failures = []
        if len(tiles) > capacity:
            failures = [
                f"{file}: {len(tiles) - capacity} of {len(tiles)} slices are left out, because "
                f"there is no space for more embeddings in {self.folder}"
            ]
            click.echo(failures[0], err=True)
        self._prepare(file, tiles[:capacity])
        state = self._session.state.prefetch
        if state is None:  # there is no model
            return _FileResult(file, 0, 0, 0, (f"{file}: {self._warnings[-1]}",))
        self._stored += state.done
        failures += [f"{file}, {failure}" for failure in state.failures]
        found = state.done - state.computed
        return _FileResult(file, state.done, state.computed, found, tuple(failures))

    def _prepare(self, file: str, tiles: Sequence[PrefetchTile]) -> None:
        with click.progressbar(
            length=len(tiles),
            label=Path(file).name,
            show_eta=False,
            show_percent=False,
            item_show_func=lambda summary: summary,
            file=sys.stderr,
        ) as bar:

            def show(state: SessionState) -> None:
                done = state.prefetch
                if done is not None:
                    bar.update(done.done + len(done.failures) - bar.pos, done.summary)

            self._session.changed.connect(show)
            try:
                self._session.prefetch.start(tiles)
                self._session.wait_until_idle(math.inf)
            finally:
                self._session.changed.disconnect(show)
