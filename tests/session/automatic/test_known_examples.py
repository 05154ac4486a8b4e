"""Examples as they are kept for another image."""

import numpy as np
import pytest

from napari_sam.session import AnnotationSession
from napari_sam.session.automatic.known_examples import MAX_KEPT
from napari_sam.session.automatic.likeness import NO_EXAMPLES, Examples
from napari_sam.session.objects.features import N_LOOKS, ObjectFeatures


@pytest.fixture
def known():
    session = AnnotationSession()
    yield session.known_examples
    session.close()


def features(seed, n_channels=4):
    rng = np.random.default_rng(seed)
    parts = (rng.normal(0, 50, n) for n in (n_channels, N_LOOKS))
    return ObjectFeatures(*(part.astype(np.float32) for part in parts))


def kept_of(known, examples):
    """Let the examples be those of a search, and return them as they are kept."""
    known._model, known._examples = known._model_name, examples
    return known.to_json()


def test_examples_are_kept_and_known_again(known):
    assert known.to_json() == {}
    like, unlike = tuple(map(features, range(3))), (features(9),)
    content = kept_of(known, Examples(like, unlike))
    known.forget()
    assert known.current == NO_EXAMPLES
    known.keep(content)
    for before, after in zip((like, unlike), known.current, strict=True):
        assert len(before) == len(after)
        for one, other in zip(before, after, strict=True):
            np.testing.assert_allclose(one.embedding, other.embedding, rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(one.looks, other.looks, rtol=1e-3, atol=1e-3)
    assert known.to_json() == content
    known.keep({**content, "model": "another"})
    assert known.current == NO_EXAMPLES
    known.keep({**content, "like": content["like"] * MAX_KEPT})
    assert len(known.current.like) == MAX_KEPT


def test_what_is_no_examples_is_not_known(known):
    good = kept_of(known, Examples((features(0),)))
    other = kept_of(known, Examples((features(0, n_channels=5),)))
    bad = [None, [], {}, {**good, "like": 3}, {**good, "like": ["?"]}, {**good, "unlike": None}]
    bad += [{**good, "like": wrong} for wrong in ([""], [good["like"][0][:24]])]
    bad += [{**good, "like": good["like"] + other["like"]}, {**good, "unlike": other["like"]}]
    for content in bad:
        known.keep(good)
        known.keep(content)
        assert known.current == NO_EXAMPLES, content
