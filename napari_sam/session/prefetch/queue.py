"""The requested tiles, which are embedded one after another, and their progress."""

import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile
from napari_sam.storage.text import duration


@dataclass(frozen=True, eq=False)
class PrefetchTile:
    """A tile to embed before the user comes to it."""

    plane: ImagePlane
    tile: Tile
    name: str  # for messages


@dataclass(frozen=True)
class PrefetchState:
    """A snapshot of a `PrefetchQueue`."""

    done: int  # number of tiles that are ready
    total: int  # number of all tiles
    computed: int = 0  # number of those ready that were not found in memory or on disk
    # how long the rest will take if none of it is found; None until a tile was computed
    left_s: float | None = None
    is_paused: bool = False
    failures: tuple[str, ...] = ()  # the tiles that could not be embedded, each with the reason

    @property
    def is_over(self) -> bool:
        """Whether every tile is ready or has failed."""
        return self.done + len(self.failures) == self.total

    @property
    def summary(self) -> str:
        """The progress in words, such as "37 of 200, 3 min left"."""
        text = f"{self.done} of {self.total}"
        if self.failures:
            text += f", {len(self.failures)} failed"
        if self.is_paused:
            return f"{text}, paused"
        return text if self.left_s is None else f"{text}, {duration(self.left_s)} left"


class PrefetchQueue:
    """Keeps account of tiles that are embedded in their order."""

    def __init__(self, tiles: Iterable[PrefetchTile]) -> None:
        self._waiting = deque(tiles)
        self._total = len(self._waiting)
        self._times_s: list[float] = []
        self._failures: list[str] = []
        self._is_paused = False

    def pause(self) -> None:
        """Offer no next tile until `resume`."""
        self._is_paused = True

    def resume(self) -> None:
        """Continue after `pause`."""
        self._is_paused = False

    @property
    def next(self) -> PrefetchTile | None:
        """The tile to embed next; None while the queue is paused and at its end."""
        return None if self._is_paused or not self._waiting else self._waiting[0]

    @property
    def state(self) -> PrefetchState:
        """The progress."""
        left_s = None
        if self._times_s:
            left_s = statistics.median(self._times_s) * len(self._waiting)
        return PrefetchState(
            done=self._total - len(self._waiting) - len(self._failures),
            total=self._total,
            computed=len(self._times_s),
            left_s=left_s,
            is_paused=self._is_paused,
            failures=tuple(self._failures),
        )

    def finish(self, seconds: float | None) -> None:
        """Go to the next tile, this one being ready."""
        self._waiting.popleft()
        if seconds is not None:
            self._times_s.append(seconds)

    def fail(self, reason: str) -> None:
        """Go to the next tile, without this one."""
        self._waiting.popleft()
        self._failures.append(reason)
