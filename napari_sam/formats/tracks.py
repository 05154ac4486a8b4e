"""Tracks: where objects are in each frame of a film, and which one divided into which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import FileError
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.left_out import LeftOut
from napari_sam.storage.pacing import paced


@dataclass(frozen=True, eq=False)
class Tracks:
    """The points of tracks, as napari's Tracks layers have them.

    Parameters
    ----------
    points : (N, 4) or (N, 5) float ndarray
        track_id, frame, maybe z, y and x of each point, the last ones in pixels; by track_id, then
        by frame.
    parents : mapping of int to int
        From a track to the one that divided into it and others.
    left_out : LeftOut
        What the file also has, but a reader could not read.
    """

    points: NDArray[np.float64]
    parents: Mapping[int, int] = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=LeftOut)


@dataclass(frozen=True, eq=False)
class Frames:
    """The objects of a film, frame by frame.

    Parameters
    ----------
    axis : int
        The axis of time, one of those before height and width.
    parts : mapping of (int, int) to list of ExportObject
        The parts of each object in each frame, by label_id and frame; several only where a frame
        has slices.
    parents : mapping of int to int
        From an object to the one that divided into it; both are there.
    """

    axis: int
    parts: Mapping[tuple[int, int], list[ExportObject]]
    parents: Mapping[int, int]

    def frames_of(self) -> dict[int, list[int]]:
        """Return the frames that each object is in, by label_id."""
        frames: dict[int, list[int]] = defaultdict(list)
        for label_id, frame in sorted(self.parts):
            frames[label_id].append(frame)
        return frames


def time_axis(image: ImageInfo) -> int:
    """Return the axis of time: T, or the only one before height and width.

    Raises
    ------
    FileError
        If the image is no film, or has an axis other than time, depth, height and width.
    """
    stack_axes = image.axes[:-2]
    long_axes = [
        axis for axis, length in zip(stack_axes, image.stack_shape, strict=True) if length > 1
    ]
    if "T" in stack_axes and set(long_axes) <= {"T", "Z"}:
        return stack_axes.index("T")
    if len(stack_axes) == 1:
        return 0
    raise FileError(
        f"Tracks need a film (TYX or TZYX), not {image.axes}: name its axis of time 'T'."
    )


def frames_of(annotations: Annotations) -> Frames:
    """Return the objects of a film, frame by frame.

    Raises
    ------
    FileError
        If the image is no film, or an object begins before the one that divided into it has ended.
    """
    axis = time_axis(annotations.image)
    parts: dict[tuple[int, int], list[ExportObject]] = defaultdict(list)
    parents: dict[int, int] = {}
    for obj in paced(annotations.objects):
        parts[obj.label_id, obj.slice_index[axis]].append(obj)
        parents[obj.label_id] = obj.parent_id
    frames = Frames(axis, parts, {child: n for child, n in parents.items() if n in parents})
    spans = frames.frames_of()
    for child, parent in frames.parents.items():
        if spans[parent][-1] >= spans[child][0]:
            raise FileError(
                f"Object {child} begins before parent {parent} ends: mark the division again "
                f"(frames {spans[child][0]} and {spans[parent][-1]})."
            )
    return frames


def tracks_of(annotations: Annotations) -> Tracks:
    """Return the objects of a film as points: the center of mass of each in each frame.

    Raises
    ------
    FileError
        As for `frames_of`.
    """
    frames = frames_of(annotations)
    points = [
        (label_id, frame, *center_of(frames.parts[label_id, frame], frames.axis))
        for label_id, frame in paced(sorted(frames.parts))
    ]
    n_axes = len(annotations.image.shape)
    return Tracks(np.array(points, np.float64).reshape(-1, n_axes + 1), frames.parents)


def center_of(parts: list[ExportObject], axis: int) -> list[float]:
    """Return the center of mass of an object in a frame: maybe z, then y and x in pixels.

    Parameters
    ----------
    parts : list of ExportObject
        Its parts in that frame.
    axis : int
        The axis of time.
    """
    sums, count = np.zeros(len(parts[0].slice_index) + 1), 0
    for part in parts:
        rows, columns = np.nonzero(part.mask)
        elsewhere = np.delete(part.slice_index, axis)
        sums += [*(elsewhere * len(rows)), rows.sum(), columns.sum()]
        sums[-2:] += np.multiply((part.top, part.left), len(rows))
        count += len(rows)
    return [float(coordinate) for coordinate in sums / count]
