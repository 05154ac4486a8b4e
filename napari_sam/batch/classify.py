"""Give the objects of label files the classes that examples tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam.batch.example_files import Example, example_features, predicted_with
from napari_sam.batch.labeled import LabelsError, read_labels
from napari_sam.batch.outputs import Compared, in_common
from napari_sam.engine.masks import MaskCrop
from napari_sam.session.automatic.examples import measured
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.predicted_classes.classifier import (
    require_scikit_learn,
    taught,
    what_is_missing,
)

if TYPE_CHECKING:
    from napari_sam.batch.images import ImageFile
    from napari_sam.batch.job import ExampleFiles
    from napari_sam.batch.open_images import ImageOpener, OpenedImage
    from napari_sam.formats.annotations import Annotations, ExportObject
    from napari_sam.model import Predictor
    from napari_sam.session.models.model_choice import ModelChoice
    from napari_sam.session.objects.features import ObjectFeatures


@dataclass(frozen=True, eq=False)
class ClassedImage:
    """The objects of an image, with their classes."""

    stem: str  # of the files to write
    annotations: Annotations
    predicted_count: int  # how many objects got a class


@dataclass(frozen=True, eq=False)
class _Measured:
    stem: str
    annotations: Annotations
    features: list[ObjectFeatures]  # of its objects


def classify(
    pairs: Sequence[tuple[ImageFile, Path]],
    examples: ExampleFiles | None,
    choice: ModelChoice,
    predictor: Predictor,
    open_images: ImageOpener,
    least_confidence: float = 0.0,
) -> Iterator[ClassedImage]:
    """Yield the objects of images with their classes; those that have one keep it.

    Without examples, the objects of the images that have a class are the examples.

    Raises
    ------
    LabelsError
        If a file cannot be read, or the examples do not tell two classes.
    """
    require_scikit_learn()
    embedder = Embedder(choice, lambda *_: predictor)
    images: Iterable[_Measured] = (
        _measured(image, opened, labels, embedder, number)
        for image, labels in pairs
        for number, opened in _numbered(open_images(image.path))
    )
    if examples is None:
        images = list(images)
        known = _examples_in(images)
    else:
        known = example_features(examples, predictor, embedder, open_images)
    names = [one.class_name for one in known if one.class_name]
    if len(taught(names)) < 2:
        raise LabelsError(what_is_missing(names))
    for one in images:
        yield _classed(one, known, least_confidence)


def _numbered(opened: Sequence[OpenedImage]) -> Iterator[tuple[int | None, OpenedImage]]:
    """Yield the images of a file, with a number if there are several."""
    for number, one in enumerate(opened, start=1):
        yield number if len(opened) > 1 else None, one


def _examples_in(images: Iterable[_Measured]) -> list[Example]:
    """Return the objects that have a class."""
    return [
        Example(features, obj.class_name)
        for one in images
        for obj, features in zip(one.annotations.objects, one.features, strict=True)
        if obj.class_name is not None
    ]


def _measured(
    image: ImageFile, opened: OpenedImage, labels: Path, embedder: Embedder, number: int | None
) -> _Measured:
    annotations = read_labels(image, opened, labels)
    planes = {part.slice_index: part.plane for part in opened.planes}
    by_slice: defaultdict[tuple[int, ...], list[ExportObject]] = defaultdict(list)
    for obj in annotations.objects:
        by_slice[obj.slice_index].append(obj)
    objects, features = [], []
    for slice_index, group in by_slice.items():
        crops = [MaskCrop(obj.mask, obj.top, obj.left) for obj in group]
        objects += group
        features += measured(embedder, planes[slice_index], crops)
    stem = Path(image.name).name if number is None else f"{Path(image.name).name}_{number}"
    return _Measured(stem, replace(annotations, objects=objects), features)


def _classed(one: _Measured, known: Sequence[Example], least: float) -> ClassedImage:
    """Give an image's objects their classes: an object of several slices has one."""
    predicted = predicted_with(known, one.features, 0.0)
    parts: defaultdict[int, list[Compared]] = defaultdict(list)
    for obj, told in zip(one.annotations.objects, predicted, strict=True):
        parts[obj.label_id].append(Compared(**told))
    whole = {label_id: in_common(told) for label_id, told in parts.items()}
    sure: dict[int, dict[str, Any]] = {
        label_id: {"class_name": told.class_name, "class_confidence": told.class_confidence}
        for label_id, told in whole.items()
        if told.class_confidence is not None and told.class_confidence >= least
    }
    objects = [
        obj if obj.class_name is not None else replace(obj, **sure.get(obj.label_id, {}))
        for obj in one.annotations.objects
    ]
    new = {
        obj.label_id
        for obj, former in zip(objects, one.annotations.objects, strict=True)
        if obj is not former and obj.class_name is not None
    }
    annotations = replace(one.annotations, objects=objects)
    return ClassedImage(one.stem, annotations, len(new))
