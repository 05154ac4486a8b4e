"""Segment what words name in one plane of an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_sam.batch.prompted import PromptedMask
from napari_sam.engine.detection import Detection, Detector
from napari_sam.engine.masks import MaskCrop, joined_crop
from napari_sam.session.batch_prompts.decode import BatchResult, decode_batch_prompts
from napari_sam.session.decoding.ranking import DecodeContext
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.objects.records import score_of
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.words.prompts import NO_CLICKS, prompts_of_words
from napari_sam.session.words.search import at_least, search


def segment_words(
    embedder: Embedder,
    detector: Detector,
    plane: ImagePlane,
    words: Sequence[str],
    threshold: float | None = None,
    clicks: Prompts = NO_CLICKS,
    clean_strength: float = 0.0,
    report: Callable[[float], None] = lambda share: None,
) -> list[PromptedMask]:
    """Segment one object for each box that a detector finds for the words.

    Parameters
    ----------
    embedder : Embedder
        The model that segments.
    detector : Detector
        What finds the boxes; see `napari_sam.detectors.load_detector`.
    plane : ImagePlane
        The image.
    words : sequence of str
        Names of objects; each becomes the class of what it names.
    threshold : float, optional
        Detections with lower scores are left out; by default the detector's own threshold.
    clicks : Prompts, optional
        Foreground points choose the boxes that hold them, and background points correct what they
        lie in.
    clean_strength : float
        How strongly outlines are cleaned, 0 to 1.
    report : callable, optional
        Called with the share of the boxes that is segmented.

    Returns
    -------
    list of PromptedMask
        The surest first, without objects that have no mask.

    Raises
    ------
    ValueError
        If no box holds a foreground point.
    """
    least = detector.default_threshold if threshold is None else threshold
    detections = at_least(search(detector, plane, words), least)
    found = prompts_of_words(detections, clicks)
    if not found:
        return []

    def go_on(share: float) -> bool:
        report(share)
        return True

    results = decode_batch_prompts(
        embedder,
        plane,
        [prompt for _, prompt in found],
        context=DecodeContext(clean_strength=clean_strength),
        report=go_on,
    )
    return [
        _prompted(number, result, found[result.index][0])
        for number, result in enumerate(results, start=1)
    ]


def _prompted(label_id: int, result: BatchResult, detection: Detection) -> PromptedMask:
    crop = joined_crop([MaskCrop(mask.mask, *mask.start) for mask in result.masks])
    return PromptedMask(label_id, 1, score_of(result.predicted_iou), crop, detection)
