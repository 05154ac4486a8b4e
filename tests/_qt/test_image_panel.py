import pytest
from qtpy.QtCore import QEvent

from napari_sam._qt.image_panel import ImagePanel
from napari_sam.session.embedding.phase import Phase
from napari_sam.session.prefetch.queue import PrefetchState
from napari_sam.session.state import SessionState


@pytest.fixture
def panel(shown):
    return shown(ImagePanel())


def test_the_way_of_an_image(panel, heard):
    requests = heard(panel, "cancel_requested", "embed_requested")
    panel.show_state(SessionState())
    assert panel._status.text() == "No image"
    assert not panel._button.isVisible()
    panel.show_state(SessionState(Phase.LOADING, has_image=True))
    assert panel._status.text().startswith("Loading the model … ")
    panel.show_state(SessionState(Phase.EMBEDDING, progress=0.5, has_image=True))
    assert panel._progress.isVisible()
    assert panel._button.text() == "Cancel"
    panel._button.click()
    panel._show_progress()  # as the timer does
    assert panel._progress.value() == 500
    assert panel._status.text().startswith("Embedding … ")
    panel.show_state(SessionState(Phase.CANCELLED, has_image=True))
    assert panel._status.text() == "Embedding canceled"
    assert not panel._progress.isVisible()
    assert panel._button.text() == "Embed"
    panel._button.click()
    panel.show_state(SessionState(Phase.READY, has_image=True))
    assert panel._status.text() == "Ready · whole image · MobileSAM"
    assert "Embedded in " in panel._status.toolTip()
    assert not panel._button.isVisible()
    assert requests == [("cancel_requested",), ("embed_requested",)]


def test_that_better_masks_are_on_their_way_is_said_without_a_change_of_layout(panel, qtbot):
    panel.show_state(SessionState(Phase.READY, has_image=True, tile_px=128))
    size, laid_out = panel.sizeHint(), []
    panel.layout().activate()
    panel.event = lambda event: laid_out.append(event.type()) or False
    panel.show_refining(True)
    assert panel._status.text() == "Refining · tile 128 px · MobileSAM"
    panel.show_refining(False)
    assert panel._status.text() == "Ready · tile 128 px · MobileSAM"
    assert panel.sizeHint() == size
    del panel.event
    assert QEvent.Type.LayoutRequest not in laid_out


def test_a_failure_is_named_and_can_be_tried_again(panel):
    panel.show_state(SessionState(Phase.FAILED, has_image=True))
    assert panel._status.text() == "Could not embed the image; see below"
    assert panel._button.text() == "Embed"


def test_a_view_that_cannot_be_embedded_is_no_failure(panel):
    hint = "Paused while the viewer shows 3-D. Switch to 2-D (Ctrl+Y) to continue."
    panel.show_state(SessionState(Phase.FAILED, hint=hint))
    assert panel._status.text() == "Paused while the viewer shows 3-D"
    assert not panel._button.isVisible()


def test_button_and_bar_keep_their_place_when_hidden(panel):
    heights = []
    for phase in (Phase.EMBEDDING, Phase.READY, Phase.EMBEDDING):
        panel.show_state(SessionState(phase, has_image=True))
        heights.append(panel.sizeHint().height())
    assert len(set(heights)) == 1


def test_a_layer_that_is_no_image_can_be_converted(panel):
    panel.offer_conversion("counts")
    assert panel.convert.isVisible()
    assert panel._status.text() == "'counts' was opened as labels, not as an image"
    panel.offer_conversion("")
    assert not panel.convert.isVisible()
    assert panel._status.text() == "No image"


def test_the_line_tells_the_tile_and_what_is_embedded_ahead(panel):
    panel.show_state(SessionState(Phase.READY, has_image=True, tile_px=256))
    assert panel._status.text() == "Ready · tile 256 px · MobileSAM"
    ahead = PrefetchState(done=3, total=12, left_s=180)
    panel.show_state(SessionState(Phase.READY, has_image=True, prefetch=ahead))
    assert panel._status.text() == "Ready · 3 of 12, 3 min left"
    assert panel._progress.isVisible()
    assert panel._progress.value() == 250


def test_a_long_name_takes_no_width(panel):
    panel.offer_conversion("a name that is much longer than any dock is wide" * 3)
    assert panel.minimumSizeHint().width() < 340
    assert panel._status.toolTip().startswith("'a name that is much longer")
