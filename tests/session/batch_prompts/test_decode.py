"""Batch prompts: the same masks as one by one, in few tiles, undone in one step."""

import threading

import numpy as np
import pytest
from skimage import data

from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session import (
    AnnotationSession,
    ArrayPlane,
    ImagePlane,
    ModelChoice,
    Outline,
    Overlap,
    Prompts,
    Scribble,
    TargetError,
)
from napari_sam.session.batch_prompts.decode import (
    BatchPrompt,
    BatchResult,
    _Item,
    _tiles_for,
    decode_batch_prompts,
    prompt_of_region,
)
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.tiles import TilePyramid
from napari_sam.session.jobs import run_until
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord

TIMEOUT_S = 240
COINS_XY = [(155, 51), (215, 51), (276, 53), (100, 56), (102, 126)]
BOXES = [(x - 27, y - 27, x + 27, y + 27) for x, y in COINS_XY]
BOXED = [BatchPrompt(Prompts(box_xyxy=box), f"coin {n}") for n, box in enumerate(BOXES)]


@pytest.fixture(scope="module")
def embedder(real_predictor):
    return Embedder(ModelChoice(), lambda *_: real_predictor)


@pytest.fixture(scope="module")
def plane():
    return ImagePlane(data.coins())


@pytest.fixture
def batched(open_session, real_predictor, plane):
    """Return a session with the coins, and the labels that it writes to."""
    session = open_session(lambda *_: real_predictor)
    session.set_image(plane)
    target = ArrayPlane(np.zeros((303, 384), np.uint16))
    session.set_target(target)
    session.wait_until_idle(TIMEOUT_S)
    return session, target.labels.array


def mask_of(found, shape=(303, 384)):
    mask = np.zeros(shape, bool)
    for part in found.masks:
        mask[part.region] |= part.mask
    return mask


def test_each_is_what_the_session_finds_for_it_alone(embedder, plane, batched):
    session, _ = batched
    ring = Outline(tuple((x + dx, y + dy) for x, y in COINS_XY[:1] for dx, dy in
                         ((-28, 0), (-20, -20), (0, -28), (20, -20), (28, 0), (20, 20), (0, 28),
                          (-20, 20))))  # fmt: skip
    prompts = [
        Prompts(box_xyxy=BOXES[0]),
        Prompts((COINS_XY[1],), (1,)),
        Prompts((COINS_XY[2], (276, 85)), (1, 0)),
        Prompts(scribbles=(Scribble(((92, 50), (108, 62))),)),
        Prompts(outline=ring),
    ]
    found = decode_batch_prompts(embedder, plane, [BatchPrompt(one) for one in prompts])
    assert [one.index for one in found] == [0, 1, 2, 3, 4]
    for one, wanted in zip(found, prompts, strict=True):
        session.object_in_progress.set_feedback(False)
        session.set_prompts(wanted)
        session.wait_until_idle(TIMEOUT_S)
        candidates, chosen = session.state.candidates, session.state.chosen
        assert one.predicted_iou == pytest.approx(candidates.iou_predictions[chosen], abs=1e-4)
        (crop,) = candidates.blocks(chosen)
        alone = np.zeros((303, 384), bool)
        alone[crop.top : crop.top + crop.mask.shape[0], crop.left :][:, : crop.mask.shape[1]] = (
            crop.mask
        )
        assert (mask_of(one) != alone).sum() <= 2  # a batch is added up in another order
        session.object_in_progress.clear()


@pytest.fixture(scope="module")
def dotted():
    """Return a large image with a dot on it, its mask, and row and column of its first pixel."""
    pixels = np.random.default_rng(0).normal(60, 4, (2200, 2000))
    y, x = np.ogrid[-4:5, -4:5]
    dot = y * y + x * x <= 20
    pixels[1500:1509, 300:309][dot] += 140
    return ImagePlane(pixels.clip(0, 255).astype(np.uint8)), dot, 1500, 300


def test_what_is_small_beside_the_whole_image_is_found(embedder, dotted):
    plane, dot, top, left = dotted
    wanted = [
        prompt_of_region(MaskCrop(dot, top, left)),
        BatchPrompt(Prompts(box_xyxy=(left - 0.5, top - 0.5, left + 8.5, top + 8.5))),
        BatchPrompt(Prompts(box_xyxy=(left - 2, top - 2, left + 10, top + 10))),
    ]
    true = np.zeros(plane.shape, bool)
    true[top : top + 9, left : left + 9] = dot
    found = decode_batch_prompts(embedder, plane, wanted)
    assert [one.index for one in found] == [0, 1, 2]
    for one in found:
        mask = mask_of(one, plane.shape)
        assert (mask & true).sum() / (mask | true).sum() > 0.8


def test_all_are_written_with_their_scores_and_classes_and_undone_as_one(batched, listen):
    session, labels = batched
    heard, finished = listen(session), []
    session.batch_prompts.finished.connect(finished.append)
    session.batch_prompts.start(BOXED)
    assert session.batch_prompts.state.total == 5
    session.wait_until_idle(TIMEOUT_S)
    registry = session.editing.target.labels.registry
    assert session.batch_prompts.state is None
    assert heard.warnings == []
    assert finished == ["5 of 5 objects added. One Undo removes them all."]
    for n, (x, y) in enumerate(COINS_XY):
        record = registry.get(int(labels[y, x]))
        assert record.label_id == n + 1  # as in the list, whatever was written first
        assert record.class_name == f"coin {n}"
        assert 0.7 < record.score <= 1
        assert 0.7 < record.stability <= 1
        assert record.state.prompts.box_xyxy == BOXES[n]
    session.objects.reedit(3)
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts.box_xyxy == BOXES[2]
    session.undo()
    session.undo()
    assert not labels.any()
    assert len(registry) == 0
    session.redo()
    assert len(registry) == 5


@pytest.mark.parametrize("overlap", Overlap)
def test_of_two_on_one_object_the_better_one_is_kept(batched, overlap):
    session, labels = batched
    finished = []
    session.batch_prompts.finished.connect(finished.append)
    session.editing.set_overlap(overlap)
    # The second one is of the same coin, and cuts it in two.
    half = (BOXES[0][0], BOXES[0][1], COINS_XY[0][0], BOXES[0][3])
    session.batch_prompts.start([*BOXED[:1], BatchPrompt(Prompts(box_xyxy=half)), BOXED[1]])
    session.wait_until_idle(TIMEOUT_S)
    registry = session.editing.target.labels.registry
    winner = max((one for one in registry if one.start[1] < 180), key=lambda one: one.score)
    assert winner.area_px == (labels == winner.label_id).sum() == winner.masks[0].area_px
    assert labels[51, 215] == 3
    if overlap is Overlap.REFUSE:
        assert finished[0].startswith("2 of 3 objects added")
        assert "1 left out because other objects cover" in finished[0]


def test_what_has_no_class_gets_the_one_that_is_current_at_the_beginning(batched):
    session, _ = batched
    session.classes.add("cell")
    session.classes.add("other")
    session.classes.table.choose("cell")
    session.batch_prompts.start([BOXED[0], BatchPrompt(BOXED[1].prompts)])
    session.classes.table.choose("other")
    session.wait_until_idle(TIMEOUT_S)
    registry = session.editing.target.labels.registry
    assert [registry.get(label_id).class_name for label_id in (1, 2)] == ["coin 0", "cell"]


def test_the_score_of_an_object_is_at_most_1():
    mask = PackedMask((1, 2), np.ones((3, 3), bool))
    plane = ArrayPlane(np.zeros((9, 9), np.uint8))
    for predicted_iou, score in ((1.04, 1.0), (0.8, 0.8)):
        one = BatchResult(0, predicted_iou, 0.9, (mask,))
        assert one.record(plane).score == score


def test_what_lies_outside_is_told(batched):
    session, labels = batched
    finished = []
    session.batch_prompts.finished.connect(finished.append)
    outside = BatchPrompt(Prompts(box_xyxy=(900, 900, 950, 950)))
    session.batch_prompts.start([BOXED[0], outside])
    session.wait_until_idle(TIMEOUT_S)
    assert finished == ["1 of 2 objects added. 1 not found."]
    session.batch_prompts.start([outside])
    session.wait_until_idle(TIMEOUT_S)
    assert labels.max() == 1


def test_an_existing_segmentation_is_made_better(embedder, plane):
    square = np.ones((36, 36), bool)
    objects = [prompt_of_region(MaskCrop(square, y - 18, x - 18), "x") for x, y in COINS_XY]
    found = decode_batch_prompts(embedder, plane, objects)
    boxed = decode_batch_prompts(embedder, plane, BOXED)
    for refined, good in zip(found, boxed, strict=True):
        a, b = mask_of(refined), mask_of(good)
        assert (a & b).sum() / (a | b).sum() > 0.85
        square = np.zeros_like(a)
        x, y = COINS_XY[good.index]
        square[y - 18 : y + 18, x - 18 : x + 18] = True
        assert (a & b).sum() / (a | b).sum() > (square & b).sum() / (square | b).sum()
        assert refined.state is None
        assert refined.class_name == "x"


def test_stopping_keeps_what_was_found(embedder, plane):
    shares = []

    def report(share):
        shares.append(share)
        return share < 0.4

    found = decode_batch_prompts(embedder, plane, BOXED * 20, report=report)
    assert [one.index for one in found] == list(range(64))
    assert shares == sorted(shares)


class Waiting:
    """The real predictor; it decodes when the gate is open."""

    def __init__(self, predictor):
        self._predictor = predictor
        self.gate = threading.Event()

    def __getattr__(self, name):
        return getattr(self._predictor, name)

    def decode_batch(self, *args, **kwargs):
        assert self.gate.wait(TIMEOUT_S)
        return self._predictor.decode_batch(*args, **kwargs)


@pytest.fixture
def waiting(open_session, real_predictor, plane):
    """Return a session that looks for the coins when told, and two targets for them."""
    predictor = Waiting(real_predictor)
    session = open_session(lambda *_: predictor)
    session.set_image(plane)
    targets = [ArrayPlane(np.zeros((303, 384), np.uint16)) for _ in range(2)]
    session.set_target(targets[0])
    session.wait_until_idle(TIMEOUT_S)
    yield session, predictor.gate, *targets
    predictor.gate.set()


class UnreadPlane(ArrayPlane):
    """A plane of labels whose objects are not known yet."""

    labels = property(lambda self: self.refuse(), lambda self, labels: None)

    @staticmethod
    def refuse():
        raise TargetError("still being read")


def test_a_target_that_is_still_read_does_not_lose_the_objects_of_another(waiting, listen):
    session, gate, first, _ = waiting
    heard, finished = listen(session), []
    session.batch_prompts.finished.connect(finished.append)
    session.batch_prompts.start(BOXED)
    session.set_target(UnreadPlane(np.zeros((303, 384), np.uint16)))
    gate.set()
    session.wait_until_idle(TIMEOUT_S)
    assert heard.warnings == []
    assert "in the labels layer that was the target at the start" in finished[0]
    assert len(first.labels.registry) == len(BOXED)


def test_another_target_gets_none_of_it_and_another_model_ends_it(waiting, listen):
    session, gate, first, second = waiting
    heard, finished = listen(session), []
    session.batch_prompts.finished.connect(finished.append)
    session.batch_prompts.start(BOXED)
    with pytest.raises(TargetError, match="already"):
        session.batch_prompts.start(BOXED)
    session.set_target(second)
    gate.set()
    session.wait_until_idle(TIMEOUT_S)
    assert heard.warnings == []
    assert "in the labels layer that was the target at the start" in finished[0]
    assert len(np.unique(first.labels.array)) == 6
    session.undo()
    assert not first.labels.array.any()
    gate.clear()
    session.batch_prompts.start(BOXED)
    session.batch_prompts.abort("Another model was chosen")
    gate.set()
    session.wait_until_idle(TIMEOUT_S)
    assert "no objects were added" in heard.warnings[-1]
    gate.clear()
    session.set_target(first)
    session.batch_prompts.start(BOXED)
    first.labels.is_gone = True
    gate.set()
    session.wait_until_idle(TIMEOUT_S)
    assert "was deleted: none were added" in heard.warnings[-1]
    assert not first.labels.array.any()
    assert not second.labels.array.any()


def test_what_was_found_waits_while_something_else_is_written(waiting, listen):
    session, gate, first, _ = waiting
    heard = listen(session)
    is_written, go_on = threading.Event(), threading.Event()

    def record(*_):
        is_written.set()
        assert go_on.wait(TIMEOUT_S)

    session.batch_prompts.start(BOXED)
    session.editing.set_journal(record)
    there = PackedMask((200, 200), np.ones((9, 9), bool))
    session.editing.add([ObjectRecord(0, (), (), 0, masks=(there,))])
    assert is_written.wait(TIMEOUT_S)
    gate.set()
    run_until(
        lambda: session.batch_prompts._executor.is_idle,
        session.background.dispatcher,
        TIMEOUT_S,
        "search",
    )
    assert session.batch_prompts.state is not None
    session.batch_prompts.abort("Another model was chosen")  # it is not needed any more
    go_on.set()
    session.wait_until_idle(TIMEOUT_S)
    assert heard.warnings == []
    assert len(first.labels.registry) == 6
    assert session.batch_prompts.state is None


def test_a_click_comes_before_many(open_session, held, plane):
    """It rests while the object that is being made is decoded."""
    session = open_session()
    session.set_image(plane)
    session.set_target(ArrayPlane(np.zeros((303, 384), np.uint16)))
    session.wait_until_idle(TIMEOUT_S)
    held.decode_gate.clear()
    session.set_prompts(Prompts((COINS_XY[0],), (1,)))
    assert held.decode_started.wait(TIMEOUT_S)
    batches = []
    held.decode_batch = lambda *a, **k: (
        batches.append(held.decode_gate.is_set()) or held._predictor.decode_batch(*a, **k)
    )
    session.batch_prompts.start(BOXED)
    held.decode_gate.set()
    session.wait_until_idle(TIMEOUT_S)
    assert batches == [True]
    assert session.state.candidates is not None  # the object being made is still there
    session.batch_prompts.start(BOXED)
    session.close()  # at once, whatever is under way


def test_nothing_to_look_for_is_refused(open_session, batched):
    session, _ = batched
    with pytest.raises(TargetError, match="nothing to segment"):
        session.batch_prompts.start([])
    with pytest.raises(TargetError, match="nothing to segment"):
        AnnotationSession().batch_prompts.start(BOXED)


def test_few_tiles_hold_many_objects():
    pyramid = TilePyramid((2048, 2048), SAM_SPEC)
    rng = np.random.default_rng(0)
    boxes = [(x, y, x + 20, y + 20) for x, y in rng.uniform(0, 2028, (400, 2))]
    items = []
    for n, box in enumerate(boxes):
        prompts = Prompts(box_xyxy=box)
        level = pyramid.level_for(box)
        items.append(_Item(n, BatchPrompt(prompts), prompts, ObjectState(prompts), level, box))
    chosen = list(_tiles_for(pyramid, items))
    placed = [item.index for _, members in chosen for item in members]
    assert sorted(placed) == list(range(400))
    assert all(pyramid.holds(tile, item.bounds) for tile, members in chosen for item in members)
    one_by_one = {pyramid.around(box, pyramid.level_for(box)) for box in boxes}
    assert len(chosen) < 0.7 * len(one_by_one)


def test_objects_of_every_size_in_a_large_image_come_out_whole(embedder):
    shape = (1500, 1400)
    y, x = np.ogrid[: shape[0], : shape[1]]
    discs = [(400, 1000, 9), (420, 1030, 8), (700, 500, 150), (1000, 1000, 300)]
    masks = [(y - a) ** 2 + (x - b) ** 2 <= r**2 for a, b, r in discs]
    pixels = np.full(shape, 60.0)
    for n, mask in enumerate(masks):
        pixels[mask] = 140 + 25 * n
    image = np.clip(pixels + np.random.default_rng(0).normal(0, 4, shape), 0, 255).astype(np.uint8)
    boxes = [Prompts(box_xyxy=(b - r, a - r, b + r, a + r)) for a, b, r in discs]
    found = decode_batch_prompts(embedder, ImagePlane(image), [BatchPrompt(one) for one in boxes])
    for one in found:
        made, true = mask_of(one, shape), masks[one.index]
        assert (made & true).sum() / (made | true).sum() > 0.85, discs[one.index]
    levels = [one.state.tile.level for one in found]
    assert levels[0] == levels[1] < levels[3]
    assert found[0].state.tile == found[1].state.tile


def test_an_object_begun_with_somebody_elses_region_is_a_new_one(batched):
    session, labels = batched
    x, y = COINS_XY[0]
    session.objects.improve(MaskCrop(np.ones((36, 36), bool), y - 18, x - 18))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts.box_xyxy == (x - 18.5, y - 18.5, x + 17.5, y + 17.5)
    labels[200:204, 200:204] = 5  # nothing else is touched
    session.accept()
    assert (labels[200:204, 200:204] == 5).all()
    assert labels[y, x] == 6
    area = (labels == 6).sum()
    assert 1100 < area < 2000
    assert area != 36 * 36
    session.undo()
    assert session.state.prompts.box_xyxy is not None
    session.undo()
    assert session.state.prompts.is_empty
