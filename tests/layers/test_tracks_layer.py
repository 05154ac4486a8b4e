"""The Tracks layer shows where objects are, who divided into whom, and lineages by color."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam.layers.tracks_layer import TracksLayer
from napari_sam.layers.viewer_layers import ViewerLayers
from napari_sam.session.tracks.points import TrackPoints
from tests.session.tracks.films import Film, bars


class Shown:
    """A film, its Labels layer, and its tracks in a viewer."""

    def __init__(self) -> None:
        self.film, self.viewer = Film(bars()), ViewerModel()
        self.labels = Labels(self.film.array, name="cells", scale=(1, 0.5, 0.5))
        self.viewer.add_layer(self.labels)
        self.tracks = TracksLayer(ViewerLayers(self.viewer.layers))
        self.points = TrackPoints(self.film.labels, 0)
        self.update()

    def update(self) -> None:
        points = self.points.update(self.film.registry)
        self.tracks.show(self.labels, points, self.film.tracks.lineages)

    @property
    def layer(self):
        assert self.tracks.layer is not None
        return self.tracks.layer


@pytest.fixture
def shown() -> Shown:
    return Shown()


def colors(layer) -> dict[int, tuple]:
    return {
        int(track_id): tuple(np.round(color, 3).tolist())
        for track_id, color in zip(layer.data[:, 0], layer.track_colors, strict=True)
    }


def test_points_and_place(shown: Shown) -> None:
    assert shown.layer.name == "cells: tracks"
    assert set(shown.layer.data[:, 0]) == {1, 2, 3}
    np.testing.assert_array_equal(shown.layer.scale, shown.labels.scale)
    assert list(shown.viewer.layers) == [shown.labels, shown.layer]
    assert shown.viewer.layers.selection.active is shown.labels


def test_lineages_have_the_color_of_the_first_object(shown: Shown) -> None:
    shown.film.tracks.divide(1, (1, 2), 3)
    shown.update()
    daughters = shown.film.tracks.lineages.children_of(1)
    assert shown.layer.graph == {daughter: [1] for daughter in daughters}
    by_track = colors(shown.layer)
    np.testing.assert_allclose(by_track[1], shown.labels.get_color(1), atol=1e-3)
    assert {by_track[daughter] for daughter in daughters} == {by_track[1]}
    assert by_track[3] != by_track[1]


def test_what_the_user_colors_by_stays(shown: Shown) -> None:
    shown.layer.color_by = "track_id"
    shown.film.tracks.cut(1, 3)
    shown.update()
    assert shown.layer.color_by == "track_id"


def test_undo_is_followed(shown: Shown) -> None:
    shown.film.tracks.divide(1, (1, 2), 3)
    shown.update()
    shown.film.editing.undo()
    shown.update()
    assert shown.layer.graph == {}
    assert set(shown.layer.data[:, 0]) == {1, 2, 3}


def test_a_layer_that_the_user_deletes_comes_back_with_the_next_change(shown: Shown) -> None:
    shown.viewer.layers.remove(shown.layer)
    shown.update()
    assert shown.layer in shown.viewer.layers


def test_without_objects_there_is_no_layer(shown: Shown) -> None:
    shown.film.registry.replace_all([])
    shown.update()
    assert list(shown.viewer.layers) == [shown.labels]
    shown.tracks.remove()


def test_objects_of_one_frame_are_points(shown: Shown) -> None:
    shown.film.tracks.end(1, 1)
    shown.film.tracks.end(2, 1)
    shown.film.tracks.end(3, 1)
    shown.update()
    assert len(shown.layer.data) == 3
