"""What was learned of a folder of images, in a small file."""

from napari_sam.storage import learned
from napari_sam.storage.learned import forget_learned, learned_file, load_learned, save_learned


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


def test_a_damaged_file_is_as_good_as_none(tmp_path):
    save_learned(tmp_path, {"n": 1})
    learned_file(tmp_path).write_text("{")
    assert load_learned(tmp_path) == {}
    forget_learned(tmp_path)
    forget_learned(tmp_path)
