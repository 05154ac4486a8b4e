"""The model picker in a real viewer, with real files and a server of the test's own."""

import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from napari.layers import Image
from qtpy.QtWidgets import QLabel
from safetensors.torch import load_file
from skimage import data

from napari_sam.catalogue.offers import list_offers
from napari_sam.catalogue.table import BUNDLED, PublishedFile, find_model
from napari_sam.engine.spec import Capability
from napari_sam.model import Predictor, load_model
from napari_sam.session import ModelChoice, Phase, Prompts
from napari_sam.storage.decoder_files import decoder_path
from napari_sam.widget import SamWidget
from tests.model.instance_decoder.published import random_state
from tests.remembering import RememberingPredictor

TIMEOUT_S = 120
COIN = Prompts(points_xy=((104, 68),), point_labels=(1,))


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        content = self.server.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        self.server.is_asked.set()
        self.server.may_go_on.wait(TIMEOUT_S)
        try:
            self.wfile.write(content[len(content) // 2 :])
        except OSError:
            self.server.is_left.set()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    """Serve half of a file, and the rest when the test lets it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.is_asked, server.may_go_on = threading.Event(), threading.Event()
    server.is_left = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.may_go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def published(server, tmp_path, monkeypatch):
    """Publish the bundled weights on the server as a model that has to be downloaded."""
    file = tmp_path / "published.pt"
    torch.save(load_file(BUNDLED.bundled), file)
    server.content = file.read_bytes()
    model = replace(
        find_model("vit_b"),
        name="published",
        url=f"http://127.0.0.1:{server.server_port}/published.pt",
        sha256=hashlib.sha256(server.content).hexdigest(),
        size_bytes=len(server.content),
        hugging_face=None,
    )
    monkeypatch.setattr("napari_sam.catalogue.offers.MODELS", (BUNDLED, model))
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(tmp_path / "models"))
    return model


@pytest.fixture
def opened(published, make_widget, remembering_predictor):
    """Open the widget on an image with a prompt; the models that it loads are noted."""
    loaded = []

    def load(choice, runtime):
        loaded.append(choice)
        if choice.checkpoint is None:
            return remembering_predictor
        return RememberingPredictor(load_model(checkpoint=choice.checkpoint), device="cpu")

    viewer, widget = make_widget(Image(data.coins(), name="coins"), load_predictor=load)
    widget.session.set_prompts(COIN)
    widget.wait_until_idle(TIMEOUT_S)
    return viewer, widget, widget.controllers.models.panel, loaded


def mask(widget):
    candidates = widget.session.state.candidates
    return candidates.crop(candidates.best).mask


def pick(panel, name):
    panel.combo.setCurrentIndex([offer.name for offer in panel.combo.offers].index(name))
    panel.combo.activated.emit(panel.combo.currentIndex())


def test_a_picked_model_is_downloaded_on_request_and_used(opened, server, qtbot, tmp_path):
    _, widget, panel, loaded = opened
    before = mask(widget)
    assert panel is widget.controllers.windows[0].findChild(type(panel))
    pick(panel, "published")
    assert not panel._download.isHidden()
    assert panel._download.text() == f"Download {len(server.content) / 1e6:.0f} MB"
    assert not server.is_asked.is_set()
    panel._download.click()
    qtbot.waitUntil(lambda: panel._progress.value() > 100, timeout=20_000)
    assert not panel.cancel.isHidden()
    assert panel._task.text() == "Downloading published …"
    assert widget.session.state.active_model.name == "mobile_sam"
    server.may_go_on.set()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.active_model.name == "published"
    assert panel.windowTitle() == "Model: published on cpu"
    assert panel.combo.offer.name == "published"
    assert panel._progress.isHidden()
    assert panel._download.isHidden()
    assert loaded[-1].checkpoint == tmp_path / "models" / "sam_vit_b_01ec64.pth"
    assert panel._task.isHidden()
    assert widget.session.state.prompts == COIN
    np.testing.assert_array_equal(mask(widget), before)


def test_a_missing_decoder_is_downloaded_when_its_model_is_picked(
    published, server, make_widget, tmp_path, monkeypatch
):
    torch.save(random_state(False, 256, 4), tmp_path / "decoder.pt")
    weights, server.content = server.content, (tmp_path / "decoder.pt").read_bytes()
    place = tmp_path / "models" / published.file_name
    place.parent.mkdir()
    place.write_bytes(weights)
    decoder = PublishedFile(
        name="published_decoder",
        file_name=decoder_path(place, ".pt").name,
        page="",
        url=published.url,
        sha256=hashlib.sha256(server.content).hexdigest(),
    )
    model = replace(published, decoder=decoder)
    monkeypatch.setattr("napari_sam.catalogue.offers.MODELS", (BUNDLED, model))
    _, widget = make_widget(
        Image(data.coins()[:64, :64]),
        load_predictor=lambda choice, _: Predictor(
            load_model(checkpoint=choice.checkpoint), device="cpu"
        ),
    )
    controller = widget.controllers.models
    controller.open_with(model)  # as at a start: nothing is downloaded then
    widget.wait_until_idle(TIMEOUT_S)
    assert not server.is_asked.is_set()
    panel = controller.panel
    pick(panel, "published")
    server.may_go_on.set()
    widget.wait_until_idle(TIMEOUT_S)
    assert Capability.INSTANCE_DECODER in widget.session.state.spec.capabilities
    assert panel._progress.isHidden()


def test_a_download_is_cancelled(opened, server, qtbot, tmp_path):
    _, widget, panel, _ = opened
    pick(panel, "published")
    panel._download.click()
    qtbot.waitUntil(lambda: panel._progress.value() > 100, timeout=20_000)
    panel.cancel.click()
    widget.wait_until_idle(TIMEOUT_S)  # at once, though the server is silent
    assert panel._progress.isHidden()
    assert panel.combo.offer.name == "mobile_sam"
    server.may_go_on.set()
    qtbot.waitUntil(lambda: not list((tmp_path / "models").iterdir()), timeout=20_000)
    assert widget.session.state.active_model.name == "mobile_sam"
    assert widget.session.state.phase is Phase.READY


def test_without_a_network_the_message_says_what_to_do(opened, published, monkeypatch, tmp_path):
    _, widget, panel, _ = opened
    gone = replace(published, url="http://127.0.0.1:9/gone.pt")
    monkeypatch.setattr("napari_sam.catalogue.offers.MODELS", (BUNDLED, gone))
    panel.set_offers(list_offers())
    messages = []
    widget.controllers.models.fetcher.failed.connect(messages.append)
    pick(panel, "published")
    panel._download.click()
    widget.wait_until_idle(TIMEOUT_S)
    for hint in (gone.url, str(tmp_path / "models"), "mobile_sam", "without a network"):
        assert hint in messages[0]
    assert panel.combo.offer.name == "mobile_sam"
    assert widget.session.state.phase is Phase.READY


def test_a_file_of_ones_own(opened, published, tmp_path):
    _, widget, panel, loaded = opened
    before = mask(widget)
    panel.file_requested.emit(tmp_path / "published.pt")
    widget.wait_until_idle(TIMEOUT_S)
    assert panel.windowTitle() == "Model: published.pt on cpu"
    assert panel.combo.offer.name == "published.pt"
    np.testing.assert_array_equal(mask(widget), before)
    pick(panel, "mobile_sam")
    widget.wait_until_idle(TIMEOUT_S)
    assert loaded[-1].checkpoint is None
    pick(panel, "published.pt")
    widget.wait_until_idle(TIMEOUT_S)
    assert loaded[-1].checkpoint == tmp_path / "published.pt"


def test_files_in_the_models_folder_are_offered(published, make_widget, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "mine.pth").write_bytes(b"1")
    _, widget = make_widget()
    panel = widget.controllers.models.panel
    assert [offer.name for offer in panel.combo.offers] == ["mobile_sam", "published", "mine.pth"]
    pick(panel, "published")
    assert "not on this computer" in panel._description.text()


def test_a_hostile_file_is_refused_and_the_session_goes_on(opened, tmp_path):
    _, widget, panel, _ = opened
    sign = tmp_path / "sign"

    class Payload:
        def __reduce__(self):
            return (open, (str(sign), "w"))

    hostile = tmp_path / "hostile.pt"
    torch.save({"model": Payload()}, hostile)
    messages = []
    widget.session.notifier.warned.connect(messages.append)
    panel.file_requested.emit(hostile)
    widget.wait_until_idle(TIMEOUT_S)
    assert not sign.exists()
    assert "would run code" in messages[0]
    assert "napari-sam convert" in messages[0]
    assert widget.session.state.active_model.name == "mobile_sam"
    assert panel.combo.offer.name == "mobile_sam"
    assert widget.session.state.candidates is not None


def test_device_and_precision(opened, monkeypatch):
    monkeypatch.setattr("napari_sam.model.runtime.devices._cpu_has_bfloat16", lambda: True)
    _, widget, panel, loaded = opened
    assert panel.exact.isChecked()
    assert [panel.device.itemText(k) for k in range(panel.device.count())][:1] == ["auto"]
    panel.device.setCurrentText("cpu")
    panel.device.textActivated.emit("cpu")
    widget.wait_until_idle(TIMEOUT_S)
    assert loaded[-1].device == "cpu"
    assert panel.exact.isEnabled()
    panel.exact.click()
    widget.wait_until_idle(TIMEOUT_S)
    assert loaded[-1].exact is False
    assert widget.session.state.runtime.precision == "bfloat16"
    assert not panel.exact.isChecked()
    assert panel.windowTitle() == "Model: MobileSAM on cpu, bfloat16"


def test_closing_during_a_download_is_quiet_and_leaves_nothing(opened, server, qtbot, tmp_path):
    viewer, widget, panel, _ = opened
    pick(panel, "published")
    panel._download.click()
    qtbot.waitUntil(server.is_asked.is_set, timeout=20_000)
    viewer.window.remove_dock_widget(widget.parent())
    widget.close()
    assert list((tmp_path / "models").iterdir()) == []
    server.may_go_on.set()
    panel.model_requested.emit(BUNDLED)  # nobody hears it


def test_leftovers_go_when_the_widget_opens(published, make_widget, tmp_path):
    (tmp_path / "models" / ".download-999999999-1").mkdir(parents=True)
    make_widget()
    assert list((tmp_path / "models").iterdir()) == []


def start_download(panel, server, qtbot):
    pick(panel, "published")
    panel._download.click()
    qtbot.waitUntil(server.is_asked.is_set, timeout=20_000)


def wait_for_model(widget, qtbot, checkpoint):
    def is_ready():
        state = widget.session.state
        return (
            state.requested_model.checkpoint == checkpoint
            and state.runtime
            and not state.is_checking
        )

    qtbot.waitUntil(is_ready, timeout=20_000)


@pytest.mark.parametrize("what", ["open", "pick", "pick again"])
def test_a_download_goes_on_while_something_else_is_chosen(
    opened, server, qtbot, tmp_path, monkeypatch, what
):
    _, widget, panel, _ = opened
    notes = []
    monkeypatch.setattr("napari_sam.controllers.messages.show_info", notes.append)
    start_download(panel, server, qtbot)
    chosen = None
    if what == "open":
        chosen = tmp_path / "published.pt"
        panel.file_requested.emit(chosen)
    else:
        pick(panel, "mobile_sam")
    wait_for_model(widget, qtbot, chosen)
    if what == "pick again":
        pick(panel, "published")
        assert panel._download.isHidden()
        pick(panel, "mobile_sam")
    assert widget.controllers.models.fetcher.state.downloading is not None
    server.may_go_on.set()
    widget.wait_until_idle(TIMEOUT_S)
    assert (tmp_path / "models" / "sam_vit_b_01ec64.pth").is_file()
    assert widget.session.state.requested_model.checkpoint == chosen
    assert notes == [
        "Downloaded published. Choose it in the list of models to use it.",
    ]
    pick(panel, "published")
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.active_model.name == "published"


def test_what_is_picked_again_during_its_download_is_used(opened, server, qtbot, tmp_path):
    _, widget, panel, _ = opened
    start_download(panel, server, qtbot)
    server.is_asked.clear()
    pick(panel, "mobile_sam")
    pick(panel, "published")
    server.may_go_on.set()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.active_model.name == "published"
    assert not server.is_asked.is_set()


def test_a_file_of_ones_own_under_a_published_name(opened, server, published, tmp_path):
    _, widget, panel, loaded = opened
    content = server.content[:-1] + b"?"
    own = tmp_path / "models" / published.file_name
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(content)
    messages = []
    widget.controllers.models.fetcher.failed.connect(messages.append)
    panel.combo.list_requested.emit()
    pick(panel, "published")
    widget.wait_until_idle(TIMEOUT_S)
    assert not server.is_asked.is_set()
    assert messages[0].startswith(f"{own.name} is not ")
    assert str(own) in messages[0]
    assert "rename this file, then press Download" in messages[0]
    assert panel.combo.offer.name == "published"
    assert not panel._download.isHidden()
    server.may_go_on.set()
    panel._download.click()
    widget.wait_until_idle(TIMEOUT_S)
    assert "rename it or move it away" in messages[1]
    assert own.read_bytes() == content
    assert not server.is_asked.is_set()
    assert panel.combo.offer.name == "mobile_sam"

    torch.save({"model_state": load_file(BUNDLED.bundled)}, own)
    panel.combo.list_requested.emit()
    pick(panel, published.file_name)
    widget.wait_until_idle(TIMEOUT_S)
    assert loaded[-1].checkpoint == own
    assert widget.session.state.phase is Phase.READY


def test_two_files_of_one_name(opened, tmp_path):
    _, widget, panel, loaded = opened
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        torch.save(load_file(BUNDLED.bundled), tmp_path / folder / "best.pt")
        panel.file_requested.emit(tmp_path / folder / "best.pt")
        widget.wait_until_idle(TIMEOUT_S)
        assert loaded[-1].checkpoint == tmp_path / folder / "best.pt"
    assert panel.windowTitle() == "Model: b/best.pt on cpu"
    assert panel.combo.offer.path == tmp_path / "b" / "best.pt"
    pick(panel, "a/best.pt")
    widget.wait_until_idle(TIMEOUT_S)
    assert loaded[-1].checkpoint == tmp_path / "a" / "best.pt"
    assert panel.windowTitle() == "Model: a/best.pt on cpu"
    assert panel.combo.offer.path == tmp_path / "a" / "best.pt"
    assert len(loaded) == 4


def test_a_file_that_has_changed_is_loaded_again(opened, tmp_path):
    _, widget, panel, loaded = opened
    path = tmp_path / "published.pt"
    for count in (2, 2):
        panel.file_requested.emit(path)
        widget.wait_until_idle(TIMEOUT_S)
        assert len(loaded) == count
    torch.save({"model_state": load_file(BUNDLED.bundled)}, path)
    panel.file_requested.emit(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert len(loaded) == 3
    path.write_bytes(b"nonsense")
    panel.file_requested.emit(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert len(loaded) == 3
    assert widget.session.state.phase is Phase.READY


def test_the_list_is_up_to_date_when_it_is_opened(opened, tmp_path):
    _, _, panel, _ = opened
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "late.pth").write_bytes(b"1")
    panel.combo.showPopup()
    panel.combo.hidePopup()
    assert [offer.name for offer in panel.combo.offers][-1] == "late.pth"
    assert panel.combo.offer.name == "mobile_sam"


def test_the_wished_device_is_shown_though_it_is_not_there(make_napari_viewer):
    viewer = make_napari_viewer()
    widget = SamWidget(viewer, model=ModelChoice(device="cuda:77"))
    viewer.window.add_dock_widget(widget)
    widget.wait_until_idle(TIMEOUT_S)
    device = widget.controllers.models.panel.device
    assert widget.session.state.phase is Phase.FAILED
    assert device.currentText() == "cuda:77"
    assert [device.itemText(k) for k in range(device.count())] == ["auto", "cpu", "cuda:77"]
    device.setCurrentText("auto")
    device.textActivated.emit("auto")
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.phase is Phase.NO_IMAGE
    widget.close()


def test_long_names_leave_the_width_alone(opened, tmp_path, qtbot):
    viewer, widget, panel, _ = opened
    viewer.window._qt_window.resize(900, 600)
    viewer.window._qt_window.show()
    window = widget.controllers.windows[0]
    widget.controllers.annotate.image_panel.model.click()
    path = tmp_path / ("my_finetuned_model_" * 8 + ".pt")
    torch.save(load_file(BUNDLED.bundled), path)
    least = panel.minimumSizeHint().width()
    panel.file_requested.emit(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert panel.minimumSizeHint().width() <= least
    assert panel.width() <= window.width() < 500
    assert window.windowTitle() == f"Model: {path.name} on cpu"
    status = widget.controllers.annotate.image_panel._status
    assert path.name in status.toolTip()
    assert "…" in QLabel.text(panel._description)
    assert panel._description.toolTip() == str(path)


def test_the_description_is_whole_at_any_width(opened, qtbot):
    viewer, widget, panel, _ = opened
    viewer.window._qt_window.show()
    viewer.window._qt_window.resize(1000, 700)

    def is_whole():
        label = panel._description
        return label.isVisible() and label.height() >= label.heightForWidth(label.width())

    button, window = widget.controllers.annotate.image_panel.model, widget.controllers.windows[0]
    button.click()
    qtbot.waitUntil(is_whole)
    pick(panel, "published")
    qtbot.waitUntil(is_whole)
    for width in (600, 200):
        window.resize(width, window.height())
        qtbot.waitUntil(is_whole)
    button.click()
    assert not window.isVisible()
