"""Synthetic images with two kinds of cells, alike in size and brightness."""

import numpy as np
from scipy import ndimage

KINDS = ("smooth", "grainy")


def two_kinds(n_each, shape=(512, 512), radius=11.0, seed=0):
    """Return a gray image, its labels, and the kind of each object by label_id."""
    rng = np.random.default_rng(seed)
    image = 60 + 6 * ndimage.gaussian_filter(rng.standard_normal(shape), 8) * 8
    labels, kinds = np.zeros(shape, np.uint16), {}
    y, x = np.mgrid[: shape[0], : shape[1]]
    grain = ndimage.gaussian_filter(rng.standard_normal(shape), 1.3)
    grain /= grain.std()
    for kind in rng.permutation(np.repeat(KINDS, n_each)):
        mask = _free_place(rng, labels, y, x, radius)
        inside = ndimage.gaussian_filter(mask.astype(float), 1.0)
        brightness = rng.normal(75, 12)
        pattern = grain * 0.35 if kind == "grainy" else np.zeros(shape)
        image += inside * brightness * (1 + pattern)
        label_id = len(kinds) + 1
        labels[mask], kinds[label_id] = label_id, str(kind)
    image += rng.normal(0, 5, shape)
    return image.clip(0, 255).astype(np.uint8), labels, kinds


def _free_place(rng, labels, y, x, radius):
    """Return an ellipse that touches no other object."""
    while True:
        a, b = radius * rng.uniform(0.75, 1.3, 2)
        angle, margin = rng.uniform(0, np.pi), int(max(a, b)) + 3
        row, column = (rng.uniform(margin, n - margin) for n in labels.shape)
        u = (x - column) * np.cos(angle) + (y - row) * np.sin(angle)
        v = (y - row) * np.cos(angle) - (x - column) * np.sin(angle)
        mask = (u / a) ** 2 + (v / b) ** 2 <= 1
        if not labels[(u / (a + 3)) ** 2 + (v / (b + 3)) ** 2 <= 1].any():
            return mask
