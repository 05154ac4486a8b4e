"""What was learned of a folder of images, in a small file."""

from itertools import product

import numpy as np

from napari_sam.session.decoding.border import N_FEATURES
from napari_sam.session.decoding.recipe import Policy
from napari_sam.session.learning.kept import MAX_KEPT, lessons_to_json
from napari_sam.session.learning.lessons import Lesson
from napari_sam.storage import learned
from napari_sam.storage.learned import forget_learned, learned_file, load_learned, save_learned

CUTS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


def test_each_folder_has_its_own_and_the_oldest_ones_go(tmp_path, monkeypatch):
    monkeypatch.setattr(learned, "_MAX_FILES", 2)
    folders = [tmp_path / name for name in ("a", "b", "c")]
    assert load_learned(folders[0]) == {}
    for number, folder in enumerate(folders):
        save_learned(folder, {"n": number})
    assert load_learned(folders[2]) == {"n": 2}
    assert load_learned(folders[1]) == {"n": 1}
    assert len(list(learned_file(folders[0]).parent.glob("*.json"))) == 2
    forget_learned(folders[1])
    assert load_learned(folders[1]) == {}


def test_all_that_many_objects_taught_is_kept(tmp_path):
    policies = [
        Policy(*which, cut) for which in product(range(4), range(4), (0, 1)) for cut in CUTS
    ]
    samples = np.random.default_rng(0).normal(0, 3, (240, N_FEATURES + 1)).astype(np.float32)
    lesson = Lesson(900.0, 0.6, dict.fromkeys(policies, 0.875), samples=samples, moved=0.8)
    content = lessons_to_json([lesson] * 64, "mobile_sam")
    content["examples"] = {"like": ["A" * 1400] * 64, "unlike": ["A" * 1400] * 64}
    save_learned(tmp_path, content)
    assert len(load_learned(tmp_path)["lessons"]) == MAX_KEPT
    assert load_learned(tmp_path) == content


def test_a_damaged_file_is_as_good_as_none(tmp_path):
    save_learned(tmp_path, {"n": 1})
    learned_file(tmp_path).write_text("{")
    assert load_learned(tmp_path) == {}
    forget_learned(tmp_path)
    forget_learned(tmp_path)
