"""Automatic mask generation: the masks of a grid of points in an image.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), section 5 and
appendix B.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_sam.engine.automatic_settings import AutomaticSettings, Crop
from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.masks import MaskCrop, PixelBox
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.protocols import Engine, MaskDecoder, ProgressCallback, PromptableModel
from napari_sam.engine.spec import Size
from napari_sam.model.automatic.mask_ops import (
    box_of,
    near_crop_edge,
    run_lengths,
    stable_mask,
)
from napari_sam.model.automatic.mask_set import (
    GeneratedMask,
    MaskSet,
    passes_pred_iou,
    published_form,
)
from napari_sam.model.runtime.parallel import map_on_cores
from napari_sam.model.validation import check_image

BatchCallback = Callable[[int, int, MaskSet], None]
"""Called as ``on_batch(done, total, masks)`` with the masks of each batch of points."""

PointFilter = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.bool_]]
"""Called with points (N, 2), x and y in pixels of the image; returns which of them to decode."""

ClickDecoder = Callable[[ImageEmbedding, npt.NDArray[np.float64]], list[MaskPrediction]]
"""Called with points (N, 2), x and y in pixels of the embedding's image; returns their masks."""

DEFAULTS = AutomaticSettings()
_GOLDEN_RATIO: Final = (5**0.5 - 1) / 2
"""The fractions of its multiples are spread evenly, however many of them there are."""


def generate_masks(
    model: Engine | PromptableModel,
    image: npt.NDArray[np.uint8],
    settings: AutomaticSettings = DEFAULTS,
    *,
    embedding: ImageEmbedding | None = None,
    lowest_pred_iou: float | None = None,
    keep_logits: bool = False,
    decode_clicks: ClickDecoder | None = None,
    is_wanted: PointFilter | None = None,
    is_spread: bool = False,
    on_batch: BatchCallback | None = None,
    on_block: ProgressCallback | None = None,
) -> MaskSet:
    """Generate the masks of a grid of foreground points.

    Parameters
    ----------
    model : Engine or PromptableModel
        Encodes the image and its crops, and decodes the points; a `Predictor` does both.
    image : ndarray
        (H, W, 3) uint8, RGB.
    settings : AutomaticSettings
        Which points, and what is dropped at once: see `lowest_pred_iou`.
    embedding : ImageEmbedding, optional
        Of the whole image, if there is one already.
    lowest_pred_iou : float, optional
        Keep masks of a better predicted quality, so that `MaskSet.select` may be asked for any
        threshold from here on; 0 keeps all. It is `settings.pred_iou_thresh` if not given or if
        that is lower; a high one saves upscaling the others.
    keep_logits : bool
        Keep the logits of each mask, 128 kB, as edge detection needs them.
    decode_clicks : callable, optional
        Called with the embedding of a crop and points in it, (N, 2) x, y in its pixels; returns
        the masks of each of them, in place of all that the model gives for a click.
    is_wanted : callable, optional
        Called with the points of each crop, (N, 2) x, y in pixels of the image; returns (N,)
        bool, which of them to decode. A crop with none of them is not encoded.
    is_spread : bool
        Decode points all over a crop from the first batch on, rather than row by row. The masks
        are the same in the end.
    on_batch : callable, optional
        Called as ``on_batch(done, total, masks)`` after each batch, on this thread, with the
        number of points and a `MaskSet` of the new masks alone. An exception it raises stops
        the run and comes out here.
    on_block : callable, optional
        Called as ``on_block(done, total)`` while the image or a crop is encoded, and may raise
        as well.

    Returns
    -------
    MaskSet
        Every mask, whatever its stability or its likeness to others. Empty masks, and masks in
        crops that end at an edge of the crop inside the image, are left out.

    Raises
    ------
    ValueError
        If the image has another shape or dtype, or the embedding is not of it.
    """
    image = check_image(image)
    size = image.shape[0], image.shape[1]
    if embedding is not None and embedding.original_size != size:
        raise ValueError(
            f"The image embedding is of an image of {embedding.original_size} pixels, this one "
            f"has {size}; pass the embedding of this image, or none."
        )
    if lowest_pred_iou is None:
        lowest_pred_iou = settings.pred_iou_thresh
    lowest_pred_iou = min(lowest_pred_iou, settings.pred_iou_thresh)
    engine = Engine.of(model)
    if engine.decoder.device == "cpu":
        engine.decoder.warm_up()  # hundreds of decodes are worth it, and leave other threads alone
    decode_clicks = decode_clicks or partial(_decode_clicks, engine.decoder)

    grids = [(crop, _points(settings, crop, is_wanted)) for crop in settings.crops(size)]
    if is_spread:
        grids = [(crop, _spread(points)) for crop, points in grids]
    total = sum(len(points) for _, points in grids)
    masks, done = MaskSet(settings, lowest_pred_iou, size), 0
    for (layer, box), points in grids:
        x0, y0, x1, y1 = box
        if len(points) and (layer > 0 or embedding is None):
            embedding = engine.encode(image[y0:y1, x0:x1], on_block)
        for start in range(0, len(points), settings.points_per_batch):
            assert embedding is not None
            batch = points[start : start + settings.points_per_batch]
            decoded = _decode(decode_clicks, embedding, batch, box, masks, keep_logits)
            new = MaskSet(settings, lowest_pred_iou, size, decoded)
            masks, done = masks + new, done + len(batch)
            if on_batch is not None:
                on_batch(done, total, new)
    return masks


def _points(
    settings: AutomaticSettings, crop: Crop, is_wanted: PointFilter | None
) -> npt.NDArray[np.float64]:
    """Return the points of a crop that are decoded, (N, 2) in pixels of the crop."""
    x0, y0, x1, y1 = crop.box_xyxy
    points = settings.point_grid(crop.layer) * (x1 - x0, y1 - y0)
    return points if is_wanted is None else points[is_wanted(points + np.array([x0, y0]))]


def _spread(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return points (N, 2) in an order in which those of any batch lie far from each other."""
    return points[np.argsort(np.arange(len(points)) * _GOLDEN_RATIO % 1, kind="stable")]


def _decode_clicks(
    decoder: MaskDecoder, embedding: ImageEmbedding, points_xy: npt.NDArray[np.float64]
) -> list[MaskPrediction]:
    return decoder.decode_batch(embedding, points_xy[:, None], np.ones((len(points_xy), 1)))


def _decode(
    decode_clicks: ClickDecoder,
    embedding: ImageEmbedding,
    points_xy: npt.NDArray[np.float64],
    crop_box_xyxy: PixelBox,
    run: MaskSet,
    keep_logits: bool,
) -> tuple[GeneratedMask, ...]:
    """Decode points (N, 2), in pixels of a crop."""
    predictions = decode_clicks(embedding, points_xy)
    good = [
        (prediction, k, point_xy)
        for prediction, point_xy in zip(predictions, points_xy, strict=True)
        for k in range(len(prediction))
        if passes_pred_iou(float(prediction.iou_predictions[k]), run.lowest_pred_iou)
    ]

    def measure(
        item: tuple[MaskPrediction, int, npt.NDArray[np.float64]],
    ) -> GeneratedMask | None:
        return _measure(*item, crop_box_xyxy, run.original_size, run.settings, keep_logits)

    return tuple(mask for mask in map_on_cores(measure, good) if mask is not None)


def _measure(
    prediction: MaskPrediction,
    k: int,
    point_xy: npt.NDArray[np.float64],
    crop_box_xyxy: PixelBox,
    size: Size,
    settings: AutomaticSettings,
    keep_logits: bool,
) -> GeneratedMask | None:
    """Upscale mask `k` of a crop and place it in the image of (H, W) pixels."""
    logits = prediction.scaled_logits(k, prediction.original_size)
    crop, stability_score = stable_mask(logits, settings.stability_score_offset)
    if crop.mask.size == 0:
        return None
    x0, y0, _, _ = crop_box_xyxy
    crop = MaskCrop(crop.mask, crop.top + y0, crop.left + x0)
    box = box_of(crop)
    if near_crop_edge(box, crop_box_xyxy, size):
        return None
    return GeneratedMask(
        run_lengths(crop, size),
        box,
        float(prediction.iou_predictions[k]),
        stability_score,
        (float(point_xy[0]) + x0, float(point_xy[1]) + y0),
        crop_box_xyxy,
        logits._replace(low_res_logits=prediction.low_res_logits[k].astype(np.float16))
        if keep_logits
        else None,
        k,
    )


def generate_published(
    model: Engine | PromptableModel,
    image: npt.NDArray[np.uint8],
    settings: AutomaticSettings = DEFAULTS,
    *,
    on_batch: BatchCallback | None = None,
) -> list[dict[str, Any]]:
    """Generate and filter masks, and return them as published SAM does.

    Parameters
    ----------
    model : Engine or PromptableModel
        Encodes the image and its crops, and decodes the points; a `Predictor` does both.
    image : ndarray
        (H, W, 3) uint8, RGB.
    settings : AutomaticSettings
        All of the published ones.
    on_batch : callable, optional
        As for `generate_masks`.

    Returns
    -------
    list of dict
        See `published_form`.

    Raises
    ------
    ValueError
        If the image has another shape or dtype.
    """
    masks = generate_masks(model, image, settings, on_batch=on_batch)
    return published_form(masks.select(), masks.original_size, settings.output_mode)
