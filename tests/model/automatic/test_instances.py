"""Instances in maps that were made for objects which are known: touching, concave, at borders."""

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.engine.instance_settings import PUBLISHED, InstanceSettings
from napari_sam.engine.instances import InstanceMaps
from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.engine.methods import Method
from napari_sam.model.automatic.instance_set import InstanceSet, PromptedMask
from napari_sam.model.automatic.instances import point_prompts

SIZE = (120, 160)


def scene():
    """Return the labels of seven objects on an image."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    labels = np.zeros(SIZE, np.int32)
    labels[10:40, 12:36] = 1  # these two touch along a side
    labels[10:40, 36:66] = 2
    ring = np.hypot(y - 80, x - 50)
    labels[(ring > 9) & (ring < 30) & ~((x > 50) & (abs(y - 80) < 12))] = 3  # a horseshoe
    labels[np.hypot(y - 2, x - 110) < 14] = 4  # these are cut off by the image
    labels[np.hypot(y - 119, x - 159) < 20] = 5
    labels[np.hypot(y - 60, x - 110) < 13] = 6  # these two touch at a point
    labels[np.hypot(y - 60, x - 135) < 13] = 7
    return labels


def maps_of(labels):
    """Return the maps that a perfect decoder has of labels: low inside, one elsewhere."""
    center, boundary = np.ones((2, *labels.shape), np.float32)
    for label_id in range(1, labels.max() + 1):
        inside = labels == label_id
        depths = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
        boundary[inside] = 1 - depths[inside] / depths.max()
        deepest = np.unravel_index(depths.argmax(), depths.shape)
        places = np.argwhere(inside)
        distances = np.hypot(*(places - deepest).T)
        center[inside] = distances / distances.max()
    return InstanceMaps((labels > 0).astype(np.float32), center, boundary)


def iou_with(mask, record):
    crop = record.crop
    mine = np.zeros(SIZE, bool)
    height, width = crop.mask.shape
    mine[crop.top : crop.top + height, crop.left : crop.left + width] = crop.mask
    return np.count_nonzero(mine & mask) / np.count_nonzero(mine | mask)


def matched(labels, records):
    """Return the IoU of each object with the mask that fits it best, and how many masks fit one."""
    ious = np.array(
        [
            [iou_with(labels == label_id, record) for record in records]
            for label_id in range(1, labels.max() + 1)
        ]
    )
    assert len(set(ious.argmax(axis=1))) == len(ious)
    return ious.max(axis=1)


def test_known_instances_are_segmented():
    labels = scene()
    records = InstanceSet(Method.AIS, maps_of(labels)).select()
    assert len(records) == 7
    assert (matched(labels, records) > 0.95).all()
    scores = [record.predicted_iou for record in records]
    assert scores == sorted(scores, reverse=True)
    for record in records:
        x, y = map(int, record.point_xy)
        assert record.crop.mask[y - record.crop.top, x - record.crop.left]
        assert record.area == record.crop.mask.sum()
        assert record.candidate is None
    taken = sum(record.area for record in records)
    assert taken == pytest.approx(np.count_nonzero(labels), rel=0.03)


def test_settings_segment_the_same_maps_anew():
    labels = scene()
    instances = InstanceSet(Method.AIS, maps_of(labels))
    no_smoothing = InstanceSettings(foreground_smoothing=0, distance_smoothing=0)
    assert (matched(labels, instances.select(no_smoothing)) > 0.99).all()
    large = instances.select(InstanceSettings(min_size=600))
    assert {record.area for record in large} < {record.area for record in instances.select()}
    assert all(record.area >= 600 for record in large)
    assert instances.select(InstanceSettings(foreground_threshold=1)) == []
    kept = InstanceSet(Method.AIS, maps_of(labels), is_wanted=lambda xy: xy[:, 0] > 100)
    assert len(kept.select()) == 4


def test_no_object_at_all():
    empty = InstanceMaps(*np.zeros((3, 20, 30), np.float32))
    for method in (Method.AIS, Method.APG):
        assert InstanceSet(method, empty, decode=lambda points: [None] * len(points)).select() == []


def test_each_instance_gets_one_click_deep_inside():
    labels = scene()
    points = point_prompts(maps_of(labels), PUBLISHED[Method.APG]).astype(int)
    hit = labels[points[:, 1], points[:, 0]]
    assert sorted(hit) == [1, 2, 3, 4, 5, 6, 7]
    assert ((points > 0) & (points < np.array(SIZE[::-1]) - 1)).all()
    depths = ndimage.distance_transform_edt(labels == 6)
    x, y = points[hit.tolist().index(6)]
    assert depths[y, x] > 10


class Decoder:
    """Returns the object below each click, or all of its box, and counts the clicks."""

    def __init__(self, labels):
        self.labels, self.decoded, self.boxes = labels, [], []

    def __call__(self, points_xy, boxes_xyxy):
        if boxes_xyxy is not None:
            self.boxes += boxes_xyxy.tolist()
            places = boxes_xyxy.round().astype(int)
            return [
                PromptedMask(MaskCrop(np.ones((y1 - y0 + 1, x1 - x0 + 1), bool), y0, x0), 0.9, 0.9)
                for x0, y0, x1, y1 in places
            ]
        self.decoded += points_xy.tolist()
        masks = []
        for x, y in points_xy.astype(int):
            mask = self.labels == self.labels[y, x]
            masks.append(PromptedMask(tight_crop(mask), 0.9 - x / 1000, 0.95))
        return masks


def test_clicks_are_decoded_once():
    labels = scene()
    decoder = Decoder(labels)
    instances = InstanceSet(Method.APG, maps_of(labels), decoder)
    records = instances.select()
    assert (matched(labels, records) == 1).all()
    assert len(records) == len(decoder.decoded) == 7
    assert [record.point_xy[0] for record in records] == sorted(x for x, _ in decoder.decoded)
    fewer = instances.select(InstanceSettings(min_size=600))
    assert 0 < len(fewer) < 7
    assert len(decoder.decoded) == 7
    later = InstanceSet(Method.APG, instances.maps, known=dict(instances.known))
    assert len(later.select()) == 7
    assert InstanceSet(Method.APG, instances.maps).select() == []


def test_a_second_round_decodes_the_box_around_each_mask():
    labels = scene()
    decoder = Decoder(labels)
    instances = InstanceSet(Method.APG, maps_of(labels), decoder)
    settings = InstanceSettings(min_size=25, box_rounds=1)
    records = {record.point_xy: record for record in instances.select(settings)}
    assert len(decoder.decoded) == len(decoder.boxes) == 7
    of_first = next(box for box in decoder.boxes if box[0] < 12 < box[2] < 36)
    assert of_first == pytest.approx([12 - 0.23, 10 - 0.29, 35 + 0.23, 39 + 0.29])
    x0, y0, x1, y1 = np.array(decoder.boxes).T  # a hundredth larger, but inside the image
    assert min(*x0, *y0) == 0
    assert (max(x1), max(y1)) == (SIZE[1] - 1, SIZE[0] - 1)
    horseshoe = next(r for (x, y), r in records.items() if labels[int(y), int(x)] == 3)
    assert horseshoe.crop.mask.all()  # of the box, not of the click
    assert len(instances.select(settings)) == len(records)
    assert (matched(labels, instances.select()) == 1).all()  # the first round is still there
    assert len(decoder.boxes) == 7


def test_similar_masks_are_dropped_and_others_share_their_pixels():
    block = np.ones((30, 30), bool)
    masks = {
        (5.0, 5.0): PromptedMask(MaskCrop(block, 0, 0), 0.8, 0.9),
        (6.0, 6.0): PromptedMask(MaskCrop(block, 0, 1), 0.9, 0.9),  # the better of the two
        (40.0, 15.0): PromptedMask(MaskCrop(np.ones((40, 40), bool), 10, 20), 0.7, 0.9),
        (70.0, 70.0): PromptedMask(MaskCrop(np.ones((5, 5), bool), 70, 70), 0.9, 0.9),
    }
    flat = InstanceMaps(*np.zeros((3, 80, 80), np.float32))
    instances = InstanceSet(Method.APG, flat, known=masks)
    object.__setattr__(instances, "points", lambda settings: np.array(list(masks)))
    records = instances.select()  # one more is as small as what is left out
    assert [record.point_xy for record in records] == [(6.0, 6.0), (40.0, 15.0)]
    assert [record.area for record in records] == [30 * 30 - 20 * 11, 1600]
    with_all = instances.select(InstanceSettings(nms_threshold=1, min_size=0))
    assert len(with_all) == 4
    covered = next(record for record in with_all if record.area < 31)
    assert covered.crop.mask.shape == (30, 1) or covered.area == 25
