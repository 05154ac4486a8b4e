"""Generate the masks of one image, or of many in this process."""

from __future__ import annotations

import glob
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.batch.example_files import compare_with_examples
from napari_sam.batch.images import ImageFile
from napari_sam.batch.job import WITHOUT_EFFECT, BatchJob, ImageResult
from napari_sam.batch.linking import linked_annotations
from napari_sam.batch.manifest import PartialResults, RunError, RunManifest
from napari_sam.batch.open_images import ImageOpener, OpenedPlane
from napari_sam.batch.outputs import PlaneMasks, annotations_of, write_results
from napari_sam.engine.automatic_presets import PROPOSAL_SETTINGS
from napari_sam.engine.instance_settings import PUBLISHED
from napari_sam.engine.methods import Method
from napari_sam.formats.files import reason
from napari_sam.formats.image import stack_axis
from napari_sam.session.automatic.instances import InstanceFinder
from napari_sam.session.automatic.learned import learnt_masks
from napari_sam.session.automatic.request import automatic_tiles
from napari_sam.session.automatic.settings import AutomaticRunSettings, preset_for
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.tiles import Tile
from napari_sam.session.jobs import is_out_of_memory
from napari_sam.storage.digests import digest

if TYPE_CHECKING:
    from napari_sam.engine.automatic_settings import AutomaticSettings
    from napari_sam.engine.embeddings import ImageEmbedding
    from napari_sam.formats.annotations import Annotations
    from napari_sam.formats.image import ImageInfo
    from napari_sam.model import Predictor
    from napari_sam.session.decoding.learnt import Learnt
    from napari_sam.session.image.image_plane import ImagePlane

Progress = Callable[[float], None]
"""Called with the share of an image that is done."""


def run_here(
    job: BatchJob,
    images: Sequence[ImageFile],
    open_images: ImageOpener,
    predictor: Callable[[], Predictor],
    on_progress: Callable[[ImageFile, float], None] = lambda image, share: None,
) -> Iterator[ImageResult]:
    """Process images one after the other; a failure does not stop the others."""
    for image in images:
        try:
            yield process(job, image, open_images, predictor, partial(on_progress, image))
        except Exception as error:  # whatever it is, it must not stop the others
            yield ImageResult(image.path, "failed", error=failure_message(error))


def failure_message(error: BaseException) -> str:
    """Return in one line why an image failed."""
    if is_out_of_memory(error):
        return "Not enough memory: close other programs, or use a smaller image."
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"


def process(
    job: BatchJob,
    image: ImageFile,
    open_images: ImageOpener,
    predictor: Callable[[], Predictor],
    on_progress: Progress = lambda share: None,
) -> ImageResult:
    """Generate the masks of one image and write them, unless that is done."""
    manifest, content = RunManifest(job.folder), _content_of(image)
    record = manifest.complete(image, job, content)
    if record is not None:
        members = record["masks"], tuple(record["files"])
        return ImageResult(image.path, "skipped", *members, objects=tuple(record["objects"]))
    opened, warning = open_images(image.path), ""
    with manifest.writing(image, job, content) as results:
        for number, opened_image in enumerate(opened):
            stem, name = Path(image.name).name, Path(image.path).name
            if len(opened) > 1:
                stem, name = f"{stem}_{number + 1}", opened_image.name
            info = opened_image.info(name)
            if job.through is not None:
                stack_axis(info, job.through)  # rather fail before the masks are generated
            of_image = _part_of(on_progress, number, len(opened))
            count = len(opened_image.planes)
            planes = [
                compare_with_examples(
                    _masks_of_plane(plane, job, predictor(), _part_of(of_image, position, count)),
                    *(plane.plane, job, predictor(), open_images),
                )
                for position, plane in enumerate(opened_image.planes)
            ]
            warning = next((plane.warning for plane in planes if plane.warning), warning)
            annotations = _counted_annotations(job, info, planes, results)
            write_results(results.folder, stem, annotations, planes, job)
    record = manifest.of(image)
    files = () if record is None else tuple(record["files"])
    return ImageResult(
        *(image.path, "done", results.masks, files),
        warning=warning,
        objects=tuple(results.objects),
    )


def _content_of(image: ImageFile) -> str:
    """Return the digest of an image's file."""
    if not Path(image.path).exists():
        if glob.has_magic(image.path):
            raise RunError("No file matches this pattern.")
        raise RunError(f"There is no such file on {platform.node() or 'this computer'}.")
    try:
        return digest(image.path)
    except OSError as error:
        raise RunError(f"The image cannot be read ({reason(error)}).") from error


def _counted_annotations(
    job: BatchJob, info: ImageInfo, planes: Sequence[PlaneMasks], results: PartialResults
) -> Annotations:
    """Return the objects of an image, linked through slices if that is asked for; count them."""
    if job.through is None or job.links is None:
        annotations = annotations_of(info, planes)
        results.count(len(annotations.objects))
        return annotations
    annotations, objects = linked_annotations(info, planes, job.through, job.links)
    results.describe([{"image": info.name, **members} for members in objects])
    return annotations


def _part_of(on_progress: Progress, number: int, count: int) -> Progress:
    """Return what to call with the share of one of several equal parts."""
    return lambda share: on_progress((number + share) / count)


def _settings_for(plane: ImagePlane, job: BatchJob) -> tuple[AutomaticSettings, float]:
    """Return the settings for a plane, and `max_share`: as given, else those that suit it."""
    if not job.is_preset_by_image:
        return job.settings, job.max_share
    preset, _ = preset_for(plane)
    given = {name: getattr(job.settings, name) for name in WITHOUT_EFFECT}
    return replace(preset.settings, **given), preset.max_share


def _masks_of_plane(
    opened: OpenedPlane, job: BatchJob, predictor: Predictor, on_progress: Progress
) -> PlaneMasks:
    if job.method is not Method.GRID:
        return _instances_of_plane(opened, job, predictor, on_progress)
    if job.learnt is not None:
        return _learnt_of_plane(opened, job, job.learnt, predictor, on_progress)
    from napari_sam.model.automatic.by_products import detect_edges, object_proposals
    from napari_sam.model.automatic.generate import generate_masks

    settings, max_share = _settings_for(opened.plane, job)
    image = opened.plane.read_whole()
    masks = generate_masks(
        predictor,
        image,
        settings,
        # Edges are drawn from all masks, good or not.
        lowest_pred_iou=0 if job.edges else None,
        keep_logits=job.edges,
        on_batch=lambda done, total, _: on_progress(done / total),
    )
    proposals = edges = None
    if job.proposals:
        box_nms_thresh = max(settings.box_nms_thresh, PROPOSAL_SETTINGS.box_nms_thresh)
        proposals = object_proposals(masks.select(replace(settings, box_nms_thresh=box_nms_thresh)))
    if job.edges:
        all_pass = replace(settings, pred_iou_thresh=0, stability_score_thresh=0)
        edges = detect_edges(replace(masks, settings=all_pass))
    height, width = opened.plane.shape
    records = [mask for mask in masks.select() if mask.area <= max_share * height * width]
    warning = opened.plane.contrast_warning(image)
    return PlaneMasks(opened.slice_index, records, proposals, edges, warning)


def _learnt_of_plane(
    opened: OpenedPlane, job: BatchJob, learnt: Learnt, predictor: Predictor, on_progress: Progress
) -> PlaneMasks:
    plane = opened.plane
    settings, max_share = _settings_for(plane, job)
    masks = learnt_masks(
        Embedder(job.model, lambda *_: predictor),
        plane,
        learnt,
        AutomaticRunSettings(settings, max_share=max_share),
        on_progress,
    )
    warning = plane.contrast_warning(plane.read_whole())
    records = [mask.plane_record for mask in masks]
    return PlaneMasks(opened.slice_index, records, warning=warning)


def _instances_of_plane(
    opened: OpenedPlane, job: BatchJob, predictor: Predictor, on_progress: Progress
) -> PlaneMasks:
    plane = opened.plane
    whole = Tile(0, 0, 0, *plane.shape)

    @lru_cache(maxsize=2)
    def obtain(part: Tile) -> ImageEmbedding:
        return predictor.encode(plane.read(part.side, part))

    parts = automatic_tiles(whole, job.tile_px)[1:] or (whole,)
    finder = InstanceFinder(predictor, obtain, whole, parts)
    settings = PUBLISHED[job.method] if job.instances is None else job.instances
    found = finder.find(
        job.method,
        settings,
        lambda points_xy: np.ones(len(points_xy), bool),
        lambda share, _: on_progress(share),
    )
    height, width = plane.shape
    most_px = (1.0 if job.is_preset_by_image else job.max_share) * height * width
    records = [mask for mask in found.select(settings) if mask.area <= most_px]
    warning = plane.contrast_warning(plane.read_whole())
    return PlaneMasks(opened.slice_index, records, warning=warning)
