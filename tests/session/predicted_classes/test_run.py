"""Real weights on synthetic cells of two kinds."""

import json

import numpy as np
import pytest

from napari_sam.session import (
    AnnotationSession,
    ArrayLabels,
    ArrayPlane,
    ArraySlice,
    ArrayStack,
    ImagePlane,
    PlaneRequest,
    TargetError,
)
from napari_sam.session.journal.entries import record_from_json, record_to_json
from napari_sam.session.objects.measuring import find_objects
from tests.two_kinds import KINDS, two_kinds

TIMEOUT_S = 120


@pytest.fixture
def session(real_predictor):
    session = AnnotationSession(lambda *_: real_predictor)
    yield session
    session.close()


def with_records(labels):
    labels.registry.replace_all(find_objects(labels))
    return labels


def of_kind(kinds, kind):
    return [label_id for label_id, own in kinds.items() if own == kind]


def teach(session, kinds, count):
    """Give some objects of each kind their class."""
    for kind in KINDS:
        session.objects.update(of_kind(kinds, kind)[:count], class_name=kind)


def test_fifteen_examples_of_a_class_tell_that_of_the_rest(session):
    image, array, kinds = two_kinds(35, seed=4)
    target = ArrayPlane(array)
    registry = with_records(target.labels).registry
    session.show(PlaneRequest(ImagePlane(image), target=target))
    session.predicted_classes.switch(True)
    teach(session, kinds, 2)
    session.wait_until_idle(TIMEOUT_S)
    predicted = session.predicted_classes
    assert predicted.above(0) == []
    assert "'smooth' has 2 objects of 3" in predicted.note

    teach(session, kinds, 15)
    session.wait_until_idle(TIMEOUT_S)
    rest = predicted.above(0)
    assert len(rest) == 40
    assert np.mean([predicted.of(n).name == kinds[n] for n in rest]) >= 0.9

    sure = predicted.above(0.9)
    assert predicted.accept(0.9) == len(sure) > 20
    assert {registry.get(n).class_name for n in sure} == set(KINDS)
    session.wait_until_idle(TIMEOUT_S)
    assert "from 30" in predicted.note  # what was accepted unseen teaches nothing...
    wrong = sure[0]
    other = KINDS[kinds[wrong] == KINDS[0]]
    session.objects.update([wrong], class_name=other)
    session.wait_until_idle(TIMEOUT_S)
    assert "from 31" in predicted.note  # ...but a correction does, at once
    # Nor does it in another program that the objects are restored in.
    again = [record_from_json(json.loads(json.dumps(record_to_json(one)))) for one in registry]
    unseen = {one.label_id for one in again if one.class_unseen}
    assert unseen == {*sure} - {wrong}

    confirmed = sure[1]
    session.objects.update([confirmed], class_name=registry.get(confirmed).class_name)
    session.wait_until_idle(TIMEOUT_S)
    assert "from 32" in predicted.note  # as does the same class, given by hand
    for _ in range(3):
        session.undo()
    session.wait_until_idle(TIMEOUT_S)
    assert not any(registry.get(n).class_name for n in rest)
    assert sorted(predicted.above(0)) == sorted(rest)
    with pytest.raises(TargetError, match="lower the threshold"):
        predicted.accept(1.1)
    predicted.switch(False)
    assert (predicted.above(0), predicted.note) == ([], "")


def test_objects_of_all_slices_are_measured_on_one(session):
    image, array, kinds = two_kinds(6, shape=(200, 200), seed=2)
    images, stack = np.stack([image, image]), np.stack([array, np.zeros_like(array)])
    below = of_kind(kinds, KINDS[0])[-1]
    stack[1][array == below], stack[0][array == below] = below, 0  # on the other slice
    labels = with_records(ArrayLabels(stack))
    target = ArraySlice(labels, 0)
    session.show(PlaneRequest(ImagePlane(images[0]), target=target, stack=ArrayStack(images)))
    session.predicted_classes.switch(True)
    teach(session, kinds, 4)
    session.wait_until_idle(TIMEOUT_S)
    assert len(session.predicted_classes.above(0)) == 4
    assert session.predicted_classes.of(below) is not None
