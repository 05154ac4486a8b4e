"""Everything of a kind by ten examples: real masks of synthetic cells of two kinds."""

import numpy as np
import pytest

from napari_sam.engine.masks import MaskCrop
from napari_sam.formats.image import ImageInfo
from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, PlaneRequest
from napari_sam.session.annotations import annotations_of
from napari_sam.session.automatic.likeness import most_similar
from napari_sam.session.automatic.request import AutomaticRequest
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.automatic.similarity import ExistingObjects
from napari_sam.session.journal.entries import record_from_json, record_to_json
from napari_sam.session.objects.measuring import find_objects
from tests.two_kinds import KINDS, two_kinds

TIMEOUT_S = 120


@pytest.fixture
def session(real_predictor):
    session = AnnotationSession(lambda *_: real_predictor)
    yield session
    session.close()


def found_by(masks, array, kinds):
    """Return the kind of each mask, and whether it is the first one of its object at IoU 0.5."""
    taken, found = set(), []
    for mask in masks:
        inside = mask.at(np.arange(array.shape[0]), np.arange(array.shape[1]))
        label_id = int(np.bincount(array[inside], minlength=len(kinds) + 1)[1:].argmax()) + 1
        own = array == label_id
        iou = (inside & own).sum() / (inside | own).sum()
        is_first = iou >= 0.5 and label_id not in taken
        taken |= {label_id} if is_first else set()
        found.append((kinds[label_id] if iou >= 0.5 else None, is_first))
    return found


def average_precision(hits, count):
    hits = np.array(hits)
    return float((hits.cumsum() / np.arange(1, len(hits) + 1))[hits].sum() / count)


def test_of_masks_of_one_object_the_most_similar_stays():
    def crop(top, side):
        return MaskCrop(np.ones((side, side), bool), top, 0)

    # The whole, its upper half, a neighbor that overlaps a little, and one that lies apart.
    crops = [crop(0, 20), crop(0, 12), crop(18, 20), crop(60, 5)]
    values = np.array([0.5, 0.9, 0.3, 0.7])
    assert most_similar(values, 0.2, crops.__getitem__) == [1, 3, 2]
    assert most_similar(values[::-1], 0.2, crops[::-1].__getitem__) == [2, 0, 1]
    assert most_similar(values, 0.6, crops.__getitem__) == [1, 3]
    assert most_similar(np.zeros(0), 0, crops.__getitem__) == []


def test_ten_examples_of_a_kind_find_the_others_first(session):
    image, array, kinds = two_kinds(20, shape=(330, 330), seed=6)
    kind = KINDS[1]
    mine = [label_id for label_id, own in kinds.items() if own == kind]
    known = np.where(np.isin(array, mine[:10]), array, 0).astype(np.uint16)
    target = ArrayPlane(known)
    target.labels.registry.replace_all(find_objects(target.labels))
    plane = ImagePlane(image)
    session.show(PlaneRequest(plane, target=target))
    session.wait_until_idle(TIMEOUT_S)
    session.automatic_review.set_here(True)
    session.automatic_review.follow_target()

    settings = AutomaticRunSettings().with_values(points_per_side=14, least_likeness=0)
    records = tuple(target.labels.registry)
    existing = ExistingObjects(
        target, records, match_size=False, match_brightness=False, examples=records
    )
    whole = plane.pyramid(session.state.spec).whole
    session.automatic.start(AutomaticRequest(plane, (whole,), settings, existing=existing))
    session.wait_until_idle(TIMEOUT_S)
    masks = session.automatic.picture.masks
    found = found_by(masks, array, kinds)
    hits = [own == kind and is_first for own, is_first in found]
    assert average_precision(hits, 10) >= 0.85
    assert sum(own == KINDS[0] for own, _ in found[:10]) <= 1

    session.automatic.refine(settings.with_values(least_likeness=0.4))
    session.wait_until_idle(TIMEOUT_S)
    most_similar = session.automatic.picture.masks
    assert masks[: len(most_similar)] == most_similar
    assert 5 <= len(most_similar) <= 15

    session.automatic.refine(settings)
    session.wait_until_idle(TIMEOUT_S)
    unlike = [mask for mask, (own, _) in zip(masks, found, strict=True) if own == KINDS[0]]
    while session.automatic_review.current is not unlike[0]:
        session.automatic_review.step(1)
    session.automatic_review.reject_current()
    session.wait_until_idle(TIMEOUT_S)
    after = found_by(session.automatic.picture.masks, array, kinds)
    assert len(after) == len(found) - 1
    hits_after = [own == kind and is_first for own, is_first in after]
    # It teaches that others are unlike, too.
    del hits[masks.index(unlike[0])]
    assert average_precision(hits_after, 10) >= average_precision(hits, 10)

    best = session.automatic.picture.masks[0]
    session.automatic_review.accept([best])
    session.wait_until_idle(TIMEOUT_S)
    record = list(target.labels.registry)[-1]
    assert record.likeness == best.likeness  # and so in the journal and in files
    assert record_from_json(record_to_json(record)).likeness == best.likeness
    image_info = ImageInfo(array.shape, "cells")
    (exported,) = annotations_of(target.labels, [record], image_info).objects
    assert exported.likeness == best.likeness
