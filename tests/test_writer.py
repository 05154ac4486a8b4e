"""Labels layers to files with napari's own dialog."""

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Labels
from npe2 import PluginManager

from napari_sam._writer import NotSavedError
from napari_sam.formats import ImageInfo, labels_from_objects, read_objects

PLUGIN = "napari-sam-live"


@pytest.fixture(autouse=True)
def plugins():
    """Find the plugins, as a viewer does."""
    PluginManager.instance().discover()


@pytest.mark.parametrize("name", ["a.json", "a.geojson", "a.npz", "a.csv", "a.txt", "a.ome.tif"])
def test_napari_saves_and_opens_with_the_plugin(tmp_path, name):
    viewer = ViewerModel()
    labels = np.zeros((3, 30, 40), np.uint8)
    labels[1, 5:10, 6:12], labels[2, 5:10, 6:12] = 4, 9
    viewer.add_labels(labels, name="mine", scale=(2, 0.5, 0.5), units=("um",) * 3)
    written = viewer.layers.save(str(tmp_path / name), plugin=PLUGIN)
    assert len(written) == {"a.txt": 3, "a.csv": 2}.get(name, 1)  # CSV: slices, and objects
    if not name.endswith("json"):
        return
    viewer.layers.clear()
    (layer,) = viewer.open(str(tmp_path / name), plugin=PLUGIN)
    np.testing.assert_array_equal(layer.data, labels)
    np.testing.assert_allclose(layer.scale, (2, 0.5, 0.5))
    assert list(layer.features["index"]) == [4, 9]


@pytest.mark.parametrize("name", ["a.json", "a.geojson", "a.npz", "a.csv", "a.txt", "a.ome.tif"])
@pytest.mark.parametrize("open_lazily", [lambda labels: da.from_array(labels, 16), zarr.array])
def test_napari_saves_labels_that_are_not_in_memory(tmp_path, name, open_lazily):
    labels = np.zeros((2, 30, 40), np.uint8)
    labels[1, 5:20, 6:20], labels[0, 5:10, 6:12] = 4, 9
    written = Labels(open_lazily(labels), name="a").save(str(tmp_path / name), plugin=PLUGIN)
    assert len(written) == (2 if name in ("a.txt", "a.csv") else 1)
    if name not in ("a.csv", "a.txt"):
        read = read_objects(tmp_path / name, ImageInfo(labels.shape, "a"))
        np.testing.assert_array_equal(labels_from_objects(read), labels)


def test_features_of_others_do_not_keep_napari_from_saving(tmp_path):
    labels = np.zeros((9, 9), np.uint8)
    labels[1, 1], labels[3, 3], labels[5, 5] = 1, 2, 3
    features = {
        "index": [0, 1, 2, 3],
        "class": [0, 1, "a\nb ", None],
        "score": ["high", "0.5", np.inf, [1]],
        "reviewed": ["False", "no", True, None],
        "note": [None, 7, "n", ""],
    }
    layer = Labels(labels, name="a", features=pd.DataFrame(features))
    assert layer.save(str(tmp_path / "a.json"), plugin=PLUGIN)
    read = read_objects(tmp_path / "a.json", ImageInfo((9, 9), "a")).objects
    assert [(obj.class_name, obj.score, obj.reviewed, obj.note) for obj in read] == [
        ("1", 0.5, False, "7"),
        ("a b", None, True, "n"),
        (None, None, False, ""),
    ]


def test_napari_is_told_why_a_layer_cannot_be_saved(tmp_path):
    viewer = ViewerModel()
    viewer.add_labels(np.full((9, 9), -1, np.int32), name="a")
    for plugin in (PLUGIN, None):
        with pytest.raises(NotSavedError, match="non-negative"):
            viewer.layers.save(str(tmp_path / "a.ome.tif"), plugin=plugin)
    viewer.layers[0].data = np.eye(9, dtype=np.int32)
    with pytest.raises(NotSavedError, match="another folder or name"):
        viewer.layers.save(str(tmp_path / "missing" / "a.ome.tif"), plugin=PLUGIN)
