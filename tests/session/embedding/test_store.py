"""Embeddings on a real disk, with real weights, real faults and real kills."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xxhash
from safetensors.torch import load_file, save_file

from napari_sam.engine.embeddings import as_float32
from napari_sam.model import Predictor
from napari_sam.model.build import build_model
from napari_sam.session import AnnotationSession, EmbeddingStore, ImagePlane, Phase
from tests.model.conftest import TINY_CONFIG
from tests.remembering import RememberingPredictor
from tests.systems import needs_devices, needs_kills

pytestmark = pytest.mark.slow

TIMEOUT_S = 120
A, B, C, D, E = (f"{letter * 32}-encoder" for letter in "abcde")
"""Keys of a store."""
ARRAYS = {"image_embedding": np.arange(256 * 16, dtype=np.float32).reshape(256, 4, 4)}


@pytest.fixture
def store(tmp_path):
    store = EmbeddingStore(tmp_path / "embeddings")
    yield store
    store.close()


def put(store, key, arrays=ARRAYS):
    store.put(key, arrays)
    store.flush()


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint16"])
def test_what_is_put_is_got(store, dtype):
    arrays = {"b": ARRAYS["image_embedding"].astype(dtype), "a": np.ones((2, 3, 1), np.float32)}
    put(store, A, arrays)
    found = store.get(A)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert store.get(B) is None
    assert store.usage().count == 1
    assert [path.name for path in store.folder.iterdir()] == [f"{A}.safetensors"]
    store.clear()
    assert store.usage().count == store.usage().size_bytes == 0
    assert store.get(A) is None


def test_files_of_others_are_never_removed(tmp_path):
    store = EmbeddingStore(tmp_path / "embeddings", capacity_bytes=1)
    store.folder.mkdir()
    model = {"weight": torch.zeros(10_000)}
    outside = tmp_path / "model.safetensors"
    save_file(model, outside)
    others = {store.folder / name for name in ("my_model.safetensors", f"{B}.safetensors")}
    for path in others:
        save_file(model, path)
    link, folder = (store.folder / f"{key}.safetensors" for key in (C, D))
    link.symlink_to(outside)
    folder.mkdir()
    leftovers = {store.folder / ".download.part", store.folder / ".napari-sam-notes.part"}
    for path in leftovers:
        path.touch()
    others |= {link, folder} | leftovers
    for path in others:
        os.utime(path, (0, 0))
    put(store, A)
    put(store, E)
    assert set(store.folder.iterdir()) == others | {store.folder / f"{E}.safetensors"}
    put(store, C)
    assert "is a link" in store.trouble
    store.clear()
    store.close()
    assert set(store.folder.iterdir()) == others
    assert load_file(outside).keys() == model.keys()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "other"])
def test_a_damaged_file_is_not_used_and_is_replaced(store, damage):
    put(store, A)
    path = store.folder / f"{A}.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-100] ^= 1
    path.write_bytes(
        {"truncated": content[:-10], "flipped": content, "empty": b"", "other": b"x" * 99}[damage]
    )
    assert store.get(A) is None
    assert not path.exists()
    put(store, A)
    np.testing.assert_array_equal(store.get(A)["image_embedding"], ARRAYS["image_embedding"])


@pytest.mark.parametrize("error", [MemoryError, OSError(24, "Too many open files")])
def test_a_whole_file_that_cannot_be_read_now_is_kept(store, monkeypatch, error):
    def fail(path):
        raise error

    put(store, A)
    with monkeypatch.context() as patched:
        patched.setattr("napari_sam.session.embedding.store._read", fail)
        assert store.get(A) is None
    assert store.get(A) is not None


def test_the_least_recently_used_go(tmp_path):
    size = ARRAYS["image_embedding"].nbytes + 200
    store = EmbeddingStore(tmp_path, capacity_bytes=3 * size)
    for age, key in enumerate((A, B, C)):
        put(store, key)
        os.utime(tmp_path / f"{key}.safetensors", (age, age))
    store.get(A)
    put(store, D)
    assert sorted(path.stem for path in tmp_path.iterdir()) == [A, C, D]
    tiny = EmbeddingStore(tmp_path, capacity_bytes=1)
    put(tiny, E)
    assert [path.stem for path in tmp_path.iterdir()] == [E], "the newest always stays"
    tiny.close()
    store.close()


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    store = EmbeddingStore(tmp_path / "file" / "embeddings")
    put(store, A)
    put(store, B)
    assert store.get(A) is None
    assert store.usage().count == 0
    assert (
        len([record for record in caplog.records if "Could not store embeddings" in record.message])
        == 1
    )
    store.clear()
    store.close()


@needs_devices
def test_a_full_disk_leaves_nothing(store, monkeypatch):
    store.folder.mkdir()

    def save(arrays, path):
        path.write_bytes(b"begun")
        with Path("/dev/full").open("wb") as full:
            full.write(b"x" * 10_000)

    monkeypatch.setattr("napari_sam.session.embedding.store._save", save)
    put(store, A)
    assert list(store.folder.iterdir()) == []


@needs_kills
def test_a_kill_in_the_middle_of_a_write(store):
    script = (
        "import sys, os, signal, numpy\n"
        "from pathlib import Path\n"
        "from napari_sam.session import EmbeddingStore\n"
        "def die(self, target): os.kill(os.getpid(), signal.SIGKILL)\n"
        "Path.replace = die\n"
        "store = EmbeddingStore(Path(sys.argv[1]))\n"
        "store.put(sys.argv[2], {'a': numpy.ones(9, 'float32')})\n"
        "store.flush()\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(store.folder), A], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = store.folder.iterdir()
    assert left.suffix == ".part"
    assert store.get(A) is None
    put(store, B)
    assert left.exists(), "it might be another program's, at work"
    old = time.time() - 7200
    os.utime(left, (old, old))
    put(store, C)
    assert not left.exists()


def test_two_stores_share_a_folder(tmp_path):
    stores = [EmbeddingStore(tmp_path, capacity_bytes=200_000) for _ in range(2)]
    wrong = []

    def work(store, seed):
        order = np.random.default_rng(seed).integers(0, 30, 150)
        for number in order:
            expected, key = ARRAYS["image_embedding"] + np.float32(number), f"{number:032x}-encoder"
            found = store.get(key)
            if found is None:
                put(store, key, {"image_embedding": expected})
            elif not np.array_equal(found["image_embedding"], expected):
                wrong.append(number)

    threads = [
        threading.Thread(target=work, args=item) for item in zip(stores, (1, 2), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert wrong == []


# In a session --------------------------------------------------------------------------------


class Counting(RememberingPredictor):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.encoded = 0

    def encode(self, image, on_block=None):
        self.encoded += 1
        return super().encode(image, on_block)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a session again, as after a restart, and embeds a plane."""

    def start(pixels, predictor):
        store = EmbeddingStore(tmp_path / "embeddings")
        session = AnnotationSession(lambda *_: predictor, store=store)
        session.set_image(ImagePlane(pixels, contrast_limits=(0, 255)))
        session.wait_until_idle(TIMEOUT_S)
        assert session.state.phase is Phase.READY
        embedding = session.embedding.embedded.embedding
        session.close()
        store.flush()
        return embedding

    return start


def test_after_a_restart_the_same_image_is_there(start, coins, sam_model):
    pixels = np.asarray(coins.data)
    first, second = Counting(sam_model, "cpu"), Counting(sam_model, "cpu")
    one = start(pixels, first)
    other = start(pixels.copy(), second)
    assert (first.encoded, second.encoded) == (1, 0)
    assert torch.equal(one.image_embedding, other.image_embedding)
    assert (one.original_size, one.input_size) == (other.original_size, other.input_size)


def tiny_model():
    torch.manual_seed(0)
    return build_model(replace(TINY_CONFIG, image_size=1024)).eval().requires_grad_(False)


def test_one_pixel_one_weight_or_one_setting_misses(start, coins):
    pixels, model = np.asarray(coins.data)[:200, :180], tiny_model()
    start(pixels, Counting(model, "cpu"))

    changed = pixels.copy()
    changed[17, 23] += 1
    other_pixel = Counting(model, "cpu")
    start(changed, other_pixel)
    assert other_pixel.encoded == 1

    transposed = Counting(model, "cpu")
    start(np.ascontiguousarray(pixels.T), transposed)
    assert transposed.encoded == 1

    other_model = tiny_model()
    other_model.image_encoder.neck[0].weight[0, 0, 0, 0] += 1e-3
    other_weight = Counting(other_model, "cpu")
    start(pixels, other_weight)
    assert other_weight.encoded == 1

    same = Counting(tiny_model(), "cpu")
    start(pixels.copy(), same)
    assert same.encoded == 0
    assert same.fingerprint == transposed.fingerprint
    lower = Counting(model, "cpu", "bfloat16")
    assert lower.fingerprint not in (other_weight.fingerprint, same.fingerprint)


def test_a_stored_embedding_of_another_model_is_not_used(start, coins, sam_model, tmp_path):
    pixels = np.asarray(coins.data)
    predictor = Counting(sam_model, "cpu")
    start(pixels, predictor)
    (path,) = (tmp_path / "embeddings").iterdir()
    impostor = EmbeddingStore(tmp_path / "embeddings")
    put(impostor, path.stem)
    impostor.close()
    start(pixels, predictor)
    assert predictor.encoded == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_files_of_earlier_versions_are_read(store, dtype):
    tensor = torch.from_numpy(ARRAYS["image_embedding"]).to(dtype)
    checksum = xxhash.xxh128(tensor.flatten().view(torch.uint8).numpy()).hexdigest()
    store.folder.mkdir()
    path = store.folder / f"{A}.safetensors"
    save_file({"image_embedding": tensor}, path, metadata={"checksum": checksum})
    (array,) = store.get(A).values()
    np.testing.assert_array_equal(as_float32(array), tensor.float().numpy())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_embedding_is_the_same_after_a_round_trip(sam_model, coins, precision):
    predictor = Predictor(sam_model, "cpu", precision)
    embedding = predictor.encode(np.repeat(np.asarray(coins.data)[..., None], 3, axis=2))
    arrays = embedding.to_arrays()
    assert [(n, a.shape, str(a.dtype)) for n, a in arrays.items()] == [
        (array.name, array.shape, array.dtype) for array in predictor.spec.arrays
    ]
    again = predictor.from_arrays(arrays, embedding.original_size)
    assert torch.equal(again.image_embedding, embedding.image_embedding)
    np.testing.assert_array_equal(as_float32(arrays["image_embedding"]), embedding.numpy())


def test_restoring_checks_what_it_is_given(sam_model):
    predictor = Predictor(sam_model, "cpu")
    with pytest.raises(ValueError, match="Encode the image again"):
        predictor.from_arrays({"image_embedding": np.zeros((256, 64, 64), np.float16)}, (10, 10))
    with pytest.raises(ValueError, match="that of this model"):
        predictor.from_arrays({"image_embedding": np.zeros((256, 32, 32), np.float32)}, (10, 10))
    with pytest.raises(ValueError, match="that of this model"):
        predictor.from_arrays({"other": np.zeros((256, 64, 64), np.float32)}, (10, 10))
