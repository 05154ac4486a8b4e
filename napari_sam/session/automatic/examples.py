"""Everything like examples, without a window: in their image, or in any other one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.formats.label_images import objects_from_labels
from napari_sam.session.automatic.likeness import likeness_of, most_similar
from napari_sam.session.automatic.masks import choose_masks
from napari_sam.session.automatic.request import (
    AutomaticRequest,
    all_tile_masks,
    automatic_tiles,
    seen_whole,
)
from napari_sam.session.automatic.settings import LEAST_LIKENESS, AutomaticRunSettings
from napari_sam.session.automatic.similarity import ExistingObjects
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.objects.features import ObjectFeatures, features_of
from napari_sam.session.objects.labels import ArrayPlane

_DEFAULT: Final = AutomaticRunSettings()


class LikeMask(NamedTuple):
    """A mask that is like examples."""

    crop: MaskCrop
    """In pixels of the plane."""
    likeness: float
    """How much it is, 0 to 1."""
    predicted_iou: float


def examples_of(
    embedder: Embedder, plane: ImagePlane, labels: NDArray[Any]
) -> list[ObjectFeatures]:
    """Measure the objects of an image, to find others like them in it or in other images.

    Parameters
    ----------
    embedder : Embedder
        The model; the same one has to find the others.
    plane : ImagePlane
        The image.
    labels : ndarray
        (H, W) integers, the number of the object of each pixel; 0 for none.

    Returns
    -------
    list of ObjectFeatures
        One for each object.
    """
    objects = objects_from_labels(labels)
    return measured(embedder, plane, [MaskCrop(one.mask, one.top, one.left) for one in objects])


def measured(
    embedder: Embedder, plane: ImagePlane, crops: Sequence[MaskCrop]
) -> list[ObjectFeatures]:
    """Measure masks with pixels of a plane; none of them is empty."""
    if not crops:
        return []
    seen = seen_whole(embedder, plane)
    return [features_of(crop, seen) for crop in crops]


def find_like(
    embedder: Embedder,
    plane: ImagePlane,
    examples: Sequence[ObjectFeatures],
    least_likeness: float = LEAST_LIKENESS,
    labels: NDArray[Any] | None = None,
    settings: AutomaticRunSettings = _DEFAULT,
    finest_px: int | None = None,
) -> list[LikeMask]:
    """Find everything in an image that is like examples.

    Parameters
    ----------
    embedder : Embedder
        The model by which the examples were measured.
    plane : ImagePlane
        The image, that of the examples or another one.
    examples : sequence of ObjectFeatures
        From `examples_of`; those of several images may be put together.
    least_likeness : float
        Of the masks to return, 0 to 1.
    labels : ndarray, optional
        (H, W) integers, the objects that the image has already; they are not found again.
    settings : AutomaticRunSettings
        How masks are found.
    finest_px : int, optional
        Side of tiles that are searched beside the whole image, in which small objects are found.

    Returns
    -------
    list of LikeMask
        The most similar first.
    """
    existing = None
    if labels is not None:
        existing = ExistingObjects(ArrayPlane(labels), (), match_size=False, match_brightness=False)
    pyramid = plane.pyramid(embedder.load().encoder.spec)
    tiles = automatic_tiles(pyramid.whole, finest_px)
    request = AutomaticRequest(plane, tiles, settings, existing=existing)
    found = all_tile_masks(request, embedder)
    masks = [
        mask
        for mask in choose_masks(found, pyramid, settings, target=request.target)
        if not mask.is_background(plane.shape)
    ]
    crops = [mask.plane_crop for mask in masks]
    values = likeness_of(examples, measured(embedder, plane, crops))
    return [
        LikeMask(crops[index], float(values[index]), masks[index].record.predicted_iou)
        for index in most_similar(values, least_likeness, crops.__getitem__)
    ]
