"""Files of objects opened with napari's own dialog; see also test_writer.py."""

from napari_sam._reader import get_reader


def test_files_that_are_not_ours_are_left_to_others(tmp_path):
    for name, text in (("a.json", '{"images": 3}'), ("b.geojson", '{"type":"FeatureCollection"}')):
        (tmp_path / name).write_text(text)
        assert get_reader(str(tmp_path / name)) is None
    assert get_reader(str(tmp_path / "missing.json")) is None
    assert get_reader([str(tmp_path / "a.json")]) is None
