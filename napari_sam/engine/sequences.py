"""Models that segment a slice or frame by what they remember of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

import numpy.typing as npt

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.protocols import MaskDecoder
from napari_sam.engine.spec import Capability


class TrackedMask(NamedTuple):
    """An object in a slice.

    Attributes
    ----------
    prediction : MaskPrediction
        Of one mask, with its predicted quality; empty where there is no object.
    object_score : float
        How likely the object is in the slice at all, from 0 to 1.
    """

    prediction: MaskPrediction
    object_score: float


class SliceMasks(NamedTuple):
    """All objects in a slice.

    Attributes
    ----------
    slice_index : int
        Which slice.
    masks : mapping of int to TrackedMask
        By object.
    """

    slice_index: int
    masks: Mapping[int, TrackedMask]


class SequenceState(Protocol):
    """What a `SequenceModel` remembers of a sequence; it belongs to whatever made it."""

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects that have prompts, in the order of their first one."""

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes: it does not grow with the length of the sequence."""


class SequenceModel(Protocol):
    """Carries objects through a sequence of slices or frames of one size.

    Examples
    --------
    A plain script carries one object through a stack, from a click on its middle slice:

    >>> def carry_on(memory, embeddings, middle, click_xy):  # of the stack, by slice
    ...     state = memory.start(embeddings[middle], len(embeddings))
    ...     memory.add_prompt(state, middle, 1, embeddings[middle], [click_xy], [1])
    ...     for step, stop in ((1, len(embeddings)), (-1, -1)):
    ...         slices = ((index, embeddings[index]) for index in range(middle, stop, step))
    ...         for index, masks in memory.propagate(state, slices, step):
    ...             yield index, masks[1].prediction.masks[0]
    """

    def start(self, first: ImageEmbedding, slice_count: int | None = None) -> SequenceState:
        """Begin a sequence.

        Parameters
        ----------
        first : ImageEmbedding
            Of any slice; all others are images of the same size.
        slice_count : int, optional
            The length of the sequence, if it is known: the model is told how far apart slices are
            in a short one.

        Returns
        -------
        SequenceState
            Nothing is remembered yet.
        """

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
        """Show an object in a slice, for the first time or as a correction.

        What was remembered of the object in the slices around is forgotten; propagate again to
        have them follow the prompt. A prompt replaces the one before in the same slice.

        Parameters
        ----------
        state : SequenceState
            Changes.
        index : int
            The slice.
        object_id : int
            Any number for an object; a new one begins a new object.
        embedding : ImageEmbedding
            Of the slice.
        points_xy, point_labels, box_xyxy : array-like, optional
            As for `MaskDecoder.decode`.
        mask : array-like, optional
            (H, W) bool, the object itself, which is taken as it is; then without points and box.

        Returns
        -------
        TrackedMask
            The object in this slice.

        Raises
        ------
        ValueError
            If there is no prompt, a mask comes with other prompts, or a shape or value is wrong.
        """

    def remove_prompt(self, state: SequenceState, index: int, object_id: int) -> None:
        """Take a prompt back; without any, the object is no longer carried on.

        Parameters
        ----------
        state : SequenceState
            Changes.
        index, object_id : int
            Where the prompt is; nothing happens if there is none.
        """

    def propagate(
        self,
        state: SequenceState,
        slices: Iterable[tuple[int, ImageEmbedding]],
        direction: int,
    ) -> Iterator[SliceMasks]:
        """Carry all objects through slices.

        Parameters
        ----------
        state : SequenceState
            Changes with each slice; prompts may be added between two of them.
        slices : iterable of tuple of int and ImageEmbedding
            Indices and images, one after the other; each is asked for when it is needed.
        direction : int
            1 if the indices grow, -1 if they fall.

        Yields
        ------
        SliceMasks
            For each slice; prompted ones have the mask that `add_prompt` returned.

        Raises
        ------
        ValueError
            If there is no object, or a slice is not of the size of the first.
        """


class RemembersSlices(Protocol):
    """A decoder whose model has `Capability.MEMORY`."""

    @property
    def memory(self) -> SequenceModel:
        """The model for sequences, of the same embeddings."""


def memory_of(decoder: MaskDecoder) -> SequenceModel | None:
    """Return the model for sequences of a decoder; None if it remembers nothing."""
    if Capability.MEMORY not in decoder.spec.capabilities:
        return None
    memory: SequenceModel = decoder.memory  # type: ignore[attr-defined]
    return memory
