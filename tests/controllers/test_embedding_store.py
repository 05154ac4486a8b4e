"""Embeddings that outlive the widget."""

from napari.layers import Image
from skimage import data

from napari_sam.model import load_model
from tests.remembering import RememberingPredictor

TIMEOUT_S = 120


def test_an_image_is_ready_again_after_a_restart(make_widget, embeddings_folder):
    encoded = []

    class Noting(RememberingPredictor):
        def encode(self, image, on_block=None):
            encoded.append(image.shape)
            return super().encode(image, on_block)

    def load(choice, runtime):
        return Noting(load_model(), device="cpu")

    _, widget = make_widget(Image(data.coins(), name="coins"), load_predictor=load)
    widget._store.flush()
    widget.close()
    _, again = make_widget(Image(data.coins(), name="renamed"), load_predictor=load)
    assert len(encoded) == 1
    assert len(list(embeddings_folder.iterdir())) == 1

    again.controllers.windows[0].show()
    row = again.controllers.embeddings.store_row
    row.usage_requested.emit()
    assert row._label.text() == "1 embedding on disk, 4 MB"
    assert str(embeddings_folder) in row._label.toolTip()
    row.clear.click()
    assert list(embeddings_folder.iterdir()) == []
    assert row._label.text() == "0 embeddings on disk, 0 MB"
    assert not row.clear.isEnabled()
