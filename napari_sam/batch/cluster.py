"""Generate masks on an existing dask cluster: one model per worker, results written by workers.

Needs the extra ``distributed``. All workers have to see the folders of images and results under
the same paths.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import dask
from distributed import Client, WorkerPlugin, as_completed, get_worker

from napari_sam.batch.images import ImageFile
from napari_sam.batch.job import BatchJob, ImageResult
from napari_sam.batch.manifest import RunError
from napari_sam.batch.open_images import ImageOpener
from napari_sam.batch.run import failure_message, process
from napari_sam.session.models.model_choice import ModelChoice, find_runtime, load_predictor

if TYPE_CHECKING:
    from napari_sam.model import Predictor

_TIMEOUT_S: Final = 20
_RETRIES: Final = 2
"""How many more times an image is tried; also how often workers may die of it."""


class WorkerModel(WorkerPlugin):
    """Keeps a model on a worker, loaded on first use."""

    idempotent = True

    def __init__(self, choice: ModelChoice) -> None:
        self._choice = choice
        self.name = f"napari-sam-{uuid4()}"

    def setup(self, worker: Any) -> None:
        """Start on a worker."""
        self.lock = threading.Lock()

    @cached_property
    def predictor(self) -> Predictor:
        """The model; who asks for it holds the lock."""
        return load_predictor(self._choice, find_runtime(self._choice))


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
    try:
        client = Client(address, timeout=_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        msg = f"There is no scheduler at {address} ({error}): check the address that it prints."
        raise RunError(msg) from error
    with client:
        if not client.scheduler_info()["workers"]:
            say("The cluster has no workers yet: waiting for them.")
        plugin = WorkerModel(job.model)
        client.register_plugin(plugin)
        try:
            yield from _results(client, plugin.name, job, images, open_images)
        finally:
            with suppress(OSError, TimeoutError):  # the cluster may be gone
                client.unregister_worker_plugin(plugin.name)


def _results(
    client: Client,
    plugin: str,
    job: BatchJob,
    images: Sequence[ImageFile],
    open_images: ImageOpener,
) -> Iterator[ImageResult]:
    image_of = {
        client.submit(
            _process_on_worker, job, image, open_images, plugin, retries=_RETRIES, pure=False
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


def _process_on_worker(
    job: BatchJob, image: ImageFile, open_images: ImageOpener, plugin: str
) -> ImageResult:
    model = get_worker().plugins[plugin]
    # A worker may have several threads, but has one model and the memory for one image.
    with model.lock, dask.config.set(scheduler="synchronous"):
        try:
            return process(job, image, open_images, lambda: model.predictor)
        except Exception as error:
            # Readers' own exception classes may not exist where they would be raised again.
            raise RunError(failure_message(error)) from None
