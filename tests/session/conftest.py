"""Real weights on real images; only the moment at which a job goes on is in the test's hand."""

import threading

import numpy as np
import pytest
import skimage.data

from napari_sam.model import load_model
from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane

TIMEOUT_S = 120


class HeldPredictor:
    """The real predictor behind two gates; notes what it was asked."""

    def __init__(self, predictor):
        self.device, self.spec = predictor.device, predictor.spec
        self._predictor = predictor
        self.encoded, self.decoded = [], []
        self.encode_gate, self.decode_gate = threading.Event(), threading.Event()
        self.encode_started, self.decode_started = threading.Event(), threading.Event()
        self.open()

    def open(self):
        self.encode_gate.set()
        self.decode_gate.set()

    def encode(self, image, on_block):
        self.encoded.append(image)
        on_block(1, 4)
        self.encode_started.set()
        assert self.encode_gate.wait(TIMEOUT_S)
        on_block(2, 4)
        return self._predictor.encode(image)

    def warm_up(self):
        self._predictor.warm_up()

    def decode(self, embedding, **prompts):
        self.decoded.append(prompts)
        self.decode_started.set()
        assert self.decode_gate.wait(TIMEOUT_S)
        return self._predictor.decode(embedding, **prompts)

    def decode_batch(self, embedding, **prompts):
        return self._predictor.decode_batch(embedding, **prompts)


class Listener:
    """Everything that a session said."""

    def __init__(self, session):
        self.states, self.warnings, self.accepted = [], [], []
        session.changed.connect(self.states.append)
        session.notifier.warned.connect(self.warnings.append)
        session.accepted.connect(self.accepted.append)


@pytest.fixture
def listen():
    """Return a function that notes everything a session says from now on."""
    return Listener


@pytest.fixture(scope="session")
def real_predictor(remembering_predictor):
    return remembering_predictor


@pytest.fixture
def held(real_predictor):
    predictor = HeldPredictor(real_predictor)
    yield predictor
    predictor.open()


@pytest.fixture
def open_session(held):
    """Return a function that makes a session on the held predictor; sessions are closed."""
    sessions = []

    def make(load_predictor=lambda *_: held):
        session = AnnotationSession(load_predictor)
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def coins():
    return ImagePlane(skimage.data.coins(), name="coins")


@pytest.fixture
def blank():
    return ImagePlane(np.zeros((40, 50), np.uint8), name="blank")


@pytest.fixture
def session(open_session, coins):
    """Return a session that has embedded the coins image."""
    session = open_session()
    session.set_image(coins)
    session.wait_until_idle(TIMEOUT_S)
    return session


@pytest.fixture
def labels(session):
    """Return the array that the session writes objects to."""
    array = np.zeros((303, 384), np.uint16)
    session.set_target(ArrayPlane(array))
    return array


@pytest.fixture(scope="session")
def sam_model():
    return load_model()
