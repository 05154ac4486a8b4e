"""micro-sam's embeddings in real zarr stores of both versions, sound and damaged."""

import hashlib
import os
import shutil
from itertools import product
from types import SimpleNamespace

import dask.array
import numcodecs
import numpy as np
import pytest
import skimage.data
import xxhash
import zarr
from zarr.codecs import BloscCodec

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session.image.tile_grid import TileGrid
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.micro_sam import image as micro_sam_image
from napari_sam.session.micro_sam.embeddings import MicroSamError, open_embeddings
from napari_sam.session.micro_sam.image import (
    data_signature,
    formerly_normalized,
    micro_sam_normalized,
)
from tests.systems import needs_pipes

EMBEDDING = (1, 256, 64, 64)
PLANE = np.arange(70 * 100, dtype=np.uint16).reshape(70, 100)
STACK = np.stack([PLANE, PLANE + 1, PLANE + 2])
TILE_SHAPE, HALO = (40, 40), (8, 16)
BOXES = (
    Tile(0, 0, 0, 48, 56),
    Tile(0, 0, 24, 48, 72),
    Tile(0, 0, 64, 48, 36),
    Tile(0, 32, 0, 38, 56),
    Tile(0, 32, 24, 38, 72),
    Tile(0, 32, 64, 38, 36),
)
MASKED = {"0": [1, 4], "1": [], "2": [4]}


class StoppedError(Exception):
    pass


def input_size(size):
    return [max(1, int(side * 1024 / max(size) + 0.5)) for side in size]


def value_of(slice_index, tile_number=0):
    """Return what the embedding of a slice or tile is filled with in these tests."""
    return 1 + 10 * slice_index + tile_number


def create(group, name, shape, dtype="float32"):
    """Create an array as micro-sam does: version 2 with gzip, version 3 with blosc."""
    is_old = group.metadata.zarr_format == 2
    compressor = numcodecs.GZip() if is_old else BloscCodec(cname="lz4", shuffle="shuffle")
    chunks = (1,) * (len(shape) - 3) + shape[-3:]
    return group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, compressors=compressor)


def write_tile(group, name, image, tile_number, size, masked):
    slices = image.shape[0] if image.ndim == 3 else None
    array = create(group, name, EMBEDDING if slices is None else (slices, *EMBEDDING))
    for z in range(slices or 1):
        if masked is None or tile_number in masked[str(z)]:
            array[... if slices is None else z] = value_of(z, tile_number)
    if name != "features":
        array.attrs.update({"original_size": size, "input_size": input_size(size)})


def write(path, image, is_tiled=False, masked=None, zarr_format=3, **attributes):
    """Write made-up embeddings of an image, (H, W) or (Z, H, W), in micro-sam's layout."""
    group = zarr.create_group(path, zarr_format=zarr_format)
    size = list(image.shape[-2:])
    if is_tiled:
        features = group.create_group("features")
        features.attrs.update({"shape": size, "tile_shape": TILE_SHAPE, "halo": HALO})
        for number, box in enumerate(BOXES):
            if masked is None or any(number in numbers for numbers in masked.values()):
                write_tile(features, str(number), image, number, list(box.size), masked)
        if masked is not None:
            features.attrs["tiles_in_mask"] = masked if image.ndim == 3 else masked["0"]
    else:
        write_tile(group, "features", image, 0, size, None)
    group.attrs.update(
        {
            "data_signature": hashlib.sha1(image.tobytes()).hexdigest(),
            "tile_shape": TILE_SHAPE if is_tiled else None,
            "halo": HALO if is_tiled else None,
            "model_type": "vit_b",
            "model_name": "vit_b_lm",
            "micro_sam_version": "1.7.1",
            "model_hash": "xxh128:fe9252a29f3f4ea53c15a06de471e186",
            "input_size": None if is_tiled else input_size(size),
            "original_size": None if is_tiled else size,
            **attributes,
        }
    )
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "embeddings.zarr"


@pytest.fixture(params=[2, 3], ids=["v2", "v3"])
def zarr_format(request):
    return request.param


def chunks_of(path):
    """Return the files of embeddings, of one array in the order of slices."""
    return sorted(
        file
        for file in (path / "features").rglob("*")
        if file.is_file() and not file.name.startswith((".z", "zarr."))
    )


def edit_attributes(path, **changes):
    group = zarr.open_group(path)
    kept = {**group.attrs.asdict(), **changes}
    group.attrs.put({key: value for key, value in kept.items() if value is not ...})


@pytest.mark.parametrize("is_tiled", [False, True], ids=["whole", "tiled"])
@pytest.mark.parametrize("image", [PLANE, STACK], ids=["2d", "3d"])
def test_all_layouts_are_read(path, image, is_tiled, zarr_format):
    stored = open_embeddings(write(path, image, is_tiled, zarr_format=zarr_format))
    assert (stored.model_type, stored.model_name) == ("vit_b", "vit_b_lm")
    assert stored.model_hash == "xxh128:fe9252a29f3f4ea53c15a06de471e186"
    assert stored.data_signature == hashlib.sha1(image.tobytes()).hexdigest()
    assert (stored.ndim, stored.pyramid.shape) == (image.ndim, (70, 100))
    assert stored.slice_count == (3 if image.ndim == 3 else 1)
    assert isinstance(stored.pyramid, TileGrid) == is_tiled
    assert stored.tiles == (BOXES if is_tiled else (TilePyramid((70, 100), SAM_SPEC).whole,))
    assert stored.matches(image)
    for z in range(stored.slice_count):
        assert stored.tile_numbers(z) == tuple(range(len(stored.tiles)))
        for number, box in enumerate(stored.tiles):
            one = stored.embedding(z, number)
            assert one.image_embedding.dtype == np.float32
            expected = np.full(EMBEDDING[1:], value_of(z, number))
            np.testing.assert_array_equal(one.image_embedding, expected)
            assert one.original_size == box.size
            assert one.input_size == tuple(input_size(box.size))


def test_there_are_no_other_slices_and_tiles(path):
    stored = open_embeddings(write(path, STACK, is_tiled=True))
    for z, number in [(3, 0), (-1, 0), (0, 6), (0, -1)]:
        with pytest.raises(IndexError, match=r"no (slice|tile)"):
            stored.embedding(z, number)


@pytest.mark.parametrize("image", [PLANE, STACK], ids=["2d", "3d"])
def test_tiles_outside_a_mask_are_known_to_be_left_out(path, image, zarr_format):
    stored = open_embeddings(
        write(path, image, is_tiled=True, masked=MASKED, zarr_format=zarr_format)
    )
    for z in range(stored.slice_count):
        assert stored.tile_numbers(z) == tuple(MASKED[str(z)])
        for number in range(6):
            if number in MASKED[str(z)]:
                values = stored.embedding(z, number).image_embedding
                assert (values == value_of(z, number)).all()
            else:
                with pytest.raises(MicroSamError, match="left out"):
                    stored.embedding(z, number)


def test_a_mask_that_touched_nothing(path):
    with pytest.raises(MicroSamError, match="no tile"):
        open_embeddings(write(path, PLANE, is_tiled=True, masked={"0": []}))


def test_only_the_chunk_asked_for_is_read(path, zarr_format):
    stored = open_embeddings(write(path, STACK, zarr_format=zarr_format))
    first, second, third = chunks_of(path)
    first.write_bytes(b"unreadable")
    third.unlink()
    assert (stored.embedding(1).image_embedding == value_of(1)).all()
    with pytest.raises(MicroSamError, match=r"tile 0 of slice 0 is damaged.* embedded here"):
        stored.embedding(0)
    with pytest.raises(MicroSamError, match="slice 2 is missing"):
        stored.embedding(2)
    second.write_bytes(second.read_bytes()[:-9])
    with pytest.raises(MicroSamError, match="slice 1 is damaged"):
        stored.embedding(1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_numbers(path, bad):
    write(path, STACK)
    zarr.open_group(path)["features"][1, 0, 5, 6, 7] = bad
    stored = open_embeddings(path)
    assert stored.embedding(2).image_embedding.any()
    with pytest.raises(MicroSamError, match="slice 1 contains NaN or infinite values"):
        stored.embedding(1)


def test_what_is_no_zarr_of_micro_sam(path, tmp_path):
    with pytest.raises(MicroSamError, match="no folder"):
        open_embeddings(path)
    (tmp_path / "file").write_text("hello")
    with pytest.raises(MicroSamError, match="no folder"):
        open_embeddings(str(tmp_path / "file"))
    path.mkdir()
    with pytest.raises(MicroSamError, match="not a zarr"):
        open_embeddings(path)
    (path / "zarr.json").write_text("{")
    with pytest.raises(MicroSamError, match="not a zarr"):
        open_embeddings(path)
    zarr.create_array(tmp_path / "array.zarr", shape=(3,), dtype="u1")
    with pytest.raises(MicroSamError, match="not a zarr"):
        open_embeddings(tmp_path / "array.zarr")


@pytest.mark.parametrize("is_tiled", [False, True], ids=["whole", "tiled"])
def test_embeddings_that_are_still_being_computed(path, is_tiled, zarr_format):
    write(path, STACK, is_tiled, zarr_format=zarr_format)
    edit_attributes(path, input_size=...)
    with pytest.raises(MicroSamError, match=r"incomplete.*input_size"):
        open_embeddings(path)


@pytest.mark.parametrize("what", ["array", "sizes"])
def test_an_older_version_stopped_before_the_last_tile(path, what):
    # It writes input_size first, then tile after tile, and the sizes after all slices of a tile.
    write(path, STACK, is_tiled=True)
    if what == "array":
        shutil.rmtree(path / "features" / "5")
    else:
        zarr.open_group(path)["features/5"].attrs.put({})
    with pytest.raises(MicroSamError, match=r"incomplete|original_size is None"):
        open_embeddings(path)


def test_an_older_version_gave_the_name_as_type_and_no_hash(path):
    write(path, PLANE)
    edit_attributes(path, model_type="vit_b_lm", model_name=..., model_hash=...)
    stored = open_embeddings(path)
    assert (stored.model_type, stored.model_name) == ("vit_b_lm", "vit_b_lm")
    assert stored.model_hash is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_signature": ...}, "data_signature is missing"),
        ({"model_type": ...}, "model_type is missing"),
        ({"model_type": "hvit_t"}, "'hvit_t'; only vit_t, vit_b"),
        ({"original_size": ...}, "original_size is None"),
        ({"original_size": [70, 0]}, r"original_size is \[70, 0\]"),
        ({"input_size": [100]}, "input_size is"),
        ({"input_size": [359, 512]}, "another input size"),
    ],
)
def test_attributes_that_are_missing_or_wrong(path, changes, message):
    edit_attributes(write(path, PLANE), **changes)
    with pytest.raises(MicroSamError, match=message):
        open_embeddings(path)


@pytest.mark.parametrize("key", ["shape", "tile_shape", "halo"])
def test_attributes_of_tiles_that_are_missing(path, key):
    write(path, PLANE, is_tiled=True)
    features = zarr.open_group(path)["features"]
    features.attrs.put({k: v for k, v in features.attrs.items() if k != key})
    with pytest.raises(MicroSamError, match=f"{key} is None"):
        open_embeddings(path)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((256, 64, 64), "float32"),
        ((2, 256, 64, 64), "float32"),
        ((1, 256, 32, 32), "float32"),
        ((0, 1, 256, 64, 64), "float32"),
        ((2, 3, 1, 256, 64, 64), "float32"),
        ((1, 256, 64, 64), "float64"),
        ((1, 256, 64, 64), "uint8"),
    ],
)
def test_arrays_of_other_shapes_and_types(path, shape, dtype):
    write(path, PLANE)
    shutil.rmtree(path / "features")
    create(zarr.open_group(path), "features", shape, dtype)
    with pytest.raises(MicroSamError, match=r"not an array|float32, preceded by the slices"):
        open_embeddings(path)


def test_layouts_that_contradict_their_attributes(path):
    write(path, PLANE)
    shutil.rmtree(path / "features")
    with pytest.raises(MicroSamError, match="features is missing"):
        open_embeddings(path)
    zarr.open_group(path).create_group("features")
    with pytest.raises(MicroSamError, match="not an array"):
        open_embeddings(path)
    shutil.rmtree(path)
    edit_attributes(write(path, PLANE), input_size=None)
    with pytest.raises(MicroSamError, match="shape is None"):
        open_embeddings(path)


def test_tiles_that_are_not_where_the_attributes_say(path):
    write(path, STACK, is_tiled=True)
    tiles = zarr.open_group(path)["features"]
    tiles["1"].attrs["original_size"] = [48, 71]
    shutil.rmtree(path / "features" / "2")
    write_tile(tiles, "2", STACK[:2], 2, list(BOXES[2].size), None)
    (path / "features" / "3" / "zarr.json").write_text("{}")
    stored = open_embeddings(path)
    assert stored.embedding(0, 0).image_embedding.any()
    for number, message in [
        (1, "does not have the size"),
        (2, "does not have the size"),
        (3, "damaged"),
    ]:
        with pytest.raises(MicroSamError, match=message):
            stored.embedding(0, number)
    tiles["5"].attrs["original_size"] = [38, 37]
    with pytest.raises(MicroSamError, match="tile 5 does not have the size"):
        open_embeddings(path)


def test_more_tiles_than_any_plane_has(path):
    write(path, STACK, is_tiled=True)
    attributes = zarr.open_group(path)["features"].attrs
    attributes.update({"shape": [10**6, 10**6], "tile_shape": [1, 1]})
    with pytest.raises(MicroSamError, match="they have 1,000,000,000,000 tiles"):
        open_embeddings(path)


def test_chunks_of_one_value(path):
    write(path, PLANE)
    features = zarr.open_group(path)["features"]
    attributes, shape = features.attrs.asdict(), features.shape
    zarr.open_group(path).create_array(
        "features", shape=shape, dtype="float32", chunks=(1,) * 4, overwrite=True
    ).attrs.put(attributes)
    with pytest.raises(MicroSamError, match="too many chunks"):
        open_embeddings(path)


@needs_pipes
def test_pipes_and_devices_in_the_folder_are_not_read(path, zarr_format):
    write(path, PLANE, zarr_format=zarr_format)
    (chunk,) = chunks_of(path)
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(MicroSamError, match="a pipe or a device"):
        open_embeddings(path).embedding()
    metadata = path / ("zarr.json" if zarr_format == 3 else ".zattrs")
    metadata.unlink()
    metadata.symlink_to("/dev/zero")
    with pytest.raises(MicroSamError, match="a pipe or a device"):
        open_embeddings(path)


@pytest.mark.parametrize("masked", [{"0": [-2, 5]}, {"0": [0], "1": [-1]}])
def test_tiles_before_the_first(path, masked):
    write(path, STACK, is_tiled=True)
    zarr.open_group(path)["features"].attrs["tiles_in_mask"] = masked
    with pytest.raises(MicroSamError, match="which is not a tile number"):
        open_embeddings(path)


@pytest.mark.parametrize("masked", [7, {"1": [0]}, {"0": ["a"]}, {"0": [6]}, {"0": [5]}])
def test_lists_of_tiles_that_make_no_sense(path, masked):
    write(path, STACK, is_tiled=True)
    zarr.open_group(path)["features"].attrs["tiles_in_mask"] = masked
    with pytest.raises(
        MicroSamError, match=r"layout is unknown|features/6 is missing|does not have the size"
    ):
        open_embeddings(path)


@pytest.mark.parametrize(
    "changed",
    [STACK[:2], STACK[0], STACK[..., :-1], STACK.swapaxes(1, 2), STACK.reshape(3, 50, 140)],
)
def test_images_of_other_shapes_do_not_match_and_are_not_read(path, changed):
    stored = open_embeddings(write(path, STACK))
    assert not stored.matches(SimpleNamespace(shape=changed.shape, dtype=changed.dtype))


def test_one_changed_pixel_does_not_match(path, monkeypatch):
    monkeypatch.setattr(micro_sam_image, "_BLOCK_BYTES", PLANE.nbytes)
    stored = open_embeddings(write(path, STACK))
    for where in [(0, 0, 0), (1, 35, 50), (2, 69, 99)]:
        changed = STACK.copy()
        changed[where] ^= 1
        assert not stored.matches(changed)
    assert not stored.matches(STACK.astype(np.int32))
    assert stored.matches(STACK)


def test_the_signature_is_that_of_the_file(path):
    write(path, PLANE)
    edit_attributes(path, data_signature="0" * 40)
    assert not open_embeddings(path).matches(PLANE)


@pytest.mark.parametrize("block_bytes", [1, PLANE.nbytes + 1, 2 * PLANE.nbytes, 2**30])
@pytest.mark.parametrize(
    "image",
    [
        STACK,
        STACK[0],
        STACK > 9,
        STACK / 7,
        STACK.astype(">i4"),
        np.asfortranarray(STACK),
        STACK[:, ::-1, ::2],
        skimage.data.astronaut()[:20, :30],
        np.zeros((3, 2, 2, 3), np.float16),
    ],
)
def test_the_signature_is_the_sha1_of_all_bytes_in_c_order(image, block_bytes, monkeypatch):
    monkeypatch.setattr(micro_sam_image, "_BLOCK_BYTES", block_bytes)
    assert data_signature(image) == hashlib.sha1(np.asarray(image).tobytes()).hexdigest()


def test_lazy_arrays_are_hashed_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(micro_sam_image, "_BLOCK_BYTES", PLANE.nbytes)
    expected = hashlib.sha1(STACK.tobytes()).hexdigest()
    on_disk = zarr.create_array(tmp_path / "image.zarr", data=STACK, chunks=(2, 30, 30))
    mapped = np.memmap(tmp_path / "image.raw", STACK.dtype, "w+", shape=STACK.shape)
    mapped[:] = STACK
    for lazy in (dask.array.from_array(STACK, chunks=(1, 40, 40)), on_disk, mapped):
        assert data_signature(lazy) == expected


class Watched:
    """An image that notes what is read of it and cannot be read as a whole."""

    shape, dtype = STACK.shape, STACK.dtype

    def __init__(self):
        self.read = []

    def __getitem__(self, where):
        self.read.append((where.start, where.stop))
        return STACK[where]

    def __array__(self, *_, **__):
        raise AssertionError("read as a whole")


def test_the_image_is_read_slice_by_slice(path, monkeypatch):
    monkeypatch.setattr(micro_sam_image, "_BLOCK_BYTES", PLANE.nbytes)
    image, shares = Watched(), []
    assert open_embeddings(write(path, STACK)).matches(image, shares.append)
    assert image.read == [(0, 1), (1, 2), (2, 3)]
    assert shares == [0, 1 / 3, 2 / 3, 1]


def test_matching_can_be_stopped(path, monkeypatch):
    monkeypatch.setattr(micro_sam_image, "_BLOCK_BYTES", PLANE.nbytes)
    image = Watched()

    def stop(share):
        if share > 0:
            raise StoppedError

    with pytest.raises(StoppedError):
        open_embeddings(write(path, STACK)).matches(image, stop)
    assert image.read == [(0, 1)]


def test_colors_count_neither_as_dimension_nor_for_the_size(path):
    colors = skimage.data.astronaut()[:70, :100]
    write(path, PLANE, data_signature=hashlib.sha1(colors.tobytes()).hexdigest())
    stored = open_embeddings(path)
    assert stored.matches(colors)
    assert not stored.matches(colors[..., :2])
    assert not stored.matches(colors[..., np.newaxis])


@pytest.mark.parametrize(
    ("model_type", "variant", "fits"),
    [
        ("vit_b", "vit_b", True),
        ("vit_b_lm", "vit_b", True),
        ("vit_b", "vit_l", False),
        ("vit_t_em_organelles", "vit_t", True),
        ("vit_t_em_organelles", "vit_b", False),
    ],
)
def test_the_type_tells_the_variant(path, model_type, variant, fits):
    write(path, PLANE, model_type=model_type)
    assert open_embeddings(path).model_type.startswith(variant) is fits


def test_the_checksum_tells_the_file(path, tmp_path):
    checkpoint, other = tmp_path / "vit_b.pt", tmp_path / "other.pt"
    checkpoint.write_bytes(b"weights" * 9999)
    other.write_bytes(b"Weights" * 9999)
    content = checkpoint.read_bytes()
    for known in (
        f"xxh128:{xxhash.xxh128_hexdigest(content)}",
        f"sha256:{hashlib.sha256(content).hexdigest()}",
        hashlib.sha256(content).hexdigest(),
    ):
        shutil.rmtree(path, ignore_errors=True)
        stored = open_embeddings(write(path, PLANE, model_hash=known))
        assert stored.is_of_file(checkpoint)
        assert not stored.is_of_file(other)
        assert not stored.is_of_file(tmp_path)
        assert not stored.is_of_file(tmp_path / "nothing.pt")


@pytest.mark.parametrize("model_hash", [None, "crc7:12"])
def test_a_checksum_that_is_missing_or_unknown_tells_nothing(path, tmp_path, model_hash):
    checkpoint = tmp_path / "vit_b.pt"
    checkpoint.write_bytes(b"weights")
    assert not open_embeddings(write(path, PLANE, model_hash=model_hash)).is_of_file(checkpoint)


def test_older_versions_show_bytes_as_they_are_and_stretch_everything_else_together():
    plane = np.array([[100, 101], [150, 200]], np.uint8)
    assert (formerly_normalized(plane) == plane[..., np.newaxis]).all()
    wide = np.array([[100, 101], [150, 355]], np.uint16)
    np.testing.assert_array_equal(formerly_normalized(wide)[..., 1], [[0, 1], [50, 255]])
    channels = np.stack([wide, wide + 255], axis=-1)
    together = formerly_normalized(channels)
    np.testing.assert_array_equal(together[..., 0], [[0, 0], [25, 127]])
    np.testing.assert_array_equal(together[..., 1], [[127, 128], [152, 255]])
    assert not together[..., 2].any()
    assert not formerly_normalized(np.full((3, 4), 9)).any()


def test_gray_is_stretched_and_repeated():
    plane = np.array([[100, 101], [150, 356]], np.uint16)
    image = micro_sam_normalized(plane)
    assert image.dtype == np.uint8
    assert (image == micro_sam_normalized(plane[..., np.newaxis])).all()
    for channel in range(3):
        # 1/256 and 50/256 of 255 are 0.996 and 49.8: truncated, not rounded. 1 falls short by 1e-7.
        np.testing.assert_array_equal(image[..., channel], [[0, 0], [49, 255]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_each_channel_is_stretched_on_its_own(dtype):
    first = np.array([[0, 10], [20, 40]], dtype)
    channels = np.stack([first, first * 2 + 5, first.T, first + 1], axis=-1)
    expected = np.array([[0, 63], [127, 255]])
    image = micro_sam_normalized(channels)
    np.testing.assert_array_equal(image[..., 0], expected)
    np.testing.assert_array_equal(image[..., 1], expected)
    np.testing.assert_array_equal(image[..., 2], expected.T)
    two = micro_sam_normalized(channels[..., :2])
    np.testing.assert_array_equal(two[..., :2], image[..., :2])
    assert not two[..., 2].any()


def test_small_floats_and_constant_planes_become_dark():
    # The denominator is 1e-7 larger than the range, which shows where that is small.
    assert micro_sam_normalized(np.array([[0, 1e-7]], np.float32)).max() == 127
    assert not micro_sam_normalized(np.full((3, 4), 9)).any()


@pytest.mark.parametrize("shape", [(5,), (2, 2, 2, 2), (0, 3)])
def test_what_is_no_plane_is_not_normalized(shape):
    with pytest.raises(ValueError, match="plane is"):
        micro_sam_normalized(np.zeros(shape))


def decoded(predictor, embedding, point_xy):
    return predictor.decode(embedding, points_xy=[point_xy], point_labels=[1])


@pytest.mark.parametrize("is_tiled", [False, True], ids=["whole", "tiled"])
def test_stored_embeddings_decode_to_the_same_masks(path, real_predictor, is_tiled, zarr_format):
    plane = skimage.data.coins()[:70, :100].astype(np.uint16) * 100
    write(path, plane, is_tiled, zarr_format=zarr_format)
    number = 4 if is_tiled else 0
    box = open_embeddings(path).tiles[number]
    tile = plane[box.top : box.top + box.height, box.left : box.left + box.width]
    encoded = real_predictor.encode(micro_sam_normalized(tile))
    array = zarr.open_group(path)[f"features/{number}" if is_tiled else "features"]
    array[0] = encoded.numpy()

    one = open_embeddings(path).embedding(0, number)
    restored = real_predictor.from_arrays(
        {"image_embedding": one.image_embedding}, one.original_size
    )
    assert (one.original_size, one.input_size) == (encoded.original_size, encoded.input_size)
    assert (restored.original_size, restored.input_size) == (one.original_size, one.input_size)
    for point_xy in product((9, 30), (9, 25)):
        expected = decoded(real_predictor, encoded, point_xy)
        actual = decoded(real_predictor, restored, point_xy)
        np.testing.assert_array_equal(actual.low_res_logits, expected.low_res_logits)
        np.testing.assert_array_equal(actual.iou_predictions, expected.iou_predictions)
