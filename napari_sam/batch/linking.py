"""Masks of the slices of an image, linked to objects of several slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from napari_sam.batch.outputs import Compared, PlaneMasks, in_common
from napari_sam.batch.slice_summary import slice_summary
from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.image import ImageInfo, stack_axis
from napari_sam.session.linking.link import LinkedObject, link
from napari_sam.session.linking.settings import LinkSettings


def linked_annotations(
    image: ImageInfo, planes: Sequence[PlaneMasks], through: str, settings: LinkSettings
) -> tuple[Annotations, list[dict[str, Any]]]:
    """Link the masks of slices along an axis; also return what is known of each object, as JSON.

    At each position along the other axes of the stack, objects are linked on their own. The
    position of an object is None along its own axis.
    """
    axis = stack_axis(image, through)
    stacks: defaultdict[tuple[int | None, ...], list[PlaneMasks]] = defaultdict(list)
    for plane in sorted(planes, key=lambda plane: plane.slice_index):
        position = (*plane.slice_index[:axis], None, *plane.slice_index[axis + 1 :])
        stacks[position].append(plane)
    parts: list[ExportObject] = []
    summaries: list[dict[str, Any]] = []
    for position, stack in stacks.items():
        crops = [[record.crop for record in plane.records] for plane in stack]
        for linked in link(crops, settings, image.plane_shape):
            label_id = len(summaries) + 1
            ious = [stack[index].records[n].predicted_iou for index, n in linked.members]
            score = float(np.mean(ious))
            about_it = score, in_common([stack[i].compared_with(n) for i, n in linked.members])
            parts += _parts(linked, label_id, about_it, [plane.slice_index for plane in stack])
            about = {"object": label_id, "position": list(position), "score": score}
            summaries.append({**about, **slice_summary(linked.masks, image, axis)})
    return Annotations(image, parts), summaries


def _parts(
    linked: LinkedObject,
    label_id: int,
    about_it: tuple[float, Compared],
    slice_indices: Sequence[tuple[int, ...]],
) -> Iterator[ExportObject]:
    """Yield an object's part on each slice, with its score and what examples told."""
    score, compared = about_it
    for mask in linked.masks:
        slice_index = slice_indices[mask.slice_index]
        yield ExportObject(
            label_id,
            *mask.crop,
            slice_index,
            score=score,
            origin=str(mask.origin),
            confidence=mask.confidence,
            **compared._asdict(),
        )
