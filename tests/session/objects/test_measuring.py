"""Objects in existing labels are found and measured, however these are cut into parts."""

import numpy as np
import pytest

from napari_sam.session import ArrayLabels, ArrayPlane
from napari_sam.session.objects import labels as labels_module
from napari_sam.session.objects.measuring import find_objects, remeasured


def test_objects_of_a_volume_are_found_with_their_boxes():
    class Volume(ArrayPlane):
        def __init__(self, array):
            self.labels = type("V", (), {"shape": array.shape, "read": lambda _, r: array[r]})()

    volume = np.zeros((3, 5000, 4), np.int64)
    volume[0, 10:20, 1:3] = 7
    volume[2, 15:4000, 2] = 7  # in several parts
    volume[1, 0, 0] = 2**40
    volume[1, 1, 0] = -3
    found = {record.label_id: record for record in find_objects(Volume(volume).labels)}
    assert found.keys() == {7, 2**40}
    assert (found[7].start, found[7].stop) == ((0, 10, 1), (3, 4000, 3))
    assert found[7].area_px == (volume == 7).sum()


def test_a_brush_makes_changes_and_ends_objects():
    array = np.zeros((40, 50), np.uint8)
    plane = ArrayPlane(array)
    labels = plane.labels
    array[5:10, 5:10] = 4
    labels.registry.apply(tuple(remeasured(labels, labels.registry, 4, (5, 5), (10, 10))))
    array[7:20, 7:12] = 4
    array[5, 5] = 0
    labels.registry.apply(tuple(remeasured(labels, labels.registry, 4, (5, 5), (20, 12))))
    (record,), (measured,) = labels.registry, find_objects(labels)
    assert (record.start, record.stop) == (measured.start, measured.stop)
    assert record.area_px == measured.area_px
    array[array == 4] = 0
    labels.registry.apply(tuple(remeasured(labels, labels.registry, 4, (0, 0), (1, 1))))
    assert len(labels.registry) == 0
    assert remeasured(labels, labels.registry, 4, (0, 0), (9, 9)) == []


@pytest.mark.parametrize("block_px", [2**22, 50])
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.uint64])
@pytest.mark.parametrize("shape", [(40, 30), (3, 20, 21), (2, 2, 9, 1), (1, 7), (0, 4)])
def test_objects_are_found_in_blocks_as_pixel_by_pixel(monkeypatch, block_px, dtype, shape):
    monkeypatch.setattr(labels_module, "_BLOCK_PX", block_px)
    random = np.random.default_rng(1)
    noise = random.integers(-3 if np.dtype(dtype).kind == "i" else 0, 9, shape).astype(dtype)
    calm = np.zeros(shape, dtype)
    calm[..., : shape[-2] // 2, :3] = np.iinfo(dtype).max // 2
    far = np.where(noise > 4, calm.max(initial=0), noise).astype(dtype)
    full = np.maximum(far, 1)  # no background
    for array in (noise, calm, np.zeros(shape, dtype), np.asfortranarray(noise), far, full):
        expected = set()
        for label_id in np.unique(array[array > 0]).tolist():
            places = np.nonzero(array == label_id)
            start = tuple(int(one.min()) for one in places)
            stop = tuple(int(one.max()) + 1 for one in places)
            expected.add((label_id, start, stop, len(places[0])))
        found = find_objects(ArrayLabels(array))
        assert {(one.label_id, one.start, one.stop, one.area_px) for one in found} == expected
