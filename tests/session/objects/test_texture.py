"""The texture of objects: alike whatever their size, and different where structure is."""

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.session.objects.texture import N_TEXTURES, texture_of


def disc(radius):
    side = 4 * radius
    y, x = np.indices((side, side)) - side / 2
    distance = np.hypot(y, x)
    return distance <= radius, distance / radius


def test_a_spot_in_the_middle_is_told_from_one_at_the_rim_at_any_size():
    values = {}
    for radius in (9, 60):
        mask, distance = disc(radius)
        for name, place in (("middle", 0), ("rim", 0.75)):
            gray = 150 - 100 * np.exp(-(((distance - place) / 0.25) ** 2))
            values[name, radius] = texture_of(mask, gray.astype(np.float32))
            assert len(values[name, radius]) == N_TEXTURES
        assert values["middle", radius][-2] < -1
        assert values["rim", radius][-2] > 0.4
    for name in ("middle", "rim"):
        assert values[name, 9] == pytest.approx(values[name, 60], abs=0.35)


def test_grain_is_told_by_how_fine_it_is():
    mask, _ = disc(20)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(mask.shape)
    fine, coarse = (
        (grain / grain.std() * 20).astype(np.float32)
        for grain in (ndimage.gaussian_filter(noise, sigma) for sigma in (1, 6))
    )
    fine_values, coarse_values = texture_of(mask, fine), texture_of(mask, coarse)
    flat = texture_of(mask, np.full(mask.shape, 90, np.float32))
    assert fine_values[0] > coarse_values[0] + 1
    assert coarse_values[2] > coarse_values[0]
    assert flat == pytest.approx([0] * N_TEXTURES, abs=1e-3)


def test_an_object_of_a_pixel_has_a_texture():
    mask = np.zeros((5, 5), bool)
    mask[2, 2] = True
    assert np.isfinite(texture_of(mask, np.eye(5, dtype=np.float32))).all()
