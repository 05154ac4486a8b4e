"""Background work: one thread per kind, the latest request wins, nothing stale is applied."""

from __future__ import annotations

import gc
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any, Final, Protocol

from napari_sam.formats.files import FileError
from napari_sam.storage.pacing import resting_with

_POLL_S: Final = 0.05
_LOGGER = logging.getLogger(__name__)
_OUT_OF_MEMORY: Final = re.compile("out of memory|allocate memory", re.IGNORECASE)
"""The text of torch's RuntimeErrors, on an accelerator and on the processor."""
Defer = Callable[[Callable[[], None]], None]
"""Calls an action soon, as `Dispatcher.post` does."""


class DeferredCall:
    """A call that is made soon, and once, however often it is requested until then."""

    def __init__(self, defer: Defer, action: Callable[[], None]) -> None:
        self._defer, self._action = defer, action
        self.is_due = False
        """Whether it is requested, and was not made yet."""

    def request(self) -> None:
        """Make the call soon."""
        if not self.is_due:
            self.is_due = True
            self._defer(self.make)

    def make(self) -> None:
        """Make the call now, if it is due."""
        if self.is_due:
            self.is_due = False
            self._action()


class _Pauses:
    """How many parts of the program need the garbage collector to pause."""

    lock = threading.Lock()
    count = 0
    was_on = False


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause Python's garbage collector while very many objects are made and freed again.

    A full collection looks at all objects of torch and napari, and stops all threads meanwhile, for
    a quarter of a second. What is freed before the next one costs nothing.
    """
    with _Pauses.lock:
        if _Pauses.count == 0:
            _Pauses.was_on = gc.isenabled()
            gc.disable()
        _Pauses.count += 1
    try:
        yield
    finally:
        with _Pauses.lock:
            _Pauses.count -= 1
            if _Pauses.count == 0 and _Pauses.was_on:
                gc.enable()


class Cancelled(Exception):  # noqa: N818 - it is an order that was followed, not an error
    """Raised inside a job that was cancelled."""


class Dispatcher(Protocol):
    """Carries callbacks from any thread to the thread that owns the session."""

    @property
    def is_idle(self) -> bool:
        """Whether no posted callback waits."""

    def post(self, callback: Callable[[], None]) -> None:
        """Call `callback` soon on the owner's thread; may be called from any thread."""

    def run_pending(self, timeout_s: float) -> None:
        """Run the posted callbacks on the owner's thread, waiting up to `timeout_s` for a first."""

    def let_owner_run(self) -> None:
        """Let the owner's thread finish what it is doing; for one that runs long."""

    def close(self) -> None:
        """Drop all callbacks, posted ones and later ones."""


class CallbackQueue:
    """A `Dispatcher` for scripts: callbacks wait until the owner calls `run_pending`."""

    def __init__(self) -> None:
        self._callbacks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._is_closed = False

    @property
    def is_idle(self) -> bool:
        """Whether no posted callback waits."""
        return self._is_closed or self._callbacks.empty()

    def post(self, callback: Callable[[], None]) -> None:
        """Let the next `run_pending` run `callback`."""
        self._callbacks.put(callback)

    def run_pending(self, timeout_s: float) -> None:
        """Run the posted callbacks, waiting up to `timeout_s` seconds for a first one."""
        try:
            callback = self._callbacks.get(timeout=timeout_s)
            while not self._is_closed:
                callback()
                callback = self._callbacks.get_nowait()
        except queue.Empty:
            pass

    def let_owner_run(self) -> None:
        """Do nothing: no window waits."""

    def close(self) -> None:
        """Drop all callbacks, posted ones and later ones."""
        self._is_closed = True


def run_until(
    is_idle: Callable[[], bool], dispatcher: Dispatcher, timeout_s: float, who: str
) -> None:
    """Run the callbacks posted to a dispatcher until `is_idle` is true."""
    deadline = time.monotonic() + timeout_s
    while not is_idle():
        if time.monotonic() > deadline:
            raise TimeoutError(f"The {who} was still busy after {timeout_s} s.")
        dispatcher.run_pending(_POLL_S)


@contextmanager
def bulky_work(dispatcher: Dispatcher) -> Iterator[None]:
    """Make very many objects on this background thread, without holding up the owner's."""
    with collector_paused(), resting_with(dispatcher.let_owner_run):
        yield


class Job:
    """One piece of work for a `LatestWinsExecutor`, from the request to the response."""

    def __init__(
        self,
        work: Callable[[Job], Any],
        on_done: Callable[[Any], None],
        on_failed: Callable[[BaseException], None],
        on_progress: Callable[[Any], None] | None,
        dispatcher: Dispatcher,
    ) -> None:
        self.work = work
        self.on_done = on_done
        self.on_failed = on_failed
        self._on_progress = on_progress
        self._dispatcher = dispatcher
        self._cancelled = threading.Event()
        self.ended = threading.Event()
        """Set when `deliver` delivers the response."""
        self.deliver: Callable[[], None] = _deliver_nothing
        self.is_applied = False

    @property
    def is_cancelled(self) -> bool:
        """Whether the job was cancelled."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the work to stop; its response will not be applied."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise `Cancelled` if the job was cancelled; called by the work now and then."""
        if self.is_cancelled:
            raise Cancelled

    def report(self, progress: Any) -> None:
        """Report what `on_progress` takes to the owner's thread; raise if cancelled."""
        self.check()
        self._dispatcher.post(lambda: self._deliver_progress(progress))

    def run(self) -> Callable[[], None]:
        """Do the work, on any thread; return a function that delivers its response.

        The function is for the owner's thread, and delivers nothing once the job is cancelled.
        """
        try:
            self.check()
            result = self.work(self)
        except Cancelled:
            return lambda: None
        except BaseException as error:  # a panic in a Rust library is no Exception
            failure = error
            return lambda: None if self.is_cancelled else self.on_failed(failure)
        return lambda: None if self.is_cancelled else self.on_done(result)

    def _deliver_progress(self, progress: Any) -> None:
        if self._on_progress is not None and not (self.is_cancelled or self.is_applied):
            self._on_progress(progress)


def _deliver_nothing() -> None:
    """Do nothing: the response was delivered."""


class LatestWinsExecutor:
    """One worker thread, and at most one request waiting for it.

    All methods belong to the owner's thread; only `Job.work` runs on the worker's. A request that
    comes while another is computed waits; a later one takes its place. The one being computed is
    still applied when it is done, so that a stream of requests gives a stream of responses, unless
    it was cancelled.
    """

    def __init__(self, name: str, dispatcher: Dispatcher, *, is_bulky: bool = False) -> None:
        self._dispatcher = dispatcher
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._is_bulky = is_bulky
        self._running: Job | None = None
        self._waiting: Job | None = None
        self._is_closed = False

    @property
    def is_idle(self) -> bool:
        """Whether no request is computed, waiting, or on its way back."""
        return self._running is None and self._waiting is None

    @property
    def expects_result(self) -> bool:
        """Whether a result that was not cancelled is on its way."""
        running = self._running is not None and not self._running.is_cancelled
        return running or self._waiting is not None

    def submit(
        self,
        work: Callable[[Job], Any],
        on_done: Callable[[Any], None],
        on_failed: Callable[[BaseException], None],
        on_progress: Callable[[Any], None] | None = None,
    ) -> None:
        """Compute `work(job)` on the worker, in place of any request that still waits."""
        if self._is_closed:
            return
        job = Job(work, on_done, on_failed, on_progress, self._dispatcher)
        if self._running is None:
            self._start(job)
        else:
            self._waiting = job

    def cancel(self) -> None:
        """Drop the waiting request, and do not apply the one being computed."""
        self._waiting = None
        if self._running is not None:
            self._running.cancel()

    def settle(self, timeout_s: float) -> None:
        """Wait for the job that is computed, and apply it at once if it is done by then.

        For jobs shorter than the time in which the owner's thread would get to them otherwise: a
        window is painted first.
        """
        job = self._running
        if job is not None and job.ended.wait(timeout_s):
            self._finish(job)

    def close(self) -> None:
        """Cancel everything and let the thread end; returns at once. Later requests are dropped."""
        self.cancel()
        self._running, self._is_closed = None, True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _start(self, job: Job) -> None:
        self._running = job
        self._executor.submit(self._run, job)

    def _run(self, job: Job) -> None:
        with bulky_work(self._dispatcher) if self._is_bulky else nullcontext():
            job.deliver = job.run()
        job.ended.set()
        self._dispatcher.post(lambda: self._finish(job))

    def _finish(self, job: Job) -> None:
        if job.is_applied:
            return
        job.is_applied = True
        self._running = None
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._start(waiting)
        # Otherwise job and result would hold each other, and whatever memory the result takes.
        deliver, job.deliver = job.deliver, _deliver_nothing
        deliver()


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the computer or an accelerator ran out of memory."""
    return isinstance(error, MemoryError) or bool(_OUT_OF_MEMORY.search(str(error)))


def log_failure(error: BaseException, what: str) -> None:
    """Log the traceback of an exception that the user need not know of."""
    _LOGGER.warning("%s", what, exc_info=error)


def user_message(error: BaseException, what: str, advice: str = "use a smaller image") -> str:
    """Turn an exception of a job into a message for the user, and log its traceback."""
    if is_out_of_memory(error):
        _LOGGER.warning("%s", what, exc_info=error)
        return f"{what}: not enough memory. Close other programs or {advice}."
    if isinstance(error, ValueError):
        _LOGGER.info("%s: %s", what, error)
        # A file's error begins with the reason: it comes first where little of it is shown.
        return str(error) if isinstance(error, FileError) else f"{what}: {error}"
    _LOGGER.warning("%s", what, exc_info=error)
    return f"{what} ({type(error).__name__}): {error}"
