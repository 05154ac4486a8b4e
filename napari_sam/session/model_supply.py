"""Getting a published model: from where it lies already, or from where it was published."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from psygnal import Signal

from napari_sam.catalogue import PublishedModel, download, locate
from napari_sam.session.jobs import Dispatcher, Job, explain

_STEP: Final = 0.002
"""Share of a file from one report to the next: often enough to look alive."""


class SupplyPhase(StrEnum):
    """What is being done for a model."""

    IDLE = "idle"
    CHECKING = "checking"
    DOWNLOADING = "downloading"


@dataclass(frozen=True)
class SupplyState:
    """How far a model is that was asked for.

    Parameters
    ----------
    phase : SupplyPhase
        What is being done.
    model : PublishedModel, optional
        For which.
    fraction : float
        Share of the download that is done, 0 to 1.
    """

    phase: SupplyPhase = SupplyPhase.IDLE
    model: PublishedModel | None = None
    fraction: float = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a model is being got."""
        return self.phase is not SupplyPhase.IDLE


class ModelSupply:
    """Gets published models in the background; the latest request wins.

    All methods belong to the owner's thread.

    Parameters
    ----------
    dispatcher : Dispatcher
        How results reach the owner's thread.
    """

    changed = Signal(SupplyState)
    """Sent on the owner's thread with the new state."""
    supplied = Signal(PublishedModel, Path)
    """Sent on the owner's thread with a model that was asked for, and its verified file."""
    failed = Signal(str)
    """Sent on the owner's thread with the reason, and what can be done."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._job: Job | None = None
        self.state = SupplyState()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being got."""
        return self._job is None

    def request(self, model: PublishedModel) -> None:
        """Find a model on this computer, else download it."""
        self._drop_job()

        def get(job: Job) -> Path:
            found = locate(model)
            return found or download(model, _reporter(job))

        self._job = Job(
            get,
            lambda path: self._on_done(model, path),
            lambda error: self._on_failed(model, error),
            self._on_progress,
            self._dispatcher,
        )
        self._publish(SupplyState(SupplyPhase.CHECKING, model))
        # A thread of its own for each: the one before may hang on a silent server for a while,
        # and must keep neither the next request nor the program's end waiting.
        threading.Thread(target=_run, args=(self._job, self._dispatcher), daemon=True).start()

    def cancel(self) -> None:
        """Stop; nothing is left of an incomplete download."""
        self._drop_job()
        self._publish(SupplyState())

    def close(self) -> None:
        """Stop without a word."""
        self._drop_job()

    def _drop_job(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def _publish(self, state: SupplyState) -> None:
        self.state = state
        self.changed.emit(state)

    def _on_progress(self, fraction: float) -> None:
        self._publish(SupplyState(SupplyPhase.DOWNLOADING, self.state.model, fraction))

    def _on_done(self, model: PublishedModel, path: Path) -> None:
        self._job = None
        self._publish(SupplyState())
        self.supplied.emit(model, path)

    def _on_failed(self, model: PublishedModel, error: BaseException) -> None:
        self._job = None
        self._publish(SupplyState())
        self.failed.emit(explain(error, f"No {model.name}"))


def _run(job: Job, dispatcher: Dispatcher) -> None:
    dispatcher.post(job.run())


def _reporter(job: Job) -> Callable[[int, int], None]:
    """Return what tells a job how far its download is, and stops it when it is cancelled."""
    reported = -1.0

    def report(done_bytes: int, total_bytes: int) -> None:
        nonlocal reported
        job.check()
        fraction = done_bytes / total_bytes if total_bytes else 0.0
        if fraction - reported >= _STEP or done_bytes == total_bytes:
            reported = fraction
            job.report(min(fraction, 1.0))

    return report
