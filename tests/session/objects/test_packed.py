"""Masks and labels come out of compression as they went in."""

import numpy as np
import pytest

from napari_sam.session.objects.packed import PackedLabels, PackedMask


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 3, 7), (64, 64)])
def test_what_is_packed_comes_out_the_same(shape):
    rng = np.random.default_rng(0)
    mask = rng.random(shape) > 0.5
    packed = PackedMask((4,) * len(shape), mask)
    np.testing.assert_array_equal(packed.mask, mask)
    assert packed.area_px == mask.sum()
    for values in (np.zeros(shape, np.int32), rng.integers(-9, 9, shape).astype(np.int16)):
        unpacked = PackedLabels(values).labels
        np.testing.assert_array_equal(unpacked, values)
        assert unpacked.dtype == values.dtype
