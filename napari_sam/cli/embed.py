"""The command that embeds images before anybody looks at them, without a window."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from napari_sam.cli.exit_codes import STOPPED, find_readers
from napari_sam.cli.model_option import checked_choice

if TYPE_CHECKING:
    from napari_sam.session.models.model_choice import ModelChoice
    from napari_sam.session.prefetch.preparation import TileToPrepare
    from napari_sam.session.state import SessionState

_EXAMPLES: Final = """\b
Examples:
  napari-sam embed stack.tif
  napari-sam embed --model vit_b *.tif
  napari-sam embed --json a.tif b.tif > done.json

\b
Exit codes:
  0    everything is embedded
  1    something is not, as listed
  2    the command was called wrongly: see its message
  130  stopped with Ctrl-C; what is done is kept
"""


@dataclass(frozen=True)
class _Outcome:
    """What became of a file: its embeddings by where they come from, and what is missing."""

    path: str
    embeddings: int
    computed: int
    found: int
    failures: tuple[str, ...]

    @property
    def summary(self) -> str:
        return (
            f"{self.path}: {self.embeddings} embeddings, {self.computed} computed, "
            f"{self.found} were there already"
        )


@click.command(epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--model", metavar="NAME|FILE", help="A model of `napari-sam models`, or a file.")
@click.option("--device", default="auto", help="What the model runs on, such as cpu or cuda:1.")
@click.option("--reader", metavar="PLUGIN", help="The napari plugin that shall read the files.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def embed(
    files: tuple[str, ...], model: str | None, device: str, reader: str | None, as_json: bool
) -> None:
    """Embed FILEs now, all their slices, so that they are ready when napari opens them.

    Whatever napari reads can be embedded. What is embedded already is skipped, so that a command
    that was stopped goes on when it is given again. The embeddings are kept where `napari-sam
    cache` shows.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # napari's bar for opening files
    run = _Run(checked_choice(model, device))
    outcomes = []
    is_stopped = False
    try:
        find_readers()
        for file in files:
            outcomes.append(run.embed(file, reader))
            _tell(outcomes[-1], as_json)
    except KeyboardInterrupt:
        is_stopped = True
    trouble = run.close()
    if as_json:
        click.echo(json.dumps(_as_dict(outcomes, run.folder, trouble, is_stopped), indent=2))
    if trouble:
        click.echo(f"Error: {trouble}", err=True)
    if is_stopped:
        click.echo("Stopped. What is done is kept: the same command goes on.", err=True)
        sys.exit(STOPPED)
    if trouble or any(outcome.failures for outcome in outcomes):
        sys.exit(1)


def _tell(outcome: _Outcome, as_json: bool) -> None:
    if not as_json and (outcome.embeddings or not outcome.failures):
        click.echo(outcome.summary)
    for failure in outcome.failures:
        click.echo(f"Error: {failure}", err=True)


def _as_dict(
    outcomes: Sequence[_Outcome], folder: Path, trouble: str, is_stopped: bool
) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "is_stopped": is_stopped,
        "trouble": trouble,
        "files": [asdict(outcome) for outcome in outcomes],
    }


class _Run:
    """One model, and the store that the embeddings of all files go to."""

    def __init__(self, choice: ModelChoice) -> None:
        from napari_sam.session.embedding.store import EmbeddingStore
        from napari_sam.session.session import AnnotationSession

        self._store = EmbeddingStore()
        self._session = AnnotationSession(model=choice, store=self._store)
        self._warnings: list[str] = []
        self._session.notifier.warned.connect(self._warnings.append)
        self._kept = 0
        self.folder = self._store.folder

    def close(self) -> str:
        """Stop and write what is done; return why it is not kept, or nothing."""
        self._session.close()
        self._store.flush()
        self._store.close()
        return self._store.trouble

    def embed(self, file: str, reader: str | None) -> _Outcome:
        """Embed all slices of all images in a file."""
        try:
            tiles = list(_tiles(file, reader))
        except click.ClickException as error:
            return _Outcome(file, 0, 0, 0, (error.message,))
        except ValueError as error:
            return _Outcome(file, 0, 0, 0, (f"{file}: {error}",))
        room = max(0, self._session.ahead.room - self._kept)
        missing = []
        if len(tiles) > room:
            missing = [
                f"{file}: {len(tiles) - room} of {len(tiles)} slices are left out, because there "
                f"is no room for more embeddings in {self.folder}"
            ]
            click.echo(missing[0], err=True)
        self._prepare(file, tiles[:room])
        state = self._session.state.preparation
        if state is None:  # there is no model
            return _Outcome(file, 0, 0, 0, (f"{file}: {self._warnings[-1]}",))
        self._kept += state.done
        missing += [f"{file}, {failure}" for failure in state.failures]
        found = state.done - state.computed
        return _Outcome(file, state.done, state.computed, found, tuple(missing))

    def _prepare(self, file: str, tiles: Sequence[TileToPrepare]) -> None:
        with click.progressbar(
            length=len(tiles),
            label=Path(file).name,
            show_eta=False,
            show_percent=False,
            item_show_func=lambda summary: summary,
            file=sys.stderr,
        ) as bar:

            def show(state: SessionState) -> None:
                done = state.preparation
                if done is not None:
                    bar.update(done.done + len(done.failures) - bar.pos, done.summary)

            self._session.changed.connect(show)
            try:
                self._session.ahead.prepare(tiles)
                self._session.wait_until_idle(math.inf)
            finally:
                self._session.changed.disconnect(show)


def _tiles(file: str, reader: str | None) -> Iterator[TileToPrepare]:
    """Yield what the widget embeds of a file when somebody goes through its slices."""
    from napari_sam.batch.open_images import open_images
    from napari_sam.session.image.tiles import TilePyramid
    from napari_sam.session.prefetch.preparation import TileToPrepare

    for image in open_images(file, reader):
        for one in image.planes:
            whole = TilePyramid(one.plane.shape).whole
            yield TileToPrepare(one.plane, whole, f"{image.name}, {one.name}")
