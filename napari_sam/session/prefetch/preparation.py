"""A list of tiles that is embedded one after another, and how far that is."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


@dataclass(frozen=True, eq=False)
class TileToPrepare:
    """A tile that shall be ready when somebody comes to it."""

    plane: ImagePlane  # the image
    tile: Tile  # the part of it to embed
    name: str  # what messages call it


@dataclass(frozen=True)
class PreparationState:
    """A snapshot of a `Preparation`."""

    done: int  # number of tiles that are ready
    total: int  # number of all tiles
    computed: int = 0  # number of those ready that were not found in memory or on disk
    # how long the rest will take if nothing of it is found; None until one was computed
    left_s: float | None = None
    is_paused: bool = False  # whether it waits to be resumed
    failures: tuple[str, ...] = ()  # what could not be embedded, and why

    @property
    def is_over(self) -> bool:
        """Whether every tile is ready or has failed."""
        return self.done + len(self.failures) == self.total

    @property
    def summary(self) -> str:
        """Says how far it is, such as "37 of 200, 3 min left"."""
        text = f"{self.done} of {self.total}"
        if self.failures:
            text += f", {len(self.failures)} failed"
        if self.is_paused:
            return f"{text}, paused"
        return text if self.left_s is None else f"{text}, {duration(self.left_s)} left"


class Preparation:
    """Keeps account of tiles that are embedded in their order."""

    def __init__(self, tiles: Iterable[TileToPrepare]) -> None:
        self._waiting = deque(tiles)
        self._total = len(self._waiting)
        self._times_s: list[float] = []
        self._failures: list[str] = []
        self.is_paused = False

    @property
    def next(self) -> TileToPrepare | None:
        """The tile to embed now; None while it is paused and when it is over."""
        return None if self.is_paused or not self._waiting else self._waiting[0]

    @property
    def state(self) -> PreparationState:
        """How far it is."""
        left_s = None
        if self._times_s:
            left_s = statistics.median(self._times_s) * len(self._waiting)
        return PreparationState(
            done=self._total - len(self._waiting) - len(self._failures),
            total=self._total,
            computed=len(self._times_s),
            left_s=left_s,
            is_paused=self.is_paused,
            failures=tuple(self._failures),
        )

    def finish(self, seconds: float | None) -> None:
        """Go on to the next tile, this one being ready."""
        self._waiting.popleft()
        if seconds is not None:
            self._times_s.append(seconds)

    def fail(self, reason: str) -> None:
        """Go on to the next tile, without this one."""
        self._waiting.popleft()
        self._failures.append(reason)


def duration(seconds: float) -> str:
    """Return about how long something takes, such as "3 min"."""
    if seconds < 1.5 * _MINUTE_S:
        return f"{max(1, round(seconds))} s"
    if seconds < 1.5 * _HOUR_S:
        return f"{round(seconds / _MINUTE_S)} min"
    return f"{seconds / _HOUR_S:.1f} h"
