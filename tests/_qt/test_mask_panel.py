from dataclasses import replace
from types import SimpleNamespace

import pytest

from napari_sam._qt.mask_panel import MaskPanel
from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session.state import SessionState


class Candidates(SimpleNamespace):
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __len__(self):
        return len(self.iou_predictions)


def three(best=1):
    scores = (0.9, 1.01, 0.5)
    traits = SimpleNamespace(
        iou_predictions=scores, stability_score=(0.8, 0.9, 0.7), area_px=(1200, 10, 3)
    )
    ranking = SimpleNamespace(traits=traits, features=traits, reason="highest score")
    return Candidates(iou_predictions=scores, ranking=ranking, best=best)


@pytest.fixture
def panel(qtbot):
    panel = MaskPanel(("#ff0000", "#00ff00", "#0000ff"))
    qtbot.addWidget(panel)
    return panel


def texts(panel):
    return [panel._rows.item(row).text() for row in range(panel._rows.count())]


def test_scores_and_the_reason_of_the_choice(panel, heard):
    requests = heard(panel, "candidate_requested")
    candidates = three()
    assert not panel._rows.isEnabled()
    panel.show_state(SessionState(candidates=candidates, chosen=1))
    assert texts(panel)[:2] == ["Mask 1    score 0.90", "Mask 2    score 1.00"]
    assert panel._rows.currentRow() == 1
    assert panel._reason.text() == "Mask 2: highest score"
    assert "about 1,200 pixels" in panel._rows.item(0).toolTip()
    panel.show_state(SessionState(candidates=candidates, chosen=0))
    assert panel._reason.text() == "Mask 1: your choice"
    panel.show_state(SessionState(candidates=three(), chosen=2, reedited_choice=2))
    assert panel._reason.text() == "Mask 3: the mask you accepted before"
    assert "highest score" in panel._reason.toolTip()
    assert requests == []
    panel._rows.setCurrentRow(0)
    assert requests == [("candidate_requested", 0)]
    panel.show_state(SessionState())
    assert texts(panel) == ["Mask 1    -", "Mask 2    -", "Mask 3    -"]
    assert panel._reason.text() == ""


def test_there_are_as_many_rows_as_the_model_has_candidates(panel):
    spec = replace(SAM_SPEC, candidate_count=5)
    panel.show_state(SessionState(spec=spec))
    assert texts(panel)[3:] == ["Mask 4    -", "Mask 5    -"]
    panel.show_state(SessionState())
    assert len(texts(panel)) == 3


def test_the_tooltip_names_the_key(panel):
    panel.texts.show({"next": "J"})
    assert "(J shows the next mask)" in panel._rows.toolTip()


def test_a_long_reason_is_shown_whole_and_moves_nothing(panel, shown):
    shown(panel, width=300)
    height = panel._reason.height()
    candidates = three()
    candidates.ranking.reason = "mask 2 resembles the masks you passed over"
    panel.show_state(SessionState(candidates=candidates, chosen=1))
    label = panel._reason._label
    assert height == panel._reason.height() >= label.heightForWidth(label.width())
