"""Automatic masks in the background: the run, its masks, and those that are offered."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.session.automatic.likeness import Examples, Likeness, joined
from napari_sam.session.automatic.linked import SliceChoice, SliceLinker
from napari_sam.session.automatic.masks import MaskKey, choose_masks
from napari_sam.session.automatic.picture import AutomaticPicture, Painter, step_for
from napari_sam.session.automatic.request import (
    AutomaticRequest,
    RequestLimits,
    TileMasks,
    generate_tile_masks,
)
from napari_sam.session.automatic.rest import generate_rest
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.automatic.similarity import SimilarityLimits
from napari_sam.session.background import Background
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import TilePyramid
from napari_sam.session.jobs import Job, user_message
from napari_sam.storage.text import duration

_REST: Final = 4
"""In a run through slices: how much longer than a choice it takes until the next one."""


@dataclass(frozen=True)
class AutomaticState:
    """A snapshot of a run."""

    is_running: bool = False
    tile: int = 1  # the number of the current tile, from 1
    tile_count: int = 1
    fraction: float = 0.0  # share that is done, 0 to 1
    left_s: float | None = None  # estimated remaining time
    slice_number: int = 1  # the number of the current slice, from 1
    slice_count: int = 1

    @property
    def summary(self) -> str:
        """The progress in words."""
        text = f"{self.fraction:.0%}"
        if self.slice_count > 1:
            text += f", slice {self.slice_number} of {self.slice_count}"
        if self.tile_count > 1:
            text += f", tile {self.tile} of {self.tile_count}"
        return text if self.left_s is None else f"{text}, {duration(self.left_s)} left"


@dataclass(eq=False)
class _Run:
    """The masks of a request so far."""

    request: AutomaticRequest
    tiles: dict[int, TileMasks] = field(default_factory=dict)  # slice after slice
    limits: dict[int, SimilarityLimits | None] = field(default_factory=dict)  # of each slice
    offered_count: int = 0  # how many masks were on offer last
    canceled_at: str = ""  # how far it came then

    def __post_init__(self) -> None:
        shape = self.request.plane.shape
        self._choice = SliceChoice(self.request)
        self._linker = SliceLinker(shape, step_for(shape, self.request.n_slices))

    @property
    def likenesses(self) -> dict[int, Likeness]:
        """What compares the masks of each slice with examples, if that is done."""
        return {
            position: limits.likeness
            for position, limits in self.limits.items()
            if limits is not None and limits.likeness is not None
        }

    def decide(self, accepted: Collection[MaskKey], rejected: Collection[MaskKey]) -> None:
        """Count what the user decided about masks for and against their kind."""
        slices = self.request.slices
        for position, likeness in self.likenesses.items():
            if slices is None:
                likeness.decide(accepted, rejected)
            else:  # where keys begin with the slice
                index = slices.indices[position]
                likeness.decide(
                    *([key[1:] for key in keys if key[0] == index] for keys in (accepted, rejected))
                )

    def painted(
        self,
        tiles: dict[int, TileMasks],
        painter: Painter,
        pyramid: TilePyramid,
        settings: AutomaticRunSettings,
        excluded: Collection[MaskKey],
    ) -> AutomaticPicture:
        """Choose among the masks of tiles, and paint them; for the thread that does so."""
        request, limits, searched = self.request, dict(self.limits), None
        if request.slices is None:
            masks = choose_masks(
                *([tiles[n] for n in sorted(tiles)], pyramid, settings, limits.get(0)),
                *(request.target, excluded),
            )
            objects = [mask for mask in masks if not mask.is_background(pyramid.shape)]
            picture, background_count = painter.paint(objects), len(masks) - len(objects)
        else:
            slices = self._choice.choose(tiles, pyramid, settings, limits)
            n_slices = max(tiles, default=-1) // len(request.tiles) + 1
            links = settings.links
            if self.canceled_at:  # the last slice may be in part, and no others follow
                least = min(links.min_slices, max(1, n_slices - 1))
                links = replace(links, min_slices=least)
            picture = painter.paint(self._linker.link(slices, links, excluded))
            background_count = self._choice.background_count
            searched = request.slices.indices[:n_slices]
        return replace(picture, background_count=background_count, searched=searched)


class AutomaticMaskGenerator:
    """Runs one request at a time, and chooses among its masks as often as asked.

    It works on two threads of its own; the one that decodes rests while an image is embedded or
    a click decoded. All methods belong to the owner's thread.
    """

    changed = Signal(AutomaticState)
    """The progress."""
    picture_changed = Signal()
    """`picture` changed."""
    run_changed = Signal()
    """`request` changed: the masks on offer are those of another run, or of none."""
    edges_detected = Signal(object, object)
    """The `AutomaticRequest`, and the edges as (h, w) float32 ndarray."""

    def __init__(self, embedding: CurrentEmbedding, background: Background) -> None:
        self._embedding, self._background = embedding, background
        self._notifier = background.notifier
        self._run_executor = background.executor("automatic")
        self._choice_executor = background.executor("automatic-choose")
        self._run: _Run | None = None
        self._previous: _Run | None = None
        self._submitted: AutomaticRequest | None = None  # last, perhaps for edges only
        self._painter: tuple[ImagePlane, Painter] | None = None
        self._excluded: frozenset[MaskKey] = frozenset()
        self._decided: tuple[frozenset[MaskKey], frozenset[MaskKey]] = frozenset(), frozenset()
        self._start_s = self._next_choice_s = 0.0
        self._is_behind = False  # slices have been finished since masks were chosen last
        self.settings = AutomaticRunSettings()
        """By which masks are chosen."""
        self.state = AutomaticState()
        """The progress."""
        self.canceled_at = ""
        """How far the run of the masks on offer came, if it was canceled; else empty."""
        self.picture: AutomaticPicture | None = None
        """The masks on offer."""

    @property
    def request(self) -> AutomaticRequest | None:
        """The request of the masks on offer."""
        return None if self._run is None else self._run.request

    @property
    def examples(self) -> Examples:
        """What the masks on offer are compared with; nothing unless they are ranked by that."""
        return joined([] if self._run is None else list(self._run.likenesses.values()))

    # The run -------------------------------------------------------------------------------

    def start(self, request: AutomaticRequest) -> None:
        """Generate masks, in place of those of the last run; an object keeps its color."""
        self.settings = request.settings
        self._offer(_Run(request))
        self._submit(request)

    def start_edges(self, request: AutomaticRequest) -> None:
        """Generate masks for edges only; the masks on offer stay."""
        self.cancel()
        self._submit(request)

    def _submit(self, request: AutomaticRequest) -> None:
        self._submitted, self._start_s = request, time.monotonic()
        tile_count, slice_count = len(request.tiles), request.n_slices
        self._set_state(AutomaticState(True, 1, tile_count, slice_count=slice_count))
        embedder = self._embedding.embedder
        self._run_executor.submit(
            lambda job: self._generate(request, embedder, job),
            lambda edges: self._on_done(request, edges),
            self._on_failed,
            lambda news: self._on_masks(request, *news),
        )

    def cancel(self) -> None:
        """Stop the run; the masks found so far are kept."""
        if self.state.is_running:
            if self._run is not None and self._run.request is self._submitted:
                self.canceled_at = replace(self.state, left_s=None).summary
                self._run.canceled_at = self.canceled_at
                self._is_behind |= bool(self._run.tiles)  # of a slice that is not finished
            self._run_executor.cancel()
            self._end()

    def leave_model(self) -> None:
        """Stop the run, because another model is in use."""
        if self.state.is_running:
            self.cancel()
            self._notifier.warn(
                "Automatic run stopped: another model is in use. The masks so far are kept."
            )

    def discard(self) -> None:
        """Stop the run and offer its masks no longer; `restore` offers them again."""
        self._offer(None)

    @property
    def restorable_count(self) -> int:
        """How many masks `restore` offers again, about."""
        return 0 if self._previous is None else self._previous.offered_count

    @property
    def restorable_request(self) -> AutomaticRequest | None:
        """The request of the masks that `restore` offers again."""
        return None if self._previous is None else self._previous.request

    def restore(self) -> None:
        """Offer what was discarded or replaced last; the masks on offer now take its place."""
        run, self._previous = self._previous, None
        if run is not None:
            self._offer(run)
            self._choose()

    def forget_previous(self) -> None:
        """Drop what could be restored."""
        self._previous = None

    def _offer(self, run: _Run | None) -> None:
        """Stop the run, and offer the masks of another one."""
        self._run_executor.cancel()
        self._choice_executor.cancel()
        if self._run is not None and self._run.offered_count:
            self._previous = self._run
        self._run, self._excluded, self._decided = run, frozenset(), (frozenset(), frozenset())
        self.canceled_at = "" if run is None else run.canceled_at
        self._next_choice_s, self._is_behind = 0.0, False
        if run is not None:
            self._take_painter(run.request)
        self._set_state(AutomaticState())
        self._show(None)
        self.run_changed.emit()

    def _take_painter(self, request: AutomaticRequest) -> None:
        """Take one for a request; the last one, which knows the colors, if that fits."""
        plane, indices = request.plane, None if request.slices is None else request.slices.indices
        last_plane, painter = self._painter or (None, None)
        if painter is None or last_plane is not plane or painter.slices != indices:
            self._painter = plane, Painter(plane.shape, indices)

    def _generate(
        self, request: AutomaticRequest, embedder: Embedder, job: Job
    ) -> NDArray[np.float32] | None:
        """Generate masks, on the run's thread; return edges if they were asked for."""
        rest = partial(self._background.yield_to_foreground, job)
        limits = RequestLimits(request, embedder, rest)
        last: TileMasks | None = None

        def on_masks(number: int, share: float, masks: TileMasks | None) -> None:
            nonlocal last
            last = masks
            job.report((number, share, masks, limits.at(number // len(request.tiles))))

        generate = generate_rest if request.is_rest else generate_tile_masks
        generate(request, embedder, rest, on_masks)
        if not request.keep_logits or last is None or last.mask_set is None:
            return None
        from napari_sam.model.automatic.by_products import detect_edges

        return detect_edges(last.mask_set)

    def _on_masks(
        self,
        request: AutomaticRequest,
        number: int,
        share: float,
        masks: TileMasks | None,
        limits: SimilarityLimits | None,
    ) -> None:
        run = self._run if request is self.request else None
        tile_count, slice_count = len(request.tiles), request.n_slices
        position, tile_index = divmod(number, tile_count)
        if run is not None and masks is not None:
            run.tiles[number], run.limits[position] = masks, limits
        fraction = (number + share) / (tile_count * slice_count)
        left_s = (time.monotonic() - self._start_s) * (1 / fraction - 1)
        of_tile = tile_index + 1, tile_count, fraction, left_s
        self._set_state(AutomaticState(True, *of_tile, position + 1, slice_count))
        # Objects of several slices grow slice by slice; the more there are, the longer it takes.
        is_due = request.slices is None or share == 1
        if run is not None and masks is not None and is_due:
            self._is_behind = True
            if request.slices is None or time.monotonic() >= self._next_choice_s:
                self._choose()

    def _on_done(self, request: AutomaticRequest, edges: NDArray[np.float32] | None) -> None:
        self._end()
        if edges is not None:
            self.edges_detected.emit(request, edges)

    def _on_failed(self, error: BaseException) -> None:
        self._end()
        self._notifier.warn(
            user_message(error, "The automatic run failed", "lower points_per_batch")
        )

    def _end(self) -> None:
        self._set_state(replace(self.state, is_running=False, left_s=None))
        if self._is_behind:
            self._choose()

    def _set_state(self, state: AutomaticState) -> None:
        self.state = state
        self.changed.emit(state)

    # The masks on offer --------------------------------------------------------------------

    def refine(self, settings: AutomaticRunSettings) -> None:
        """Choose among the masks by other settings; decodes nothing."""
        self.settings = settings
        self._choose()

    def exclude(
        self,
        keys: Iterable[MaskKey],
        accepted: Collection[MaskKey] = (),
        rejected: Collection[MaskKey] = (),
    ) -> None:
        """Offer all masks but these, of which some were accepted and some rejected."""
        excluded, decided = frozenset(keys), (frozenset(accepted), frozenset(rejected))
        if (excluded, decided) != (self._excluded, self._decided):
            if self._run is not None:
                self._run.decide(*decided)
            self._excluded, self._decided = excluded, decided
            self._choose()

    def _choose(self) -> None:
        run = self._run
        if run is None or self._painter is None:
            return
        pyramid = TilePyramid(run.request.plane.shape, self._embedding.embedder.spec)
        about = dict(run.tiles), self._painter[1], pyramid, self.settings, self._excluded
        start_s, self._is_behind = time.monotonic(), False

        def show(picture: AutomaticPicture) -> None:
            now_s = time.monotonic()
            self._next_choice_s = now_s + _REST * (now_s - start_s)
            self._show(picture)

        self._choice_executor.submit(lambda _: run.painted(*about), show, self._on_not_chosen)

    def _show(self, picture: AutomaticPicture | None) -> None:
        self.picture = picture
        if picture is not None and self._run is not None:
            self._run.offered_count = len(picture.masks)
        self.picture_changed.emit()

    def _on_not_chosen(self, error: BaseException) -> None:
        self._notifier.warn(user_message(error, "The automatic masks could not be filtered"))
