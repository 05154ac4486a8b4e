"""The work on one image, and on many in this process."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from napari_sam.batch.images import ImageFile
from napari_sam.batch.open_images import OpenedImage, OpenedPlane, open_images
from napari_sam.batch.outputs import PlaneMasks, write_results
from napari_sam.batch.records import RunError, RunManifest
from napari_sam.batch.task import ImageResult, Task, digest
from napari_sam.formats.image import ImageInfo
from napari_sam.model.automatic.by_products import PROPOSAL_SETTINGS, detect_edges, object_proposals
from napari_sam.model.automatic.generate import generate_masks
from napari_sam.session.annotations import image_info
from napari_sam.session.image.whole_plane import read_whole
from napari_sam.session.jobs import is_out_of_memory

if TYPE_CHECKING:
    from napari_sam.model import Predictor

Progress = Callable[[float], None]
"""Called with the share of an image that is done."""


def run_here(
    task: Task,
    images: Sequence[ImageFile],
    predictor: Callable[[], Predictor],
    on_progress: Callable[[ImageFile, float], None] = lambda image, share: None,
) -> Iterator[ImageResult]:
    """Do the images one after the other; those that fail do not stop the others."""
    for image in images:

        def show(share: float, image: ImageFile = image) -> None:
            on_progress(image, share)

        try:
            yield process(task, image, predictor, show)
        except Exception as error:  # whatever it is, it must not stop the others
            yield ImageResult(image.path, "failed", error=user_message(error))


def user_message(error: BaseException) -> str:
    """Say in one line why an image failed."""
    if isinstance(error, click.ClickException):
        return error.message
    if is_out_of_memory(error):
        return "There is not enough memory: close other programs, or use a smaller image."
    words = " ".join(str(error).split())
    return words if isinstance(error, ValueError) and words else f"{type(error).__name__}: {words}"


def process(
    task: Task,
    image: ImageFile,
    predictor: Callable[[], Predictor],
    on_progress: Progress = lambda share: None,
) -> ImageResult:
    """Find the masks of one image and write them, unless that is done."""
    records = RunManifest(task.folder)
    if not Path(image.path).exists():
        raise RunError(f"There is no such file on {platform.node() or 'this computer'}.")
    content = digest(image.path)
    record = records.complete(image, task, content)
    if record is not None:
        return ImageResult(image.path, "skipped", record["masks"], tuple(record["files"]))
    opened = open_images(image.path, task.reader)
    with records.writing(image, task, content) as results:
        for number, one in enumerate(opened):
            planes = []
            for place, plane in enumerate(one.planes):
                base = number + place / len(one.planes)
                step = 1 / len(one.planes) / len(opened)

                def show(share: float, base: float = base, step: float = step) -> None:
                    on_progress(base / len(opened) + share * step)

                planes.append(_find(plane, task, predictor(), show))
            results.masks += sum(len(plane.records) for plane in planes)
            stem, info = Path(image.name).name, _info(one, image, alone=len(opened) == 1)
            stem = stem if len(opened) == 1 else f"{stem}_{number + 1}"
            write_results(
                *(results.folder, stem, info, planes),
                *(task.formats, task.overlap, task.settings.output_mode),
            )
    record = records.of(image)
    files = () if record is None else tuple(record["files"])
    return ImageResult(image.path, "done", results.masks, files)


def _info(one: OpenedImage, image: ImageFile, *, alone: bool) -> ImageInfo:
    name = Path(image.path).name if alone else one.name
    return image_info(name, one.shape, one.scale, one.units, one.axis_labels)


def _find(
    plane: OpenedPlane, task: Task, predictor: Predictor, on_progress: Progress
) -> PlaneMasks:
    settings = task.settings
    found = generate_masks(
        predictor,
        read_whole(plane.plane),
        settings,
        # Edges are drawn of all masks, good or not.
        lowest_pred_iou=0 if task.edges else None,
        keep_logits=task.edges,
        on_batch=lambda done, total, _: on_progress(done / total),
    )
    proposals = edges = None
    if task.proposals:
        alike = max(settings.box_nms_thresh, PROPOSAL_SETTINGS.box_nms_thresh)
        proposals = object_proposals(found.select(replace(settings, box_nms_thresh=alike)))
    if task.edges:
        all_pass = replace(settings, pred_iou_thresh=0, stability_score_thresh=0)
        edges = detect_edges(replace(found, settings=all_pass))
    height, width = plane.plane.shape
    wanted = [one for one in found.select() if one.area <= task.max_share * height * width]
    return PlaneMasks(plane.slice_index, wanted, proposals, edges)
