"""Carry objects through a sequence of slices or frames, by what is remembered of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.sequences import SequenceState, SliceMasks, TrackedMask
from napari_sam.engine.spec import ModelSpec, Size
from napari_sam.model.embedding import SamEmbedding
from napari_sam.model.prediction import OneStepPrediction
from napari_sam.model.prompts import PromptBatch
from napari_sam.model.runtime.streams import Streams
from napari_sam.model.sam2.mask_decoder import finer_rows
from napari_sam.model.sam2.memory import ObjectMemory, Remembered
from napari_sam.model.sam2.tracking import Found, Slice, Tracker


@dataclass(eq=False)
class Sequence:
    """What is remembered of a sequence.

    Attributes
    ----------
    original_size : tuple of int
        (H, W) of the slices.
    slice_count : int or None
        The length of the sequence, if it is known.
    objects : dict of int to ObjectMemory
        By object.
    """

    original_size: Size
    slice_count: int | None = None
    objects: dict[int, ObjectMemory] = field(default_factory=dict)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects that have prompts, in the order of their first one."""
        return tuple(self.objects)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(memory.nbytes for memory in self.objects.values())


class SequencePredictor:
    """Runs a model of SAM 2 on sequences: a `SequenceModel`.

    Parameters
    ----------
    tracker : Tracker
        Runs its networks.
    spec : ModelSpec
        Its sizes.
    streams : Streams
        Of the device.
    check : callable
        Returns an embedding if it is of this model, device and precision.
    """

    def __init__(
        self,
        tracker: Tracker,
        spec: ModelSpec,
        streams: Streams,
        check: Callable[[ImageEmbedding], SamEmbedding],
    ) -> None:
        self._tracker, self._spec, self._streams, self._check = tracker, spec, streams, check

    def start(self, first: ImageEmbedding, slice_count: int | None = None) -> Sequence:
        """Begin a sequence; see `SequenceModel.start`."""
        return Sequence(self._check(first).original_size, slice_count)

    def add_prompt(
        self,
        state: SequenceState,
        index: int,
        object_id: int,
        embedding: ImageEmbedding,
        points_xy: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        box_xyxy: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
    ) -> TrackedMask:
        """Show an object in a slice; see `SequenceModel.add_prompt`.

        Raises
        ------
        ValueError
            If there is no prompt, a mask comes with other prompts, or a shape or value is wrong.
        """
        sequence = _own(state)
        prompt = PromptBatch.of_one(points_xy, point_labels, box_xyxy)
        if prompt.has_positions == (mask is not None):
            raise ValueError("Pass either points or a box, or a mask.")
        memory = sequence.objects.get(object_id) or ObjectMemory(self._tracker.memory)
        with self._computing():
            given, plane = self._slice(sequence, embedding)
            if mask is not None:
                found = self._tracker.take(plane, self._full_mask(mask, given))
            else:
                found = self._found(sequence, memory, index, plane, self._positions(prompt, given))
            remembered = self._tracker.remember(plane, found, is_prompted=True)
        memory.condition(index, remembered)
        sequence.objects[object_id] = memory
        return self._tracked(remembered, sequence)

    def remove_prompt(self, state: SequenceState, index: int, object_id: int) -> None:
        """Take a prompt back; see `SequenceModel.remove_prompt`."""
        objects = _own(state).objects
        if object_id in objects and index in objects[object_id].conditioning:
            objects[object_id].release(index)
            if not objects[object_id].conditioning:
                del objects[object_id]

    def propagate(
        self,
        state: SequenceState,
        slices: Iterable[tuple[int, ImageEmbedding]],
        direction: int,
    ) -> Iterator[SliceMasks]:
        """Carry all objects through slices; see `SequenceModel.propagate`.

        Raises
        ------
        ValueError
            If there is no object, or a slice is not of the size of the first.
        """
        sequence = _own(state)
        if direction not in (1, -1):
            raise ValueError(f"The direction is {direction}; pass 1 or -1.")
        for index, embedding in slices:
            if not sequence.objects:
                raise ValueError("There is no object; add a prompt first.")
            with self._computing():
                _, plane = self._slice(sequence, embedding)
                if any(index not in memory.conditioning for memory in sequence.objects.values()):
                    plane = self._tracker.prepare(plane)
                masks = {
                    object_id: self._tracked(
                        self._carried(sequence, memory, index, direction, plane), sequence
                    )
                    for object_id, memory in sequence.objects.items()
                }
            yield SliceMasks(index, masks)

    # -----------------------------------------------------------------------------------------

    def _carried(
        self, sequence: Sequence, memory: ObjectMemory, index: int, direction: int, plane: Slice
    ) -> Remembered:
        """Find an object in a slice by what is remembered, unless it is prompted there."""
        if index in memory.conditioning:
            return memory.conditioning[index]
        recalled = memory.recall(index, direction, sequence.slice_count)
        longest = memory.longest(sequence.slice_count)
        found = self._tracker.find_again(plane, recalled, longest)
        remembered = self._tracker.remember(plane, found, is_prompted=False)
        memory.add(index, remembered, direction)
        return remembered

    def _found(
        self,
        sequence: Sequence,
        memory: ObjectMemory,
        index: int,
        plane: Slice,
        positions: tuple[Tensor, Tensor],
    ) -> Found:
        """Find an object by a prompt, with what is remembered where it has been carried to."""
        if index not in memory.others:
            return self._tracker.find(plane, positions, None)
        recalled = memory.recall(index, memory.directions[index], sequence.slice_count)
        longest = memory.longest(sequence.slice_count)
        return self._tracker.find_again(plane, recalled, longest, positions)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Compute without gradients, and on a GPU on a stream of its thread."""
        with torch.inference_mode(), self._streams.own():
            yield

    def _slice(self, sequence: Sequence, embedding: ImageEmbedding) -> tuple[SamEmbedding, Slice]:
        given = self._check(embedding)
        if given.original_size != sequence.original_size:
            raise ValueError(
                f"A slice is {given.original_size} pixels large, the first one "
                f"{sequence.original_size}; a sequence has slices of one size."
            )
        embedding_map, *finer = given.maps.values()
        return given, Slice(embedding_map, finer_rows(finer))

    def _positions(self, prompt: PromptBatch, given: SamEmbedding) -> tuple[Tensor, Tensor]:
        scaled = prompt.in_input(given.original_size, given.input_size)
        positions_xy, kinds = scaled.positions(pads_boxes=True)
        return self._streams.send(positions_xy), self._streams.send(kinds)

    def _full_mask(self, mask: npt.ArrayLike, given: SamEmbedding) -> Tensor:
        """Bring a mask (H, W) to the square input: (S, S) of zeros and ones."""
        array = np.asarray(mask, bool)
        if array.shape != given.original_size:
            raise ValueError(
                f"The mask has shape {array.shape}, the slice {given.original_size}; pass a mask "
                "of its size."
            )
        image = self._streams.send(array.astype(np.float32))[None, None]
        resized = F.interpolate(image, given.input_size, mode="bilinear", antialias=True)[0, 0]
        side = self._spec.input_side
        height, width = given.input_size
        return F.pad((resized >= 0.5).float(), (0, side - width, 0, side - height))

    def _tracked(self, remembered: Remembered, sequence: Sequence) -> TrackedMask:
        assert remembered.low_res_logits is not None
        prediction = OneStepPrediction(
            remembered.low_res_logits[None].cpu().numpy(),
            np.array([remembered.score], np.float32),
            sequence.original_size,
            self._spec.input_size(sequence.original_size),
            self._spec.input_side,
        )
        return TrackedMask(prediction, 1 / (1 + float(np.exp(-remembered.object_logit))))


def _own(state: SequenceState) -> Sequence:
    if not isinstance(state, Sequence):
        raise ValueError(f"The state is a {type(state).__name__}; pass what 'start' returned.")
    return state
