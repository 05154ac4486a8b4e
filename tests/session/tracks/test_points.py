"""The points of tracks follow the objects."""

import numpy as np
import pytest

from napari_sam.formats import ImageInfo, tracks_of
from napari_sam.session.annotations import annotations_of
from napari_sam.session.tracks import points as points_module
from napari_sam.session.tracks.points import TrackPoints
from tests.session.tracks.films import Film, bars


def expected(film: Film) -> np.ndarray:
    image = ImageInfo(film.array.shape, axes="TYX")
    return tracks_of(annotations_of(film.labels, list(film.registry), image)).points


@pytest.mark.parametrize("max_separate", [0, 50])
def test_points_after_edits(monkeypatch: pytest.MonkeyPatch, max_separate: int) -> None:
    monkeypatch.setattr(points_module, "_MAX_SEPARATE", max_separate)
    film = Film(bars())
    points = TrackPoints(film.labels, 0)
    np.testing.assert_allclose(points.update(film.registry), expected(film))
    for act in (
        lambda: film.tracks.cut(1, 3),
        lambda: film.tracks.swap(2, 3, 2),
        lambda: film.tracks.end(3, 4),
        film.editing.undo,
        film.editing.undo,
    ):
        act()
        np.testing.assert_allclose(points.update(film.registry), expected(film))


def test_unchanged_objects_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    film = Film(bars())
    points = TrackPoints(film.labels, 0)
    before = points.update(film.registry)
    monkeypatch.setattr(film.labels, "read", lambda region: pytest.fail("read"))
    np.testing.assert_array_equal(points.update(film.registry), before)


def test_no_objects() -> None:
    film = Film(np.zeros((3, 8, 8), np.uint16))
    assert TrackPoints(film.labels, 0).update(film.registry).shape == (0, 4)
