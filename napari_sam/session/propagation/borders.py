"""What the border of a known mask is at, which those of other slices then are at, too."""

from __future__ import annotations

from dataclasses import dataclass

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.propagation.snapping import is_at_borders, snapped
from napari_sam.session.propagation.walls import Walls


@dataclass(frozen=True)
class Border:
    """What a mask ends at.

    Parameters
    ----------
    is_at_edges : bool
        Whether gray values change there.
    walls : Walls, optional
        What divides it from its neighbors there, as membranes do.
    """

    is_at_edges: bool
    walls: Walls | None

    @classmethod
    def of(cls, crop: MaskCrop, plane: ImagePlane) -> Border:
        """Return what a known mask ends at."""
        is_at_edges = is_at_borders(crop, plane)
        return cls(is_at_edges, None if is_at_edges else Walls.of(crop, plane))

    @property
    def is_told(self) -> bool:
        """Whether the image tells where masks of other slices end."""
        return self.is_at_edges or self.walls is not None

    def followed(self, crop: MaskCrop, plane: ImagePlane) -> MaskCrop:
        """Return a mask that ends where the image tells, if it does."""
        if self.is_at_edges:
            return snapped(crop, plane)
        return crop if self.walls is None else self.walls.followed(crop, plane)

    def shared(self, other: Border) -> Border:
        """Return what both masks end at."""
        walls = None
        if self.walls is not None and other.walls is not None:
            walls = self.walls.shared(other.walls)
        return Border(self.is_at_edges and other.is_at_edges, walls)
