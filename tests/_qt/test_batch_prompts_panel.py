"""The panel for batch prompts alone."""

from napari_sam._qt.batch_prompts_panel import BatchPromptsPanel
from napari_sam.session.batch_prompts.run import BatchPromptsState


def test_a_batch_is_started_shown_and_stopped(shown, heard):
    panel = shown(BatchPromptsPanel((".csv",)), 330, 200)
    requests = heard(panel, "start.clicked", "stop.clicked")
    assert not panel.start.isEnabled()
    place = panel.start.pos()
    panel.show_source("4 objects in the layer.", count=4)
    assert panel.start.pos() == place
    assert panel.start.text() == "Segment 4 objects"
    panel.start.click()
    panel.show_progress(BatchPromptsState(4, 0.5))
    assert panel.start.isHidden()
    assert panel._progress.text() == "2 of 4"
    panel.stop.click()
    panel.show_progress(BatchPromptsState(4, 0.5, is_stopping=True))
    assert not panel.stop.isEnabled()
    panel.show_progress(None)
    assert not panel.start.isHidden()
    assert [name for name, *_ in requests] == ["start.clicked", "stop.clicked"]
