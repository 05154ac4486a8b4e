"""An accepted object that is being made again: what it was, and what a brush has done to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.decoding.candidates import Candidates, ObjectState
from napari_sam.session.decoding.mask_prompts import logits_of_region
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.objects.placing import NewObject
from napari_sam.session.objects.records import ObjectRecord, score_of
from napari_sam.session.plane.tiles import Tile
from napari_sam.session.prompts import Prompts

if TYPE_CHECKING:
    from napari_sam.model import MaskCrop


@dataclass(frozen=True, eq=False)
class Reopened:
    """The object that what is being made will replace.

    Parameters
    ----------
    record : ObjectRecord
        What is known of it.
    top, left : int
        Row and column of its first pixel in the plane.
    region : (h, w) bool ndarray
        Its pixels as they were when it was reopened.
    added, removed : (h, w) bool ndarray
        Pixels that a brush has given it since it was accepted, and taken from it.
    from_region : bool
        Whether it has no prompts of its own: then the model starts from its region.
    """

    record: ObjectRecord
    top: int
    left: int
    region: NDArray[np.bool_]
    added: NDArray[np.bool_]
    removed: NDArray[np.bool_]
    from_region: bool

    def corrected(self, mask: Iterable[MaskCrop]) -> Iterator[MaskCrop]:
        """Yield a new mask, in parts that do not overlap, with the strokes of the brush again."""
        missing = self.added.copy()
        height, width = missing.shape
        kind = None
        for part in mask:
            kind = type(part)
            pixels, top, left = part
            rows, own_rows = _common(top, pixels.shape[0], self.top, height)
            columns, own_columns = _common(left, pixels.shape[1], self.left, width)
            pixels = pixels.copy()
            here = pixels[rows, columns]
            here |= missing[own_rows, own_columns]
            here &= ~self.removed[own_rows, own_columns]
            missing[own_rows, own_columns] = False
            yield kind(pixels, top, left)
        if kind is not None and missing.any():
            yield kind(missing, self.top, self.left)

    def logits(self, tile: Tile) -> NDArray[np.float32]:
        """Return its region as (256, 256) low-res logits of a tile, to decode from."""
        return logits_of_region(self.region, self.top, self.left, tile)


def _common(start: int, length: int, other: int, other_length: int) -> tuple[slice, slice]:
    """Return where two ranges overlap, counted from the first and from the other."""
    first = max(start, other)
    end = max(first, min(start + length, other + other_length))
    return slice(first - start, end - start), slice(first - other, end - other)


def reopen(plane: LabelsPlane, record: ObjectRecord) -> ObjectState:
    """Return the state in which an object goes on being made.

    Raises
    ------
    TargetError
        If it does not lie on the plane, or not with all its pixels, or has none left.
    """
    box = plane.to_plane(record.start, record.stop)
    if box is None:
        msg = (
            f"Object {record.label_id} does not lie on this slice alone: go to its slice. An "
            "object of several slices cannot be made anew at once."
        )
        raise TargetError(msg)
    rows, columns = box
    labels = plane.read(rows, columns)
    region = labels == record.label_id
    if not region.any():
        msg = f"Object {record.label_id} has no pixel left: nothing to reopen."
        raise TargetError(msg)
    accepted = _accepted(plane, record, region.shape, rows.start, columns.start)
    has_own = record.state is not None and accepted is not None
    nothing = np.zeros_like(region)
    reopened = Reopened(
        record,
        rows.start,
        columns.start,
        region,
        added=region & ~accepted if accepted is not None else nothing,
        # What other objects have of it was not taken by a brush.
        removed=accepted & (labels == 0) if accepted is not None else nothing,
        from_region=not has_own,
    )
    if record.state is not None and has_own:
        return replace(record.state, reopened=reopened)
    places_y, places_x = np.nonzero(region)
    box_xyxy = (
        columns.start + int(places_x.min()) - 0.5,
        rows.start + int(places_y.min()) - 0.5,
        columns.start + int(places_x.max()) + 0.5,
        rows.start + int(places_y.max()) + 0.5,
    )
    return ObjectState(Prompts(box_xyxy=box_xyxy), reopened=reopened)


def begin_with(region: NDArray[np.bool_], top: int, left: int) -> ObjectState:
    """Return the state in which a new object is made of pixels that somebody else has found.

    Parameters
    ----------
    region : (h, w) bool ndarray
        The pixels, within the smallest box.
    top, left : int
        Row and column of the first of them in the plane.
    """
    nothing = np.zeros_like(region)
    nobody = ObjectRecord(0, (), (), 0)  # no object has this number: nothing is replaced
    reopened = Reopened(nobody, top, left, region, nothing, nothing, from_region=True)
    height, width = region.shape
    box = left - 0.5, top - 0.5, left + width - 0.5, top + height - 0.5
    return ObjectState(Prompts(box_xyxy=box), reopened=reopened)


def _accepted(
    plane: LabelsPlane, record: ObjectRecord, shape: tuple[int, int], top: int, left: int
) -> NDArray[np.bool_] | None:
    """Return the mask that was accepted, within a box of the plane; None if none is known."""
    if not record.masks:
        return None
    accepted = np.zeros(shape, bool)
    for packed in record.masks:
        stop = tuple(a + n for a, n in zip(packed.start, packed.shape, strict=True))
        box = plane.to_plane(packed.start, stop)
        if box is None:
            return None
        mask = plane.to_2d(packed.mask)
        rows, own_rows = _common(top, shape[0], box[0].start, mask.shape[0])
        columns, own_columns = _common(left, shape[1], box[1].start, mask.shape[1])
        accepted[rows, columns] |= mask[own_rows, own_columns]
    return accepted


def accepted_object(
    plane: LabelsPlane,
    state: ObjectState,
    candidates: Candidates,
    index: int,
    class_name: str | None = None,
) -> NewObject:
    """Return what is to be written when a candidate is accepted.

    Parameters
    ----------
    plane : LabelsPlane
        Where it goes.
    state : ObjectState
        The object that was made; one that was reopened is replaced, if it is still there.
    candidates : Candidates
        Its masks.
    index : int
        The one that is accepted.
    class_name : str, optional
        The class of a new object; one that is replaced keeps its own.
    """
    reopened = state.reopened
    replaced = None if reopened is None else plane.labels.book.get(reopened.record.label_id)
    made = replace(state.with_choice(index), reopened=None)
    before = replaced or ObjectRecord(0, (), (), 0, class_name=class_name)
    ranking = candidates.ranking
    record = replace(
        before,
        score=score_of(candidates.iou_predictions[index]),
        stability=None if ranking is None else float(ranking.traits.stability_score[index]),
        reviewed=False,
        state=made,
    )
    mask: Iterable[MaskCrop] = candidates.blocks(index)
    if reopened is not None and replaced is not None:
        mask = reopened.corrected(mask)
    return NewObject(mask, record, replaced)
