"""Brush strokes as steps of the history, in their order among all other edits."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit, Stroke
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import Labels, TargetError
from napari_sam.session.objects.packed import Block, Mask, PackedLabels, PackedMask, Region, Start
from napari_sam.session.objects.pixel_sets import tile_shape, tiles_of

StrokeIds = tuple[int, ...]
"""What the viewer knows the strokes of a step by."""


@dataclass(frozen=True, eq=False)
class Dab:
    """Pixels of a box that a brush painted at once, with their labels before and after."""

    start: Start
    mask: Mask
    before: NDArray[Any]
    after: NDArray[Any]


def strokes_of(dabs: Iterable[Dab]) -> tuple[Stroke, ...]:
    """Return the pixels that dabs changed, one after the other, by the label that they have now.

    Each pixel is held once, however often the dabs have met it.
    """
    pieces: dict[Start, list[tuple[Dab, Region, Region]]] = {}
    for dab in dabs:
        for index, in_tile, in_box in tiles_of(dab.start, dab.mask.shape):
            pieces.setdefault(index, []).append((dab, in_tile, in_box))
    blocks: dict[int, list[Block]] = {}
    for index, pieces_of_tile in pieces.items():
        for label_id, block in _blocks(index, pieces_of_tile):
            blocks.setdefault(label_id, []).append(block)
    return tuple(Stroke(label_id, tuple(blocks[label_id])) for label_id in sorted(blocks))


def _blocks(index: Start, pieces: list[tuple[Dab, Region, Region]]) -> Iterable[tuple[int, Block]]:
    """Yield the pixels of a tile that were changed, by label."""
    regions = [in_tile for _, in_tile, _ in pieces]
    first = [min(span.start for span in axis) for axis in zip(*regions, strict=True)]
    stop = [max(span.stop for span in axis) for axis in zip(*regions, strict=True)]
    shape = [b - a for a, b in zip(first, stop, strict=True)]
    changed = np.zeros(shape, np.bool_)
    before = np.zeros(shape, pieces[0][0].before.dtype)
    after = np.zeros_like(before)
    for dab, in_tile, in_box in pieces:
        spans = zip(in_tile, first, strict=True)
        here = tuple(slice(span.start - a, span.stop - a) for span, a in spans)
        mask = dab.mask[in_box]
        np.copyto(before[here], dab.before[in_box], where=mask & ~changed[here])
        np.copyto(after[here], dab.after[in_box], where=mask)
        changed[here] |= mask
    changed &= before != after
    corner = zip(index, tile_shape(len(index)), first, strict=True)
    start = tuple(number * side + a for number, side, a in corner)
    values = after[changed]
    is_one = values.size > 0 and values.min() == values.max()  # mostly; quicker than sorting
    for label_id in [int(values[0])] if is_one else np.unique(values).tolist():
        mask = changed if is_one else changed & (after == label_id)
        block = Block(PackedMask(start, mask), PackedLabels(np.where(mask, before, 0)))
        yield label_id, block


class BrushHistory:
    """Adds the strokes of the viewer's brush to the history, and follows the viewer's own undo.

    All methods belong to the owner's thread.
    """

    changed = Signal()
    """A stroke can be undone or redone that could not be before."""
    noted = Signal(Edit)
    """A stroke is a step of the history now."""
    moved = Signal(object, tuple, bool)
    """The session has undone (True) or redone strokes in some labels, which the viewer's own undo
    must not do again."""

    def __init__(self, editing: Editing, decoding: Decoding) -> None:
        self._editing, self._decoding = editing, decoding
        self._waiting: list[tuple[LabelsEdit, StrokeIds]] = []
        editing.changed.connect(self._push)
        editing.restored.connect(self._on_restored)

    def note(self, labels: LabelsEdit, stroke_ids: StrokeIds) -> None:
        """Add strokes that were painted just now, after what is being written in the background."""
        self._waiting.append((labels, stroke_ids))
        self._push()

    def catch_up(self) -> None:
        """Have the labels note what was painted a moment ago."""
        target = self._editing.target
        with suppress(TargetError):  # a target that no longer fits is reported when written to
            _ = target and target.labels.registry
        for labels in self._editing.other_labels:
            _ = labels.registry

    def _push(self) -> None:
        if not self._waiting or not self._editing.executor.is_idle:
            return
        state, waiting = self._decoding.state, self._waiting
        self._waiting = []
        for labels, stroke_ids in waiting:
            edit = Edit(state, state, self._editing.plane_id, labels, stroke_ids=stroke_ids)
            self._editing.history.push(edit)
            self.noted.emit(edit)
        self.changed.emit()

    def follow(self, labels: Labels, stroke_ids: StrokeIds, *, is_undone: bool) -> None:
        """Follow that the viewer's own undo or redo has moved strokes, and written their pixels.

        Only of the step that is due: another one stays where it is.
        """
        history = self._editing.history
        edit = history.last if is_undone else history.redoable
        if edit is None or edit.stroke_ids != stroke_ids or edit.labels is None:
            return
        if edit.labels.target is labels:
            history.undo() if is_undone else history.redo()
            # The records are up to date already: those where it begins now, if undone.
            rebased = replace(edit.labels.rebased(is_undone=not is_undone), is_exact=False)
            history.replace(edit, replace(edit, labels=rebased))
            self.changed.emit()

    def _on_restored(self, edit: Edit, _: ObjectState) -> None:
        if edit.stroke_ids and edit.labels is not None:
            redoable = self._editing.history.redoable
            is_undone = redoable is not None and redoable.stroke_ids == edit.stroke_ids
            self.moved.emit(edit.labels.target, edit.stroke_ids, is_undone)
