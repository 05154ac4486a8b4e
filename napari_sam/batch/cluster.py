"""The same work on a dask cluster that exists: one model per worker, results written by workers.

Needs the extra ``distributed``. The folders of images and results have to be the same for all
workers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import click
import dask
from distributed import Client, WorkerPlugin, as_completed, get_worker

from napari_sam.batch.images import ImageFile
from napari_sam.batch.records import RunError
from napari_sam.batch.run import process, user_message
from napari_sam.batch.task import ImageResult, Task
from napari_sam.cli.exit_codes import find_readers
from napari_sam.session.models.model_choice import ModelChoice, find_runtime, load_predictor

if TYPE_CHECKING:
    from napari_sam.model import Predictor

_TIMEOUT_S: Final = 20
_RETRIES: Final = 2
"""How many more times an image is tried; also how often workers may die of it."""


class ModelOfWorker(WorkerPlugin):
    """Keeps a model on a worker, loaded when it is needed first."""

    idempotent = True

    def __init__(self, choice: ModelChoice) -> None:
        self._choice = choice
        self.name = f"napari-sam-{uuid4()}"

    def setup(self, worker: Any) -> None:
        """Begin on a worker."""
        self.lock = threading.Lock()
        self._predictor: Predictor | None = None
        find_readers()

    def predictor(self) -> Predictor:
        """Return the model; the caller holds the lock."""
        if self._predictor is None:
            self._predictor = load_predictor(self._choice, find_runtime(self._choice))
        return self._predictor


def run_on_cluster(address: str, task: Task, images: Sequence[ImageFile]) -> Iterator[ImageResult]:
    """Do the images on the workers of a cluster, in the order in which they get done.

    An image that fails is tried again, on whatever worker; one that a worker died of, too.
    """
    try:
        client = Client(address, timeout=_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        msg = f"There is no scheduler at {address} ({error}): see the address that it prints."
        raise RunError(msg) from error
    with client:
        if not client.scheduler_info()["workers"]:
            click.echo("The cluster has no workers yet: waiting for them.", err=True)
        plugin = ModelOfWorker(task.model)
        client.register_plugin(plugin)
        try:
            yield from _outcomes(client, plugin.name, task, images)
        finally:
            with suppress(OSError, TimeoutError):  # the cluster may be gone
                client.unregister_worker_plugin(plugin.name)


def _outcomes(
    client: Client, plugin: str, task: Task, images: Sequence[ImageFile]
) -> Iterator[ImageResult]:
    image_of = {
        client.submit(_work, task, image, plugin, retries=_RETRIES, pure=False): image
        for image in images
    }
    try:
        for future in as_completed(list(image_of), loop=client.loop, raise_errors=False):
            image = image_of.pop(future)
            if future.status == "finished":
                yield future.result()
            else:
                yield ImageResult(image.path, "failed", error=_reason(future))
    finally:
        client.cancel(list(image_of))


def _reason(future: Any) -> str:
    if future.status == "cancelled":
        return "The cluster has lost it: give the command again."
    return user_message(future.exception())


def _work(task: Task, image: ImageFile, plugin: str) -> ImageResult:
    model = get_worker().plugins[plugin]
    # A worker may have several threads, but has one model and the memory for one image.
    with model.lock, dask.config.set(scheduler="synchronous"):
        try:
            return process(task, image, model.predictor)
        except Exception as error:
            # Readers' own errors may not be known where they would be raised again.
            raise RunError(user_message(error)) from None
