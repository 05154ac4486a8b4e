import numpy as np
import pytest

from napari_sam.formats.classes import ClassError
from napari_sam.session.objects.features import ObjectFeatures
from napari_sam.session.predicted_classes import classifier
from napari_sam.session.predicted_classes.classifier import predict_classes, what_is_missing


def features(*values):
    return [
        ObjectFeatures(np.array([value, 0], np.float32), np.array([1.0], np.float32))
        for value in values
    ]


def test_the_nearer_class_is_surer_however_few_examples_it_has():
    names = ["low"] * 3 + ["high"] * 12
    examples = features(0, 1, 2, *range(18, 30))
    low, high, between = predict_classes(examples, names, features(1.5, 25, 13))
    assert (low.name, high.name) == ("low", "high")
    assert min(low.confidence, high.confidence) > 0.9 > between.confidence >= 0.5
    assert predict_classes(examples, names, []) == []


def test_it_says_which_examples_are_missing():
    assert what_is_missing([]).startswith("No class has examples: give 3 objects")
    assert what_is_missing(["ring"] * 4).startswith("Only one class has examples")
    assert "'coin' has 1 object of 3" in what_is_missing(["ring"] * 4 + ["coin"])
    assert what_is_missing(["ring", "coin"] * 3) == ""


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(classifier, "find_spec", lambda _: None)
    with pytest.raises(ClassError, match=r'pip install "napari-sam-live\[classes\]"'):
        predict_classes(features(0, 1), ["low", "high"], features(2))
