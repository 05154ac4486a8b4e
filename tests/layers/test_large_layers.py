"""Multiscale and lazy images in a real viewer, and targets that are too large for memory."""

import threading
import time

import dask.array
import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels
from skimage import data

from napari_sam.layers import target as target_module
from napari_sam.layers.camera import visible_box
from napari_sam.layers.plane_view import displayed_plane, levels
from napari_sam.layers.target import TargetLayer, new_target_layer
from napari_sam.layers.target_checks import check_target
from napari_sam.layers.target_plane import TargetPlane
from napari_sam.session import Phase, TargetError
from napari_sam.session.objects.packed import region_of

TIMEOUT_S = 240
COIN_RC = (68, 104)


def accept_at(viewer, widget, point):
    widget.binding.prompts.start_points()
    viewer.layers.selection.active.add([point])
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    return widget.binding.target.layer


def halves(pixels, axes):
    """Return an array and its halves along some axes."""
    result = [pixels]
    for _ in range(2):
        region = [slice(None)] * pixels.ndim
        for axis in axes:
            region[axis] = slice(None, None, 2)
        result.append(result[-1][tuple(region)])
    return result


def as_numpy(pixels, _):
    return pixels


def as_dask(pixels, _):
    return dask.array.from_array(pixels, chunks=tuple(min(n, 100) for n in pixels.shape))


def as_zarr(pixels, folder):
    array = zarr.create_array(
        folder, shape=pixels.shape, chunks=tuple(min(n, 100) for n in pixels.shape), dtype="u1"
    )
    array[...] = pixels
    return array


def as_memmap(pixels, folder):
    folder.mkdir()
    np.save(folder / "pixels.npy", pixels)
    return np.load(folder / "pixels.npy", mmap_mode="r")


@pytest.mark.parametrize(
    ("kind", "level"),
    [(as_numpy, 0), (as_numpy, 1), (as_numpy, 2), (as_dask, 1), (as_zarr, 2), (as_memmap, 0)],
)
def test_whatever_level_is_drawn_the_mask_is_that_of_the_plain_array(
    make_widget, plain_mask, tmp_path, kind, level
):
    pyramid = [
        kind(pixels, tmp_path / str(number))
        for number, pixels in enumerate(halves(data.coins(), (0, 1)))
    ]
    place = {"scale": (0.3, 0.1), "rotate": 20, "translate": (5, 6)}
    image = Image(pyramid, multiscale=True, name="pyramid", contrast_limits=(0, 255), **place)
    viewer, widget = make_widget(image, wait=False)
    image.locked_data_level = level
    widget.wait_until_idle(TIMEOUT_S)
    target = accept_at(viewer, widget, COIN_RC)
    np.testing.assert_array_equal(np.asarray(target.data) > 0, plain_mask)


@pytest.mark.parametrize(("kind", "order"), [(as_zarr, (0, 1, 2)), (as_dask, (1, 0, 2))])
def test_a_multiscale_stack_in_any_order(make_widget, plain_mask, tmp_path, kind, order):
    volume = np.moveaxis(np.stack([data.coins()[::-1], data.coins()]), 0, order[0])
    pyramid = [
        kind(np.ascontiguousarray(pixels), tmp_path / str(number))
        for number, pixels in enumerate(halves(volume, order[1:]))
    ]
    image = Image(pyramid, multiscale=True, name="stack", contrast_limits=(0, 255))
    viewer, widget = make_widget(image, wait=False)
    viewer.dims.order = order
    viewer.dims.set_current_step(order[0], 1)
    widget.wait_until_idle(TIMEOUT_S)
    target = accept_at(viewer, widget, np.insert(np.array(COIN_RC, float), order[0], 1))
    plane = np.take(np.asarray(target.data), 1, axis=order[0])
    np.testing.assert_array_equal(plane > 0, plain_mask)
    assert not np.take(np.asarray(target.data), 0, axis=order[0]).any()


class Counting:
    """An array that notes how many pixels were read of it, and can refuse our own threads."""

    def __init__(self, pixels, chunks):
        self.shape, self.dtype, self.ndim = pixels.shape, pixels.dtype, pixels.ndim
        self.chunks = chunks
        self.size = pixels.size
        self._pixels = pixels
        self.read_px = self.largest_px = 0
        self.fails, self.delay_s = False, 0.0

    def __getitem__(self, index):
        if self.fails and threading.current_thread() is not threading.main_thread():
            msg = "the disk is gone"
            raise OSError(msg)
        if threading.current_thread() is not threading.main_thread():
            time.sleep(self.delay_s)
        part = self._pixels[index]
        self.read_px += part.size
        self.largest_px = max(self.largest_px, part.size)
        return part

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[...], dtype)


def test_of_a_lazy_stack_only_the_planes_that_are_needed_are_read(make_widget):
    volume = np.repeat(data.coins()[np.newaxis], 40, axis=0)
    array = Counting(volume, (1, 100, 100))
    image = Image(array, name="lazy", contrast_limits=(0, 255))
    array.read_px = array.largest_px = 0
    make_widget(image)
    plane_px = volume[0].size
    # napari draws two or three, we read the shown one and its neighbors.
    assert array.read_px <= 8 * plane_px
    assert array.largest_px <= plane_px


def test_a_read_that_fails_is_said_and_the_next_slice_works(make_widget):
    volume = np.stack([data.coins()] * 3)
    array = Counting(volume, (1, 100, 100))
    image = Image(array, name="lazy", contrast_limits=(0, 255))
    viewer, widget = make_widget(image)
    array.fails = True
    viewer.dims.set_current_step(0, 0)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.phase is Phase.FAILED
    assert "the disk is gone" in widget.session.state.hint
    array.fails = False
    viewer.dims.set_current_step(0, 2)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.phase is Phase.READY


def test_a_slow_disk_keeps_nobody_waiting_and_loses_no_prompt(make_widget):
    volume = np.stack([data.coins(), data.coins()[::-1], data.coins()])
    array = Counting(volume, (1, 16, 100))
    image = Image(array, name="slow", contrast_limits=(0, 255))
    viewer, widget = make_widget(image, wait=False)
    array.delay_s = 0.3
    viewer.dims.set_current_step(0, 1)
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(1, 303 - COIN_RC[0], COIN_RC[1])])
    viewer.dims.set_current_step(0, 2)  # while the other is read
    viewer.layers["SAM points"].add([(2, *COIN_RC)])
    widget.session.embedding.cancel()
    assert widget.session.state.phase is Phase.CANCELLED
    widget.session.embedding.embed()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.candidates is not None
    viewer.dims.set_current_step(0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.candidates is not None
    assert len(viewer.layers["SAM points"].data) == 2


# What is in sight ------------------------------------------------------------------------------


def test_the_view_is_what_the_window_shows(make_napari_viewer):
    viewer = make_napari_viewer()
    image = viewer.add_image(np.zeros((3, 2000, 3000), np.uint8), scale=(1, 0.5, 0.25))
    view = displayed_plane(image, viewer.dims)
    height, width = viewer.canvas.size
    viewer.scene.camera.center = (0, 500, 250)  # in world units
    viewer.scene.camera.zoom = 4
    expected = (
        1000 - width / 4 / 0.25 / 2,
        1000 - height / 4 / 0.5 / 2,
        1000 + width / 4 / 0.25 / 2,
        1000 + height / 4 / 0.5 / 2,
    )
    np.testing.assert_allclose(visible_box(viewer, image, view), expected)


def test_zooming_in_embeds_what_is_in_sight_and_the_mask_layers_are_no_larger(make_widget):
    pixels = np.tile(data.coins(), (10, 10))
    image = Image(pixels, name="large")
    viewer, widget = make_widget(image)
    assert widget.session.state.phase is Phase.READY
    row, column = COIN_RC[0] + 5 * 303, COIN_RC[1] + 5 * 384
    viewer.scene.camera.center = (row, column)
    viewer.scene.camera.zoom = 2
    widget.wait_until_idle(TIMEOUT_S)
    labels = np.asarray(accept_at(viewer, widget, (row, column)).data)
    assert labels.shape == pixels.shape
    rows, columns = np.nonzero(labels)
    assert abs(rows.mean() - row) < 20
    assert abs(columns.mean() - column) < 20
    assert 500 < len(rows) < 6000
    shown = viewer.layers["SAM mask 1"]
    assert max(shown.data.shape) <= 1024


def test_a_mask_layer_lies_exactly_on_its_object(make_widget):
    pixels = np.tile(data.coins(), (10, 10))
    image = Image(pixels, name="large", scale=(0.5, 2), translate=(3, 4), rotate=30)
    viewer, widget = make_widget(image)
    widget.binding.prompts.start_points()
    row, column = COIN_RC[0] + 3 * 303, COIN_RC[1] + 6 * 384
    viewer.layers.selection.active.add([(row, column)])
    widget.wait_until_idle(TIMEOUT_S)
    (shown,) = [one for one in viewer.layers if one.name.startswith("SAM mask") and one.visible]
    widget.binding.objects.accept()
    labels = np.asarray(widget.binding.target.layer.data)
    candidate = widget.session.state
    assert candidate.candidates is None
    inside = np.argwhere(labels == 1)
    # The middle of the object lies in the layer where it lies in the image.
    place = shown.world_to_data(image.data_to_world(inside.mean(axis=0)))
    assert (np.array(place) > -0.5).all()
    assert (np.array(place) < np.array(shown.data.shape) - 0.5).all()


# Targets ---------------------------------------------------------------------------------------


def target_of(shape, make_napari_viewer, order=None):
    viewer = make_napari_viewer()
    lazy = dask.array.zeros(shape, dtype=np.uint8, chunks=(25,) * (len(shape) - 2) + (512, 512))
    image = viewer.add_image(lazy, contrast_limits=(0, 255), multiscale=False)
    if order is not None:
        viewer.dims.order = order
    view = displayed_plane(image, viewer.dims)
    layer = new_target_layer(image, view)
    viewer.add_layer(layer)
    return (
        viewer,
        image,
        TargetPlane(TargetLayer(layer, lambda call: call(), is_empty=True), view),
        layer,
    )


def put(plane, rows, columns, labels):
    values, start = plane.to_nd(labels, rows.start, columns.start)
    plane.labels.write(region_of(start, values.shape), values)


def test_a_target_of_a_hundred_gigabytes_takes_no_memory_and_is_written(make_napari_viewer):
    shape = (5000, 2, 4000, 2500)  # napari reads all along the first axis at one place
    viewer, image, plane, layer = target_of(shape, make_napari_viewer)
    assert isinstance(layer.data, zarr.Array)
    assert layer.data.shape == shape
    check_target(layer, image, displayed_plane(image, viewer.dims))
    put(plane, slice(700, 703), slice(900, 904), np.full((3, 4), 5, np.uint16))
    plane.labels.show()
    assert plane.read(slice(699, 703), slice(900, 904)).sum() == 60
    assert layer.data.nchunks_initialized == 1
    position = tuple(int(n) for n in viewer.dims.current_step[:2])
    assert layer.get_value((*position, 701, 902)) == 5


def test_a_user_can_paint_on_a_target_that_is_not_in_memory(make_napari_viewer):
    viewer, _, plane, layer = target_of((300, 2000, 2000), make_napari_viewer)
    put(plane, slice(0, 3), slice(0, 3), np.full((3, 3), 5, np.uint16))
    plane.labels.show()
    layer.selected_label = 7
    layer.paint((viewer.dims.current_step[0], 100, 100), 7)
    layer.paint((viewer.dims.current_step[0], 1, 1), 9)
    assert plane.labels.max_label_id() == 9
    layer.undo()
    assert (plane.read(slice(0, 3), slice(0, 3)) == 5).all()


@pytest.mark.parametrize("shape", [(1200, 901), (3, 1201, 300)])
@pytest.mark.parametrize("is_rolled", [False, True])
def test_a_target_too_large_to_be_drawn_has_levels_that_agree(
    make_napari_viewer, monkeypatch, shape, is_rolled
):
    monkeypatch.setattr(target_module, "_MAX_DRAWN_PX", 800)
    monkeypatch.setattr(target_module, "_COARSEST_PX", 128)
    order = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2) if is_rolled else None
    _, _, plane, layer = target_of(shape, make_napari_viewer, order)
    assert layer.multiscale
    height, width = plane.shape
    rng = np.random.default_rng(0)
    for rows, columns in (
        (slice(0, 7), slice(0, 9)),
        (slice(height - 5, height), slice(width - 9, width)),
        (slice(101, 140), slice(203, 260)),
        (slice(33, 34), slice(17, 18)),
    ):
        part = rng.integers(1, 9, (rows.stop - rows.start, columns.stop - columns.start))
        put(plane, rows, columns, part.astype(np.uint16))
        assert (plane.read(rows, columns) == part).all()
    finest, *coarser = levels(layer)
    for level in coarser:
        steps = tuple(
            slice(None, None, round(n / m)) for n, m in zip(finest.shape, level.shape, strict=True)
        )
        np.testing.assert_array_equal(level[...], np.asarray(finest[...])[steps])


@pytest.mark.parametrize("shape", [(12_000, 9001), (3, 12_001, 9000)])
def test_what_is_written_into_a_large_target_shows(make_napari_viewer, shape):
    _, _, plane, layer = target_of(shape, make_napari_viewer)
    assert not layer.thumbnail[..., :3].any()
    for corner in range(0, 8000, 1000):
        here = slice(corner, corner + 1000)
        put(plane, here, here, np.full((1000, 1000), 3, np.uint16))
    plane.labels.show()
    assert layer.thumbnail[..., :3].any()


def test_labels_of_the_users_own_in_zarr_are_a_target(make_widget, tmp_path):
    labels = zarr.create_array(tmp_path / "labels", shape=(303, 384), chunks=(64, 64), dtype="u2")
    labels[200:210, 200:210] = 41
    layer = Labels(labels, name="mine")
    viewer, widget = make_widget(Image(data.coins(), name="coins"), layer)
    widget.binding.target.set_layer(layer)
    accept_at(viewer, widget, COIN_RC)
    assert labels[COIN_RC] == 42
    widget.binding.objects.undo()
    assert labels[COIN_RC] == 0


def test_what_cannot_be_written_is_refused(make_widget, tmp_path):
    labels = zarr.create_array(tmp_path / "labels", shape=(303, 384), chunks=(64, 64), dtype="u2")
    read_only = zarr.open_array(tmp_path / "labels", mode="r")
    pyramid = [np.zeros((303, 384), np.uint8), np.zeros((152, 192), np.uint8)]
    layers = [
        Labels(read_only, name="read only"),
        Labels(pyramid, multiscale=True, name="pyramid"),
        Labels(dask.array.zeros((303, 384), dtype=np.uint8), name="dask"),
    ]
    _, widget = make_widget(Image(data.coins(), name="coins"), *layers)
    for layer in layers:
        with pytest.raises(TargetError, match="is read-only"):
            widget.binding.target.set_layer(layer)
    assert labels[0, 0] == 0
