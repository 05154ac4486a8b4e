"""Kill napari while somebody annotates, again and again, and see whether everything is restored.

    python benchmarks/killed.py [--kills 50] [--longest 6] [--stack | --pending]

A program with the real widget on the coins of scikit-image accepts, paints, notes, deletes, undoes
and repeats, saves sessions and exports, as fast as it can, and says after each action what there
is: a digest of all pixels and records. At a random moment, up to so many seconds after its first
object, it is killed (SIGKILL). Another program opens the same image in the widget, presses
*Restore* and says what it has. Both are real processes, forked from this one, which has imported
everything but never opened a window. With --stack, objects are carried through a stack instead, cut
and cleared, and mostly the kill comes while that runs. With --pending, mostly there are clicks that
are not accepted, often before there is any object, and objects that are re-edited: these have to
be in progress again, and if it is a single click, with the very same mask.

Ends with status 1 if anything that was reported before a kill is not restored exactly, or if a file
under a final name is not whole. Objects that are in a session file are not offered again: where all
were saved last, the session has to hold them.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import imageio.v3 as imageio
import numpy as np
import torch
from napari.layers import Image
from numpy.typing import NDArray
from qtpy.QtCore import QEventLoop
from qtpy.QtWidgets import QApplication
from skimage import data
from volumes_made import spheres

from napari_sam.formats.registry import FORMATS
from napari_sam.model import Predictor, load_model
from napari_sam.session import ArrayLabels, Labels
from napari_sam.session.journal.entries import record_to_json
from napari_sam.session.journal.replaying import JournalContent, read_journal, replay
from napari_sam.session.journal.session_file import SESSION_SUFFIX, read_session
from napari_sam.session.journal.unfinished import UnfinishedObject
from napari_sam.session.objects.edits import Direction
from napari_sam.storage.atomic import PARTIAL_SUFFIX
from napari_sam.widget import SamWidget

TIMEOUT_S: Final = 120
NAME: Final = "coins"
_NOTHING: Final = "nothing is offered"
_NO_LABELS: Final = "no labels"
_BASE_VARIABLE: Final = "NAPARI_SAM_KILLED"
"""Names the folder in which all of it happens."""


def digest(labels: Labels | None) -> str:
    """Return a digest of the pixels and the records."""
    if labels is None:
        return _NO_LABELS
    whole = tuple(slice(0, length) for length in labels.shape)
    pixels = labels.read(whole).astype(np.uint32).tobytes()
    records = repr([record_to_json(record) for record in labels.registry]).encode()
    return hashlib.sha256(pixels + records).hexdigest()


def in_words(unfinished: Sequence[UnfinishedObject]) -> str:
    """Return what has to be in progress again, whatever the model makes of it."""
    return repr(
        [
            (entry.state.prompts, float(entry.state.level), *list(vars(entry).values())[1:])
            for entry in unfinished
        ]
    )


class Program:
    """napari with the widget on the coins.

    Parameters
    ----------
    predictor : Predictor
        The model.
    files : Path
        The folder for session files and exports.
    """

    def __init__(self, predictor: Predictor, files: Path) -> None:
        import napari

        self._files, self.n_files = files, 0
        self.viewer = napari.Viewer(show=False)
        self.viewer.add_layer(Image(self.image(), name=NAME))
        self.widget = SamWidget(self.viewer, load_predictor=lambda *_: predictor)
        self.viewer.window.add_dock_widget(self.widget)
        self.widget.wait_until_idle(TIMEOUT_S)

    @staticmethod
    def image() -> NDArray[Any]:
        """Return what is annotated."""
        return np.asarray(data.coins())

    @property
    def labels(self) -> Labels:
        """The target layer, which exists."""
        target = self.widget.binding.target.labels
        assert target is not None
        return target

    def rest(self) -> None:
        """Wait until the journal has what is in progress."""
        while not self.widget.controllers.unfinished.is_idle:
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)

    def report(self) -> str:
        """Return what is there, in a line; what is in progress only if it rests."""
        unfinished = self.widget.controllers.unfinished
        state, mask = self.widget.session.state, ""
        if state.prompts.is_single and state.candidates is not None and state.chosen is not None:
            pixels, top, left = state.candidates.crop(state.chosen)
            mask = hashlib.sha256(repr((top, left)).encode() + pixels.tobytes()).hexdigest()
        words = in_words(unfinished.all) if unfinished.is_idle else "?"
        return json.dumps([digest(self.widget.binding.target.labels), words, mask])

    def annotate(self, seed: int) -> Iterator[None]:
        """Annotate without end."""
        self._random = np.random.default_rng(seed)
        self.widget.binding.prompts.start_points()
        self._accept()
        yield
        actions = self._actions()
        while True:
            self._random.choice(np.array(list(actions)), p=list(actions.values()))()
            self.widget.wait_until_idle(TIMEOUT_S)
            yield

    def _actions(self) -> dict[Callable[[], None], float]:
        """Return what may be done, and how often."""
        return {
            self._accept: 0.4,
            self._paint: 0.2,
            self._note: 0.08,
            self._remove: 0.05,
            self._undo: 0.1,
            self._redo: 0.07,
            self._save: 0.05,
            self._export: 0.05,
        }

    def _accept(self) -> None:
        height, width = data.coins().shape
        place = self._random.uniform(5, height - 5), self._random.uniform(5, width - 5)
        self.viewer.layers["SAM points"].add([place])
        self.widget.wait_until_idle(TIMEOUT_S)
        self.widget.binding.objects.accept()
        self.widget.session.object_in_progress.clear()  # where others have all of the mask

    def _paint(self) -> None:
        layer = self.widget.binding.target.layer
        label_id = int(self._random.integers(0, self.labels.max_label_id() + 2))
        layer.brush_size = 15
        layer.paint(tuple(self._random.integers(0, layer.data.shape)), label_id)

    def _some(self) -> list[int]:
        known = [record.label_id for record in self.labels.registry]
        return [int(label_id) for label_id in self._random.choice(known, 1)] if known else []

    def _note(self) -> None:
        what = {"class_name": "Münze", "note": "größer", "reviewed": True}
        self.widget.session.objects.update(self._some(), **what)

    def _remove(self) -> None:
        self.widget.session.objects.remove(self._some())

    def _undo(self) -> None:
        self.widget.binding.objects.undo()

    def _redo(self) -> None:
        self.widget.binding.objects.redo()

    def _save(self) -> None:
        path = self._files / f"{self._random.integers(3)}{SESSION_SUFFIX}"
        self.widget.controllers.session_file.save(path)
        self._wait_for(path)

    def _export(self) -> None:
        chosen = FORMATS[self._random.integers(len(FORMATS))]
        path = self._files / f"{self.n_files}{chosen.distinction}{chosen.suffixes[0]}"
        self.widget.controllers.objects.files.export_to(path, chosen.title, False)
        self._wait_for(path)

    def _wait_for(self, path: Path) -> None:
        self.widget.wait_until_idle(TIMEOUT_S)
        self.n_files += path.exists()

    def restore(self) -> str:
        """Press the button, and return what is restored; nothing else may be offered."""
        row = self.widget.controllers.restore.row
        if row.isHidden():
            return _NOTHING
        row.restore.click()
        for _ in range(2):  # the binding follows the sliders in the next round
            self.widget.wait_until_idle(TIMEOUT_S)
        self.rest()
        return self.report()


class PendingProgram(Program):
    """napari with the widget on the coins, where somebody accepts little of what he clicks on."""

    def annotate(self, seed: int) -> Iterator[None]:
        """Click without end."""
        self._random = np.random.default_rng(seed)
        self.widget.session.classes.add("Münze")
        self.widget.binding.prompts.start_points()
        actions: dict[Callable[[], object], float] = {
            self._click: 0.4,
            self._accept_shown: 0.12,
            self.widget.session.object_in_progress.clear: 0.08,
            self.widget.session.object_in_progress.choose_next: 0.1,
            self._reedit: 0.1,
            self._undo: 0.12,
            self._redo: 0.08,
        }
        self._click()
        while True:
            self.widget.wait_until_idle(TIMEOUT_S)
            yield
            self._random.choice(np.array(list(actions)), p=list(actions.values()))()

    def _click(self) -> None:
        height, width = self.image().shape
        place = self._random.uniform(5, height - 5), self._random.uniform(5, width - 5)
        self.viewer.layers["SAM points"].add([place])

    def _accept_shown(self) -> None:
        self.widget.binding.objects.accept()

    def _reedit(self) -> None:
        if self.widget.binding.target.labels is not None:
            for label_id in self._some():
                self.widget.binding.objects.reedit(label_id)


class StackProgram(Program):
    """napari with the widget on a stack, through which objects are carried."""

    @staticmethod
    def image() -> NDArray[Any]:
        """Return some slices of a volume with balls."""
        return np.ascontiguousarray(spheres(0)[0][8:24, :160, :160])

    def _actions(self) -> dict[Callable[[], None], float]:
        return {
            self._propagate: 0.6,
            self._cut: 0.1,
            self._clear: 0.1,
            self._paint: 0.05,
            self._undo: 0.1,
            self._redo: 0.05,
        }

    def _accept(self) -> None:
        place = tuple(int(self._random.integers(n)) for n in self.viewer.layers[NAME].data.shape)
        self.viewer.dims.set_current_step(0, place[0])
        self.widget.wait_until_idle(TIMEOUT_S)
        self.viewer.layers["SAM points"].add([place])
        self.widget.wait_until_idle(TIMEOUT_S)
        self.widget.binding.objects.accept()
        self.widget.session.object_in_progress.clear()

    def _attempt(self, action: Callable[..., Any], *values: Any) -> None:
        self.widget.binding.objects.attempt(action, *values)
        self.widget.wait_until_idle(TIMEOUT_S)

    def _propagate(self) -> None:
        self._accept()
        self._attempt(self.widget.session.stack.propagate)

    def _cut(self) -> None:
        slices = self.widget.session.stack.state.slices
        if slices is not None:
            first, last = slices.with_object[0].slice_index, slices.with_object[-1].slice_index
            self._attempt(self.widget.session.stack.corrections.set_range, first, last - 1)

    def _clear(self) -> None:
        self._attempt(self.widget.session.stack.corrections.clear_slice)


@dataclass
class Run:
    """The result of one kill: the last report, and what was restored."""

    files: Path
    """Where session files and exports are."""
    reports: dict[tuple[str, int], str] = field(default_factory=dict)
    """What was there after so many entries of a journal, the newest last."""
    restored: str = ""

    def verdict(self, path_name: str, content: JournalContent) -> str:
        """Return what is wrong with the newest journal; empty if nothing is."""
        name, n_reported = next(reversed(self.reports))
        if name != path_name:  # begun by the last action, which was not reported any more
            n_reported = 0
        n_entries = len(content.lines)
        if content.warning:
            return content.warning
        # One action takes two entries at most, and so do what it leaves in progress and a brush.
        if not n_reported <= n_entries <= n_reported + 4:
            return f"{n_reported} entries were reported, {n_entries} are there"
        # The last action may be done but no longer reported.
        shape, dtype = content.header.shape, content.header.dtype
        reported = ArrayLabels(np.zeros(shape, dtype))
        entries = list(content.entries())
        replay(entries[:n_reported], reported)
        labels, words, mask = json.loads(next(reversed(self.reports.values())))
        there = replace(content, lines=content.lines[:n_reported])
        if n_reported and (
            (labels != _NO_LABELS and labels != digest(reported))
            or words not in ("?", in_words(there.unfinished))
        ):
            return "what was reported is not what is there"
        replay(entries[n_reported:], reported)
        if entries[-1]["direction"] == Direction.SAVED and not content.unfinished:
            return self._saved(reported)
        if not len(reported.registry) and not content.unfinished:
            return "" if self.restored == _NOTHING else "something is offered"
        if self.restored == _NOTHING:
            return _NOTHING
        same_labels = digest(reported) if len(reported.registry) else _NO_LABELS
        restored_labels, restored_words, restored_mask = json.loads(self.restored)
        if (restored_labels, restored_words) != (same_labels, in_words(content.unfinished)):
            return "the widget has restored something else"
        if mask and n_entries == n_reported and mask != restored_mask:
            return "the widget shows another mask"
        return ""

    def _saved(self, expected: ArrayLabels) -> str:
        """Return what is wrong with the newest session file, which holds all objects."""
        paths = sorted(self.files.glob(f"*{SESSION_SUFFIX}"), key=lambda path: path.stat().st_mtime)
        if self.restored != _NOTHING:
            return "objects in a session file are offered"
        saved = ArrayLabels(np.zeros(expected.shape, expected.dtype))
        replay(read_session(paths[-1]).content.entries(), saved)
        is_same = np.array_equal(saved.array, expected.array)
        return "" if is_same else "the session file holds something else"


def annotate(program: Program, seed: int, folder: Path, words: int) -> None:
    """Annotate until this process is killed, and report the state after each action."""

    def report() -> None:
        path = newest(folder)
        n_entries = path.read_bytes().count(b"\n") - 1 if path is not None else 0
        name = "" if path is None else path.name
        os.write(words, f"{name} {n_entries} {program.report()}\n".encode())

    program.widget.session.editing.done.connect(lambda _: report())  # in the middle of a run, too
    for _ in program.annotate(seed):
        program.rest()
        report()


def newest(folder: Path) -> Path | None:
    """Return the journal that was begun last."""
    return max(folder.iterdir(), key=lambda path: path.name.split(".")[1], default=None)


def half_written(files: Path) -> list[str]:
    """Return the names of files that cannot be read, unless the name says so."""
    names = []
    for path in files.iterdir():
        if path.suffix != PARTIAL_SUFFIX:
            try:
                read_whole(path)
            except Exception as error:
                names.append(f"{path.name} ({error!r})")
    return names


def read_whole(path: Path) -> None:
    """Read a file of any format to its end."""
    if path.name.endswith(SESSION_SUFFIX):
        assert not read_session(path).content.warning
    elif path.suffix in (".tif", ".png"):
        assert imageio.imread(path).size
    elif path.suffix in (".json", ".geojson"):
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".zip":
        assert zipfile.ZipFile(path).testzip() is None
    elif path.suffix in (".npy", ".npz"):
        np.load(path)
    else:
        text = path.read_text(encoding="utf-8")
        assert text.endswith("\n") or not text


def in_fork(action: Any, *arguments: Any) -> tuple[int, int]:
    """Run a function in another process; return its id, and the file it reports to."""
    listen, words = os.pipe()
    pid = os.fork()
    if pid:
        os.close(words)
        return pid, listen
    status = 1
    try:
        action(*arguments, words)
        status = 0
    except BaseException as error:
        os.write(words, f" 0 {error!r}\n".encode())  # of no journal
    finally:
        os._exit(status)


def run_once(
    open_program: Callable[[Path], Program], seed: int, longest_s: float, base: Path
) -> tuple[int, str]:
    """Annotate, kill, restore; return the number of entries, and what is wrong."""
    folder, files = base / f"journals {seed}", base / f"files {seed}"
    folder.mkdir()
    files.mkdir()
    os.environ["NAPARI_SAM_JOURNALS"] = str(folder)
    run, delay_s, has_begun = Run(files), random.Random(seed).uniform(0, longest_s), False
    pid, listen = in_fork(lambda words: annotate(open_program(files), seed, folder, words))
    timer = threading.Timer(delay_s, os.kill, (pid, signal.SIGKILL))
    with os.fdopen(listen, encoding="utf-8") as heard:
        for line in heard:
            if not line.endswith("\n"):
                break
            name, n_entries, said = line.split(" ", 2)
            run.reports.pop((name, int(n_entries)), None)
            run.reports[name, int(n_entries)] = said
            if not has_begun:
                has_begun = True
                timer.start()
    _, status = os.waitpid(pid, 0)
    timer.cancel()  # it may have ended by itself
    (name, n_reported), said = next(reversed(run.reports.items()))
    if not os.WIFSIGNALED(status):
        return n_reported, f"it ended by itself: {said}"
    path = newest(folder)
    if path is None:
        return n_reported, f"there is no journal: {said}" if name else ""
    if names := half_written(files):
        return n_reported, f"half written: {names}"
    content = read_journal(path)
    pid, listen = in_fork(lambda words: os.write(words, open_program(files).restore().encode()))
    with os.fdopen(listen, encoding="utf-8") as heard:
        run.restored = heard.read()
    os.waitpid(pid, 0)
    wrong = run.verdict(path.name, content)
    return n_reported, f"{wrong} ({run.restored[:200]})" if wrong else ""


def main() -> None:
    """Parse the command line, and run apart from the user's files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--stack", action="store_true", help="carry objects through a stack")
    parser.add_argument("--pending", action="store_true", help="leave most clicks unaccepted")
    parser.add_argument("--longest", type=float, default=6.0, help="seconds from the first object")
    arguments = parser.parse_args()
    if _BASE_VARIABLE in os.environ:
        sys.exit(kill_all(arguments, Path(os.environ[_BASE_VARIABLE])))
    with tempfile.TemporaryDirectory() as base:
        # A kill may take files of napari's, too, which must not be those of the user.
        own = {"XDG_CACHE_HOME": base, "NAPARI_CONFIG": f"{base}/settings.yaml"}
        environment = {**os.environ, **own, _BASE_VARIABLE: base}
        sys.exit(
            subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode
        )


def kill_all(arguments: argparse.Namespace, base: Path) -> bool:
    """Kill several times and print; return whether anything was lost."""
    torch.set_num_threads(1)  # more of them would not outlive the fork
    predictor = Predictor(load_model("vit_t"), device="cpu")
    os.environ["NAPARI_SAM_EMBEDDINGS"] = str(base / "embeddings")
    n_wrong, n_all, n_files, n_kills = 0, 0, 0, arguments.kills
    programs = {arguments.stack: StackProgram, arguments.pending: PendingProgram}
    open_program = partial(programs.get(True, Program), predictor)
    for seed in range(n_kills):
        n_reported, wrong = run_once(open_program, seed, arguments.longest, base)
        n_wrong, n_all = n_wrong + bool(wrong), n_all + n_reported
        n_files += sum(path.suffix != PARTIAL_SUFFIX for path in base.glob(f"files {seed}/*"))
        print(f"{seed + 1}: {n_reported} entries, {wrong or 'restored exactly'}", flush=True)
    print(f"{n_kills} kills, {n_all} entries, {n_files} files, {n_wrong} not restored exactly")
    return n_wrong > 0


if __name__ == "__main__":
    main()
