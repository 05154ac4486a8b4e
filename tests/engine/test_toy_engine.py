"""A whole session, headless, on models of other sizes than SAM's."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam.engine.embeddings import ArrayEmbedding
from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.protocols import Engine
from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session import (
    AnnotationSession,
    ArrayPlane,
    Embedder,
    EmbeddingStore,
    ImagePlane,
    ModelChoice,
    Outline,
    Phase,
    Prompts,
)
from napari_sam.session.automatic.request import AutomaticRequest, automatic_tiles
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.batch_prompts.decode import BatchPrompt, prompt_of_region
from napari_sam.session.image.tiles import TilePyramid
from napari_sam.session.objects.measuring import find_objects
from tests.engine.toy_engine import TOY_SPEC, ToyDecoder, ToyEncoder

TIMEOUT_S = 60
SHAPE = (240, 320)
DISCS = {(60, 70): 25, (60, 220): 35, (170, 90): 30, (180, 250): 20}
"""Row and column of the middle, and radius."""


def discs(shape=SHAPE, places=DISCS):
    y, x = np.ogrid[: shape[0], : shape[1]]
    masks = [(y - r) ** 2 + (x - c) ** 2 <= radius**2 for (r, c), radius in places.items()]
    pixels = np.full(shape, 40, np.uint8)
    for mask in masks:
        pixels[mask] = 200
    return pixels, masks


PIXELS, MASKS = discs()


def iou(mask, other):
    return (mask & other).sum() / (mask | other).sum()


@pytest.fixture
def engine():
    return Engine(ToyEncoder(), ToyDecoder())


@pytest.fixture
def start(engine):
    """Return a function that starts a session on the toy engine; sessions are closed."""
    sessions = []

    def start(plane=None, store=None):
        model = ModelChoice("toy", device="cpu", spec=TOY_SPEC)
        session = AnnotationSession(lambda *_: engine, model=model, store=store)
        sessions.append(session)
        session.set_image(ImagePlane(PIXELS) if plane is None else plane, key="plane")
        session.wait_until_idle(TIMEOUT_S)
        assert session.state.phase is Phase.READY
        return session

    yield start
    for session in sessions:
        session.close()


@pytest.fixture
def session(start):
    return start()


@pytest.fixture
def labels(session):
    array = np.zeros(SHAPE, np.uint16)
    session.set_target(ArrayPlane(array))
    return array


def decoded(session, prompts):
    session.set_prompts(prompts)
    session.wait_until_idle(TIMEOUT_S)
    return session.state.candidates


def whole_mask(candidates, index):
    mask = np.zeros(SHAPE, bool)
    for block in candidates.blocks(index):
        rows, columns = block.mask.shape
        mask[block.top : block.top + rows, block.left : block.left + columns] |= block.mask
    return mask


@pytest.mark.parametrize(
    "prompts",
    [
        Prompts(points_xy=((220, 60),), point_labels=(1,)),
        Prompts(box_xyxy=(180, 20, 260, 100)),
        Prompts(outline=Outline(((180, 20), (260, 20), (260, 100), (180, 100)))),
    ],
    ids=["click", "box", "outline"],
)
def test_four_candidates_one_of_which_is_accepted(session, labels, prompts):
    candidates = decoded(session, prompts)
    assert len(candidates) == len(candidates.iou_predictions) == 4
    assert candidates.logits(3).shape == (128, 128)
    session.object_in_progress.choose(3)
    assert iou(whole_mask(candidates, 3), MASKS[1]) > 0.9
    assert session.accept().label_id == 1
    session.wait_until_idle(TIMEOUT_S)
    assert iou(labels == 1, MASKS[1]) > 0.9
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    assert not labels.any()


def test_a_further_click_starts_from_the_chosen_mask(session, engine):
    decoded(session, Prompts(points_xy=((220, 60),), point_labels=(1,)))
    decoded(session, Prompts(points_xy=((220, 60), (222, 64)), point_labels=(1, 1)))
    first, second = engine.decoder.prompts
    assert first["mask"] is None
    assert second["mask"].shape == (128, 128)
    assert (second["mask"] > 0).any()


def test_no_mask_prompt_for_a_model_that_takes_none(session, engine, monkeypatch):
    monkeypatch.setattr(engine.decoder, "spec", replace(TOY_SPEC, capabilities=frozenset()))
    decoded(session, Prompts(points_xy=((220, 60),), point_labels=(1,)))
    decoded(session, Prompts(points_xy=((220, 60), (222, 64)), point_labels=(1, 1)))
    assert [prompt["mask"] for prompt in engine.decoder.prompts] == [None, None]


def test_a_reedited_object_starts_from_its_region(session, labels, engine):
    labels[MASKS[2]] = 5
    target = ArrayPlane(labels)
    target.labels.registry.replace_all(find_objects(target.labels))
    session.set_target(target)
    session.objects.reedit(5)
    session.wait_until_idle(TIMEOUT_S)
    assert engine.decoder.prompts[-1]["mask"].shape == (128, 128)
    candidates = session.state.candidates
    assert iou(whole_mask(candidates, candidates.best), MASKS[2]) > 0.8


def test_tiles_follow_the_input_side(start, engine):
    places = {(1000, 1500): 6, (300, 400): 150}
    pixels, masks = discs((1200, 2000), places)
    session = start(ImagePlane(pixels))
    sides = [TilePyramid(pixels.shape, TOY_SPEC).at(level, 900, 500).side for level in range(5)]
    assert sides == [128, 256, 512, 1024, 2000]
    assert engine.encoder.encoded == [(400, 666, 3)]  # means of 3 x 3 pixels
    candidates = decoded(session, Prompts(points_xy=((1500, 1000),), point_labels=(1,)))
    assert candidates.tile.side < 512  # the dot is tiny in larger ones
    mask = np.zeros(pixels.shape, bool)
    for block in candidates.blocks(candidates.best):
        rows, columns = block.mask.shape
        mask[block.top : block.top + rows, block.left : block.left + columns] |= block.mask
    assert iou(mask, masks[0]) > 0.7


def test_embeddings_are_kept_on_disk_as_arrays(start, engine, tmp_path):
    store = EmbeddingStore(tmp_path)
    first = start(store=store)
    expected = whole_mask(decoded(first, Prompts(((220, 60),), (1,))), 0)
    store.flush()
    (path,) = tmp_path.iterdir()
    assert path.stem.endswith("-toy")
    arrays = store.get(path.stem)
    assert {name: array.shape for name, array in arrays.items()} == {
        "fine": (1, 128, 128),
        "coarse": (2, 32, 32),
    }
    second = start(store=EmbeddingStore(tmp_path))
    assert len(engine.encoder.encoded) == 1
    assert (whole_mask(decoded(second, Prompts(((220, 60),), (1,))), 0) == expected).all()


def test_embeddings_are_kept_in_memory(session, engine):
    other = ImagePlane(PIXELS[::-1].copy())
    planes = [other, ImagePlane(PIXELS.copy()), other]
    for plane in planes:
        session.set_image(plane)
        session.wait_until_idle(TIMEOUT_S)
    assert len(engine.encoder.encoded) == 2
    nbytes = 4 * (128 * 128 + 2 * 32 * 32)
    assert TOY_SPEC.embedding_nbytes == nbytes
    embedder = Embedder(load_predictor=lambda *_: engine)
    embedder.load()
    assert embedder.capacity_tiles == 2**29 // nbytes  # a guess before there is one
    embedded = session.embedding.embedded
    prepared = embedded.embedding.nbytes
    assert prepared < nbytes
    kept = prepared + embedded.picture.nbytes  # what the model saw is kept, too
    assert session.embedding.embedder.capacity_tiles == 2**29 // kept


def test_batch_prompts(session, labels):
    boxes = [(c - r - 3, y - r - 3, c + r + 3, y + r + 3) for (y, c), r in DISCS.items()]
    prompts = [BatchPrompt(Prompts(box_xyxy=box)) for box in boxes[:3]]
    top, left = 155, 225
    region = MASKS[3][top:210, left:280]
    session.batch_prompts.start([*prompts, prompt_of_region(MaskCrop(region, top, left))])
    session.wait_until_idle(TIMEOUT_S)
    assert len(np.unique(labels)) == 1 + 4
    for mask in MASKS:
        (label_id,) = set(np.unique(labels[mask])) - {0}
        assert iou(labels == label_id, mask) > 0.7


def test_automatic_masks(session):
    plane = session.embedding.plane
    whole = TilePyramid(plane.shape, TOY_SPEC).whole
    settings = AutomaticRunSettings().with_values(
        points_per_side=10, pred_iou_thresh=0, stability_score_thresh=0, max_share=0.5
    )
    session.automatic.start(AutomaticRequest(plane, automatic_tiles(whole, 200), settings))
    session.wait_until_idle(TIMEOUT_S)
    masks = [
        mask.at(np.arange(SHAPE[0]), np.arange(SHAPE[1]))
        for mask in session.automatic.picture.masks
    ]
    for disc in MASKS:
        assert max(iou(mask, disc) for mask in masks) > 0.8


def test_halves_of_different_models_are_refused(engine):
    class Other(ToyDecoder):
        spec = replace(TOY_SPEC, arrays=TOY_SPEC.arrays[:1])

    with pytest.raises(ValueError, match="different models"):
        Engine.of(Engine(engine.encoder, Other()))


def test_arrays_of_another_model_are_refused():
    with pytest.raises(ValueError, match="Encode the image again"):
        ArrayEmbedding.from_arrays({"fine": np.zeros((1, 64, 64))}, (9, 9), TOY_SPEC)


def test_tiles_are_planned_again_when_a_loaded_model_has_other_sizes(engine):
    pixels, _ = discs((600, 700), {(300, 350): 30})
    session = AnnotationSession(lambda *_: engine)
    assert session.state.spec == SAM_SPEC
    session.set_image(ImagePlane(pixels), view=(300, 250, 400, 350))
    session.set_prompts(Prompts(points_xy=((350, 300),), point_labels=(1,)))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.spec == TOY_SPEC
    candidates, pyramid = session.state.candidates, TilePyramid(pixels.shape, TOY_SPEC)
    assert pyramid.has(candidates.tile)
    assert candidates.tile.side == 128 < TilePyramid(pixels.shape, SAM_SPEC).at(0, 0, 0).side
    session.close()


def test_undo_and_redo_across_models_of_other_sizes(remembering_predictor):
    pixels, _ = discs((600, 700), {(300, 350): 60})
    engine = Engine(ToyEncoder(), ToyDecoder())
    session = AnnotationSession(
        lambda choice, _: engine if choice.spec == TOY_SPEC else remembering_predictor
    )
    session.set_image(ImagePlane(pixels), view=(250, 200, 450, 400))
    for points in (((350, 300),), ((350, 300), (340, 310))):
        session.set_prompts(Prompts(points, (1,) * len(points)))
        session.wait_until_idle(TIMEOUT_S)
    session.set_model(ModelChoice(device="cpu", spec=TOY_SPEC))
    session.wait_until_idle(TIMEOUT_S)
    session.object_in_progress.choose(3)
    session.wait_until_idle(TIMEOUT_S)
    pyramid = TilePyramid(pixels.shape, TOY_SPEC)
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    assert pyramid.has(session.state.candidates.tile)
    session.redo()
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.chosen == 3
    assert pyramid.has(session.state.candidates.tile)
    session.close()


def test_another_family_of_models_is_chosen_while_an_image_is_shown(remembering_predictor):
    """Tiles and masks are those of the model in use, whatever the one before had."""
    pixels, _ = discs((600, 700), {(300, 350): 60})
    engine = Engine(ToyEncoder(), ToyDecoder())

    def load(choice, runtime):
        return engine if choice.spec == TOY_SPEC else remembering_predictor

    session = AnnotationSession(load)
    session.set_image(ImagePlane(pixels), view=(250, 200, 450, 400))
    session.set_prompts(Prompts(points_xy=((350, 300),), point_labels=(1,)))
    session.wait_until_idle(TIMEOUT_S)
    before = session.state.candidates
    assert len(before) == 3
    assert before.tile.side == 256
    for spec, count in ((TOY_SPEC, 4), (SAM_SPEC, 3)):
        session.set_model(ModelChoice(device="cpu", spec=spec))
        session.wait_until_idle(TIMEOUT_S)
        candidates = session.state.candidates
        assert len(candidates) == count
        assert candidates.tile == TilePyramid(pixels.shape, spec).at(
            candidates.tile.level, 350, 300
        )
    session.close()
