"""The choice to carry objects on by memory: shown with models that have it, kept, and used."""

from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam._qt.building import ShortcutTexts
from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.stack_panel import StackPanel
from napari_sam.controllers.memory import MemoryController
from napari_sam.engine.protocols import Engine
from napari_sam.model import Predictor
from napari_sam.session import AnnotationSession, ImagePlane
from napari_sam.storage.options import load_options
from tests.engine.toy_engine import ToyDecoder, ToyEncoder
from tests.model.sam2_models import tiny_sam2  # noqa: F401 - a fixture


@pytest.fixture
def start(qtbot):
    """Return a function that shows a plane with a model, and returns the session and panel."""
    opened = []

    def start(engine):
        session = AnnotationSession(lambda *_: engine)
        on_demand = OnDemand(lambda: StackPanel(ShortcutTexts()))
        controller = MemoryController(SimpleNamespace(session=session), on_demand)
        opened.append((session, controller))
        panel = on_demand.get()
        qtbot.addWidget(panel)
        assert panel.memory.isHidden()
        session.set_image(ImagePlane(np.zeros((50, 60), np.uint8)))
        session.wait_until_idle(60)
        return session, panel

    yield start
    for session, controller in opened:
        controller.close()
        session.close()


def test_it_is_offered_with_models_that_remember_and_kept(start, tiny_sam2, monkeypatch):  # noqa: F811
    predictor = Predictor(tiny_sam2, device="cpu")
    session, panel = start(predictor)
    assert not panel.memory.isHidden()
    assert not panel.memory.isChecked()
    chosen = []
    monkeypatch.setattr(session.stack.propagation, "remember", chosen.append)
    panel.memory.click()
    assert chosen == [True]
    assert load_options() == {"memory": True}
    _, panel = start(predictor)
    assert panel.memory.isChecked()


def test_it_is_not_offered_with_others(start):
    _, panel = start(Engine(ToyEncoder(), ToyDecoder()))
    assert panel.memory.isHidden()
