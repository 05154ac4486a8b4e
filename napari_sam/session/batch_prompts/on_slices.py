"""Batch prompts on several slices: decoded slice by slice, and linked to objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_sam.engine.masks import MaskCrop, joined_crop
from napari_sam.session.batch_prompts.decode import (
    BatchPrompt,
    BatchResult,
    Report,
    decode_batch_prompts,
)
from napari_sam.session.decoding.ranking import NO_CONTEXT, DecodeContext
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.tiles import Tile
from napari_sam.session.linking.link import link
from napari_sam.session.linking.settings import LinkSettings
from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.objects.records import ObjectRecord, score_of
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices
from napari_sam.session.objects.trimming import NOT_TRIMMED, Trim
from napari_sam.session.stack import Stack

_LINKS = LinkSettings(max_gap=0, min_slices=1)

SlicePrompts = Mapping[int, Sequence[BatchPrompt]]
"""The prompts on each slice of a stack."""


@dataclass(frozen=True, eq=False)
class SlicesResult:
    """An object that was segmented on one or more slices; has the face of a `BatchResult`."""

    index: int  # among the objects
    members: Mapping[int, BatchResult]  # by slice
    trim: Trim = NOT_TRIMMED

    @property
    def n_prompts(self) -> int:
        """From how many prompts it was made."""
        return len(self.members)

    @property
    def predicted_iou(self) -> float:
        """The mean of its masks."""
        return float(np.mean([member.predicted_iou for member in self.members.values()]))

    def record(
        self, plane: LabelsPlane, label_id: int = 0, class_name: str | None = None
    ) -> ObjectRecord:
        """Return it as an object to be written into the stack of a plane."""
        records = {
            index: member.record(plane.at_slice(index), label_id, class_name)
            for index, member in sorted(self.members.items())
        }
        first, *others = records.values()
        if not others:
            return first
        entries = [ObjectSlice(index, state=record.state) for index, record in records.items()]
        return replace(
            first,
            score=score_of(self.predicted_iou),
            stability=float(np.mean([member.stability for member in self.members.values()])),
            class_name=next(filter(None, (r.class_name for r in records.values())), None),
            masks=tuple(mask for record in records.values() for mask in record.masks),
            slices=ObjectSlices(plane.slice_axis or 0, tuple(entries)),
        )


def decode_on_slices(
    embedder: Embedder,
    stack: Stack,
    prompts: SlicePrompts,
    *,
    in_sight: Tile | None = None,
    context: DecodeContext = NO_CONTEXT,
    report: Report = lambda _: True,
) -> list[SlicesResult]:
    """Segment the prompts of several slices, and link what is one object; for any thread.

    Masks of neighboring slices that overlap are one object, and so are those whose prompts are of
    one object.
    """
    total, done = sum(map(len, prompts.values())), 0
    on_slices: dict[int, list[tuple[BatchPrompt, BatchResult]]] = {}
    is_on = True

    def report_slice(share: float) -> bool:
        nonlocal is_on
        is_on = report((done + share * len(prompts[index])) / total)
        return is_on

    for index in sorted(index for index, on_slice in prompts.items() if on_slice):
        about = embedder, stack.image_plane(index), prompts[index]
        results = decode_batch_prompts(
            *about, in_sight=in_sight, context=context, report=report_slice
        )
        on_slices[index] = [(prompts[index][result.index], result) for result in results]
        done += len(prompts[index])
        if not is_on:
            break
    shape = stack.image_plane(0).shape
    objects = [*_of_one_object(on_slices), *_linked(on_slices, shape)]
    return [SlicesResult(number, members) for number, members in enumerate(objects)]


_Decoded = Mapping[int, Sequence[tuple[BatchPrompt, BatchResult]]]


def _of_one_object(on_slices: _Decoded) -> list[dict[int, BatchResult]]:
    """Return the results whose prompts say which object they are of."""
    objects: defaultdict[int, dict[int, BatchResult]] = defaultdict(dict)
    for index, decoded in on_slices.items():
        for prompt, result in decoded:
            if prompt.object_id is not None:
                objects[prompt.object_id][index] = result
    return list(objects.values())


def _linked(on_slices: _Decoded, shape: tuple[int, int]) -> Iterator[dict[int, BatchResult]]:
    """Yield the other results, those that overlap on neighboring slices together."""
    if not on_slices:
        return
    indices = range(min(on_slices), max(on_slices) + 1)
    results = {
        index: [result for prompt, result in on_slices.get(index, ()) if prompt.object_id is None]
        for index in indices
    }
    crops = [[_crop(result) for result in results[index]] for index in indices]
    for linked in link(crops, _LINKS, shape, indices.start):
        yield {index: results[index][position] for index, position in linked.members}


def _crop(result: BatchResult) -> MaskCrop:
    return joined_crop([MaskCrop(mask.mask, *mask.start) for mask in result.masks])
