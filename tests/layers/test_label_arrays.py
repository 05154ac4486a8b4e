"""Labels are written where they are meant to be, at every resolution, and nowhere else."""

import numpy as np
import pytest
import zarr

from napari_sam.layers.label_arrays import CHUNK_PX, write_levels


@pytest.mark.parametrize("kind", ["numpy", "zarr"])
@pytest.mark.parametrize("is_partial", [False, True])
def test_all_levels_have_what_is_written_and_keep_the_rest(kind, is_partial):
    rng = np.random.default_rng(0)
    before = rng.integers(0, 9, (2, CHUNK_PX + 90, CHUNK_PX + 70)).astype(np.uint16)
    levels = [before.copy(), before[:, ::2, ::2].copy()]
    if kind == "zarr":
        levels = [zarr.array(one, chunks=(1, CHUNK_PX, CHUNK_PX)) for one in levels]
    region = np.s_[1:2, 301:590, 5:560]
    labels = rng.integers(20, 30, before[region].shape).astype(np.uint16)
    where = rng.random(labels.shape) > 0.5 if is_partial else None
    write_levels(levels, region, labels, where)
    expected = before.copy()
    expected[region] = labels if where is None else np.where(where, labels, before[region])
    np.testing.assert_array_equal(levels[0][:], expected)
    np.testing.assert_array_equal(levels[1][:], expected[:, ::2, ::2])
