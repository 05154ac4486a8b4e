"""What is remembered of an object in the slices of a sequence, and for how long.

Source: N. Ravi et al., "SAM 2: Segment Anything in Images and Videos" (ICLR 2025,
arXiv:2408.00714), section 4, "Memory bank".

A slice that the user has prompted is a *conditioning* slice: it is looked at from everywhere. Of
the others, the last few are looked at, those right behind in the direction of propagation. Farther
ones are forgotten, except around conditioning slices, where a later propagation in the other
direction looks at them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from torch import Tensor

from napari_sam.model.sam2.config import MemoryConfig


@dataclass(frozen=True)
class Remembered:
    """What is remembered of an object in one slice.

    Attributes
    ----------
    low_res_logits : Tensor or None
        (4 e, 4 e), the mask; None where it is not kept.
    score, object_logit : float
        The predicted quality of the mask, and whether there is an object, if positive.
    pointer : Tensor
        (C,), the object as a single vector.
    rows : Tensor or None
        (L, D), the slice and the mask, cell by cell; None where they are too far away.
    """

    low_res_logits: Tensor | None
    score: float
    object_logit: float
    pointer: Tensor
    rows: Tensor | None

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        parts = (self.low_res_logits, self.pointer, self.rows)
        return sum(part.nbytes for part in parts if part is not None)


class Recalled(NamedTuple):
    """What a slice looks at.

    Attributes
    ----------
    slices : list
        Pairs of the slot and the rows of slices; conditioning ones are in slot 0.
    pointers : list
        Pairs of how many slices ago and the pointer.
    """

    slices: list[tuple[int, Tensor]]
    pointers: list[tuple[int, Tensor]]


@dataclass
class ObjectMemory:
    """What is remembered of one object, by the index of the slice.

    Attributes
    ----------
    config : MemoryConfig
        How much is remembered.
    conditioning, others : dict of int to Remembered
        Slices with a prompt, and slices that the object was carried to.
    directions : dict of int to int
        In which direction it was carried there, 1 or -1.
    """

    config: MemoryConfig
    conditioning: dict[int, Remembered] = field(default_factory=dict)
    others: dict[int, Remembered] = field(default_factory=dict)
    directions: dict[int, int] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        kept = (*self.conditioning.values(), *self.others.values())
        return sum(remembered.nbytes for remembered in kept)

    def condition(self, index: int, remembered: Remembered) -> None:
        """Remember a prompted slice, and forget what was made of those around it."""
        self.conditioning[index] = remembered
        self._forget_around(index)

    def release(self, index: int) -> None:
        """Forget that a slice was prompted, and what was made of it and those around it."""
        self.conditioning.pop(index, None)
        self._forget_around(index)

    def _forget_around(self, index: int) -> None:
        for other in [key for key in self.others if abs(key - index) <= self.config.slots]:
            self._forget(other)

    def _forget(self, index: int) -> None:
        del self.others[index], self.directions[index]

    def add(self, index: int, remembered: Remembered, direction: int) -> None:
        """Remember a slice that was not prompted, and forget those that are too far away now."""
        self.directions[index] = direction
        self.others[index] = replace(remembered, low_res_logits=None)
        near = (index, *self.conditioning)
        for key, other in list(self.others.items()):
            distance = min(abs(key - place) for place in near)
            if distance >= self.config.pointers:
                self._forget(key)
            elif distance >= self.config.slots and other.rows is not None:
                self.others[key] = replace(other, rows=None)

    def recall(self, index: int, step: int, slice_count: int | None) -> Recalled:
        """Return what a slice looks at, when slices follow each other by `step`, 1 or -1."""
        before = {age: self.others.get(index - step * age) for age in range(1, self.longest(None))}
        slices = [(0, kept.rows) for kept in self.conditioning.values()]
        slices += [
            (age, kept.rows)
            for age in range(self.config.slots - 1, 0, -1)
            if (kept := before.get(age)) is not None
        ]
        pointers = [
            (step * (index - key), kept.pointer)
            for key, kept in self.conditioning.items()
            if step * (index - key) >= 0
        ]
        pointers += [
            (age, kept.pointer)
            for age in range(1, self.longest(slice_count))
            if (kept := before[age]) is not None
        ]
        return Recalled([(slot, rows) for slot, rows in slices if rows is not None], pointers)

    def longest(self, slice_count: int | None) -> int:
        """Return of how many slices, at most, pointers are looked at."""
        most = self.config.pointers
        return most if slice_count is None else min(slice_count, most)
