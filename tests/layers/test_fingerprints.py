"""What tells the pixels of a shown plane from others, whatever holds them."""

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from numpy.random import default_rng

from napari_sam.layers import fingerprints
from napari_sam.layers.appearance import ImageAppearances
from napari_sam.layers.fingerprints import Fingerprint, plane_fingerprint
from napari_sam.layers.plane_view import displayed_plane, levels
from napari_sam.session.image.intensity import Appearance

STACK = default_rng(0).integers(0, 255, (3, 40, 50), np.uint8)


class ReadCounter:
    """A lazy array that counts how often it is read."""

    def __init__(self, array):
        self.array, self.n_read = array, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, index):
        self.n_read += 1
        return self.array[index]


def shown(*data, appearance=None, **options):
    viewer, appearances = ViewerModel(), ImageAppearances()
    layer = viewer.add_image(data[0] if len(data) == 1 else list(data), **options)
    if appearance is not None:
        appearances.choose(layer, appearance)

    def fingerprint():
        view = displayed_plane(layer, viewer.dims, appearances.of(layer).channel_axis)
        return plane_fingerprint(layer, appearances.image_plane(layer, view))

    return viewer, layer, fingerprint


def invert(layer):
    for array in levels(layer):
        pixels = array.array if isinstance(array, ReadCounter) else array
        pixels[...] = np.logical_not(pixels) if pixels.dtype == bool else 200 - pixels[...]
    layer.refresh()


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lambda: STACK[0].copy(), {}),
        (lambda: STACK.copy(), {}),
        (lambda: STACK.T.copy().T, {}),
        (lambda: STACK > 100, {}),
        (lambda: STACK.astype(np.float16), {}),
        (lambda: np.moveaxis(STACK, 0, -1).copy(), {"rgb": True}),
        (lambda: zarr.array(STACK, chunks=(1, 16, 16)), {}),
        (lambda: ReadCounter(STACK.copy()), {}),
    ],
)
def test_it_differs_once_the_pixels_do(make, options):
    _, layer, fingerprint = shown(make(), **options)
    first = fingerprint()
    assert first.is_whole
    layer.refresh()
    layer.contrast_limits = (10, 20)
    assert fingerprint() == first
    invert(layer)
    assert fingerprint().digest != first.digest


def test_it_reads_no_lazy_data_and_knows_nothing_of_a_hidden_layer():
    lazy = ReadCounter(STACK.copy())
    _, layer, fingerprint = shown(lazy)
    lazy.n_read = 0
    assert fingerprint().is_whole
    assert lazy.n_read == 0
    layer.visible = False
    assert fingerprint() == Fingerprint()


def test_that_of_a_multiscale_image_is_the_same_at_every_zoom():
    _, layer, fingerprint = shown(np.kron(STACK[0], np.ones((4, 4), np.uint8)), STACK[0].copy())
    first = fingerprint()
    assert first.digest is not None
    assert not first.is_whole
    for level in (0, 1):
        layer.data_level = level
        assert fingerprint() == first
    invert(layer)
    assert fingerprint().digest != first.digest


def test_it_is_of_all_channels_in_memory():
    channels = Appearance(channel_axis=0, colors=(0, 1, 2))
    pixels = STACK.copy()
    viewer, _, fingerprint = shown(pixels, appearance=channels)
    first = fingerprint()
    viewer.dims.set_current_step(0, 2)
    assert fingerprint() == first
    pixels[0] = 0
    assert fingerprint().digest != first.digest
    _, _, of_lazy = shown(zarr.array(STACK, chunks=(1, 16, 16)), appearance=channels)
    assert of_lazy() == Fingerprint()


def test_it_is_of_some_rows_of_a_very_large_plane(monkeypatch):
    monkeypatch.setattr(fingerprints, "_MAX_BYTES", STACK[0].size // 4)
    _, layer, fingerprint = shown(STACK[0].copy())
    first = fingerprint()
    assert not first.is_whole
    layer.data[1] = 0
    assert fingerprint() == first
    layer.data[4] = 0
    assert fingerprint().digest != first.digest
