"""Do whatever comes to mind in a real window, and see whether anything breaks.

    xvfb-run python benchmarks/random_actions.py [--games 40] [--actions 250] [--seed 0]

A game opens napari with the widget on a stack, a plane and an RGB image, and acts at random: the
mouse and keys on the canvas, every control of the widget, layers that are renamed, deleted, moved,
copied, replaced and painted on, files that are written and read, the widget closed and opened
again. Often several actions follow each other before anything has been computed.

Whenever all is computed, each target and its records must agree to the pixel, the table must show
the records, undoing and repeating must change nothing, and at last the journals must hold what is
there. No exception may come up on any thread, and no traceback may be printed.

Ends with status 1 if anything of that is wrong. A game is repeated by its seed: --seed S --games 1.
"""

import argparse
import faulthandler
import logging
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QTimer
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QApplication,
    QColorDialog,
    QFileDialog,
    QMessageBox,
)
from random_checks import check, check_journals
from random_window import Game

from napari_sam._qt import export_row
from napari_sam.model import Predictor, SamEmbedding, load_model
from napari_sam.session.embedding.embeddings import content_key

BASE_VARIABLE: Final = "NAPARI_SAM_RANDOM"


class RememberingPredictor(Predictor):
    """The real predictor; it embeds each content once."""

    _embeddings: Final[dict[str, SamEmbedding]] = {}

    def encode(self, image: Any, on_block: Any = None) -> SamEmbedding:
        """Embed an image, or remember its embedding."""
        key = content_key(np.asarray(image))
        if key not in self._embeddings:
            self._embeddings[key] = super().encode(image, on_block)
        return self._embeddings[key]


class Watch(logging.Handler):
    """Collects every exception and traceback, whatever reports it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.failures: list[str] = []
        logging.getLogger().addHandler(self)
        sys.excepthook = lambda *error: self.add("".join(traceback.format_exception(*error)))
        threading.excepthook = lambda failure: self.add(
            "".join(traceback.format_exception(failure.exc_value))
        )
        sys.unraisablehook = lambda failure: self.add(
            "".join(traceback.format_exception(failure.exc_value)) + str(failure.err_msg)
        )

    def add(self, text: str) -> None:
        """Note a failure."""
        self.failures.append(text)

    def emit(self, record: logging.LogRecord) -> None:
        """Note a logged exception."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            self.add(text + "".join(traceback.format_exception(record.exc_info[1])))
        elif "Traceback" in text or record.levelno >= logging.ERROR:
            self.add(text)


def answer_dialogs(chance: random.Random, folder: Path) -> None:
    """Let all dialogs answer at once, with some file, color or button."""

    def to_write(*arguments: Any, **options: Any) -> tuple[str, str]:
        filters = str(arguments[3] if len(arguments) > 3 else "").split(";;")
        chosen = chance.choice(filters)
        suffix = chosen.rpartition("*")[2].strip(") ") or ".json"
        name = chance.choice((f"{chance.randrange(6)}{suffix}", f"{chance.randrange(6)}", ""))
        return (str(folder / name) if name else ""), chosen

    def to_read(*arguments: Any, **options: Any) -> tuple[str, str]:
        files = [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]
        return chance.choice([*files, ""]), ""

    buttons = QMessageBox.StandardButton
    QFileDialog.getSaveFileName = export_row.ask_for_name = to_write
    QFileDialog.getOpenFileName = to_read
    QFileDialog.getExistingDirectory = lambda *_, **__: chance.choice(("", str(folder)))
    QMessageBox.question = lambda *_, **__: chance.choice((buttons.Yes, buttons.No))
    QMessageBox.exec = lambda *_: chance.choice((buttons.Open, buttons.Cancel))
    QColorDialog.getColor = lambda *_, **__: chance.choice((QColor("#12ab9c"), QColor()))


def play(predictor: Predictor, seed: int, n_actions: int, base: Path, watch: Watch) -> list[str]:
    """Play a game; return what was wrong, and stop there."""
    watch.failures.clear()
    notification_manager.records.clear()
    answer_dialogs(random.Random(seed), base)
    game = Game(predictor, seed, base)
    log: list[str] = []
    actions, weights = zip(*game.actions.items(), strict=True)
    try:
        game.settle()
        for _ in range(n_actions):
            (action,) = game.random.choices(actions, weights)
            log.append(action.__name__)
            action()
            if game.random.random() < 0.7:
                game.settle()
                check(game.widget)
            else:
                QApplication.processEvents()
            for record in notification_manager.records:
                if hasattr(record, "exception"):
                    watch.add("".join(traceback.format_exception(record.exception)))
            notification_manager.records.clear()
            if watch.failures:
                break
        else:
            game.settle()
            check(game.widget)
            check_journals(game.widget)
    except Exception:
        watch.add(traceback.format_exc())
    wrong = [f"after {len(log)} actions, the last {log[-6:]}:\n{text}" for text in watch.failures]
    with suppress(Exception):
        game.close()
    if not wrong:
        wrong = [f"on closing:\n{text}" for text in watch.failures]
    ACTIONS.update(log)
    CONTROLS.update(game.count)
    return wrong


ACTIONS: Final[Counter[str]] = Counter()
CONTROLS: Final[Counter[str]] = Counter()
"""What was pressed of the dock, its windows and menus."""


def play_all(n_games: int, n_actions: int, seed: int, base: Path) -> bool:
    """Play several games, and print what was wrong; return whether anything was."""
    faulthandler.enable()
    torch.set_num_threads(1)
    for name in ("EMBEDDINGS", "JOURNALS", "SETTINGS", "MODELS"):
        os.environ[f"NAPARI_SAM_{name}"] = str(base / name.lower())
    watch, n_wrong = Watch(), 0
    QApplication.instance() or QApplication([])
    rejecting = QTimer(interval=300)
    rejecting.timeout.connect(reject_a_dialog)
    rejecting.start()
    predictor = RememberingPredictor(load_model("vit_t"), device="cpu")
    for number in range(seed, seed + n_games):
        begun = time.monotonic()
        folder = base / f"files{number}"
        folder.mkdir()
        wrong = play(predictor, number, n_actions, folder, watch)
        n_wrong += bool(wrong)
        print(f"seed {number}: {'; '.join(wrong) or 'right'} ({time.monotonic() - begun:.0f} s)")
        sys.stdout.flush()
    print(f"{n_games} games, {ACTIONS.total()} actions, {n_wrong} games went wrong")
    for counts in (ACTIONS, CONTROLS):
        print(", ".join(f"{name} {n}" for name, n in counts.most_common()))
    return n_wrong > 0


def reject_a_dialog() -> None:
    """Close a dialog of napari's that waits for the user."""
    dialog = QApplication.activeModalWidget() or QApplication.activePopupWidget()
    if dialog is not None:
        dialog.close()


def main() -> None:
    """Parse the command line, and run apart from the user's files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", type=int, default=40)
    parser.add_argument("--actions", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if BASE_VARIABLE in os.environ:
        base = Path(os.environ[BASE_VARIABLE])
        sys.exit(play_all(arguments.games, arguments.actions, arguments.seed, base))
    with tempfile.TemporaryDirectory() as base_name:
        own = {"XDG_CACHE_HOME": base_name, "NAPARI_CONFIG": f"{base_name}/settings.yaml"}
        environment = {**os.environ, **own, BASE_VARIABLE: base_name}
        done = subprocess.run(
            [sys.executable, *sys.argv],
            env=environment,
            check=False,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    print(done.stderr, file=sys.stderr)
    sys.exit(done.returncode or "Traceback" in done.stderr)


if __name__ == "__main__":
    main()
