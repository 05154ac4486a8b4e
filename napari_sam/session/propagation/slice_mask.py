"""A mask on one slice of a stack, and what carries it on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.objects.slices import Origin


@dataclass(frozen=True)
class SliceMask:
    """The mask of an object on one slice.

    Parameters
    ----------
    slice_index : int
        Which slice.
    crop : MaskCrop
        Its mask in pixels of the plane; empty where the object is not.
    origin : Origin
        Who made it.
    confidence : float
        0 to 1; 1 for what the user annotated.
    """

    slice_index: int
    crop: MaskCrop
    origin: Origin = Origin.ANNOTATED
    confidence: float = 1.0

    @property
    def is_empty(self) -> bool:
        """Whether the object is not on the slice."""
        return not self.crop.mask.size


class Propagator(Protocol):
    """Carries an object on from an annotated slice; used on one background thread."""

    def outward(
        self,
        planes: Sequence[ImagePlane],
        start: SliceMask,
        slices: Sequence[int],
        *,
        is_forced: bool = False,
    ) -> Iterator[SliceMask]:
        """Yield the object on slices that follow each other from a start, until it ends.

        Parameters
        ----------
        planes : sequence of ImagePlane
            All slices of the stack; each is read when it is asked for.
        start : SliceMask
            Where the object is known.
        slices : sequence of int
            The slices to go through, the one beside the start first.
        is_forced : bool
            Whether to go on as long as there is any mask, however unsure.

        Yields
        ------
        SliceMask
            None of them is empty.
        """
