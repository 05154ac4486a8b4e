"""What a viewer shows of an image, as one frozen request to a session."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Box
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.stack import Stack


@dataclass(frozen=True)
class PlaneRequest:
    """An image plane and everything that goes with it; `AnnotationSession.show` applies it.

    Parameters
    ----------
    plane : ImagePlane, optional
        None: no image.
    key : hashable, optional
        Identifies the plane, whatever its pixels are: prompts belong to it, and so do the steps
        that are undone. The unfinished object of a plane is parked under its key when another
        plane is shown. Without a key it is dropped.
    version : hashable, optional
        Differs whenever the pixels of the plane look different: the masks of a parked object are
        only good for the version that they were decoded on.
    view : (float, float, float, float), optional
        x0, y0, x1, y1 of the visible part of the plane; by default the whole.
    slice_index : int
        Position of the plane along the slider next to it; 0 for a 2-D image.
    neighbors : tuple of ImagePlane
        The planes that will probably be shown next, the likeliest first.
    target : LabelsPlane, optional
        Where accepted objects are written.
    stack : Stack, optional
        The planes at all positions of the slider next to the plane, with the target's; None
        without a slider or a target.
    prompts : Prompts, optional
        The prompts found on the plane. They start an object, or replace those of the object that
        is parked there. None: whatever the session has for the plane.
    refusal : str
        Why the chosen image cannot be segmented; only without a plane.
    """

    plane: ImagePlane | None = None
    key: Hashable = None
    version: Hashable = None
    view: Box | None = None
    slice_index: int = 0
    neighbors: tuple[ImagePlane, ...] = ()
    target: LabelsPlane | None = None
    stack: Stack | None = None
    prompts: Prompts | None = None
    refusal: str = ""

    @property
    def pixels(self) -> Hashable:
        """The key together with the version; None without a key."""
        return None if self.key is None else (self.key, self.version)

    def is_same_plane(self, other: PlaneRequest) -> bool:
        """Whether both requests show the same plane with the same pixels."""
        if self.plane is None or other.plane is None:
            return self.plane is other.plane and self.refusal == other.refusal
        if self.key is None or other.key is None:
            return self.plane is other.plane and self.key == other.key
        return self.pixels == other.pixels

    def check_target(self) -> None:
        """Raise a TargetError if the target is not of the plane's shape."""
        target, plane = self.target, self.plane
        if target is not None and plane is not None and target.shape != plane.shape:
            raise TargetError(
                f"The labels have the shape {target.shape}, the image {plane.shape}: "
                "write to a new layer."
            )
