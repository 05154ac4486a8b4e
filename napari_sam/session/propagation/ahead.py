"""The next slice, embedded while an object is carried to the present one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Final

from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile

_EXECUTOR: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="napari-sam-ahead")
"""For all runs: on a GPU, each thread keeps memory of its own."""
Obtain = Callable[[int, Tile], EmbeddedTile]
"""Returns a tile of a slice, by its index; it is embedded if it was not before."""


class _Unwanted(Exception):  # noqa: N818 - it is an order that was followed, not an error
    """Raised where a tile is embedded that nobody expects any more."""


class _Expected:
    """A tile that is embedded ahead, and the courses that will need it."""

    def __init__(self, plane: ImagePlane, tile: Tile) -> None:
        self.place = plane, tile
        self.courses: set[object] = set()
        self.result: Future[EmbeddedTile] = Future()


class Ahead:
    """Embeds tiles of slices as they are reached, and the next one meanwhile.

    There is never more than one tile ahead of all objects, and it is given up once none of them
    needs it. All methods belong to one thread.

    Parameters
    ----------
    embedder : Embedder
        Embeds them.
    report : callable
        Called with the share of a tile that is embedded, on the thread that does it; what it
        raises ends it.
    """

    def __init__(self, embedder: Embedder, report: Callable[[float], None]) -> None:
        self._embedder, self._report = embedder, report
        self._expected: _Expected | None = None

    @contextmanager
    def along(self, planes: Sequence[ImagePlane], slices: Sequence[int]) -> Iterator[Obtain]:
        """Have tiles of these slices embedded, which are reached one after the other."""
        course, following = object(), dict(pairwise(slices))

        def obtain(index: int, tile: Tile) -> EmbeddedTile:
            embedded = self._obtained(course, planes[index], tile)
            if index in following:
                self._expect(course, planes[following[index]], tile)
            return embedded

        try:
            yield obtain
        finally:
            self._leave(course)

    def _obtained(self, course: object, plane: ImagePlane, tile: Tile) -> EmbeddedTile:
        expected = self._expected
        is_expected = expected is not None and expected.place == (plane, tile)
        # Unless it is not begun yet, as another run is on that thread.
        if expected and expected.courses and is_expected and not expected.result.cancel():
            return expected.result.result()
        self._leave(course)
        return self._embedder.obtain(plane, tile, self._report)

    def _expect(self, course: object, plane: ImagePlane, tile: Tile) -> None:
        """Embed a tile that will probably be needed, unless another one is under way."""
        expected = self._expected
        if expected is None or expected.result.done() or not expected.courses:
            if self._embedder.find(plane, tile) is None:
                self._expected = expected = _Expected(plane, tile)
                expected.courses.add(course)
                expected.result = _EXECUTOR.submit(self._embed, expected)
        elif expected.place == (plane, tile):
            expected.courses.add(course)

    def _leave(self, course: object) -> None:
        if self._expected is not None:
            self._expected.courses.discard(course)

    def _embed(self, expected: _Expected) -> EmbeddedTile:
        def report(share: float) -> None:
            if not expected.courses:
                raise _Unwanted
            self._report(share)

        return self._embedder.obtain(*expected.place, report)
