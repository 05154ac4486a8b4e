from dataclasses import replace
from types import SimpleNamespace

import numpy as np
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
    traits = SimpleNamespace(iou_predictions=scores, stability_score=(0.8, 0.9, 0.7))
    ranking = SimpleNamespace(traits=traits, features=traits, reason="highest score")
    masks = [SimpleNamespace(area_px=area_px) for area_px in (1200, 10, 3)]
    return Candidates(iou_predictions=scores, ranking=ranking, best=best, learnt=None, masks=masks)


def four():
    """Return three masks and a learned one."""
    scores = (0.9, 1.01, 0.5, 0.8)
    traits = SimpleNamespace(iou_predictions=scores, stability_score=scores)
    ranking = SimpleNamespace(features=traits, reason="learned from 9 objects")
    masks = [SimpleNamespace(area_px=10)] * 4
    return Candidates(iou_predictions=scores, ranking=ranking, best=3, learnt=3, masks=masks)


@pytest.fixture
def panel(qtbot):
    panel = MaskPanel(("#ff0000", "#00ff00", "#0000ff"))
    qtbot.addWidget(panel)
    return panel


def texts(panel):
    return [button.text() for button in panel._buttons]


def chosen(panel):
    return [button.number for button in panel._buttons if button.isChecked()]


def test_scores_and_the_reason_of_the_choice(panel, heard):
    requests = heard(panel, "candidate_requested")
    candidates = three()
    assert not any(button.isEnabled() for button in panel._buttons)
    panel.show_state(SessionState(candidates=candidates, chosen=1))
    assert texts(panel)[:2] == ["0.90", "1.00"]
    assert chosen(panel) == [1]
    assert panel._reason.text() == "Mask 2: highest score"
    assert "about 1,200 pixels" in panel._buttons[0].toolTip()
    panel.show_state(SessionState(candidates=candidates, chosen=0))
    assert panel._reason.text() == "Mask 1: your choice"
    panel.show_state(SessionState(candidates=three(), chosen=2, reedited_choice=2))
    assert panel._reason.text() == "Mask 3: the mask you accepted before"
    assert "highest score" in panel._reason.toolTip()
    assert requests == []
    panel._buttons[0].click()
    assert requests == [("candidate_requested", 0)]
    assert chosen(panel) == [0]
    panel.show_state(SessionState())
    assert texts(panel) == ["", "", ""]
    assert chosen(panel) == []
    assert panel._reason.text() == ""


def test_there_are_as_many_pictures_as_the_model_has_candidates(panel):
    spec = replace(SAM_SPEC, candidate_count=5)
    panel.show_state(SessionState(spec=spec))
    assert len(texts(panel)) == len(panel.colors) == 5
    panel.show_state(SessionState())
    assert len(texts(panel)) == 3


def test_the_tooltip_names_the_key(panel):
    panel.texts.show({"next": "J"})
    panel.show_state(SessionState(candidates=three(), chosen=1))
    assert "(J shows the next mask)" in panel._buttons[1].toolTip()


def test_a_long_reason_is_in_the_tooltip_and_moves_nothing(panel, shown):
    shown(panel, width=300)
    height = panel.sizeHint().height()
    candidates = three()
    candidates.ranking.reason = "preferred to mask 2: you skipped similar ones " * 7
    panel.show_state(SessionState(candidates=candidates, chosen=1))
    assert panel.sizeHint().height() == height
    assert candidates.ranking.reason in panel._reason.toolTip()


def test_pictures_belong_to_the_candidates_that_are_shown(panel, shown):
    shown(panel, width=324)
    candidates = three()
    panel.show_state(SessionState(candidates=candidates, chosen=1))
    red = np.full((40, 60, 3), (200, 0, 0), np.uint8)
    panel.show_pictures(three(), [red] * 3)  # others, which are gone by now
    assert all(button._picture is None for button in panel._buttons)
    panel.show_pictures(candidates, [red] * 3)
    button = panel._buttons[1]
    color = button.grab().toImage().pixelColor(button.width() // 2, button.height() // 3)
    assert color.getRgb()[:3] == (200, 0, 0)
    panel.show_state(SessionState())
    assert all(button._picture is None for button in panel._buttons)


def test_the_steps_of_a_first_run_take_the_place_of_masks_that_are_not_there(panel, shown):
    shown(panel, width=324)
    height = panel.sizeHint().height()
    panel.show_first_run(True)
    assert panel.first_run.isVisible()
    assert panel.sizeHint().height() == height
    panel.show_state(SessionState(candidates=three(), chosen=1))
    assert not panel.first_run.isVisible()
    panel.show_state(SessionState())
    assert panel.first_run.isVisible()
    panel.show_first_run(False)
    assert not panel.first_run.isVisible()


def test_a_learned_mask_is_marked_and_keeps_its_place(panel):
    panel.show_state(SessionState(candidates=three(), chosen=1))
    assert len(panel._buttons) == 3
    panel.show_state(SessionState(candidates=four(), chosen=3))
    assert [button.is_learned for button in panel._buttons] == [False, False, False, True]
    assert "Learned from the objects you accepted" in panel._buttons[3].toolTip()
    assert "Learned" not in panel._buttons[0].toolTip()
    panel.show_state(SessionState())  # nothing moves until the next click
    panel.show_state(SessionState(candidates=three(), chosen=1))
    assert len(panel._buttons) == 4
    assert not any(button.is_learned for button in panel._buttons)
