"""Divisions that are proposed, of which the user confirms those that are true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.labels import Labels, TargetError
from napari_sam.session.objects.packed import Mask, PackedMask, Start, region_of
from napari_sam.session.tracks.moving import Move
from napari_sam.session.tracks.planning import TrackLabels, plan_division
from napari_sam.storage.pacing import paced

_LEAST_SHARE: Final = 0.25
"""Of an object's pixels in a frame, a piece that may be a daughter has more."""
_MOST_LEFT: Final = 0.7
"""Of its pixels, what an object keeps at the most that has divided."""
_LEAST_FRAMES: Final = 2
"""So many frames in a row has an object two large pieces, before it may have divided."""


@dataclass(frozen=True)
class ProposedDivision:
    """A division that the user may confirm.

    Objects are told by a pixel of theirs, so that a proposal stays true whatever label_ids other
    edits give them.

    Parameters
    ----------
    frame : int
        The first frame of the daughters.
    mother_at : tuple of int
        A pixel of the track that divides, in its last frame.
    daughters_at : tuple of tuple of int
        A pixel of each daughter, in its first frame; none where they are two pieces of one object.
    """

    frame: int
    mother_at: Start
    daughters_at: tuple[Start, ...] = ()

    def mother_id(self, labels: Labels) -> int:
        """Return the label_id of the track that divides; 0 if it is gone."""
        return label_at(labels, self.mother_at)

    def daughter_ids(self, labels: Labels) -> tuple[int, ...]:
        """Return the label_ids of the daughters; that of the mother, if she goes on as one."""
        return tuple(label_at(labels, index) for index in self.daughters_at)

    def is_gone(self, labels: Labels) -> bool:
        """Whether one of its objects is no longer there."""
        return 0 in (self.mother_id(labels), *self.daughter_ids(labels))


def label_at(labels: Labels, index: Start) -> int:
    """Return the label of a pixel."""
    return int(labels.read(region_of(index, (1,) * len(index))).item())


def plan_confirmed(tracks: TrackLabels, division: ProposedDivision) -> LabelsEdit:
    """Plan to mark a proposed division."""
    mother_id = division.mother_id(tracks.labels)
    daughter_ids = division.daughter_ids(tracks.labels)
    if 0 in (mother_id, *daughter_ids):
        raise TargetError("An object of this division is gone: reject it.")
    if daughter_ids:
        return plan_division(tracks, mother_id, daughter_ids, division.frame)
    return plan_pieces(tracks, mother_id, division.frame)


def propose_by_pieces(tracks: TrackLabels, label_id: int) -> ProposedDivision | None:
    """Propose a division where an object falls in two large pieces, and stays so.

    In the last frame of the film, one frame is enough.
    """
    frames = tracks.frames(label_id)
    n_least = 1 if frames.stop == tracks.labels.shape[tracks.axis] else _LEAST_FRAMES
    n_in_two = 0
    for frame in paced(reversed(frames)):
        mask, corner = _mask_in(tracks, label_id, frame)
        if mask.any() and len(_large_pieces(mask)) < 2:
            pixels = np.argwhere(mask)
            mother_at = tuple((pixels[len(pixels) // 2] + corner).tolist())
            return ProposedDivision(frame + 1, mother_at) if n_in_two >= n_least else None
        n_in_two += bool(mask.any())
    return None


def propose_by_birth(tracks: TrackLabels, label_id: int) -> ProposedDivision | None:
    """Propose that an object divides into itself and one that begins where it was just before.

    Only if it has become much smaller in that frame.
    """
    frame, axis = tracks.frames(label_id).start, tracks.axis
    if not frame or tracks.record(label_id).parent_id:
        return None
    mask, corner = _mask_in(tracks, label_id, frame)
    earlier = (*corner[:axis], frame - 1, *corner[axis + 1 :])
    beneath = tracks.labels.read(region_of(earlier, mask.shape))[mask]
    mother_id, n_beneath = _most_common(beneath[beneath > 0])
    if not mother_id or n_beneath < _LEAST_SHARE * beneath.size or tracks.children(mother_id):
        return None
    if frame not in tracks.frames(mother_id):
        return None
    pixels = [_pixels_in(tracks, mother_id, index) for index in (frame - 1, frame)]
    if not 0 < len(pixels[1]) <= _MOST_LEFT * len(pixels[0]):
        return None
    mother_at, first_at, second_at = (
        tuple(places[len(places) // 2].tolist()) for places in (*pixels, np.argwhere(mask) + corner)
    )
    return ProposedDivision(frame, mother_at, (first_at, second_at))


def _most_common(label_ids: NDArray[Any]) -> tuple[int, int]:
    """Return the most frequent label and how often it occurs; zeros without any."""
    values, counts = np.unique(label_ids, return_counts=True)
    return (int(values[counts.argmax()]), int(counts.max())) if values.size else (0, 0)


def _pixels_in(tracks: TrackLabels, label_id: int, frame: int) -> NDArray[Any]:
    """Return where the pixels of an object in a frame are in the labels."""
    mask, corner = _mask_in(tracks, label_id, frame)
    return np.argwhere(mask) + corner


def plan_pieces(tracks: TrackLabels, mother_id: int, frame: int) -> LabelsEdit:
    """Plan to make two daughters of the two pieces that an object has from a frame on."""
    frames = tracks.frames(mother_id)
    if not frames.start < frame < frames.stop:
        raise TargetError(f"Track {mother_id} does not go on from before frame {frame}.")
    span, new_ids = range(frame, frames.stop), tracks.new_label_ids()
    sides: tuple[dict[int, list[PackedMask]], ...] = ({}, {})
    for index, masks in paced(_daughters(tracks, mother_id, frame)):
        for side, mask in zip(sides, masks, strict=True):
            side[index] = [mask]
    moves = [Move(mother_id, span, next(new_ids), side) for side in sides]
    parents = dict.fromkeys(tracks.children(mother_id), 0)
    return tracks.plan(moves, parents | {move.to: mother_id for move in moves})


def _daughters(
    tracks: TrackLabels, mother_id: int, frame: int
) -> Iterator[tuple[int, tuple[PackedMask, PackedMask]]]:
    """Yield, for each frame, the pixels of two daughters, those of the same one first."""
    centers: NDArray[Any] | None = None
    for index in range(frame, tracks.frames(mother_id).stop):
        mask, corner = _mask_in(tracks, mother_id, index)
        if not mask.any():
            continue
        pieces = _large_pieces(mask)
        if len(pieces) == 2:
            new_centers = np.array([np.mean(np.nonzero(piece), axis=1) for piece in pieces])
            if centers is not None and _is_swapped(new_centers, centers):
                new_centers, pieces = new_centers[::-1], pieces[::-1]
            centers = new_centers
            nearest = ndimage.distance_transform_edt(
                ~(pieces[0] | pieces[1]), return_distances=False, return_indices=True
            )
            is_second = pieces[1][tuple(nearest)]
        elif centers is None:
            raise TargetError(f"Object {mother_id} is in one piece in frame {index}.")
        else:  # they touch again: each pixel belongs to the one that was nearer before
            grid = np.moveaxis(np.indices(mask.shape), 0, -1)
            far, near = (((grid - center) ** 2).sum(axis=-1) for center in centers)
            is_second = far > near
        first, second = (mask & ~is_second, mask & is_second)
        yield index, (PackedMask(corner, first), PackedMask(corner, second))


def _is_swapped(new_centers: NDArray[Any], centers: NDArray[Any]) -> bool:
    """Whether two centers are nearer to the two former ones the other way round."""
    kept, swapped = (((order - centers) ** 2).sum() for order in (new_centers, new_centers[::-1]))
    return bool(swapped < kept)


def _large_pieces(mask: Mask) -> list[Mask]:
    """Return the two largest pieces of a mask if both are large, else its largest one."""
    pieces, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    areas = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    largest = np.argsort(areas, kind="stable")[::-1][:2] + 1
    is_large = areas[largest - 1] >= _LEAST_SHARE * areas.sum()
    return [pieces == number for number in largest[: 2 if is_large.all() else 1]]


def _mask_in(tracks: TrackLabels, label_id: int, frame: int) -> tuple[Mask, Start]:
    """Return the pixels of an object in a frame, within its box, and where that begins."""
    corner, shape = tracks.record(label_id).box_at(tracks.axis, frame)
    return tracks.labels.read(region_of(corner, shape)) == label_id, corner
