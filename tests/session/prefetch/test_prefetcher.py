"""Embedding ahead: on real images and weights, on a thread that really runs."""

import numpy as np
import pytest
import skimage.data

from napari_sam.session import ImagePlane, Phase, Prompts
from napari_sam.session.jobs import run_until

TIMEOUT_S = 120
COIN = Prompts(points_xy=((104, 68),), point_labels=(1,))


@pytest.fixture
def planes():
    coins = skimage.data.coins()
    return [ImagePlane(np.roll(coins, shift, axis=1), name=f"slice {shift}") for shift in range(4)]


def wait(session):
    session.wait_until_idle(TIMEOUT_S)


def test_what_comes_next_is_ready_when_it_comes(open_session, held, planes):
    session = open_session()
    session.set_image(planes[0])
    session.prefetch.expect(planes[1:3])
    wait(session)
    assert len(held.encoded) == 3
    for plane in planes[1:3]:
        session.set_image(plane)
        wait(session)
        assert session.state.phase is Phase.READY
    assert len(held.encoded) == 3
    session.set_image(planes[0])  # and the way back costs nothing either
    wait(session)
    assert len(held.encoded) == 3


def test_asked_for_when_the_image_is_ready_it_begins_at_once(session, held, planes):
    session.prefetch.expect(planes[1:2])
    wait(session)
    assert len(held.encoded) == 2


def test_another_image_ends_it(session, held, planes):
    held.encode_gate.clear()
    held.encode_started.clear()
    session.prefetch.expect(planes[1:4])
    assert held.encode_started.wait(TIMEOUT_S)
    session.set_image(planes[3])
    held.encode_gate.set()
    wait(session)
    assert session.state.phase is Phase.READY
    shown = [image[0, 0, 0] for image in held.encoded]
    assert len(shown) == 3  # coins, the plane that was given up, the one that was asked for


def test_a_failure_is_not_told_until_somebody_asks(session, held, listen, planes, monkeypatch):
    heard = listen(session)

    def fail(*_, **__):
        message = "no such slice"
        raise OSError(message)

    monkeypatch.setattr(held, "encode", fail)
    session.prefetch.expect(planes[1:3])
    wait(session)
    assert heard.warnings == []
    assert session.state.phase is Phase.READY
    session.set_image(planes[1])
    wait(session)
    assert session.state.phase is Phase.FAILED
    assert "no such slice" in heard.warnings[0]


def test_it_stands_back_in_the_middle_of_a_tile(session, held, planes):
    polls = []

    class Decode:
        """Busy with a click that takes as long as the test likes."""

        is_over = False

        @property
        def is_idle(self):
            polls.append(len(session.embedding.embedder._cache))
            return self.is_over

    session.background._foreground.append(decoding := Decode())
    session.prefetch.expect(planes[1:2])
    run_until(lambda: len(polls) > 3, session.background.dispatcher, TIMEOUT_S, "test")
    assert len(held.encoded) == 1  # the plane that is shown
    held.encode_gate.clear()
    held.encode_started.clear()
    decoding.is_over = True
    assert held.encode_started.wait(TIMEOUT_S)
    decoding.is_over = False  # a click, when half of the tile is done
    held.encode_gate.set()
    before = len(polls)
    run_until(lambda: len(polls) > before + 3, session.background.dispatcher, TIMEOUT_S, "test")
    assert polls[-1] == 1
    decoding.is_over = True
    run_until(lambda: session.is_idle, session.background.dispatcher, TIMEOUT_S, "test")
    assert len(session.embedding.embedder._cache) == 2


def test_what_was_there_before_is_there_at_once(open_session, held, planes, monkeypatch):
    monkeypatch.setattr("napari_sam.session.embedding.current._MOMENT_S", TIMEOUT_S)
    session = open_session()
    session.set_image(planes[0], key="first")
    wait(session)
    session.set_image(planes[1], key="second")
    wait(session)
    session.set_image(planes[0], key="first")
    assert session.state.phase is Phase.READY
    wait(session)  # what the thread has reported meanwhile changes nothing
    assert session.state.phase is Phase.READY
    held.encode_gate.clear()
    session.set_image(planes[2], key="third")
    assert session.state.phase is Phase.EMBEDDING
    held.encode_gate.set()
    wait(session)
    assert session.state.phase is Phase.READY


def test_switched_off_nothing_is_embedded_until_it_is_on_again(session, held, planes):
    session.prefetch.switch(False)
    session.prefetch.expect(planes[1:2])
    wait(session)
    assert len(held.encoded) == 1
    session.prefetch.switch(True)
    wait(session)
    assert len(held.encoded) == 2


def test_a_click_comes_first(session, held, planes):
    held.decode_gate.clear()
    session.set_prompts(COIN)
    assert held.decode_started.wait(TIMEOUT_S)
    session.prefetch.expect(planes[1:2])
    assert not session.is_idle
    held.decode_gate.set()
    wait(session)
    assert session.state.candidates is not None
    assert len(held.encoded) == 2
