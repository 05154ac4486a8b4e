"""Embedding ahead: on real images and weights, on a thread that really runs."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from napari_sam.session import ImagePlane, ModelChoice, Phase, Prompts
from napari_sam.session.ahead import AheadEmbedding
from napari_sam.session.embeddings import Embedder
from napari_sam.session.jobs import CallbackQueue, run_until
from napari_sam.session.tiles import TilePyramid

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
    session.embed_ahead(planes[1:3])
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
    session.embed_ahead(planes[1:2])
    wait(session)
    assert len(held.encoded) == 2


def test_another_image_ends_it(session, held, planes):
    held.encode_gate.clear()
    held.encode_started.clear()
    session.embed_ahead(planes[1:4])
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
    session.embed_ahead(planes[1:3])
    wait(session)
    assert heard.warnings == []
    assert session.state.phase is Phase.READY
    session.set_image(planes[1])
    wait(session)
    assert session.state.phase is Phase.FAILED
    assert "no such slice" in heard.warnings[0]


def test_it_stands_back_while_something_else_is_done(held, planes):
    asked = []
    busy = [True]

    def is_busy():
        asked.append(len(held.encoded))
        return busy[0]

    dispatcher = CallbackQueue()
    embedder = Embedder(ModelChoice(), lambda *_: held)
    embedder.load()
    ahead = AheadEmbedding(dispatcher, is_busy)
    ahead.start(embedder, [(planes[0], TilePyramid(planes[0].shape).whole)])
    run_until(lambda: len(asked) > 3, dispatcher, TIMEOUT_S, "test")
    assert held.encoded == []
    busy[0] = False
    run_until(lambda: ahead.is_idle, dispatcher, TIMEOUT_S, "test")
    assert len(held.encoded) == 1
    busy[0] = True
    ahead.start(embedder, [(planes[1], TilePyramid(planes[1].shape).whole)])
    ahead.stop()
    run_until(lambda: ahead.is_idle, dispatcher, TIMEOUT_S, "test")
    assert len(held.encoded) == 1
    ahead.close()


def test_a_click_comes_first(session, held, planes):
    held.decode_gate.clear()
    session.set_prompts(COIN)
    assert held.decode_started.wait(TIMEOUT_S)
    session.embed_ahead(planes[1:2])
    assert not session.is_idle
    held.decode_gate.set()
    wait(session)
    assert session.state.candidates is not None
    assert len(held.encoded) == 2
