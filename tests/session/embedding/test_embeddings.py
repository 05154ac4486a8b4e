from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam.session.embedding.cache import Embedded, EmbeddingCache
from napari_sam.session.embedding.embeddings import content_key

IMAGE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def embedding_of(nbytes):
    return Embedded(SimpleNamespace(nbytes=nbytes))


def test_equal_pixels_have_equal_keys_whatever_their_memory_layout():
    assert content_key(IMAGE) == content_key(IMAGE.copy())
    assert content_key(IMAGE) == content_key(np.asfortranarray(IMAGE))
    assert content_key(IMAGE) == content_key(np.repeat(IMAGE, 2, axis=1)[:, ::2])


@pytest.mark.parametrize("other", [IMAGE + 1, IMAGE[::-1], IMAGE.reshape(3, 2, 3), IMAGE[:1]])
def test_other_pixels_or_shapes_have_other_keys(other):
    assert content_key(IMAGE) != content_key(other)


def test_one_changed_pixel_changes_the_key():
    changed = IMAGE.copy()
    changed[1, 2, 2] += 1
    assert content_key(IMAGE) != content_key(changed)


def test_the_least_recently_used_embedding_goes_when_the_bytes_exceed_the_capacity():
    cache = EmbeddingCache(capacity_bytes=10)
    first, second, third = (embedding_of(4) for _ in range(3))
    cache.put("first", first)
    cache.put("second", second)
    assert cache.get("first") is first
    cache.put("third", third)
    assert cache.get("second") is None
    assert cache.get("first") is first
    assert cache.get("third") is third


def test_as_many_go_as_it_takes():
    cache = EmbeddingCache(capacity_bytes=10)
    for key in "abc":
        cache.put(key, embedding_of(3))
    cache.put("large", embedding_of(8))
    assert len(cache) == 1
    assert cache.get("large") is not None


def test_an_embedding_beyond_the_capacity_stays_until_the_next():
    cache = EmbeddingCache(capacity_bytes=10)
    cache.put("huge", embedding_of(11))
    assert cache.get("huge") is not None
    cache.put("small", embedding_of(1))
    assert cache.get("huge") is None
    assert cache.get("small") is not None


def test_an_embedding_stored_again_counts_once():
    cache = EmbeddingCache(capacity_bytes=10)
    cache.put("other", embedding_of(4))
    cache.put("same", embedding_of(5))
    cache.put("same", embedding_of(6))
    assert len(cache) == 2
