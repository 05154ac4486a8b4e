"""Prompts on a plane without a session: which mask is the first, and its score."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam.batch.prompted import MaskStart, read_learnt, read_start, segment_prompts
from napari_sam.formats.files import FileError
from napari_sam.session import ArrayLabels, write_learned, write_session
from napari_sam.session.decoding.recipe import Policy
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImageError, ImagePlane
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.session_file import SessionInfo
from napari_sam.session.learning.kept import lessons_to_json
from napari_sam.session.learning.lessons import Lesson
from napari_sam.session.models.model_choice import ModelChoice
from napari_sam.session.prompts.prompts import Prompts

SQUARE = np.s_[30:70, 40:100]


@pytest.fixture
def plane():
    image = np.full((100, 140), 30, np.uint8)
    image[SQUARE] = 200
    return ImagePlane(image)


def embedder_of(predictor):
    return Embedder(ModelChoice(), lambda *_: predictor)


class BetterThanPerfect:
    """A predictor whose predicted IoU exceeds 1."""

    def __init__(self, predictor):
        self._predictor = predictor
        self.spec, self.encode = predictor.spec, predictor.encode

    def decode(self, *args, **kwargs):
        prediction = self._predictor.decode(*args, **kwargs)
        scores = np.array([0.5, 1.01, 1.02], np.float32)
        return replace(prediction, iou_predictions=scores)


def test_a_score_is_one_at_most(plane, remembering_predictor):
    embedder = embedder_of(BetterThanPerfect(remembering_predictor))
    click = Prompts(((70, 50),), (1,))
    masks = segment_prompts(embedder, plane, [click], multimask="all")
    assert [mask.iou_score for mask in masks] == [1, 1, 0.5]
    assert [mask.candidate for mask in masks] == [1, 2, 3]


def test_a_plane_without_contrast_is_refused(remembering_predictor):
    flat = ImagePlane(np.full((600, 700), 7, np.uint8))
    tiny_box = Prompts(box_xyxy=(5, 5, 9, 9))
    with pytest.raises(ImageError, match="same value"):
        segment_prompts(embedder_of(remembering_predictor), flat, [tiny_box])


def test_a_start_is_refined(plane, remembering_predictor, tmp_path):
    rough = np.zeros(plane.shape, np.uint8)
    rough[25:66, 44:98] = 3
    np.save(tmp_path / "rough.npy", rough)
    start = read_start(tmp_path / "rough.npy", plane.shape, 256)
    assert start.box_xyxy == (43.5, 24.5, 97.5, 65.5)
    embedder = embedder_of(remembering_predictor)
    (mask,) = segment_prompts(embedder, plane, [Prompts(box_xyxy=start.box_xyxy)], start)
    expected = np.zeros(plane.shape, bool)
    expected[SQUARE] = True
    left, top, right, bottom = mask.box_xyxy
    region = np.s_[top : bottom + 1, left : right + 1]
    assert mask.crop.mask.shape == expected[region].shape
    common = np.count_nonzero(mask.crop.mask & expected[region])
    assert common / (mask.area_px + expected.sum() - common) > 0.9


def test_logits_start_on_the_whole_plane(plane, remembering_predictor, tmp_path):
    embedder = embedder_of(remembering_predictor)
    logits = np.full((1, 256, 256), -8, np.float32)
    np.save(tmp_path / "logits.npy", logits)
    start = read_start(tmp_path / "logits.npy", plane.shape, 256)
    assert isinstance(start, MaskStart)
    assert start.logits.shape == (256, 256)
    assert start.box_xyxy is None
    masks = segment_prompts(embedder, plane, [Prompts(((70, 50),), (1,))], start, "off")
    assert len(masks) == 1


def test_prompts_outside_the_plane_are_an_error(plane, remembering_predictor):
    with pytest.raises(ValueError, match="no area inside the image"):
        segment_prompts(embedder_of(remembering_predictor), plane, [Prompts(box_xyxy=(5, 5, 5, 9))])


def test_starts_that_make_no_sense_are_refused(tmp_path):
    np.save(tmp_path / "nan.npy", np.full((1, 256, 256), np.nan, np.float32))
    with pytest.raises(FileError, match=r"must be finite\): nan\.npy"):
        read_start(tmp_path / "nan.npy", (100, 140), 256)
    np.save(tmp_path / "large.npy", np.ones((1000, 1000), bool))
    with pytest.raises(FileError, match=r"shape \(1000, 1000\), not \(100, 140\)"):
        read_start(tmp_path / "large.npy", (100, 140), 256)


def lessons_of(iou):
    """Return the lessons of objects that were better masked with a disc than without."""
    return lessons_to_json([Lesson(2400.0, 0.5, {Policy(0, 1, True): iou})] * 12, "mobile_sam")


def session_file(tmp_path, iou):
    """Write a session with such objects."""
    reference = ImageReference("square", None, (100, 140), "uint8")
    path = tmp_path / f"{iou}.sam-session.jsonl"
    labels = ArrayLabels(np.zeros((100, 140), np.uint8))
    write_session(path, SessionInfo(reference, "labels", learned=lessons_of(iou)), labels, [])
    return path


def test_clicks_are_segmented_as_a_session_has_learned(plane, remembering_predictor, tmp_path):
    learnt = read_learnt(session_file(tmp_path, 0.9), ModelChoice())
    assert learnt.recipe.policy == Policy(0, 1, True)
    embedder, click = embedder_of(remembering_predictor), Prompts(((70, 50),), (1,))
    masks = segment_prompts(embedder, plane, [click], multimask="all", learnt=learnt)
    assert len(masks) == 4
    assert masks[0].area_px == pytest.approx(2400, rel=0.2)
    box = Prompts(box_xyxy=(39, 29, 101, 71))
    assert len(segment_prompts(embedder, plane, [box], multimask="all", learnt=learnt)) == 3
    with pytest.raises(FileError, match="Nothing was learned in"):
        read_learnt(session_file(tmp_path, 0.5), ModelChoice())
    with pytest.raises(FileError, match="Nothing was learned in"):
        read_learnt(session_file(tmp_path, 0.9), ModelChoice(name="another model"))
    path = tmp_path / "square.sam-learned.safetensors"
    write_learned(path, lessons_of(0.9), ModelChoice(), "square")
    assert read_learnt(path, ModelChoice()).recipe == learnt.recipe
