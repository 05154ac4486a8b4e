"""micro-sam's embeddings in place of our own: used when image and model fit, and not otherwise."""

import numpy as np
import pytest
import skimage.data

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.model import load_model
from napari_sam.session import AnnotationSession, ImagePlane, ModelChoice, Prompts
from napari_sam.session.image.image_plane import ImageError
from napari_sam.session.image.tile_grid import TileGrid
from napari_sam.session.micro_sam.image import formerly_normalized
from napari_sam.session.micro_sam.imported import ImportPhase, PlaneEmbeddings
from napari_sam.session.micro_sam.verification import _GREATEST_ERROR, _error
from tests.micro_sam_store import damage, write_store
from tests.remembering import RememberingPredictor

TIMEOUT_S = 240
COINS = skimage.data.coins()
STACK = np.stack([np.roll(COINS, step, axis=1) for step in (0, 7, 40)]).astype(np.uint16) * 9 + 100
TILING = ((160, 200), (24, 24))
COIN_XY = (104, 68)
BOXES = ((131, 28, 179, 74), (305, 16, 365, 72), (80, 175, 124, 217), (251, 172, 297, 216))
"""Around one coin in each tile."""


class Noting(RememberingPredictor):
    """The real predictor, which embeds each image once and notes what it was asked for."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.encoded = []

    def encode(self, image, on_block=None):
        self.encoded.append(np.shape(image))
        return super().encode(image, on_block)


@pytest.fixture(scope="module")
def predictor():
    return Noting(load_model(), "cpu")


@pytest.fixture(scope="module")
def stores(tmp_path_factory, predictor):
    folder = tmp_path_factory.mktemp("stores")
    write_store(folder / "plane.zarr", COINS, predictor)
    write_store(folder / "stack.zarr", STACK, predictor)
    write_store(folder / "tiled.zarr", COINS, predictor, TILING)
    return folder


@pytest.fixture
def session(predictor):
    session = AnnotationSession(lambda *_: predictor)
    yield session
    session.close()


@pytest.fixture
def import_folder(session, predictor, listen):
    """Return a function that imports embeddings and waits for their verification."""
    heard = listen(session)

    def import_folder(path, image):
        imported = session.import_embeddings(path, image)
        session.wait_until_idle(TIMEOUT_S)
        predictor.encoded.clear()
        return imported, heard.warnings

    return import_folder


def mask(session):
    shown = session.state.candidates
    return shown.masks[0].prediction.masks[shown.best], shown.tile


def click(session, xy=COIN_XY):
    session.set_prompts(Prompts((xy,), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    return mask(session)


def iou(one, other):
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


def own_mask(predictor, image, xy=COIN_XY):
    """Return what the embedding of all of an image gives, computed directly."""
    encoded = predictor.encode(formerly_normalized(image))
    prediction = predictor.decode(encoded, points_xy=[xy], point_labels=[1])
    return prediction.masks[prediction.iou_predictions.argmax()]


def test_a_plane_that_fits_is_not_computed(session, import_folder, stores, predictor):
    imported, warnings = import_folder(stores / "plane.zarr", COINS)
    assert imported.state.phase is ImportPhase.IN_USE
    assert imported.state.text == "embeddings of the image, vit_t, from plane.zarr"
    read = []

    class Unread:
        shape, dtype = COINS.shape, COINS.dtype

        def __getitem__(self, region):
            read.append(region)
            return COINS[region]

    session.set_image(ImagePlane(Unread(), embeddings=imported.of_plane()))
    found, _ = click(session)
    assert predictor.encoded == []
    assert read == []
    assert session.state.thumbnail is None
    assert warnings == []
    assert iou(found, own_mask(predictor, COINS)) > 0.97


def test_every_slice_of_a_stack_is_its_own(session, import_folder, stores, predictor):
    imported, _ = import_folder(stores / "stack.zarr", STACK)
    assert imported.state.text.startswith("embeddings of 3 slices, vit_t,")
    planes = [ImagePlane(STACK[z], embeddings=imported.of_plane(z)) for z in range(3)]
    masks = []
    for plane in planes:
        session.set_image(plane)
        masks.append(click(session)[0])
    session.prefetch.start_planes({str(z): plane for z, plane in enumerate(planes)})
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.prefetch.done == 3
    assert predictor.encoded == []
    for plane, found in zip(STACK, masks, strict=True):
        assert iou(found, own_mask(predictor, plane)) > 0.97


def test_tiles_are_those_that_are_stored(session, import_folder, stores, predictor):
    imported, _ = import_folder(stores / "tiled.zarr", COINS)
    assert imported.state.text == "embeddings of the image in 4 tiles, vit_t, from tiled.zarr"
    grid = TileGrid(COINS.shape, *TILING, SAM_SPEC)
    session.set_image(ImagePlane(COINS, embeddings=imported.of_plane()))
    for box, tile in zip(BOXES, grid.tiles, strict=True):
        session.set_prompts(Prompts(box_xyxy=box))
        session.wait_until_idle(TIMEOUT_S)
        found, where = mask(session)
        assert where == tile
        assert 0.6 < np.count_nonzero(found) / ((box[2] - box[0]) * (box[3] - box[1])) < 0.9
    session.look_at((190.0, 150.0, 380.0, 300.0))
    session.wait_until_idle(TIMEOUT_S)
    assert predictor.encoded == []
    session.set_prompts(Prompts(box_xyxy=(40, 40, 350, 280)))
    session.wait_until_idle(TIMEOUT_S)
    assert mask(session)[1] == grid.whole  # which is computed here
    assert predictor.encoded == [(*COINS.shape, 3)]


@pytest.mark.parametrize("where", [(0, 0, 0), (1, 150, 200), (2, 302, 383)])
def test_one_changed_pixel_is_another_image(session, import_folder, stores, predictor, where):
    changed = STACK.copy()
    changed[where] ^= 1
    imported, warnings = import_folder(stores / "stack.zarr", changed)
    assert imported.state.phase is ImportPhase.REFUSED
    assert imported.of_plane() is None
    assert warnings == [imported.state.text]
    assert "Embeddings of another image" in warnings[0]
    session.set_image(ImagePlane(changed[0], embeddings=imported.of_plane(0)))
    found, _ = click(session)
    assert predictor.encoded
    assert iou(found, own_mask(predictor, changed[0])) > 0.9


@pytest.mark.parametrize("image", [STACK[:2], STACK.swapaxes(1, 2), STACK[0], STACK[:, :-1]])
def test_another_shape_is_said(import_folder, stores, image):
    imported, warnings = import_folder(stores / "stack.zarr", image)
    assert imported.state.phase is ImportPhase.REFUSED
    assert "3 slices of 303 x 384 pixels" in warnings[0]
    assert str(image.shape) in warnings[0]


def test_what_is_no_store_is_said(import_folder, stores, tmp_path):
    imported, warnings = import_folder(tmp_path / "nothing.zarr", COINS)
    assert imported.state.phase is ImportPhase.REFUSED
    assert "no folder" in warnings[0]


def test_a_plane_of_another_shape_takes_none(import_folder, stores):
    imported, _ = import_folder(stores / "stack.zarr", STACK)
    with pytest.raises(ImageError, match="do not have the shape"):
        ImagePlane(STACK[0].T, embeddings=imported.of_plane(0))


def test_older_versions_that_showed_bytes_as_they_are(tmp_path, import_folder, predictor):
    dim = (COINS // 4) + 40
    path = write_store(tmp_path / "old.zarr", dim, predictor, shown=formerly_normalized)
    imported, warnings = import_folder(path, dim)
    assert imported.state.phase is ImportPhase.IN_USE
    assert warnings == []


@pytest.fixture(scope="module")
def near_relative():
    """Return the same model after a little training: its weights are another ones."""
    import torch

    model = load_model()
    generator = torch.Generator().manual_seed(0)
    for weights in model.image_encoder.parameters():
        if weights.numel() > 1:
            noise = torch.randn(weights.shape, generator=generator)
            weights.add_(0.02 * weights.std() * noise)
    return Noting(model, "cpu")


def test_the_bound_lies_between_precisions_and_other_weights(predictor, near_relative):
    image = formerly_normalized(COINS)
    exact = predictor.encode(image).numpy()
    fast = RememberingPredictor(load_model(), "cpu", "bfloat16").encode(image).numpy()
    assert _error(fast, exact) < 0.8 * _GREATEST_ERROR
    assert _error(near_relative.encode(image).numpy(), exact) > 2 * _GREATEST_ERROR


def test_another_model_waits_for_the_right_one(stores, predictor, near_relative, tmp_path, listen):
    checkpoint = tmp_path / "relative.safetensors"
    write_checkpoint(checkpoint)
    session = AnnotationSession(
        lambda choice, _: predictor if choice.checkpoint is None else near_relative,
        model=ModelChoice().with_weights("relative", checkpoint),
    )
    heard, changes = listen(session), []
    try:
        imported = session.import_embeddings(stores / "plane.zarr", COINS)
        imported.usable_changed.connect(lambda: changes.append(imported.of_plane()))
        session.wait_until_idle(TIMEOUT_S)
        assert imported.state.phase is ImportPhase.OTHER_MODEL
        assert imported.of_plane() is None
        assert (
            "Embeddings of mobile_sam_original, not of relative: choose mobile_sam_original"
            in heard.warnings[0]
        )

        session.set_model(ModelChoice())
        session.wait_until_idle(TIMEOUT_S)
        assert imported.state.phase is ImportPhase.IN_USE
        plane = ImagePlane(COINS, embeddings=imported.of_plane())
        predictor.encoded.clear()
        session.set_image(plane)
        right, _ = click(session)
        assert predictor.encoded == []

        session.set_model(session.state.requested_model.with_weights("relative", checkpoint))
        session.wait_until_idle(TIMEOUT_S)
        assert imported.of_plane() is None
        # What was made for the model before is not shown to this one.
        assert near_relative.encoded[-1] == (*COINS.shape, 3)
        encoded = near_relative.encode(COINS[..., np.newaxis].repeat(3, -1))
        prediction = near_relative.decode(encoded, points_xy=[COIN_XY], point_labels=[1])
        np.testing.assert_array_equal(
            session.state.candidates.masks[0].prediction.low_res_logits, prediction.low_res_logits
        )
        assert [one is None for one in changes] == [False, True]
        assert right.any()
    finally:
        session.close()


def write_checkpoint(path):
    import shutil

    from napari_sam.catalogue.table import BUNDLED

    shutil.copyfile(BUNDLED.bundled, path)


def test_another_variant_is_known_without_computing(stores, tmp_path, import_folder, predictor):
    path = write_store(tmp_path / "b.zarr", COINS, predictor, model_type="vit_b", model_name="b_lm")
    predictor.encoded.clear()
    imported, warnings = import_folder(path, COINS)
    assert imported.state.phase is ImportPhase.OTHER_MODEL
    assert "Embeddings of b_lm, not of mobile_sam: choose b_lm under Model" in warnings[0]


def test_other_devices_and_precisions_go_on_with_them(session, import_folder, stores):
    imported, _ = import_folder(stores / "plane.zarr", COINS)
    session.set_model(ModelChoice(device="cpu", exact=True))
    assert imported.of_plane() is not None
    session.wait_until_idle(TIMEOUT_S)
    assert imported.state.phase is ImportPhase.IN_USE


def test_they_are_converted_to_the_precision_in_use(import_folder, stores):
    imported, _ = import_folder(stores / "plane.zarr", COINS)
    plane = imported.of_plane()
    fast = RememberingPredictor(load_model(), "cpu", "bfloat16")
    embedding = plane.restored(plane.pyramid.whole, fast)
    prediction = fast.decode(embedding, points_xy=[COIN_XY], point_labels=[1])
    assert prediction.masks.any()


def test_damage_is_told_once_and_computed(tmp_path, session, import_folder, predictor):
    path = write_store(tmp_path / "stack.zarr", STACK, predictor)
    imported, warnings = import_folder(path, STACK)
    damage(path, 0)
    damage(path, 2)
    for z, plane in enumerate(STACK):
        predictor.encoded.clear()
        session.set_image(ImagePlane(plane, embeddings=imported.of_plane(z)))
        found, _ = click(session)
        assert bool(predictor.encoded) == (z != 1)
        assert iou(found, own_mask(predictor, plane)) > 0.9
    assert len(warnings) == 1
    assert "tile 0 of slice 0 is damaged" in warnings[0]
    assert "embedded here instead" in warnings[0]


def test_all_damaged(tmp_path, import_folder, predictor):
    path = write_store(tmp_path / "plane.zarr", COINS, predictor)
    damage(path, 0)
    imported, warnings = import_folder(path, COINS)
    assert imported.state.phase is ImportPhase.REFUSED
    assert "is damaged" in warnings[0]


def test_comparing_can_be_given_up(session, stores, listen):
    heard = listen(session)
    reached = []

    class Endless:
        shape, dtype = STACK.shape, STACK.dtype

        def __getitem__(self, region):
            reached.append(region)
            return STACK[region]

    imported = session.import_embeddings(stores / "stack.zarr", Endless())
    assert imported.state.is_working
    imported.close()
    session.wait_until_idle(TIMEOUT_S)
    assert imported.of_plane() is None
    assert heard.warnings == []


def test_keys_differ_by_slice_tile_and_model(import_folder, stores):
    imported, _ = import_folder(stores / "stack.zarr", STACK)
    first, second = imported.of_plane(0), imported.of_plane(1)
    whole = first.pyramid.whole
    choice = ModelChoice()
    assert first.key(whole, choice.weights) == imported.of_plane(0).key(whole, choice.weights)
    assert first.key(whole, choice.weights) != second.key(whole, choice.weights)
    assert first.key(first.pyramid.at(0, 5, 5), choice.weights) is None
    assert first.key(whole, ModelChoice(checkpoint=stores / "other.pt").weights) is None
    assert isinstance(first, PlaneEmbeddings)
