"""Generate masks, or encode images, on an existing dask cluster: one model per worker.

Needs the extra ``distributed``. Workers that generate masks write the results: they have to see the
folders of images and results under the same paths. Those that encode get pixels, and need no more
than the file of the model.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import dask
import numpy as np
from distributed import Client, Security, as_completed, rpc
from distributed.client import ClosedClientError
from numpy.typing import NDArray

from napari_sam import __version__
from napari_sam.batch.images import ImageFile
from napari_sam.batch.job import BatchJob, ImageResult
from napari_sam.batch.manifest import RunError
from napari_sam.batch.open_images import ImageOpener
from napari_sam.batch.run import failure_message, process
from napari_sam.engine.embeddings import EmbeddingArrays, ImageEmbedding
from napari_sam.engine.protocols import ProgressCallback
from napari_sam.session.models.model_choice import ModelChoice, find_runtime, load_predictor

if TYPE_CHECKING:
    from napari_sam.model import Predictor

_TIMEOUT_S: Final = 20
_RETRIES: Final = 2
"""How many more times an image is tried; also how often workers may die of it."""
_KEPT_S: Final = 120.0
"""How long a worker keeps its model in memory without an image."""


class WorkerModel:
    """The model of a worker: loaded when it is needed, and let go once no images come any more.

    No program has to end for that in an orderly way, and no worker has to be told beforehand.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._choice: ModelChoice | None = None
        self._predictor: Predictor | None = None
        self._release_timer: threading.Timer | None = None

    @contextmanager
    def in_use(self, choice: ModelChoice) -> Iterator[Callable[[], Predictor]]:
        """Let nobody else compute meanwhile, and yield what returns the predictor."""
        with self._lock:
            if self._release_timer is not None:
                self._release_timer.cancel()
            try:
                yield lambda: self._of(choice)
            finally:
                self._release_timer = threading.Timer(_KEPT_S, self._release)
                self._release_timer.daemon = True
                self._release_timer.start()

    def _of(self, choice: ModelChoice) -> Predictor:
        if self._predictor is None or choice != self._choice:
            self._predictor = None  # before there is another one in memory
            self._predictor = load_predictor(choice, find_runtime(choice))
            self._choice = choice
        return self._predictor

    def _release(self) -> None:
        with self._lock:
            if self._release_timer is threading.current_thread():
                self._predictor = None


_MODEL: Final = WorkerModel()
"""The model of this worker process."""


def run_on_cluster(
    address: str,
    job: BatchJob,
    images: Sequence[ImageFile],
    open_images: ImageOpener,
    say: Callable[[str], None],
) -> Iterator[ImageResult]:
    """Process images on the workers of a cluster; yield results in the order of completion.

    An image that fails is tried again on any worker, also after its worker died.
    """
    with connected(address, say) as client:
        yield from _results(client, job, images, open_images)


@contextmanager
def connected(address: str, say: Callable[[str], None]) -> Iterator[Client]:
    """Yield a client of the scheduler at an address; raise RunError if there is none any more."""
    with _without_log():
        try:
            asyncio.run(asyncio.wait_for(_identify(address), _TIMEOUT_S))
            client = Client(address, timeout=_TIMEOUT_S, set_as_default=False)
        except Exception as error:  # an address, and whoever answers there, may be anything
            reason = str(error) or "nobody answers"
            msg = (
                f"There is no scheduler at {address} ({reason}): check the address "
                "that the scheduler printed."
            )
            raise RunError(msg) from error
    try:
        with _without_log(), client:
            if not client.scheduler_info()["workers"]:
                say("The cluster has no workers yet: waiting for them.")
            yield client
    except (OSError, TimeoutError, ClosedClientError) as error:
        msg = f"The scheduler at {address} is gone ({error}): start it, then run the command again."
        raise RunError(msg) from error


class ClusterEncoder:
    """Encodes images on the workers of a cluster, as a predictor here would: an `ImageEncoder`.

    Several threads may each wait for an image.
    """

    def __init__(self, client: Client, choice: ModelChoice, predictor: Predictor) -> None:
        self._client, self._predictor = client, predictor
        self._choice = replace(choice, exact=True)  # as the model that learns reads them
        self.spec, self.fingerprint = predictor.spec, predictor.fingerprint

    def encode(
        self, image: NDArray[np.uint8], on_block: ProgressCallback | None = None
    ) -> ImageEmbedding:
        """Encode an image on any worker, also after another one died of it."""
        call = encode_on_worker, (self._choice, image, self.fingerprint, __version__)
        work = work_on_any_worker(__version__)
        future = self._client.submit(work, pickle.dumps(call), retries=_RETRIES, pure=False)
        return self._predictor.from_arrays(future.result(), image.shape[:2])


async def _identify(address: str) -> None:
    """Ask who is there: a client would wait for ever for somebody who listens and says nothing."""
    async with rpc(address, connection_args=Security().get_connection_args("client")) as scheduler:
        if (await scheduler.identity())["type"] != "Scheduler":
            raise ValueError("it is a worker")


@contextmanager
def _without_log() -> Iterator[None]:
    """Keep the client from printing tracebacks of connections that break; the results say it."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _results(
    client: Client,
    job: BatchJob,
    images: Sequence[ImageFile],
    open_images: ImageOpener,
) -> Iterator[ImageResult]:
    work = work_on_any_worker(__version__)
    image_of = {
        client.submit(
            work,
            pickle.dumps((process_on_worker, (job, image, open_images, __version__))),
            retries=_RETRIES,
            pure=False,
        ): image
        for image in images
    }
    try:
        for future in as_completed(list(image_of), loop=client.loop, raise_errors=False):
            image = image_of.pop(future)
            if future.status == "finished":
                yield future.result()
                continue
            reason = "The cluster lost this image: run the command again."
            if future.status != "cancelled":
                reason = failure_message(future.exception())
            yield ImageResult(image.path, "failed", error=reason)
    finally:
        client.cancel(list(image_of))


def work_on_any_worker(version: str) -> Callable[[bytes], Any]:
    """Return a function that is sent as it is, and imports the package only when it runs.

    A worker that cannot import what it is sent ends, as does the next one that it is sent to.
    """

    def work(pickled: bytes) -> Any:
        import pickle
        import platform

        try:
            function, arguments = pickle.loads(pickled)
        except Exception as error:
            msg = f"A worker on {platform.node()} cannot run it ({error}): "
            raise ValueError(f"{msg}install napari-sam-live {version} there.") from None
        return function(*arguments)

    return work


def process_on_worker(
    job: BatchJob, image: ImageFile, open_images: ImageOpener, version: str
) -> ImageResult:
    """Process an image with this worker's model; it must have the version of the command."""
    _check_version(version)
    # A worker may have several threads, but has one model and the memory for one image.
    with _MODEL.in_use(job.model) as predictor, dask.config.set(scheduler="synchronous"):
        try:
            return process(job, image, open_images, predictor)
        except Exception as error:
            # Readers' own exception classes may not exist where they would be raised again.
            raise RunError(failure_message(error)) from None


def encode_on_worker(
    choice: ModelChoice, image: NDArray[np.uint8], fingerprint: str, version: str
) -> EmbeddingArrays:
    """Encode an image with this worker's model, which must be that of the command."""
    _check_version(version)
    with _MODEL.in_use(choice) as predictor:
        try:
            encoder = predictor()
            if encoder.fingerprint == fingerprint:
                return encoder.encode(image).to_arrays()
        except Exception as error:
            raise RunError(failure_message(error)) from None
    raise RunError(
        f"A worker on {platform.node()} has other weights in {choice.file}: copy the file there."
    )


def _check_version(version: str) -> None:
    if version != __version__:
        has = f"A worker on {platform.node()} has napari-sam-live {__version__}"
        raise RunError(f"{has}: install {version} there.")
