"""Compare the masks of a run with examples: labeled objects of some images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from napari_sam.batch.labeled import LabeledImage, LabelsError, read_pairs
from napari_sam.batch.outputs import Compared
from napari_sam.session.automatic.examples import measured
from napari_sam.session.automatic.likeness import likeness_of, most_similar
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.predicted_classes.classifier import (
    predict_classes,
    require_scikit_learn,
    taught,
    what_is_missing,
)

if TYPE_CHECKING:
    from napari_sam.batch.job import BatchJob, ExampleFiles
    from napari_sam.batch.open_images import ImageOpener
    from napari_sam.batch.outputs import PlaneMasks
    from napari_sam.model import Predictor
    from napari_sam.session.image.image_plane import ImagePlane
    from napari_sam.session.objects.features import ObjectFeatures


class Example(NamedTuple):
    """A labeled object, measured."""

    features: ObjectFeatures
    class_name: str | None


_MEASURED: WeakKeyDictionary[Predictor, dict[ExampleFiles, list[Example]]] = WeakKeyDictionary()
"""The examples that were measured with a model."""


def check_classes(images: Sequence[LabeledImage]) -> None:
    """Raise an error if labeled objects do not tell two classes or more."""
    require_scikit_learn()
    names = [name for image in images for part in image.planes for name in part.class_names if name]
    if len(taught(names)) < 2:
        raise LabelsError(what_is_missing(names))


def compare_with_examples(
    masks: PlaneMasks,
    plane: ImagePlane,
    job: BatchJob,
    predictor: Predictor,
    open_images: ImageOpener,
) -> PlaneMasks:
    """Keep the masks of a plane that are like the examples of a job, the most similar first.

    Then give them the classes that other examples tell.
    """
    if job.like is None and job.classes_from is None:
        return masks
    embedder = Embedder(job.model, lambda *_: predictor)
    crops = [record.crop for record in masks.records]
    features = measured(embedder, plane, crops)
    compared = [Compared()] * len(crops)
    if job.like is not None:
        examples = example_features(job.like, predictor, embedder, open_images)
        values = likeness_of([one.features for one in examples], features)
        kept = most_similar(values, job.least_likeness, crops.__getitem__)
        masks = replace(masks, records=[masks.records[index] for index in kept])
        compared = [Compared(likeness=float(values[index])) for index in kept]
        features = [features[index] for index in kept]
    if job.classes_from is not None:
        examples = example_features(job.classes_from, predictor, embedder, open_images)
        predicted = predicted_with(examples, features, job.least_confidence)
        compared = [one._replace(**told) for one, told in zip(compared, predicted, strict=True)]
    return replace(masks, compared=compared)


def predicted_with(
    examples: Sequence[Example], features: Sequence[ObjectFeatures], least: float
) -> list[dict[str, Any]]:
    """Return the class of each object, and how sure it is; none where not sure enough."""
    names = taught(one.class_name for one in examples if one.class_name is not None)
    known = [(one.features, name) for one in examples if (name := one.class_name) and name in names]
    predicted = predict_classes(
        [features for features, _ in known], [name for _, name in known], features
    )
    return [
        {"class_name": one.name, "class_confidence": one.confidence}
        if one.confidence >= least
        else {}
        for one in predicted
    ]


def example_features(
    files: ExampleFiles, predictor: Predictor, embedder: Embedder, open_images: ImageOpener
) -> list[Example]:
    """Return the labeled objects of files; a model measures them once."""
    known = _MEASURED.setdefault(predictor, {})
    if files not in known:
        known[files] = [
            Example(features, name)
            for image in read_pairs(files.pairs, open_images)
            for part in image.planes
            for features, name in zip(
                measured(embedder, part.plane, part.objects), part.class_names, strict=True
            )
        ]
    return known[files]
