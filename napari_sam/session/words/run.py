"""The search for words in the background, and what it has found on the plane."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from psygnal import Signal

from napari_sam.engine.detection import Detection
from napari_sam.session.background import Background
from napari_sam.session.batch_prompts.decode import BatchPrompt
from napari_sam.session.embedding.active_model import ActiveModel
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Box, Tile, clipped_box
from napari_sam.session.jobs import Job, user_message
from napari_sam.session.models.model_choice import ModelChoice, find_runtime
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import counted
from napari_sam.session.plane_request import PlaneRequest
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.words.prompts import box_for_click
from napari_sam.session.words.search import at_least, search

if TYPE_CHECKING:
    from napari_sam.engine.detection import Detector

_MAX_FOUND: Final = 1000
"""More boxes than that would be slow to draw and of little use to look at."""
_ROUNDING: Final = 3
"""Decimals in which the box of a detection is recognized."""


@dataclass(frozen=True)
class WordsState:
    """The progress of a search."""

    done: int = 0  # tiles
    total: int = 0  # 0 while the detector is loaded
    is_stopping: bool = False  # whether it ends as soon as possible


class DetectorPlace(NamedTuple):
    """Where a detector comes from; see `load_detector`."""

    source: str
    revision: str | None = None


class _Progress(NamedTuple):
    place: DetectorPlace
    done: int
    total: int
    found: tuple[Detection, ...]
    default_threshold: float


class _Stopped(Exception):  # noqa: N818 - it is an order that was followed, not an error
    """Raised inside a search that is to end with what was found so far."""


class WordSearch:
    """Finds what words name in the part of the plane that is in sight.

    It rests while the object in progress needs the model. All methods belong to the owner's thread.
    """

    changed = Signal()
    """`state` changed."""
    found = Signal()
    """The detections or the threshold changed."""
    finished = Signal(str)
    """A search is over; with a summary."""

    def __init__(
        self, model: ActiveModel, background: Background, request: Callable[[], PlaneRequest]
    ) -> None:
        self._model, self._background, self._request = model, background, request
        self._executor = background.executor("words")
        self._stop = threading.Event()
        self._loaded: tuple[DetectorPlace, str, Detector] | None = None
        self._searched = PlaneRequest()  # where
        self._place: DetectorPlace | None = None  # of the detector that was used last
        self._all: tuple[Detection, ...] = ()
        self.words: tuple[str, ...] = ()
        """What was searched for last."""
        self.threshold = 0.0
        """Detections with lower scores are not shown."""
        self.state: WordsState | None = None
        """The progress; None without a search."""

    @property
    def detections(self) -> list[Detection]:
        """What the words name, from the threshold on; the surest first."""
        return at_least(self._all, self.threshold)

    def start(self, words: Sequence[str], place: DetectorPlace) -> None:
        """Search what is in sight, in the background; `finished` or a warning reports the end.

        Earlier detections are forgotten.

        Raises
        ------
        TargetError
            If there is no image, no word, or a search already.
        DetectorError
            If a package is missing.
        """
        from napari_sam.detectors import require_transformers

        request = self._request()
        if self.state is not None:
            raise TargetError("A search is already running: stop it first, or wait.")
        if request.plane is None:
            raise TargetError(request.refusal or "There is nothing to search: choose an image.")
        if not words:
            raise TargetError("There are no words: type what to find, such as coin, ring.")
        require_transformers()
        self._stop.clear()
        self.discard()
        self.words, self._searched = tuple(words), request
        region, choice = _in_sight(request.plane, request.view), self._model.embedder.choice
        work = partial(self._work, place, request.plane, region, self.words, choice)
        self._executor.submit(work, self._on_done, self._on_failed, self._on_progress)
        self._show(WordsState())

    def stop(self) -> None:
        """End soon, and keep what was found by then."""
        if self.state is not None:
            self._stop.set()
            self._show(replace(self.state, is_stopping=True))

    def set_threshold(self, threshold: float) -> None:
        """Show the detections with this score or more; nothing is computed again."""
        if threshold != self.threshold:
            self.threshold = threshold
            self.found.emit()

    def discard(self) -> None:
        """Forget what was found."""
        if self._all:
            self._all = ()
            self.found.emit()

    def joined(self, prompts: Prompts) -> Prompts:
        """Return a first click with the box of the surest detection that holds it, if any does."""
        if not self._all or not self._request().is_same_plane(self._searched):
            return prompts
        return box_for_click(self.detections, prompts)

    def with_regions(self, prompts: Sequence[BatchPrompt]) -> list[BatchPrompt]:
        """Return prompts, those of the boxes of detections with their regions."""
        regions = {_rounded(one.box_xyxy): one.region for one in self._all}
        return [
            replace(prompt, region=regions.get(_rounded(prompt.prompts.box_xyxy), prompt.region))
            for prompt in prompts
        ]

    # In the background -------------------------------------------------------------------------

    def _work(
        self,
        place: DetectorPlace,
        plane: ImagePlane,
        region: Tile,
        words: tuple[str, ...],
        choice: ModelChoice,
        job: Job,
    ) -> _Progress:
        detector = self._detector(place, choice)
        newest = _Progress(place, 0, 0, (), detector.default_threshold)

        def check() -> None:
            self._background.yield_to_foreground(job, self._stop.is_set)
            if self._stop.is_set():
                raise _Stopped

        def report(done: int, total: int, found: Sequence[Detection]) -> bool:
            nonlocal newest
            newest = _Progress(place, done, total, tuple(found), detector.default_threshold)
            job.report(newest)
            return not self._stop.is_set()

        with suppress(_Stopped):
            search(detector, plane, words, region=region, report=report, check=check)
        return newest

    def _detector(self, place: DetectorPlace, choice: ModelChoice) -> Detector:
        """Return a detector, loaded unless it was used last."""
        from napari_sam.detectors import load_detector

        device = find_runtime(choice).device
        if self._loaded is None or self._loaded[:2] != (place, device):
            self._loaded = None  # before the next one takes memory
            self._loaded = place, device, load_detector(*place, device=device)
        return self._loaded[2]

    # Back --------------------------------------------------------------------------------------

    def _on_progress(self, progress: _Progress) -> None:
        self._all = progress.found[:_MAX_FOUND]  # the surest
        if self._place != progress.place:
            self._place, self.threshold = progress.place, progress.default_threshold
        if self.state is not None:
            self._show(replace(self.state, done=progress.done, total=progress.total))
        self.found.emit()

    def _on_done(self, progress: _Progress) -> None:
        self._on_progress(progress)
        self._show(None)
        count, words = len(self.detections), ", ".join(self.words)
        text = f"{counted(count)} found for {words}: check the boxes, then press Segment."
        if count == _MAX_FOUND:
            text += " There may be more: search smaller parts of the image."
        if not count:
            text = f"Nothing found for {words}: lower the least score, or use other words."
        self.finished.emit(text)

    def _on_failed(self, error: BaseException) -> None:
        self._show(None)
        self._background.notifier.warn(user_message(error, "The search for words failed"))

    def _show(self, state: WordsState | None) -> None:
        self.state = state
        self.changed.emit()


def _in_sight(plane: ImagePlane, view: Box | None) -> Tile:
    """Return the part of a plane in a view; all of it where that is nothing."""
    if view is None:
        return plane.whole
    x0, y0, x1, y1 = (round(edge + 0.5) for edge in clipped_box(view, plane.shape))
    return Tile(0, y0, x0, y1 - y0, x1 - x0) if x0 < x1 and y0 < y1 else plane.whole


def _rounded(box: Box | None) -> tuple[float, ...] | None:
    return None if box is None else tuple(round(edge, _ROUNDING) for edge in box)
