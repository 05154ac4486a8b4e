"""The threads that the parts of a session work on, and the way their messages take to the user."""

import time
from collections.abc import Callable, Sequence
from typing import Final
from weakref import WeakSet

from psygnal import Signal

from napari_sam.session.jobs import Dispatcher, Job, LatestWinsExecutor

_REST_S: Final = 0.01
_LONGEST_S: Final = 0.1
"""How long what is embedded stands back for a decode, each time that it is asked to."""


class Notifier:
    """Collects messages that the user should not miss; a widget shows them, a script may listen.

    All methods belong to the owner's thread.
    """

    warned = Signal(str)
    """A message that should not be missed."""

    def warn(self, message: str) -> None:
        """Send a message."""
        self.warned.emit(message)


class Background:
    """Makes the executors of a session's parts, waits for all of them and closes them.

    All methods but `yield_to_foreground` and `yield_to_clicks` belong to the owner's thread.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.notifier = Notifier()
        self._executors: WeakSet[LatestWinsExecutor] = WeakSet()
        self._foreground: list[LatestWinsExecutor] = []
        self._instant: list[LatestWinsExecutor] = []

    def executor(
        self,
        name: str,
        *,
        is_foreground: bool = False,
        is_instant: bool = False,
        is_bulky: bool = False,
    ) -> LatestWinsExecutor:
        """Return a new executor; the user waits for what one in the foreground computes.

        What an instant one computes, which is in the foreground too, answers a click or the mouse.
        The jobs of a bulky one make very many objects: the garbage collector pauses meanwhile.
        """
        executor = LatestWinsExecutor(f"napari-sam-{name}", self.dispatcher, is_bulky=is_bulky)
        self._executors.add(executor)
        if is_foreground or is_instant:
            self._foreground.append(executor)
        if is_instant:
            self._instant.append(executor)
        return executor

    @property
    def is_idle(self) -> bool:
        """Whether no job is pending and no callback waits."""
        return self.dispatcher.is_idle and all(executor.is_idle for executor in self._executors)

    def close(self) -> None:
        """Stop all work; nothing is delivered any more."""
        for executor in self._executors:
            executor.close()
        self.dispatcher.close()

    def yield_to_foreground(self, job: Job, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait, inside a job, while an executor in the foreground needs its resources."""
        _wait_for(self._foreground, job, is_over)

    def yield_to_clicks(self, job: Job) -> None:
        """Wait a moment, inside a job, while a click is decoded, which takes less than that."""
        deadline_s = time.monotonic() + _LONGEST_S
        _wait_for(self._instant, job, lambda: time.monotonic() >= deadline_s)


def _wait_for(
    executors: Sequence[LatestWinsExecutor], job: Job, is_over: Callable[[], bool]
) -> None:
    """Wait, inside a job, until executors are idle or something is over."""
    job.check()
    while not (is_over() or all(executor.is_idle for executor in executors)):
        time.sleep(_REST_S)
        job.check()
