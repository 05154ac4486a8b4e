from pathlib import Path

import pytest

from napari_sam._qt.model_panel import ModelPanel
from napari_sam.catalogue.offers import Offer
from napari_sam.catalogue.table import BUNDLED, MODELS
from napari_sam.session.models.fetching import FetchState
from napari_sam.session.models.model_choice import ModelChoice, Runtime
from napari_sam.session.state import SessionState

MISSING = next(model for model in MODELS if model.bundled is None and model.url is not None)
OFFERS = (
    Offer(BUNDLED.name, BUNDLED, BUNDLED.bundled),
    Offer(MISSING.name, MISSING, None),
    Offer("mine.pt", None, Path("/models/mine.pt")),
)
REQUESTS = "model", "download", "file"


@pytest.fixture
def panel(shown):
    panel = shown(ModelPanel())
    panel.set_offers(OFFERS)
    return panel


def pick(combo, row):
    combo.setCurrentIndex(row)
    combo.activated.emit(row)


def test_the_model_in_use_is_shown(panel):
    assert panel.combo.offer == OFFERS[0]
    assert panel.windowTitle() == "Model: MobileSAM"
    panel.show_state(SessionState(runtime=Runtime("cpu", "float32", "bfloat16", ())))
    assert panel.windowTitle().startswith("Model: MobileSAM on cpu")
    assert panel.exact.isChecked()
    assert panel.exact.isEnabled()
    choice = ModelChoice().with_weights("mine.pt", Path("/models/mine.pt"))
    panel.show_state(SessionState(requested_model=choice))
    assert panel.combo.offer == OFFERS[2]


def test_each_kind_of_model_is_requested_in_its_way(panel, heard):
    requests = heard(panel, *(f"{name}_requested" for name in REQUESTS))
    pick(panel.combo, 0)
    pick(panel.combo, 2)
    pick(panel.combo, 1)  # has to be downloaded first
    assert requests == [
        ("model_requested", BUNDLED),
        ("file_requested", Path("/models/mine.pt")),
    ]
    assert panel._download.isVisible()
    assert "not on this computer" in panel._description.text()
    panel._download.click()
    assert requests[2:] == [("download_requested", MISSING)]


def test_a_download_shows_its_progress_and_can_be_cancelled(panel, heard):
    requests = heard(panel, "cancel.clicked")
    pick(panel.combo, 1)
    panel.show_fetch(FetchState(downloading=MISSING))
    assert panel._task.text() == f"Requesting {MISSING.name} …"
    assert panel._progress.maximum() == 0  # indeterminate
    assert not panel._download.isVisible()
    panel.show_fetch(FetchState(downloading=MISSING, fraction=0.25))
    assert panel._task.text() == f"Downloading {MISSING.name} …"
    assert panel._progress.value() == 250
    panel.cancel.click()
    assert requests == [("cancel.clicked",)]
    panel.show_fetch(FetchState())
    assert not panel._progress.isVisible()
    assert panel.combo.offer == OFFERS[0]  # what is in use again


def test_device_and_precision_are_requested(panel, heard):
    requests = heard(panel, "device.textActivated", "exact.clicked")
    panel.show_state(
        SessionState(runtime=Runtime("cpu", "float32", "bfloat16", ()), devices=("cpu", "cuda:0"))
    )
    texts = [panel.device.itemText(row) for row in range(panel.device.count())]
    assert texts == ["auto", "cpu", "cuda:0"]
    panel.device.setCurrentIndex(2)
    panel.device.textActivated.emit("cuda:0")
    panel.exact.click()
    assert requests == [("device.textActivated", "cuda:0"), ("exact.clicked",)]
    assert not panel.exact.isChecked()
    panel.show_state(SessionState(runtime=Runtime("cpu", "float32", "float32", ())))
    assert not panel.exact.isEnabled()


def test_the_list_is_requested_when_it_opens(panel, heard):
    requests = heard(panel.combo, "list_requested")
    panel.combo.showPopup()
    panel.combo.hidePopup()
    assert requests == [("list_requested",)]
    model = panel.combo.model()
    assert model.index(2, 0).data() == "mine.pt"
    assert model.index(1, 2).data() == "no"
