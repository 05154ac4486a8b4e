"""Links by Trackastra, as a stand-in for it returns them: the real one needs its weights."""

import sys
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
from skimage.measure import label

from napari_sam.session.jobs import run_until

from .films import Film, bars, dividing


class Model:
    """Links what overlaps from frame to frame, like Trackastra's, with the nodes of its graphs."""

    error: Exception | None = None

    @classmethod
    def from_pretrained(cls, name: str, device: str) -> "Model":
        assert (name, device) == ("general_2d", "automatic")
        if cls.error is not None:
            raise cls.error
        return cls()

    def track(self, images, masks, mode, progbar_class):
        assert images.shape == masks.shape
        assert mode == "greedy"
        graph = nx.DiGraph()
        for time in progbar_class(range(len(masks) - 1), desc="frames", leave=False):
            pairs = {(a, b) for a, b in np.reshape(masks[time : time + 2], (2, -1)).T if a and b}
            for pair in pairs:
                nodes = [100 * (time + n) + int(number) for n, number in enumerate(pair)]
                for n, (node, number) in enumerate(zip(nodes, pair, strict=True)):
                    graph.add_node(node, time=np.int64(time + n), label=number)
                graph.add_edge(*nodes)
        return graph, masks


@pytest.fixture(autouse=True)
def trackastra(monkeypatch):
    monkeypatch.setattr(Model, "error", None)
    monkeypatch.setitem(sys.modules, "trackastra", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "trackastra.model", SimpleNamespace(Trackastra=Model))


def link(film, images):
    said = []
    film.background.notifier.warned.connect(said.append)
    film.tracks.link(images=lambda: images)
    run_until(lambda: film.background.is_idle, film.background.dispatcher, 60, "links")
    return said


def test_objects_get_one_label_id_through_the_frames_and_divisions_are_proposed():
    frames = [label(frame) for frame in dividing()]
    film = Film(np.stack([np.where(f, f + 10 * n, 0) for n, f in enumerate(frames)]))
    before = film.array.copy()
    assert link(film, np.zeros(film.array.shape)) == []
    assert [film.in_frame(n) for n in (0, 3)] == [{1}] * 2
    assert film.in_frame(4) == film.in_frame(7) > {1}
    (division,) = film.tracks.state.divisions
    assert division.frame == 4
    film.editing.undo()
    np.testing.assert_array_equal(film.array, before)


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ((6, 8, 9), None, "two dimensions"),
        ((6, 8, 18), OSError("no network"), "no network"),
    ],
)
def test_what_is_not_possible_is_said_and_changes_nothing(shape, error, message):
    Model.error = error
    film = Film(bars())
    before = film.array.copy()
    said = link(film, np.zeros(shape))
    assert len(said) == 1
    assert message in said[0]
    np.testing.assert_array_equal(film.array, before)


def test_a_single_frame_has_nothing_to_link():
    film = Film(bars(n_frames=1))
    assert "two frames" in link(film, np.zeros(film.array.shape))[0]
