"""Which slices are embedded before they are needed; a made-up embedder decides what ends when."""

import threading

import pytest

from napari_sam.session.image.tiles import Tile
from napari_sam.session.propagation.ahead import Ahead

PLANES, WHOLE, PART = "abcd", Tile(1, 0, 0, 64, 64), Tile(0, 0, 0, 32, 32)
TIMEOUT_S = 30


class Embedded:
    """Embeds in no time, or when it may; notes which tiles it began, and which it gave up."""

    def __init__(self, held=(), broken=()):
        self.held, self.broken, self.done = held, broken, {}
        self.log, self.may_end = [], threading.Event()
        self.changed = threading.Condition()

    def find(self, plane, tile):
        return self.done.get((plane, tile))

    def obtain(self, plane, tile, report):
        if (plane, tile) not in self.done:
            self.note("began", plane, tile)
            try:
                while plane in self.held and not self.may_end.wait(0.001):
                    report(0.5)
            except BaseException:
                self.note("gave up", plane, tile)
                raise
            if plane in self.broken:
                raise ValueError(plane)
            self.done[plane, tile] = f"{plane}{tile.level}"
            self.note("ended", plane, tile)
        return self.done[plane, tile]

    def note(self, *event):
        with self.changed:
            self.log.append(event)
            self.changed.notify_all()

    def wait_for(self, *event):
        with self.changed:
            assert self.changed.wait_for(lambda: event in self.log, TIMEOUT_S), self.log


def along(embedder, slices=range(4)):
    return Ahead(embedder, lambda share: None).along(PLANES, slices)


def test_the_next_slice_is_embedded_while_the_present_one_is_used():
    embedder = Embedded()
    with along(embedder, (2, 1, 0)) as obtain:
        assert obtain(2, WHOLE) == "c1"
        embedder.wait_for("ended", "b", WHOLE)
        assert ("began", "a", WHOLE) not in embedder.log  # one ahead
        assert obtain(1, WHOLE) == "b1"
        assert obtain(0, WHOLE) == "a1"
    assert sum(event[0] == "began" for event in embedder.log) == 3


def test_what_is_not_needed_is_given_up():
    embedder = Embedded(held="bc")
    with along(embedder) as obtain:
        obtain(0, WHOLE)
        embedder.wait_for("began", "b", WHOLE)
        embedder.held = "c"
        obtain(1, PART)  # the object has moved to another tile
        embedder.wait_for("began", "c", PART)
    embedder.wait_for("gave up", "c", PART)  # it ended
    assert ("ended", "b", PART) in embedder.log


def test_what_another_object_needs_is_embedded_all_the_same():
    embedder = Embedded(held="b")
    ahead = Ahead(embedder, lambda share: None)
    with ahead.along(PLANES, (0, 1)) as obtain:
        with ahead.along(PLANES, (0, 1)) as of_another:
            of_another(0, WHOLE)
            embedder.wait_for("began", "b", WHOLE)
            obtain(0, WHOLE)
        embedder.may_end.set()
        assert obtain(1, WHOLE) == "b1"
    assert ("gave up", "b", WHOLE) not in embedder.log


def test_a_slice_that_cannot_be_embedded_is_no_matter_until_it_is_needed():
    embedder = Embedded(broken="b")
    with along(embedder) as obtain:
        assert obtain(0, WHOLE) == "a1"
        embedder.wait_for("began", "b", WHOLE)
        with pytest.raises(ValueError, match="b"):
            obtain(1, WHOLE)


def test_a_run_does_not_wait_for_what_another_one_embeds():
    busy, embedder = Embedded(held="b"), Embedded()
    with along(busy) as obtain_busy, along(embedder) as obtain:
        obtain_busy(0, WHOLE)
        busy.wait_for("began", "b", WHOLE)
        assert [obtain(index, WHOLE) for index in range(4)] == ["a1", "b1", "c1", "d1"]
    assert [event[0] for event in embedder.log] == ["began", "ended"] * 4
