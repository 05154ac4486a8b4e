"""The switch for learning, and what goes from one image of a folder to the next."""

import imageio.v3
from skimage import data

from napari_sam.session.decoding.recipe import Policy
from napari_sam.session.learning.kept import lessons_to_json
from napari_sam.session.learning.lessons import Lesson
from napari_sam.storage.learned import learned_file, save_learned
from napari_sam.storage.options import load_options

KNOWN = lessons_to_json([Lesson(900.0, 0.6, {Policy(0, 1, True): 0.8})] * 6, "mobile_sam")


def test_it_begins_with_what_its_folder_taught_and_forgets_it(make_widget, tmp_path):
    save_learned(tmp_path, KNOWN)
    path = tmp_path / "coins.png"
    imageio.v3.imwrite(path, data.coins())
    viewer, widget = make_widget()
    panel, learning = widget.controllers.options.panel, widget.session.learning
    assert panel.learned.text() == "Nothing learned yet: accept five objects."
    assert not panel.forget.isEnabled()
    viewer.open(path)
    widget.wait_until_idle(120)
    assert learning.knowledge.n_objects == 6
    assert panel.learned.text().startswith("Learned from 6 objects; to be tried")
    panel.learn.click()
    assert not learning.is_on
    assert panel.learned.text() == ""
    assert load_options()["learn"] is False
    panel.learn.click()
    panel.forget.click()
    assert learning.knowledge.n_objects == 0
    assert not learned_file(tmp_path).exists()
