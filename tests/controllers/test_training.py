"""Fine-tuning from the window: a real training of a few objects, stopped, and refused."""

from tests.batch.labeled_images import write_folders

TIMEOUT_MS = 300_000


def test_a_model_is_trained_in_the_background_and_offered(make_widget, qtbot, tmp_path, said):
    images, labels = write_folders(tmp_path, (0, 1))
    _, widget = make_widget()
    controllers = widget.controllers
    training, models = controllers.training, controllers.models.panel
    models.fine_tune.click()
    panel = training.on_demand.built
    panel.suggest(str(images), str(labels))
    assert not panel.start.isEnabled()
    panel.checkpoint.setText(str(tmp_path / "discs.pt"))
    panel.epochs.setValue(1)
    panel.objects.setValue(1)
    panel.start.click()
    assert not training.is_idle
    assert not panel.images.isEnabled()
    qtbot.waitUntil(lambda: panel.curves._points != (), timeout=TIMEOUT_MS)
    panel.stop.click()
    qtbot.waitUntil(lambda: training.is_idle, timeout=TIMEOUT_MS)
    assert panel.start.text() == "Resume"
    assert panel.outcome.text().startswith("Stopped.")
    # What the command says is shown, whether it trained or not.
    panel.checkpoint.setText(str(tmp_path / "discs.onnx"))
    panel.start.click()
    qtbot.waitUntil(lambda: training.is_idle, timeout=TIMEOUT_MS)
    assert "does not end in" in panel.outcome.text()
    assert panel.start.text() == "Start"


def test_what_comes_of_it_is_told(make_widget, tmp_path, said):
    _, widget = make_widget()
    training, models = widget.controllers.training, widget.controllers.models.panel
    panel = training.on_demand.get()
    epochs = [
        {"number": 0, "mask_loss": None, "score_loss": None, "one_click_iou": 0.5, "box_iou": 0.7},
        {"number": 1, "mask_loss": 0.4, "score_loss": 0.1, "one_click_iou": 0.8, "box_iou": 0.7},
    ]
    for epoch in epochs:
        training._on_event({"epoch": epoch})
    training.window.toggle()
    assert panel.outcome.text().startswith("At least two images")
    low = panel.curves.height()
    training.window.resize(600, training.window.height() + 200)
    assert panel.curves.height() > low + 150
    panel.grab()
    assert panel.curves.toolTip().endswith("epoch 1: one click 0.800, box 0.700, loss 0.500")
    path = tmp_path / "discs.pt"
    path.touch()
    training._on_event({"checkpoint": str(path), "best_epoch": 1, "epochs": epochs})
    training._on_ended(True, "")
    assert said[-1].startswith("IoU after one click 0.500 to 0.800")
    assert path in [offer.path for offer in models.combo.offers]
    refused = {"checkpoint": None, "best_epoch": 0, "refusal": "the IoU fell.", "epochs": epochs}
    training._on_event(refused)
    training._on_ended(False, "No checkpoint was written")
    assert said[-1] == "Nothing was written: on the validation images, the IoU fell."
