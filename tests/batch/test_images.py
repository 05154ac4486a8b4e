"""Which images are meant, and what their results are called."""

import pytest

from napari_sam.batch.images import find_images, paths_of_equal_names


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for name in ("b.tif", "a.png", "deep/c.ome.tif", "deep/d.JPG", ".hidden.png", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "store.zarr" / "0").mkdir(parents=True)
    (folder / "store.zarr" / "0" / "x.png").write_bytes(b"a chunk")
    return folder


def names(inputs, results):
    return [image.name for image in find_images([str(path) for path in inputs], results)]


def test_folders_patterns_and_files(images, tmp_path):
    results = images / "masks"
    (results / "sub").mkdir(parents=True)
    (results / "a.png").touch()
    (results / "sub" / "a.png").touch()
    assert names([images], results) == ["a", "b", "store", "deep/c", "deep/d"]
    assert names([images / "*.png"], results) == ["a"]
    assert names([images / "**" / "*.tif"], results) == ["b", "c"]
    assert names([images / "a.png", images / "a.png", images], results)[0] == "a"
    assert len(find_images([str(images), str(images / "a.png")], results)) == 5
    assert names([images / "notes.txt", tmp_path / "none.tif"], results) == ["notes", "none"]


def test_images_of_one_name(images):
    (images / "a.tif").touch()
    assert names([images / "a.png", images / "a.tif"], images / "masks") == ["a_png", "a_tif"]
    (images / "deep" / "a.tif").touch()
    given = [str(images / "a.tif"), str(images / "deep" / "a.tif")]
    twice = paths_of_equal_names(find_images(given, images / "masks"))
    assert twice == given
    assert paths_of_equal_names(find_images([str(images)], images / "masks")) == []
