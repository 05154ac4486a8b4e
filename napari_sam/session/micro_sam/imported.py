"""Image embeddings that a user brings along, in place of those that would be computed here."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any
from weakref import WeakSet

from psygnal import Signal

from napari_sam.catalogue import MODELS
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.jobs import Dispatcher, Job, LatestWinsExecutor, user_message
from napari_sam.session.micro_sam.embeddings import MicroSamEmbeddings, MicroSamError
from napari_sam.session.micro_sam.plane_embeddings import PlaneEmbeddings
from napari_sam.session.micro_sam.verification import is_of_model, open_for
from napari_sam.session.models.model_choice import ModelChoice
from napari_sam.session.notifier import Notifier

_LOGGER = logging.getLogger(__name__)


class ImportPhase(StrEnum):
    """How far it is with embeddings that somebody brings along."""

    COMPARING = "comparing with the image"
    TRYING = "trying the model"
    IN_USE = "in use"
    OTHER_MODEL = "waiting for another model"
    REFUSED = "refused"


@dataclass(frozen=True)
class ImportState:
    """A snapshot of `ImportedEmbeddings`."""

    phase: ImportPhase  # how far it is
    text: str  # the same in words, and what to do
    progress: float = 0.0  # share of what is under way that is done, 0 to 1

    @property
    def is_working(self) -> bool:
        """Whether it is being found out if they can be used."""
        return self.phase in (ImportPhase.COMPARING, ImportPhase.TRYING)


class ImportedEmbeddings:
    """Embeddings that micro-sam has stored of an image, used as long as image and model fit.

    They are found out to fit in the background; with each other model, again. All methods belong
    to the owner's thread.
    """

    changed = Signal()
    """`state` is another."""
    usable_changed = Signal()
    """`of_plane` gives something else: planes are to be made again."""

    def __init__(
        self,
        path: Path,
        image: Any,
        embedding: CurrentEmbedding,
        dispatcher: Dispatcher,
        notifier: Notifier,
    ) -> None:
        self._notifier = notifier
        self._path, self._image = path, image
        self._embedding, self._dispatcher = embedding, dispatcher
        self._stored: MicroSamEmbeddings | None = None
        self._model: ModelChoice | None = None  # the one that they fit
        self._is_damage_told = False
        self._lane = LatestWinsExecutor("napari-sam-micro-sam", dispatcher)
        self._embedding.model_left.connect(self._on_model_left)
        self.state = ImportState(
            ImportPhase.COMPARING, f"Comparing the image with the embeddings in {path.name} …"
        )
        self._lane.submit(
            lambda job: open_for(path, image, job),
            self._on_matched,
            self._on_refused,
            self._on_progress,
        )

    @property
    def is_idle(self) -> bool:
        """Whether no job is pending."""
        return self._lane.is_idle

    def close(self) -> None:
        """Give them up; planes that were made with them keep them."""
        self._embedding.model_left.disconnect(self._on_model_left, missing_ok=True)
        self._lane.close()
        self._stored = self._model = self._image = None

    @property
    def ndim(self) -> int | None:
        """2 if they are of a plane, 3 of a stack; None as long as they are not in use."""
        return None if self._stored is None or self._model is None else self._stored.ndim

    def of_plane(self, slice_index: int = 0) -> PlaneEmbeddings | None:
        """Return what is to go into the `ImagePlane` of a slice; None while they do not fit."""
        if self._stored is None or self._model is None:
            return None
        return PlaneEmbeddings(self._stored, slice_index, self._model, self._hear_of_damage)

    # Whether they fit --------------------------------------------------------------------------

    def _on_matched(self, stored: MicroSamEmbeddings) -> None:
        self._stored = stored
        self._try_model()

    def _on_model_left(self) -> None:
        fits_still = (
            self._model is not None and self._embedding.model.choice.weights == self._model.weights
        )
        if self._stored is not None and not fits_still:
            self._lane.cancel()
            self._try_model()

    def _try_model(self) -> None:
        stored, image, embedder = self._stored, self._image, self._embedding.embedder
        if stored is None:
            return
        self._use(None)
        choice = embedder.choice
        text = f"Trying whether {choice.name} made the embeddings in {self._path.name} …"
        self._show(ImportState(ImportPhase.TRYING, text))

        def work(job: Job) -> bool:
            return is_of_model(stored, image, choice, embedder.load(), job)

        self._lane.submit(
            work,
            lambda fits: self._on_tried(choice, fits),
            lambda error: self._on_not_tried(choice, error),
            self._on_progress,
        )

    def _on_tried(self, choice: ModelChoice, fits: bool) -> None:
        stored = self._stored
        if stored is None:
            return
        if not fits:
            name = _name_here(stored.model_name)
            self._wait(
                f"The embeddings in {self._path} are of the model {name}, not of {choice.name}: to "
                f"use them, choose {name} under Model, or open the checkpoint that they were made "
                "with. Until then, the image is embedded here."
            )
            return
        count = f"{stored.slice_count} slices" if stored.ndim == 3 else "the image"
        tiles = f" in {len(stored.tiles)} tiles" if len(stored.tiles) > 1 else ""
        text = f"embeddings of {count}{tiles}, {stored.model_name}, from {self._path.name}"
        self._show(ImportState(ImportPhase.IN_USE, text))
        self._use(choice)

    def _on_not_tried(self, choice: ModelChoice, error: BaseException) -> None:
        if isinstance(error, MicroSamError):
            self._on_refused(error)
        else:
            what = f"It is unknown whether {choice.name} made the embeddings in {self._path}"
            self._wait(user_message(error, what, "choose a smaller model"))

    def _wait(self, text: str) -> None:
        self._show(ImportState(ImportPhase.OTHER_MODEL, text))
        self._notifier.warn(text)

    def _on_refused(self, error: BaseException) -> None:
        text = str(error)
        if not isinstance(error, MicroSamError):
            text = user_message(error, f"The embeddings in {self._path} could not be compared")
        self._stored = None
        self._show(ImportState(ImportPhase.REFUSED, text))
        self._notifier.warn(text)

    def _on_progress(self, fraction: float) -> None:
        self._show(replace(self.state, progress=fraction))

    def _show(self, state: ImportState) -> None:
        self.state = state
        self.changed.emit()

    def _use(self, model: ModelChoice | None) -> None:
        before, self._model = self._model, model
        if before != model:
            self.usable_changed.emit()

    # Damage ------------------------------------------------------------------------------------

    def _hear_of_damage(self, error: MicroSamError) -> None:
        """Be told, on whatever thread, that an embedding cannot be used."""
        _LOGGER.info("Damaged embedding in %s: %s", self._path, error.reason)
        self._dispatcher.post(lambda: self._tell_damage(error))

    def _tell_damage(self, error: MicroSamError) -> None:
        if not self._is_damage_told:  # of many tiles, the first says enough
            self._is_damage_told = True
            self._notifier.warn(
                f"Of the embeddings in {self._path}, {error.reason}: what is damaged is embedded "
                "here instead, and the rest used as it is. micro-sam can compute them again."
            )


def _name_here(micro_sam_name: str) -> str:
    """Return what a model of micro-sam is called in our list; its own name if it is not there."""
    known = (each for each in MODELS if micro_sam_name in (each.micro_sam_name, each.name))
    return next((each.name for each in known), micro_sam_name)


class EmbeddingImports:
    """All that a user brings along for a session."""

    def __init__(
        self, embedding: CurrentEmbedding, dispatcher: Dispatcher, notifier: Notifier
    ) -> None:
        self._embedding, self._dispatcher, self._notifier = embedding, dispatcher, notifier
        self._all: WeakSet[ImportedEmbeddings] = WeakSet()

    @property
    def is_idle(self) -> bool:
        """Whether no job is pending."""
        return all(one.is_idle for one in self._all)

    def close(self) -> None:
        """Give all of it up."""
        for brought in self._all:
            brought.close()

    def import_embeddings(self, path: Path, image: Any) -> ImportedEmbeddings:
        """Have embeddings that micro-sam has stored of an image used in place of computing them."""
        brought = ImportedEmbeddings(path, image, self._embedding, self._dispatcher, self._notifier)
        self._all.add(brought)
        return brought
