"""What is known of objects in the features of a Labels layer, beside what others keep there."""

from dataclasses import replace

import numpy as np
import pandas as pd
from napari.layers import Labels

from napari_sam.layers.target import TargetLayer
from napari_sam.layers.target_features import CLASSES_KEY, FeatureWriter, classes_in, features_of
from napari_sam.session.classes.classes import ClassTable
from napari_sam.session.objects.records import RecordChange


def opened(features):
    labels = np.zeros((10, 10), np.uint8)
    labels[1:3, 1:3], labels[5:7, 5:7] = 1, 2
    layer = Labels(labels, features=features)
    return layer, TargetLayer(layer, lambda action: action())


def test_records_are_what_the_features_say_and_go_back_into_them():
    layer, target = opened(
        {
            "index": [2, 1, 77],
            "class": ["cell", "", "gone"],
            "score": [0.5, np.nan, 1],
            "mine": [3, 4, 5],
        }
    )
    one, two = target.registry.get(1), target.registry.get(2)
    assert (one.class_name, one.score) == (None, None)
    assert (two.class_name, two.score, two.reviewed, two.note) == ("cell", 0.5, False, "")
    table, waiting = ClassTable(), []
    writer = FeatureWriter(layer, target.registry, table, waiting.append)
    table.ensure(["cell"])
    target.registry.apply((RecordChange(two, None),))
    assert len(waiting) == 1  # many changes, one writing
    waiting.pop()()
    features = layer.features.set_index("index")
    assert list(features["mine"]) == [4, 3, 5]
    assert "cell" not in set(features["class"])
    assert classes_in(layer.metadata) == table.classes
    writer.close()


def test_features_of_others_are_no_reason_to_fail():
    for features in (
        {"index": ["a", 2], "score": ["high", "low"], "class": ["x\ny", 3.5]},
        {"mine": [1, 2, 3]},
        {"index": [1]},
        {"index": [np.inf, 1, -np.inf, 1e300, 2], "class": ["a", "b", "c", "d", "e"]},
        pd.DataFrame({"index": [1, 2], "class": [["a", "list"], {"b": 1}], "note": [(1, 2), None]}),
        pd.DataFrame({"index": [1, 1.5, "2"], "score": [np.inf, 0.5, ""], "reviewed": [[], {}, 0]}),
    ):
        layer, target = opened(features)
        assert len(target.registry) == 2
        table = ClassTable()
        for _ in range(2):
            table.ensure(record.class_name for record in target.registry)
        layer.metadata[CLASSES_KEY] = 3
        assert classes_in(layer.metadata) == ()
        one = target.registry.get(1)
        writer = FeatureWriter(layer, target.registry, table, lambda action: action())
        target.registry.apply((RecordChange(one, replace(one, note="n")),))
        writer.close()
        assert features_of(layer.features)[1]["note"] == "n"
    table.ensure(["x\ny", "x\ny"])
    table.ensure(["x\ny"])
    assert [one.name for one in table.classes] == ["x y"]


def test_reviewed_is_what_says_so():
    for said, is_reviewed in (
        ("no", False),
        ("False", False),
        ("0", False),
        (0, False),
        (np.nan, False),
        ("true", True),
        (" Yes ", True),
        ("1", True),
        (1.0, True),
        (np.True_, True),
    ):
        _, target = opened({"index": [1], "reviewed": [said]})
        assert target.registry.get(1).reviewed is is_reviewed, said


def test_without_an_index_the_row_is_the_number():
    layer, target = opened({"mine": [0, 10, 20]})
    writer = FeatureWriter(layer, target.registry, ClassTable(), lambda action: action())
    one = target.registry.get(1)
    target.registry.apply((RecordChange(one, one),))
    assert list(layer.features["mine"]) == [0, 10, 20]
    assert list(layer.features["index"]) == [0, 1, 2]
    writer.close()


def test_columns_of_others_are_read_by_row_and_what_cannot_be_read_stays():
    theirs = {
        "class": ["background", "cell", "dust", "of no object"],
        "score": ["none", "high", 0.5, 0],
        "area": [0, 4, 4, 9],
    }
    layer, target = opened(pd.DataFrame(theirs))
    one, two = target.registry.get(1), target.registry.get(2)
    assert (one.class_name, one.score) == ("cell", None)
    assert (two.class_name, two.score) == ("dust", 0.5)
    writer = FeatureWriter(layer, target.registry, ClassTable(), lambda action: action())
    target.registry.apply((RecordChange(one, replace(one, note="worn")),))
    assert {name: list(layer.features[name]) for name in theirs} == theirs
    assert layer.features["note"][1] == "worn"
    one = target.registry.get(1)
    target.registry.apply((RecordChange(one, replace(one, class_name=None, score=0.0)),))
    assert list(layer.features["class"]) == ["background", "", "dust", "of no object"]
    assert list(layer.features["score"]) == ["none", 0.0, 0.5, 0]
    writer.close()
    # Known to the next writer, too: what was said of an object goes with it.
    writer = FeatureWriter(layer, target.registry, ClassTable(), lambda action: action())
    target.registry.apply((RecordChange(target.registry.get(1), None), RecordChange(two, None)))
    assert {"worn", "dust"}.isdisjoint({*layer.features["class"], *layer.features["note"]})
    assert layer.features["class"][0] == "background"
    writer.close()
