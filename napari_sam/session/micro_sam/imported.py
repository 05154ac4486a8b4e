"""Image embeddings imported from micro-sam, in place of computing them."""

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_sam.catalogue.table import MODELS
from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.protocols import MaskDecoder
from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session.background import Background
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.jobs import Job, user_message
from napari_sam.session.micro_sam.embeddings import MicroSamEmbeddings, MicroSamError
from napari_sam.session.micro_sam.verification import is_of_model, open_for
from napari_sam.session.models.model_choice import ModelChoice

_LOGGER = logging.getLogger(__name__)


class ImportPhase(StrEnum):
    """The state of an import."""

    COMPARING = "comparing with the image"
    VERIFYING = "verifying the model"
    IN_USE = "in use"
    OTHER_MODEL = "waiting for another model"
    REFUSED = "refused"


@dataclass(frozen=True)
class ImportState:
    """A snapshot of `ImportedEmbeddings`."""

    phase: ImportPhase
    text: str  # the phase in words, and what to do
    progress: float = 0.0  # share of the check that is done, 0 to 1

    @property
    def is_working(self) -> bool:
        """Whether image or model are still being checked."""
        return self.phase in (ImportPhase.COMPARING, ImportPhase.VERIFYING)


@dataclass(frozen=True, eq=False)
class PlaneEmbeddings:
    """The embeddings of the tiles of a plane, for one model; may be used on any thread."""

    stored: MicroSamEmbeddings  # those of the whole image
    slice_index: int  # the plane within the image
    model: ModelChoice  # the one that they match, or another one of its weights
    # called on any thread when one of them turns out to be damaged
    on_damaged: Callable[[MicroSamError], None]

    @property
    def pyramid(self) -> TilePyramid:
        """The tiles of the plane, of which some are embedded."""
        return self.stored.pyramid

    def key(self, tile: Tile, weights: Hashable) -> str | None:
        """Return what tells the embedding of a tile from all others; None if there is none."""
        if weights != self.model.weights or self._number_of(tile) is None:
            return None
        image = f"{self.stored.path} {self.stored.data_signature}"
        model = f"{self.stored.model_name} {self.stored.model_hash} {self.model.checkpoint}"
        return f"{image} {model} {self.slice_index} {tile}"

    def restored(self, tile: Tile, decoder: MaskDecoder) -> ImageEmbedding | None:
        """Read the embedding of a tile that has a key; None if it is damaged."""
        try:
            stored = self.stored.embedding(self.slice_index, self._number_of(tile) or 0)
        except MicroSamError as error:
            self.on_damaged(error)
            return None
        arrays = {SAM_SPEC.arrays[0].name: stored.image_embedding}
        return decoder.from_arrays(arrays, stored.original_size)

    def _number_of(self, tile: Tile) -> int | None:
        numbers = self.stored.tile_numbers(self.slice_index)
        return next((number for number in numbers if self.stored.tiles[number] == tile), None)


class ImportedEmbeddings:
    """Embeddings that micro-sam stored of an image, used as long as image and model match.

    The match is verified in the background, again for each other model. All methods belong to the
    owner's thread.
    """

    changed = Signal()
    """`state` changed."""
    usable_changed = Signal()
    """`of_plane` returns something else: planes have to be built again."""

    def __init__(
        self, path: Path, image: Any, embedding: CurrentEmbedding, background: Background
    ) -> None:
        self._path, self._image = path, image
        self._embedding, self._notifier = embedding, background.notifier
        self._dispatcher = background.dispatcher
        self._stored: MicroSamEmbeddings | None = None
        self._model: ModelChoice | None = None  # the one that they match
        self._is_damage_reported = False
        self._executor = background.executor("micro-sam")
        self._embedding.model_left.connect(self._on_model_left)
        self.state = ImportState(
            ImportPhase.COMPARING, f"Comparing the image with the embeddings in {path.name} …"
        )
        self._executor.submit(
            lambda job: open_for(path, image, job),
            self._on_matched,
            self._on_refused,
            self._on_progress,
        )

    def close(self) -> None:
        """Stop using them; planes that were built with them keep them."""
        self._embedding.model_left.disconnect(self._on_model_left, missing_ok=True)
        self._executor.close()
        self._stored = self._model = self._image = None

    @property
    def ndim(self) -> int | None:
        """2 for a plane, 3 for a stack; None while they are not in use."""
        return None if self._stored is None or self._model is None else self._stored.ndim

    def of_plane(self, slice_index: int = 0) -> PlaneEmbeddings | None:
        """Return the embeddings for the `ImagePlane` of a slice; None while they do not match."""
        if self._stored is None or self._model is None:
            return None
        return PlaneEmbeddings(self._stored, slice_index, self._model, self._on_damaged)

    # Verification ------------------------------------------------------------------------------

    def _on_matched(self, stored: MicroSamEmbeddings) -> None:
        self._stored = stored
        self._verify_model()

    def _on_model_left(self) -> None:
        still_matches = (
            self._model is not None and self._embedding.model.choice.weights == self._model.weights
        )
        if self._stored is not None and not still_matches:
            self._executor.cancel()
            self._verify_model()

    def _verify_model(self) -> None:
        stored, image, embedder = self._stored, self._image, self._embedding.embedder
        if stored is None:
            return
        self._use(None)
        choice = embedder.choice
        text = f"Verifying that {choice.name} computed the embeddings in {self._path.name} …"
        self._show(ImportState(ImportPhase.VERIFYING, text))

        def work(job: Job) -> bool:
            return is_of_model(stored, image, choice, embedder.load(), job)

        self._executor.submit(
            work,
            lambda matches: self._on_verified(choice, matches),
            lambda error: self._on_not_verified(choice, error),
            self._on_progress,
        )

    def _on_verified(self, choice: ModelChoice, matches: bool) -> None:
        stored = self._stored
        if stored is None:
            return
        if not matches:
            name = _catalogue_name(stored.model_name)
            self._wait(
                f"Embeddings of {name}, not of {choice.name}: choose {name} under Model, or open "
                "the checkpoint that computed them. Until then, the image is embedded here: "
                f"{self._path}"
            )
            return
        count = f"{stored.slice_count} slices" if stored.ndim == 3 else "the image"
        tiles = f" in {len(stored.tiles)} tiles" if len(stored.tiles) > 1 else ""
        text = f"embeddings of {count}{tiles}, {stored.model_name}, from {self._path.name}"
        self._show(ImportState(ImportPhase.IN_USE, text))
        self._use(choice)

    def _on_not_verified(self, choice: ModelChoice, error: BaseException) -> None:
        if isinstance(error, MicroSamError):
            self._on_refused(error)
        else:
            problem = f"Could not verify the model of the embeddings in {self._path.name}"
            self._wait(user_message(error, problem, "choose a smaller model"))

    def _wait(self, text: str) -> None:
        self._show(ImportState(ImportPhase.OTHER_MODEL, text))
        self._notifier.warn(text)

    def _on_refused(self, error: BaseException) -> None:
        text = str(error)
        if not isinstance(error, MicroSamError):
            text = user_message(
                error, f"Could not compare the embeddings in {self._path.name} with the image"
            )
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

    def _on_damaged(self, error: MicroSamError) -> None:
        """Report, on any thread, that an embedding cannot be used."""
        _LOGGER.info("Damaged embedding in %s: %s", self._path, error.reason)
        self._dispatcher.post(lambda: self._report_damage(error))

    def _report_damage(self, error: MicroSamError) -> None:
        if not self._is_damage_reported:  # the first of many tiles is enough
            self._is_damage_reported = True
            self._notifier.warn(
                "Damaged embeddings: these tiles are embedded here instead. micro-sam can compute "
                f"them again ({error.reason}: {self._path})."
            )


def _catalogue_name(micro_sam_name: str) -> str:
    """Return the catalogue's name of a model of micro-sam; its own name if it is not listed."""
    listed = (model for model in MODELS if micro_sam_name in (model.micro_sam_name, model.name))
    return next((model.name for model in listed), micro_sam_name)
