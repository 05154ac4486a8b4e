"""The switch for learning, and what goes from one image of a folder to the next."""

from dataclasses import replace

import imageio.v3
from napari.layers import Image
from qtpy.QtWidgets import QFileDialog, QMessageBox
from skimage import data

from napari_sam.session import Prompts
from napari_sam.session.decoding.learnt import Learnt
from napari_sam.session.decoding.recipe import Policy, Recipe
from napari_sam.session.learning.kept import lessons_to_json
from napari_sam.session.learning.lessons import Knowledge, Lesson
from napari_sam.storage.learned import learned_file, save_learned
from napari_sam.storage.options import load_options

KNOWN = lessons_to_json([Lesson(900.0, 0.6, {Policy(0, 1, True): 0.8})] * 6, "mobile_sam")


def test_examples_are_kept_for_the_folder_until_forgotten(make_widget, tmp_path, monkeypatch):
    monkeypatch.setattr(QMessageBox, "exec", lambda _: QMessageBox.StandardButton.Yes)
    imageio.v3.imwrite(tmp_path / "coins.png", data.coins())
    kept = ["AAAA" * 30] * 2
    save_learned(tmp_path, {"examples": {"model": "mobile_sam", "like": kept, "unlike": []}})
    viewer, widget = make_widget()
    known, row = widget.session.known_examples, widget.controllers.options.panel.learning
    viewer.open(tmp_path / "coins.png")
    widget.wait_until_idle(120)
    assert len(known.current.like) == 2
    widget.controllers.learning._save()
    assert known.to_json()["like"] == kept
    viewer.layers.clear()
    row._forget.trigger()
    assert known.current.like == ()
    assert not learned_file(tmp_path).exists()


def test_it_begins_with_what_its_folder_taught(make_widget, tmp_path, monkeypatch, said):
    save_learned(tmp_path, KNOWN)
    path = tmp_path / "coins.png"
    imageio.v3.imwrite(path, data.coins())
    viewer, widget = make_widget()
    panel, learning = widget.controllers.options.panel, widget.session.learning
    assert panel.learned.text() == "Nothing learned yet: accept five objects."
    row = panel.learning
    assert not row._forget.isEnabled()
    viewer.open(path)
    widget.wait_until_idle(120)
    assert learning.knowledge.n_objects == 6
    assert panel.learned.text().startswith("Learned from 6 objects; tried on")
    row.learn.click()
    assert not learning.is_on
    assert panel.learned.text() == ""
    assert load_options()["learn"] is False
    row.learn.click()
    saved = tmp_path / "mine.sam-learned.safetensors"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(saved), ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(saved), ""))
    row._save.trigger()
    widget.wait_until_idle(120)
    assert said[-1] == "Saved what was learned from 6 objects to mine.sam-learned.safetensors."
    answers = [QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "exec", lambda _: answers.pop(0))
    row._forget.trigger()
    assert learning.knowledge.n_objects == 6
    row._forget.trigger()
    assert learning.knowledge.n_objects == 0
    assert said[-1].startswith("Forgot what was learned.")
    assert not learned_file(tmp_path).exists()
    row._open.trigger()
    widget.wait_until_idle(120)
    assert learning.knowledge.n_objects == 6
    assert learned_file(tmp_path).exists()
    assert said[-1].startswith("Learned from 6 objects of coins, 2")
    saved.write_text("{}")
    row._open.trigger()
    widget.wait_until_idle(120)
    assert learning.knowledge.n_objects == 6
    assert said[-1].startswith("The file has nothing learned or is damaged; choose one")


def test_the_user_is_told_when_a_learned_mask_is_preselected_first(make_widget, said):
    _, widget = make_widget(Image(data.coins(), name="coins"))
    session, told = widget.session, []
    learnt = Learnt(Recipe(Policy(1, 0, True), 20.0), 12)
    for is_preselected in (False, True, True):
        known = replace(learnt, is_preselected=is_preselected)
        session.learning.knowledge = Knowledge(12, 12, learnt=known)
        session.set_prompts(Prompts(((104, 68),), (1,)))
        widget.wait_until_idle(120)
        told.append(said.count("Learned from 12 objects: masks with a star are preselected."))
        session.object_in_progress.clear()
    assert told == [0, 1, 1]
