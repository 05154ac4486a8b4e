"""Preparing whole stacks: real images, weights, files and threads."""

import numpy as np
import pytest
import skimage.data

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session import (
    AnnotationSession,
    EmbeddingStore,
    ImagePlane,
    ModelChoice,
    Phase,
    Prompts,
)
from napari_sam.session.image.tiles import TilePyramid
from napari_sam.session.jobs import run_until
from napari_sam.session.prefetch.queue import PrefetchQueue, PrefetchState, PrefetchTile

TIMEOUT_S = 120
EMBEDDING_BYTES = 2**22
COINS = skimage.data.coins()


class Unreadable:
    shape, dtype = COINS.shape, COINS.dtype

    def __getitem__(self, region):
        message = "the disk is broken"
        raise OSError(message)


@pytest.fixture
def planes():
    return {f"slice {n}": ImagePlane(np.roll(COINS, n, axis=1)) for n in range(4)}


@pytest.fixture
def open_stored(remembering_predictor):
    """Return a function that opens a session with a store and notes what is encoded."""
    opened = []

    class Noting:
        def __init__(self):
            self.shifts = []

        def __getattr__(self, name):
            return getattr(remembering_predictor, name)

        def encode(self, image, on_block):
            self.shifts.append(next(n for n in range(4) if (np.roll(image, -n, 1) == FIRST).all()))
            return remembering_predictor.encode(image, on_block)

    def make(store):
        noting = Noting()
        session = AnnotationSession(lambda *_: noting, store=store)
        opened.extend((session, store))
        return session, noting.shifts

    yield make
    for each in opened:
        each.close()


FIRST = np.repeat(COINS[..., np.newaxis], 3, axis=-1)


def wait(session):
    session.wait_until_idle(TIMEOUT_S)


def hold_in_the_middle(session, held, planes):
    """Start the queue, with the first tile half done."""
    held.encode_gate.clear()
    held.encode_started.clear()
    session.prefetch.start_planes(planes)
    assert held.encode_started.wait(TIMEOUT_S)


def test_all_slices_are_on_disk_afterwards(open_stored, planes, tmp_path, listen):
    store = EmbeddingStore(tmp_path)
    session, encoded = open_stored(store)
    heard = listen(session)
    session.set_image(planes["slice 2"])
    session.prefetch.start_planes(planes)
    wait(session)
    store.flush()
    assert encoded[0] == 2  # what the user looks at
    assert encoded[1:] == [0, 1, 3]
    state = session.state.prefetch
    assert (state.done, state.total, state.computed, state.is_over) == (4, 4, 3, True)
    assert state.left_s == 0
    seen = [each.prefetch.done for each in heard.states if each.prefetch]
    assert sorted(set(seen)) == [0, 1, 2, 3, 4]
    assert heard.warnings == []

    again, encoded = open_stored(EmbeddingStore(tmp_path))
    for plane in planes.values():
        again.set_image(plane)
        wait(again)
        assert again.state.phase is Phase.READY
    assert encoded == []


def test_what_is_on_disk_is_found_and_tells_nothing_of_the_time(open_stored, planes, tmp_path):
    store = EmbeddingStore(tmp_path)
    first, _ = open_stored(store)
    first.prefetch.start_planes(planes)  # without an image
    wait(first)
    store.flush()
    again, encoded = open_stored(EmbeddingStore(tmp_path))
    again.prefetch.start_planes(planes)
    wait(again)
    assert encoded == []
    state = again.state.prefetch
    assert (state.done, state.computed, state.left_s) == (4, 0, None)


def test_the_time_left_is_that_of_the_median_computed():
    plane = ImagePlane(COINS)
    whole = TilePyramid(plane.shape, SAM_SPEC).whole
    queue = PrefetchQueue(PrefetchTile(plane, whole, str(n)) for n in range(9))
    assert queue.state.left_s is None
    queue.finish(None)
    assert queue.state.left_s is None
    for seconds in (2.0, 50.0, 4.0):
        queue.finish(seconds)
    assert queue.state.left_s == 4.0 * 5
    queue.fail("broken")
    assert queue.state.left_s == 4.0 * 4
    assert queue.next.name == "5"
    assert (queue.state.done, queue.state.failures) == (4, ("broken",))
    queue.pause()
    assert queue.next is None


def test_a_slice_that_fails_is_skipped_and_told_at_the_end(session, planes, listen):
    heard = listen(session)
    planes["slice 1"] = ImagePlane(Unreadable())
    session.prefetch.start_planes(planes)
    wait(session)
    state = session.state.prefetch
    assert (state.done, state.total, state.is_over) == (3, 4, True)
    assert state.failures == ("slice 1 (OSError): the disk is broken",)
    assert heard.warnings == [
        "1 of 4 slices could not be embedded: slice 1 (OSError): the disk is broken"
    ]


def test_pausing_gives_up_the_tile_under_way_and_resuming_repeats_it(session, held, planes):
    hold_in_the_middle(session, held, {"one": planes["slice 1"], "two": planes["slice 2"]})
    session.prefetch.pause()
    held.encode_gate.set()
    wait(session)
    assert session.state.prefetch.is_paused
    assert session.state.prefetch.done == 0
    session.prefetch.expect([planes["slice 3"]])  # the lane is free for this
    wait(session)
    assert len(held.encoded) == 3
    session.prefetch.resume()
    wait(session)
    assert session.state.prefetch.done == 2
    assert len(held.encoded) == 5


def test_cancelled_it_is_gone_and_nobody_is_told(session, held, planes, listen):
    heard = listen(session)
    hold_in_the_middle(session, held, {"one": planes["slice 1"], "two": planes["slice 2"]})
    session.prefetch.cancel()
    assert session.state.prefetch is None
    held.encode_gate.set()
    wait(session)
    assert len(held.encoded) == 2
    assert heard.warnings == []


def test_another_slice_does_not_end_it_and_goes_first(session, held, planes):
    some = {name: planes[name] for name in ("slice 1", "slice 2")}
    hold_in_the_middle(session, held, some)
    held.encode_started.clear()
    session.set_image(planes["slice 3"])
    assert held.encode_started.wait(TIMEOUT_S)
    held.encode_gate.set()
    run_until(
        lambda: session.state.phase is Phase.READY,
        session.background.dispatcher,
        TIMEOUT_S,
        "slice",
    )
    assert session.state.prefetch.done == 0
    wait(session)
    assert session.state.prefetch.done == 2
    # Held, the one that is shown, and the second: none twice.
    assert len(held.encoded) == 4


def test_a_click_goes_first(session, held, planes):
    hold_in_the_middle(session, held, {"one": planes["slice 1"]})
    held.decode_gate.clear()
    session.set_prompts(Prompts(points_xy=((104, 68),), point_labels=(1,)))
    assert held.decode_started.wait(TIMEOUT_S)
    held.encode_gate.set()
    session.background.dispatcher.run_pending(0)
    assert session.state.prefetch.done == 0
    held.decode_gate.set()
    wait(session)
    assert session.state.candidates is not None
    assert session.state.prefetch.done == 1


def test_another_model_ends_it_and_says_so(session, held, planes, listen):
    heard = listen(session)
    del planes["slice 0"]  # is shown
    hold_in_the_middle(session, held, planes)
    session.set_model(ModelChoice(exact=True))
    held.encode_gate.set()
    wait(session)
    assert session.state.prefetch is None
    assert heard.warnings == ["Another model is in use: embedding slices has stopped after 0 of 3."]


def test_what_is_over_ends_without_a_word(session, planes, listen):
    heard = listen(session)
    session.prefetch.start_planes({"one": planes["slice 0"]})
    wait(session)
    session.prefetch.cancel("Another image was chosen")
    assert session.state.prefetch is None
    assert heard.warnings == []


def test_it_says_beforehand_what_there_is_no_room_for(open_stored, planes, tmp_path, listen):
    store = EmbeddingStore(tmp_path, capacity_bytes=2 * EMBEDDING_BYTES + 2000)
    session, encoded = open_stored(store)
    heard = listen(session)
    session.prefetch.start_planes(planes)
    assert heard.warnings == [
        "Only the first 2 of 4 slices are embedded: there is no space for more."
    ]
    wait(session)
    store.flush()
    assert encoded == [0, 1]
    assert store.usage().count == 2
    assert session.state.prefetch.total == 2


def test_a_folder_that_cannot_be_written_is_told(open_stored, planes, tmp_path, listen):
    (tmp_path / "file").write_bytes(b"in the way")
    session, _ = open_stored(EmbeddingStore(tmp_path / "file"))
    heard = listen(session)
    session.prefetch.start_planes(planes)
    wait(session)
    assert len(heard.warnings) == 1
    assert heard.warnings[0].startswith(f"Could not store embeddings in {tmp_path / 'file'}: ")


def test_without_a_model_it_ends_at_once(open_session, planes, listen):
    calls = []

    def fail(*_):
        calls.append(1)
        message = "The weights are gone."
        raise ValueError(message)

    session = open_session(fail)
    heard = listen(session)
    session.prefetch.start_planes(planes)
    wait(session)
    assert len(calls) == 1
    assert session.state.prefetch is None
    assert heard.warnings[0].startswith("The model could not be loaded: The weights are gone")


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (PrefetchState(0, 9), "0 of 9"),
        (PrefetchState(37, 200, left_s=170), "37 of 200, 3 min left"),
        (PrefetchState(37, 200, left_s=40.4), "37 of 200, 40 s left"),
        (PrefetchState(1, 200, left_s=9000, failures=("a",)), "1 of 200, 1 failed, 2.5 h left"),
        (PrefetchState(1, 2, left_s=5, is_paused=True), "1 of 2, paused"),
    ],
)
def test_how_far_it_is_in_words(state, text):
    assert state.summary == text
