"""A whole session, headless, on SAM 2.1 with random weights: nothing above the engine knows it."""

import numpy as np
import pytest

from napari_sam.engine.masks import MaskCrop
from napari_sam.model import Predictor
from napari_sam.session import (
    AnnotationSession,
    ArrayPlane,
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
from tests.model.sam2_models import tiny_sam2  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

TIMEOUT_S = 60
SHAPE = (600, 700)
CLICK = Prompts(points_xy=((350, 300),), point_labels=(1,))


@pytest.fixture(scope="module")
def predictor(tiny_sam2):  # noqa: F811
    return Predictor(tiny_sam2, device="cpu")


@pytest.fixture(scope="module")
def pixels():
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    noise = np.random.default_rng(0).integers(0, 90, SHAPE)
    return (noise + 120 * ((y - 300) ** 2 + (x - 350) ** 2 < 90**2)).astype(np.uint8)


@pytest.fixture
def start(predictor, pixels):
    """Return a function that starts a session; sessions are closed."""
    sessions = []

    def start(store=None, view=None):
        model = ModelChoice("sam2", device="cpu", spec=predictor.spec)
        session = AnnotationSession(lambda *_: predictor, model=model, store=store)
        sessions.append(session)
        session.set_image(ImagePlane(pixels), key="plane", view=view)
        session.wait_until_idle(TIMEOUT_S)
        assert session.state.phase is Phase.READY
        return session

    yield start
    for session in sessions:
        session.close()


def decoded(session, prompts):
    session.set_prompts(prompts)
    session.wait_until_idle(TIMEOUT_S)
    return session.state.candidates


def test_prompts_of_all_kinds_and_accepting(start):
    session, labels = start(), np.zeros(SHAPE, np.uint16)
    session.set_target(ArrayPlane(labels))
    for prompts in (
        CLICK,
        Prompts(points_xy=((350, 300), (20, 20)), point_labels=(1, 0)),
        Prompts(box_xyxy=(250, 200, 450, 400)),
        Prompts(outline=Outline(((250, 200), (450, 200), (450, 400), (250, 400)))),
    ):
        assert len(decoded(session, prompts)) == 3
    decoded(session, CLICK)
    session.object_in_progress.choose(1)
    session.wait_until_idle(TIMEOUT_S)  # another mask may want another tile
    assert session.accept().label_id == 1
    session.wait_until_idle(TIMEOUT_S)
    assert labels.any()
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    assert not labels.any()


def test_tiles_of_a_part_that_is_in_view(start, predictor, pixels):
    session = start(view=(300, 250, 400, 350))
    candidates = decoded(session, CLICK)
    assert TilePyramid(SHAPE, predictor.spec).has(candidates.tile)
    assert candidates.tile.side < max(SHAPE)


def test_embeddings_are_kept_on_disk(start, predictor, tmp_path, monkeypatch):
    store = EmbeddingStore(tmp_path)
    expected = decoded(start(store), CLICK).logits(0)
    store.flush()
    paths, names = list(tmp_path.iterdir()), [array.name for array in predictor.spec.arrays]
    assert paths  # of the whole plane, and of the tile that suits the mask
    for path in paths:
        assert path.stem.endswith(predictor.fingerprint)
        assert sorted(store.get(path.stem)) == sorted(names)
        assert path.stat().st_size < predictor.spec.embedding_nbytes + 10_000
    monkeypatch.setattr(predictor, "encode", None)
    again = decoded(start(EmbeddingStore(tmp_path)), CLICK).logits(0)
    np.testing.assert_array_equal(again, expected)


def test_batch_prompts(start):
    session, labels = start(), np.zeros(SHAPE, np.uint16)
    session.set_target(ArrayPlane(labels))
    region = MaskCrop(np.ones((60, 50), bool), 270, 320)
    boxes = [BatchPrompt(Prompts(box_xyxy=(250, 200, 450, 400)))]
    session.batch_prompts.start([*boxes, prompt_of_region(region)])
    session.wait_until_idle(TIMEOUT_S)
    assert labels.any()


def test_automatic_masks(start):
    session = start()
    plane = session.embedding.plane
    settings = AutomaticRunSettings().with_values(
        points_per_side=3, pred_iou_thresh=0, stability_score_thresh=0
    )
    tiles = automatic_tiles(TilePyramid(plane.shape, session.state.spec).whole, None)
    session.automatic.start(AutomaticRequest(plane, tiles, settings))
    session.wait_until_idle(TIMEOUT_S)
    assert session.automatic.picture.masks


def test_what_comes_next_is_embedded_ahead(start, pixels, predictor, monkeypatch):
    session = start()
    planes = [ImagePlane(np.roll(pixels, shift, axis=1)) for shift in (1, 2)]
    session.prefetch.expect(planes[:1])
    session.wait_until_idle(TIMEOUT_S)
    session.prefetch.start_planes({"second": planes[1]})
    session.wait_until_idle(TIMEOUT_S)
    monkeypatch.setattr(predictor, "encode", None)
    for plane in planes:
        session.set_image(plane)
        session.wait_until_idle(TIMEOUT_S)
        assert session.state.phase is Phase.READY


def test_as_many_tiles_are_kept_as_their_embeddings_fit(start):
    session = start()
    embedded = session.embedding.embedded
    nbytes = sum(array.nbytes for array in embedded.embedding.to_arrays().values())
    kept = nbytes + embedded.picture.nbytes
    assert session.embedding.embedder.capacity_tiles == 2**29 // kept


def test_a_preview_is_what_the_click_will_be(start):
    session = start()
    session.object_in_progress.preview.want(CLICK)
    session.wait_until_idle(TIMEOUT_S)
    preview = session.state.preview
    assert len(preview) == 3
    candidates = decoded(session, CLICK)
    np.testing.assert_array_equal(preview.logits(0), candidates.logits(0))
