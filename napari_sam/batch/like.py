"""Of the masks of a run, keep those that are like examples: labeled objects of some images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_sam.batch.labeled import read_pairs
from napari_sam.session.automatic.examples import measured
from napari_sam.session.automatic.likeness import likeness_of, likest
from napari_sam.session.embedding.embeddings import Embedder

if TYPE_CHECKING:
    from napari_sam.batch.job import BatchJob, LikeExamples
    from napari_sam.batch.open_images import ImageOpener
    from napari_sam.batch.outputs import PlaneMasks
    from napari_sam.model import Predictor
    from napari_sam.session.image.image_plane import ImagePlane
    from napari_sam.session.objects.features import ObjectFeatures


_MEASURED: WeakKeyDictionary[Predictor, tuple[LikeExamples, list[ObjectFeatures]]] = (
    WeakKeyDictionary()
)
"""The last examples that were measured with a model."""


def keep_like(
    masks: PlaneMasks,
    plane: ImagePlane,
    job: BatchJob,
    predictor: Predictor,
    open_images: ImageOpener,
) -> PlaneMasks:
    """Keep the masks of a plane that are like the examples of a job, the likest first."""
    if job.like is None:
        return masks
    embedder = Embedder(job.model, lambda *_: predictor)
    known, examples = _MEASURED.get(predictor, (None, []))
    if known != job.like:
        examples = _examples(job.like, embedder, open_images)
        _MEASURED[predictor] = job.like, examples
    crops = [record.crop for record in masks.records]
    values = likeness_of(examples, measured(embedder, plane, crops))
    kept = likest(values, job.like.least_likeness, crops.__getitem__)
    return replace(masks, records=[masks.records[index] for index in kept])


def _examples(
    like: LikeExamples, embedder: Embedder, open_images: ImageOpener
) -> list[ObjectFeatures]:
    return [
        features
        for image in read_pairs(like.pairs, open_images)
        for labeled in image.planes
        for features in measured(embedder, labeled.plane, labeled.objects)
    ]
