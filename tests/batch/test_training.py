"""A training from labeled images to a checkpoint: stopped, refused, resumed."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_sam.batch.training import Reporting, TrainingError, TrainingJob, split, train
from napari_sam.batch.validation import Validation, overlap
from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.spec import Capability
from napari_sam.engine.training_settings import TrainingSettings
from napari_sam.model import VARIANTS, Predictor, load_model
from napari_sam.model.checkpoints.state_dicts import read_checkpoint
from napari_sam.model.training.trainer import MeanLosses, Trainer
from napari_sam.session.models.model_choice import ModelChoice
from tests.batch.labeled_images import discs, labeled_image, tiny_choice
from tests.model.conftest import TINY_CONFIG
from tests.model.instance_decoder.published import balanced_decoder

SETTINGS = TrainingSettings(epochs=2, objects_per_epoch=6, learning_rate=1e-2)


@pytest.fixture
def images():
    return [labeled_image(seed) for seed in range(3)]


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setitem(VARIANTS, "vit_tiny", TINY_CONFIG)
    return TrainingJob(tmp_path / "discs.pt", tiny_choice(tmp_path), SETTINGS)


def judged(monkeypatch, *ious):
    """Have the models be judged by these numbers, click and box in turn."""
    numbers = iter(ious)
    monkeypatch.setattr(Validation, "mean_iou", lambda *_: next(numbers))


def test_a_better_model_is_written_with_its_card_and_curves(monkeypatch, job, images):
    judged(monkeypatch, 0.5, 0.6, 0.7, 0.6, 0.6, 0.7)
    shown = []
    result = train(job, images, Reporting(shown.append))
    assert (result.best, result.is_written, list(result.epochs)) == (1, True, shown)
    before, after = (read_checkpoint(path).state_dict for path in (job.base, job.checkpoint))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("mask_decoder.") for name in changed)
    load_model(checkpoint=job.checkpoint)
    card = job.card.read_text()
    assert "| one click | 0.500 | 0.700 |" in card
    assert "learned from 2 images with 6 objects" in card
    assert "a file of your own" in card
    rows = [line.split(",") for line in job.curves.read_text().splitlines()]
    assert rows[0][3:5] == ["one_click_iou", "box_iou"]
    assert [row[3:5] for row in rows[1:]] == [["0.5", "0.6"], ["0.7", "0.6"], ["0.6", "0.7"]]
    assert not job.folder.exists()
    with pytest.raises(TrainingError, match="already exists"):
        train(job, images)
    job.checkpoint.with_name("discs_decoder.pt").touch()
    with pytest.raises(TrainingError, match="is in the way: choose another name"):
        replace(job, overwrite=True).check()


@pytest.mark.parametrize(
    ("ious", "reason"),
    [
        # worse after a click
        ((0.5, 0.6, 0.4, 0.6, 0.45, 0.6), "after one click, the IoU was 0.500 before"),
        ((0.5, 0.6, 0.5, 0.6, 0.5, 0.6), "is at best 0.500 now"),  # as good
        # better after a click, much worse with a box
        ((0.5, 0.6, 0.6, 0.4, 0.7, 0.3), "0.500 to 0.600 after one click, but from 0.600 to 0.400"),
        ((0.5, 0.6, 0.9, 0.59, 0.9, 0.58), "Boxes often recover"),  # a little worse with a box
        ((0.5, 0.6, 0.501, 0.6, 0.5, 0.6), "too little to count"),
    ],
)
def test_a_model_that_is_no_better_is_not_written(monkeypatch, job, images, ious, reason):
    judged(monkeypatch, *ious)
    result = train(job, images)
    assert (result.best, result.is_written) == (0, False)
    assert reason in result.refusal
    assert not job.checkpoint.exists()
    assert not job.card.exists()
    assert job.curves.exists()


def test_training_ends_early(monkeypatch, job, images):
    judged(monkeypatch, 0.5, 0.6, 0.7, 0.6, 0.7, 0.6, 0.7, 0.6)
    settings = TrainingSettings(epochs=9, objects_per_epoch=2, patience=2)
    result = train(TrainingJob(job.checkpoint, job.model, settings), images)
    assert (len(result.epochs) - 1, result.best) == (3, 1)


def test_a_stopped_training_goes_on_to_the_same_result(monkeypatch, job, images):
    judged(monkeypatch, 0.5, 0.6, 0.6, 0.6, 0.7, 0.7, 0.5, 0.6, 0.6, 0.6, 0.7, 0.7)

    def stop(step, share):
        if step == "epoch 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(job, images, Reporting(on_progress=stop))
    assert not job.checkpoint.exists()
    other = TrainingJob(job.checkpoint, job.model, TrainingSettings(seed=4))
    with pytest.raises(TrainingError, match="other images, labels or settings"):
        train(other, images)
    resumed = train(job, images)
    other_path = job.checkpoint.with_name("whole.pt")
    whole = train(TrainingJob(other_path, job.model, SETTINGS), images)
    assert [epoch.number for epoch in resumed.epochs] == [0, 1, 2]
    for name in ("mask_loss", "score_loss", "one_click_iou", "box_iou"):
        values = [[getattr(e, name) for e in result.epochs[1:]] for result in (resumed, whole)]
        assert values[0] == values[1]
    states = [read_checkpoint(path).state_dict for path in (job.checkpoint, other_path)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.fixture
def job_with_decoder(job, monkeypatch):
    """A job whose base has a small instance decoder with random weights; its masks do not learn."""
    monkeypatch.setattr(Trainer, "train", lambda *_: MeanLosses(0.0, 0.0))
    monkeypatch.setattr(Validation, "mean_iou", lambda *_: 0.5)
    model = load_model(checkpoint=job.base)
    image = np.repeat(discs(0)[0][..., None], 3, axis=2)
    decoder = balanced_decoder(Predictor(model, "cpu").encode(image).image_embedding)
    state = read_checkpoint(job.base).state_dict
    torch.save({"model_state": state, "decoder_state": decoder}, job.base)
    settings = TrainingSettings(
        epochs=2, objects_per_epoch=80, learning_rate=4e-3, instance_decoder=True
    )
    return replace(job, settings=settings, model=ModelChoice().with_weights("tiny.pt", job.base))


def test_an_instance_decoder_learns_and_goes_on_where_it_was_stopped(job_with_decoder, images):
    job, shown, threads = job_with_decoder, [], torch.get_num_threads()

    def stop(step, share):
        if step == "instance decoder, epoch 2":
            raise KeyboardInterrupt

    torch.set_num_threads(1)  # several would wait for each other in steps as short as these
    try:
        with pytest.raises(KeyboardInterrupt):
            train(job, images, Reporting(on_progress=stop))
        result = train(job, images, Reporting(on_instance_epoch=shown.append))
    finally:
        torch.set_num_threads(threads)
    assert (result.best, result.is_written) == (0, True)
    assert list(result.instances.epochs) == shown
    before, first, second = shown
    assert second.loss < 0.7 * first.loss
    assert before.f1 < 0.5 < 0.9 < result.instances.gain + before.f1
    card = job.card.read_text()
    assert "fine-tuned with" in card
    assert ": the instance decoder, on labeled images." in card
    written = torch.load(job.checkpoint, weights_only=True)  # as micro-sam reads it
    assert set(written) == {"model_state", "decoder_state"}
    base = read_checkpoint(job.base)
    assert all(
        torch.equal(value, base.state_dict[name]) for name, value in written["model_state"].items()
    )
    assert written["decoder_state"].keys() == base.decoder_state.keys()
    assert (
        Capability.INSTANCE_DECODER
        in Predictor(load_model(checkpoint=job.checkpoint)).spec.capabilities
    )


def test_workers_of_a_cluster_embed_what_is_learned_from(monkeypatch, job, images):
    cluster = pytest.importorskip("napari_sam.batch.cluster")
    distributed = pytest.importorskip("distributed")
    judged(monkeypatch, 0.5, 0.6, 0.7, 0.6, 0.7, 0.6)
    encoded, encode = [], cluster.encode_on_worker

    def noted(choice, image, *others):
        encoded.append(image.shape)
        return encode(choice, image, *others)

    # The pickle names the function, and the worker is in this process.
    monkeypatch.setattr(noted, "__module__", cluster.__name__)
    monkeypatch.setattr(noted, "__qualname__", "encode_on_worker")
    monkeypatch.setattr(cluster, "encode_on_worker", noted)
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        dashboard_address=None,
    ) as workers:
        result = train(replace(job, scheduler=workers.scheduler_address), images)
    assert result.is_written
    assert encoded.count((60, 80, 3)) == 2  # the others are tiles of them


def test_images_are_split_by_the_seed(images):
    many = [labeled_image(seed) for seed in range(5)]
    learned, validated = split(many, SETTINGS)
    assert (len(learned), len(validated)) == (4, 1)
    assert split(many, SETTINGS)[1] == validated
    with pytest.raises(TrainingError, match="two labeled images"):
        split(images[:1], SETTINGS)


def test_a_full_disk_is_told_before_the_images_are_embedded(monkeypatch, job, images):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(TrainingError, match="GiB are free: free some space"):
        train(job, images)


def test_overlap():
    square = MaskCrop(torch.ones(4, 4).bool().numpy(), 0, 0)
    half = MaskCrop(square.mask[:2], 2, 0)
    assert overlap(square, half) == 0.5
    assert overlap(square, MaskCrop(square.mask[:0, :0], 0, 0)) == 0
    assert overlap(half, square) == 0.5
