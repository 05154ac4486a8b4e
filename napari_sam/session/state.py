"""The frozen snapshot that a session publishes, with everything that a view shows."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.spec import ModelSpec
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.decoding import Decoding, Refinement
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.embedding.phase import Phase
from napari_sam.session.models.model_choice import ModelChoice, Runtime
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.object_editing import ObjectEditing
from napari_sam.session.prefetch.prefetcher import Prefetcher
from napari_sam.session.prefetch.queue import PrefetchState
from napari_sam.session.prompts.prompts import Prompts


@dataclass(frozen=True)
class SessionState:
    """A snapshot of an `AnnotationSession`.

    Parameters
    ----------
    phase : Phase
        The progress of the current image.
    progress : float
        Share of the embedding that is done, 0 to 1.
    prompts : Prompts
        The prompts of the object in progress.
    candidates : Candidates, optional
        The masks to choose from; None until the object has some.
    chosen : int, optional
        Index of the candidate that would be accepted.
    level : float
        How much larger or smaller than published that candidate is cut, -1 to 1.
    reedited_label_id : int, optional
        The accepted object that is being re-edited; None for a new object.
    reedited_choice : int, optional
        Index of the candidate that a re-edited object was accepted as; None for a new object.
    preview : Candidates, optional
        The masks of a click under the cursor; only while the object has no prompts.
    is_decoding : bool
        Whether masks for newer prompts, or better ones, are on their way.
    is_writing : bool
        Whether a very large object, or many, are being written into the target or undone.
    can_undo, can_redo : bool
        Whether there is a step to undo or redo.
    hint : str
        One sentence on the current state or the next step.
    refining_hint : str
        The same while better masks than the shown ones are on their way, which may take only a
        moment; else empty.
    has_image : bool
        Whether there is an image plane.
    active_model : ModelChoice
        The model in use, perhaps a lighter one than requested.
    spec : ModelSpec
        The sizes of the model in use; expected ones until it is loaded.
    requested_model : ModelChoice
        The user's last choice.
    is_checking : bool
        Whether the requested model is being checked.
    runtime : Runtime, optional
        The device and precision of the model; None until it is loaded.
    devices : tuple of str
        All devices of this computer; empty until they are known.
    tile_px : int, optional
        Longer side of the part of the image that the next click is decoded on; None: all of it, or
        nothing yet.
    thumbnail : (h, w, 3) uint8 ndarray, optional
        The pixels that the model sees, at low resolution; None until the image is embedded.
    prefetch : PrefetchState, optional
        The progress of the slices that were requested to be embedded.
    """

    phase: Phase = Phase.NO_IMAGE
    progress: float = 0.0
    prompts: Prompts = field(default_factory=Prompts)
    candidates: Candidates | None = None
    chosen: int | None = None
    level: float = 0.0
    reedited_label_id: int | None = None
    reedited_choice: int | None = None
    preview: Candidates | None = None
    is_decoding: bool = False
    is_writing: bool = False
    can_undo: bool = False
    can_redo: bool = False
    hint: str = ""
    refining_hint: str = ""
    has_image: bool = False
    active_model: ModelChoice = field(default_factory=ModelChoice)
    spec: ModelSpec = ModelChoice.spec
    requested_model: ModelChoice = field(default_factory=ModelChoice)
    is_checking: bool = False
    runtime: Runtime | None = None
    devices: tuple[str, ...] = ()
    tile_px: int | None = None
    thumbnail: NDArray[np.uint8] | None = field(default=None, compare=False)
    prefetch: PrefetchState | None = None

    @property
    def is_working(self) -> bool:
        """Whether the model is being loaded or the image embedded."""
        return self.phase in (Phase.LOADING, Phase.EMBEDDING)

    @property
    def can_embed(self) -> bool:
        """Whether `embed` would start to embed the image."""
        return self.has_image and self.phase in (Phase.CANCELLED, Phase.FAILED)

    @property
    def has_object_in_progress(self) -> bool:
        """Whether there are prompts, or an object that is re-edited."""
        return not self.prompts.is_empty or self.reedited_label_id is not None or self.can_accept

    @property
    def can_accept(self) -> bool:
        """Whether there is a mask to accept, or one on its way."""
        return self.candidates is not None or self.is_decoding


NO_IMAGE_HINT: Final = "Open or drop an image."
START_HINT: Final = "Choose a tool, then click on an object or drag around it."
SEVERAL_HINT: Final = "Several layers are selected: choose a tool to continue."
EARLY_HINT: Final = "Choose a tool and start clicking; masks appear once the image is embedded."


def hint_for(
    phase: Phase,
    usable: Prompts,
    remarks: tuple[str, ...],
    reedited_label_id: int | None,
    *,
    has_embedding: bool,
    has_masks: bool,
) -> str:
    """Return what to do next; with an embedding, only a better tile can be missing."""
    if phase is Phase.NO_IMAGE:
        return NO_IMAGE_HINT
    if phase is Phase.CANCELLED:
        return "Canceled: press Embed to continue. Your clicks are kept."
    if remarks:
        return " ".join(remarks)
    if phase is not Phase.READY and not (has_embedding or has_masks):
        if usable.is_empty:  # and perhaps there is no layer to click on
            return EARLY_HINT
        return "Masks appear once the image is embedded."
    if usable.is_empty:
        return START_HINT
    if not usable.has_foreground:
        return "Background points only exclude regions: add a foreground point."
    if phase is not Phase.READY and not has_masks:
        return "Masks appear once this part of the image is embedded."
    if reedited_label_id is not None:
        return (
            f"Re-editing object {reedited_label_id}: correct it with more clicks and press "
            "Replace. Clear cancels."
        )
    if usable.box_xyxy is not None:
        return "Accept the mask or correct it with clicks. A box drawn apart accepts it, too."
    return "Accept the shown mask, choose another one, or correct it with more clicks."


def _waiting_hint(decoding: Decoding, *, is_accept_pending: bool) -> str:
    """Return what the object in progress waits for; empty if for nothing."""
    if is_accept_pending:
        return "The object is accepted as soon as its mask is there."
    match decoding.refinement:
        case Refinement.EMBEDDING:
            return "Accept the shown mask, or wait: one in more detail is on its way."
        case Refinement.DECODING:
            return "A mask in more detail is on its way; Accept waits for it."
    return ""


def snapshot_of(
    embedding: CurrentEmbedding,
    decoding: Decoding,
    editing: Editing,
    objects: ObjectEditing,
    prefetch: Prefetcher,
    *,
    is_accept_pending: bool = False,
    is_rejected_last: bool = False,
) -> SessionState:
    """Return the state of a session with these parts."""
    prompts, label_id = decoding.state.prompts, objects.reedited_label_id
    waiting_hint = _waiting_hint(decoding, is_accept_pending=is_accept_pending)
    return SessionState(
        phase=embedding.phase,
        progress=embedding.progress,
        prompts=prompts,
        candidates=decoding.candidates,
        chosen=None if decoding.shown is None else decoding.shown[1],
        level=decoding.state.level,
        reedited_label_id=label_id,
        reedited_choice=decoding.state.reedited_choice,
        preview=decoding.preview.shown,
        is_decoding=decoding.is_pending,
        is_writing=not editing.executor.is_idle,
        can_undo=is_rejected_last or editing.history.last is not None,
        can_redo=editing.history.redoable is not None,
        hint=embedding.note
        or uniform_reason(embedding)
        or _contrast_warning(embedding)
        or (waiting_hint if is_accept_pending else "")
        or hint_for(
            embedding.phase,
            *decoding.usable(prompts),
            label_id,
            has_embedding=embedding.embedded is not None,
            has_masks=decoding.candidates is not None,
        ),
        refining_hint="" if decoding.refinement is None else waiting_hint,
        has_image=embedding.plane is not None,
        active_model=embedding.model.choice,
        spec=embedding.embedder.spec,
        requested_model=embedding.model.requested,
        is_checking=embedding.model.is_checking,
        runtime=embedding.model.runtime,
        devices=embedding.model.devices,
        tile_px=_tile_px(embedding, decoding),
        thumbnail=None if embedding.embedded is None else embedding.embedded.content.thumbnail,
        prefetch=prefetch.state,
    )


def _tile_px(embedding: CurrentEmbedding, decoding: Decoding) -> int | None:
    """Return the side of the tile of the next click; None if it is the whole plane."""
    plane = embedding.plane
    if plane is None or embedding.embedded is None:
        return None
    tiles = (decoding.in_sight, decoding.last_tile or decoding.in_sight)
    tile = decoding.state.tile or min(tiles, key=lambda tile: tile.level)  # see `initial_tile`
    return None if tile.size == plane.shape else tile.side


def uniform_reason(embedding: CurrentEmbedding) -> str:
    """Return why the model sees nothing in the whole plane; "" where that is not so."""
    plane, embedded = embedding.plane, embedding.embedded
    if plane is None or embedded is None:
        return ""
    is_whole = (embedded.tile.height, embedded.tile.width) == plane.shape
    return embedded.content.uniform_reason if is_whole else ""


def _contrast_warning(embedding: CurrentEmbedding) -> str:
    """Return why nearly all of what is shown looks the same to the model; else ""."""
    embedded = embedding.embedded
    return "" if embedded is None else embedded.content.contrast_warning
