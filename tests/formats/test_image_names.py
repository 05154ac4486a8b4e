"""Images of a file by the names that other programs give them."""

import pytest

from napari_sam.formats.image_names import images_meant, stem_of


@pytest.mark.parametrize(
    ("file_names", "names", "meant"),
    [
        (["scene_png.rf.a81bc.png", "scene.png", "other.png"], ["scene"], ["scene.png"]),
        (["scene_png.rf.a81bc.png", "other.png"], ["/data/scene.png"], ["scene_png.rf.a81bc.png"]),
        (["a_jpg.rf.1.jpg", "a_jpg.rf.2.jpg"], ["a"], ["a_jpg.rf.1.jpg", "a_jpg.rf.2.jpg"]),
        (
            ["My-scene-1-_jpg.rf.5f.jpg", "b.png"],
            ["My scene (1).jpg"],
            ["My-scene-1-_jpg.rf.5f.jpg"],
        ),
        (["cells.v2_tif.rf.5f.jpg", "b.png"], ["cells.v2.tif"], ["cells.v2_tif.rf.5f.jpg"]),
        (["a.png", "b.png"], ["/x/a_png.rf.77aa.jpg"], ["a.png"]),
        (["images/1a2b3c4d-scene.png", "b.png"], ["scene.png"], ["images/1a2b3c4d-scene.png"]),
        (["images/train/scene.png", "images/train/b.png"], ["scene"], ["images/train/scene.png"]),
        (["train\\scene.png", "train\\b.png"], ["scene"], ["train\\scene.png"]),
        (["train/a.png", "val/a.png"], ["C:\\data\\val\\a.png", "a"], ["val/a.png"]),
        (["x/train/a.png", "x/val/a.png"], ["/data/val/a.png"], ["x/val/a.png"]),
        (["train/a.png", "val/a.png"], ["a"], ["train/a.png", "val/a.png"]),
        (["a.jpg", "a.png"], ["/data/a.png", "a"], ["a.png"]),
        (["A.PNG", "b.png"], ["/data/a.png"], ["A.PNG"]),
        (["a.ome.tif", "b.ome.tif"], ["a"], ["a.ome.tif"]),
        (["scene.png", "b.png"], ["scene [1]"], ["scene.png"]),
        (["section 1.5.png", "section 1.png"], ["section 1.5"], ["section 1.5.png"]),
        (["3", "4"], ["", "4"], ["4"]),
        (["a.png", "b.png"], ["", "c"], []),
        (["", "b.png"], [""], []),
    ],
)
def test_an_image_is_found_by_what_became_of_its_name(file_names, names, meant):
    assert [file_names[n] for n in images_meant(file_names, names)] == meant


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("gray16.png", "gray16"),
        ("a.b.ome.tif", "a.b"),
        ("a.OME.ZARR", "a"),
        ("section 1.5", "section 1.5"),
        (".png", ".png"),
        ("a", "a"),
    ],
)
def test_stems_lose_no_more_than_the_suffix(name, stem):
    assert stem_of(name) == stem
