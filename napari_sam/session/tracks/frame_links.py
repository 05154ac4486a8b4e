"""Link the objects of each frame to tracks, by the package laptrack where it is installed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.track_graphs import tracks_in_graph
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.labels import Labels, TargetError
from napari_sam.session.objects.packed import Start
from napari_sam.session.tracks.divisions import ProposedDivision, label_at
from napari_sam.session.tracks.moving import Move
from napari_sam.session.tracks.planning import TrackLabels
from napari_sam.storage.pacing import paced

INSTALL_COMMAND: Final = 'pip install "napari-sam-live[tracks]"'
_DEFAULT_REACH: Final = 1.5
"""How far objects move from frame to frame at the most, in diameters."""
_LARGEST_DAUGHTER: Final = 0.9
_DAUGHTERS: Final = 0.5, 1.5
"""Both daughters together have so many times the mother's size, and neither more than the other."""


class FrameObject(NamedTuple):
    """An object in one frame."""

    frame: int
    label_id: int


@dataclass(frozen=True, eq=False)
class FrameObjects:
    """All objects of each frame of some labels.

    Parameters
    ----------
    keys : sequence of FrameObject
        Frame by frame.
    centers : (N, n_axes - 1) float ndarray
        Their centers of mass, in the unit of `scale`.
    sizes : (N,) float ndarray
        Their areas or volumes, in that unit.
    pixels : sequence of tuple of int
        One pixel of each, about in the middle.
    """

    keys: Sequence[FrameObject]
    centers: NDArray[np.float64]
    sizes: NDArray[np.float64]
    pixels: Sequence[Start]

    @property
    def diameter(self) -> float:
        """That of a disc or ball of their median size."""
        return self.diameter_of(float(np.median(self.sizes)) if len(self.sizes) else 0.0)

    def diameter_of(self, size: float) -> float:
        """Return the diameter of a disc or ball."""
        if self.centers.shape[1] == 2:
            return float(2 * (size / np.pi) ** 0.5)
        return float(2 * (0.75 * size / np.pi) ** (1 / 3))


@dataclass(frozen=True, eq=False)
class FrameLinks:
    """Which objects of the frames are the same.

    Parameters
    ----------
    tracks : sequence of sequence of FrameObject
        The objects of each track, at most one for each frame, in their order.
    divisions : sequence of ProposedDivision
        Until one is confirmed, the mother goes on as one of the daughters.
    parents : mapping of int to int
        Known divisions: from the place of a daughter to that of its mother.
    """

    tracks: Sequence[Sequence[FrameObject]]
    divisions: Sequence[ProposedDivision] = ()
    parents: dict[int, int] = field(default_factory=dict)


def require_laptrack() -> None:
    """Raise TargetError with what to install if laptrack is missing."""
    if find_spec("laptrack") is None:
        raise TargetError(f"Linking needs the package laptrack; run: {INSTALL_COMMAND}")


def frame_objects(
    labels: Labels,
    axis: int,
    scale: Sequence[float] | None = None,
    on_frame: Callable[[int], None] = lambda frame: None,
) -> FrameObjects:
    """Return the objects of each frame of labels.

    Parameters
    ----------
    axis : int
        That of time.
    scale : sequence of float, optional
        The size of a pixel along each axis of the labels; 1 by default.
    on_frame : callable
        Called with each frame once its objects are known; may raise to stop.
    """
    spacing = np.delete(np.ones(len(labels.shape)) if scale is None else np.asarray(scale), axis)
    keys: list[FrameObject] = []
    pixels: list[Start] = []
    centers, sizes = [np.zeros((0, len(spacing)))], [np.zeros(0)]
    region = [slice(0, length) for length in labels.shape]
    for frame in paced(range(labels.shape[axis])):
        region[axis] = slice(frame, frame + 1)
        plane = labels.read(tuple(region)).squeeze(axis)
        places = np.nonzero(plane > 0)
        label_ids, numbers, counts = np.unique(
            plane[places], return_inverse=True, return_counts=True
        )
        keys += [FrameObject(frame, label_id) for label_id in label_ids.tolist()]
        middles = np.argsort(numbers, kind="stable")[np.cumsum(counts) - counts // 2 - 1]
        middle_pixels = np.stack(places, axis=1)[middles]
        pixels += map(tuple, np.insert(middle_pixels, axis, frame, axis=1).tolist())
        sums = [np.bincount(numbers, coordinates, len(counts)) for coordinates in places]
        centers.append(np.stack(sums, axis=1) / counts[:, None] * spacing)
        sizes.append(counts * np.prod(spacing))
        on_frame(frame)
    return FrameObjects(keys, np.concatenate(centers), np.concatenate(sizes), pixels)


def link_frames(
    objects: FrameObjects,
    max_distance: float | None = None,
    max_gap: int = 1,
    check: Callable[[], None] = lambda: None,
) -> FrameLinks:
    """Link the objects of the frames to tracks.

    Parameters
    ----------
    objects : FrameObjects
        Those of `frame_objects`.
    max_distance : float, optional
        How far an object moves from frame to frame at the most; by default one and a half times
        the diameter of an object.
    max_gap : int
        In how many frames in a row an object may be missing.
    check : callable
        Called again and again; may raise to stop.

    Raises
    ------
    TargetError
        If laptrack is not installed, or there are no objects.
    """
    if not objects.keys:
        raise TargetError("There are no objects to link: segment some in each frame first.")
    reach = _DEFAULT_REACH * objects.diameter if max_distance is None else max_distance
    return linked_by(objects, _laptrack_edges(objects, reach, max_gap, check))


def _laptrack_edges(
    objects: FrameObjects, reach: float, max_gap: int, check: Callable[[], None]
) -> list[tuple[int, int]]:
    """Return which objects follow which ones, by their places."""
    require_laptrack()
    from laptrack import LapTrack

    def metric(center: NDArray[np.float64], other: NDArray[np.float64]) -> float:
        check()
        difference = center - other
        return float(difference @ difference)

    frames = np.array([key.frame for key in objects.keys])
    starts = np.searchsorted(frames, np.arange(frames[0], frames[-1] + 1))
    cutoff = reach**2
    tracker = LapTrack(
        cutoff=cutoff,
        gap_closing_cutoff=cutoff if max_gap else False,
        gap_closing_max_frame_count=max_gap + 1,
        gap_closing_metric=metric,
        splitting_cutoff=cutoff,
        splitting_metric=metric,
        merging_cutoff=False,
        # By default the other splits decide which one is too far: one of two is left out.
        segment_start_cost=cutoff,
        segment_end_cost=cutoff,
        no_splitting_cost=cutoff,
    )
    centers = _Watched(np.split(objects.centers, starts[1:]), check)
    graph = tracker.predict(centers)  # its table takes far longer
    return [(int(starts[f]) + n, int(starts[g]) + m) for (f, n), (g, m) in graph.edges]


def linked_by(objects: FrameObjects, edges: Sequence[tuple[int, int]]) -> FrameLinks:
    """Return the tracks that edges make, from the place of an object to that of one after it."""
    frames = [key.frame for key in objects.keys]
    segment_of, parents = tracks_in_graph(frames, edges, [None] * len(frames), LeftOut())
    segments: dict[int, list[int]] = defaultdict(list)
    for place, segment in enumerate(segment_of):
        segments[segment].append(place)
    children: dict[int, list[int]] = defaultdict(list)
    for child, parent in parents.items():
        children[parent].append(child)
    return _gated(objects, segments, children)


class _Watched(Sequence[NDArray[np.float64]]):
    """What there is in each frame; whoever goes through the frames can be stopped at each."""

    def __init__(self, frames: Sequence[NDArray[np.float64]], check: Callable[[], None]) -> None:
        self._frames, self._check = frames, check

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Watched(self._frames[index], self._check)
        self._check()
        return self._frames[index]


def _gated(
    objects: FrameObjects, segments: dict[int, list[int]], splits: dict[int, list[int]]
) -> FrameLinks:
    """Return tracks that go on where they are split, with the splits that may be divisions.

    Of a split that is none, too: laptrack proposes many where objects only pass each other.
    """
    root = {segment: segment for segment in segments}
    divisions = []
    for parent in sorted(splits, key=lambda n: segments[n][0]):
        nearest, *daughters = sorted(
            splits[parent], key=lambda n: _cost(objects, segments, parent, n)
        )
        root[nearest] = root[parent]  # the one that is more like the mother goes on as her
        for daughter in daughters:
            ends = segments[parent][-1], segments[nearest][0], segments[daughter][0]
            if _is_division(objects, *ends):
                mother_at, *daughters_at = (objects.pixels[place] for place in ends)
                frame = max(objects.keys[place].frame for place in ends[1:])
                divisions.append(ProposedDivision(frame, mother_at, tuple(daughters_at)))
    places: dict[int, list[int]] = defaultdict(list)
    for segment in sorted(segments, key=lambda n: segments[n][0]):
        places[root[segment]] += segments[segment]
    tracks = sorted(sorted(members) for members in places.values())
    return FrameLinks([[objects.keys[place] for place in members] for members in tracks], divisions)


def _cost(
    objects: FrameObjects, segments: dict[int, list[int]], parent: int, child: int
) -> tuple[float, bool]:
    """Return how little a daughter is like the mother, in place and size, then in label_id."""
    last, first = segments[parent][-1], segments[child][0]
    distance = np.linalg.norm(objects.centers[first] - objects.centers[last])
    change = abs(np.log(objects.sizes[first] / objects.sizes[last]))
    is_other = objects.keys[first].label_id != objects.keys[last].label_id
    return round(float(distance / objects.diameter + change), 6), is_other


def _is_division(objects: FrameObjects, mother: int, first: int, second: int) -> bool:
    """Whether sizes and distances are those of a cell and its two daughters."""
    sizes = objects.sizes[[first, second]] / objects.sizes[mother]
    least, most = _DAUGHTERS
    is_sized = sizes.max() <= _LARGEST_DAUGHTER and least <= sizes.sum() <= most
    middle = objects.centers[[first, second]].mean(axis=0)
    apart = np.linalg.norm(objects.centers[first] - objects.centers[second])
    shift = np.linalg.norm(middle - objects.centers[mother])
    diameter = max(objects.diameter, objects.diameter_of(float(objects.sizes[mother])))
    return bool(is_sized and apart <= 2 * diameter and shift <= diameter)


def with_marked_divisions(tracks: TrackLabels, links: FrameLinks) -> FrameLinks:
    """Return links in which the divisions that are marked stay so, and are not proposed again."""
    mothers = {
        record.label_id: record.parent_id
        for record in tracks.registry
        if tracks.registry.get(record.parent_id) is not None
    }
    keys_there = {key for keys in links.tracks for key in keys}
    ends = {}
    for child, mother in mothers.items():
        first = FrameObject(tracks.frames(child).start, child)
        last = FrameObject(tracks.frames(mother).stop - 1, mother)
        if {first, last} <= keys_there:
            ends[first] = last
    lasts, parts = set(ends.values()), list[list[FrameObject]]()
    for keys in links.tracks:
        for number, key in enumerate(keys):
            if number == 0 or key in ends or parts[-1][-1] in lasts:
                parts.append([])
            parts[-1].append(key)
    place_of = {key: place for place, part in enumerate(parts) for key in (part[0], part[-1])}
    parents = {place_of[first]: place_of[last] for first, last in ends.items()}
    known = set(mothers.values())
    divisions = [n for n in links.divisions if n.mother_id(tracks.labels) not in known]
    return FrameLinks(parts, divisions, parents)


def plan_links(tracks: TrackLabels, links: FrameLinks) -> LabelsEdit:
    """Plan to give all objects of a track one label_id.

    A track has the label_id that its first object has, unless an earlier track has that already.
    """
    new_ids, used = tracks.new_label_ids(), set[int]()
    label_ids: list[int] = []
    moves: dict[tuple[int, int], list[int]] = defaultdict(list)
    for keys in paced(links.tracks):
        first_id = keys[0].label_id
        label_id = first_id if first_id not in used else next(new_ids)
        used.add(label_id)
        label_ids.append(label_id)
        for key in keys:
            if key.label_id != label_id:
                moves[key.label_id, label_id].append(key.frame)
    parents = {label_ids[child]: label_ids[parent] for child, parent in links.parents.items()}
    all_moves = [
        Move(label_id, range(frame, frame + 1), to)
        for (label_id, to), frames in moves.items()
        for frame in frames
    ]
    if not all_moves and not parents:  # they are tracks already, but may divide
        return LabelsEdit(tracks.labels, (), (), label_ids[0])
    return tracks.plan(all_moves, parents)


def links_of_points(
    tracks: TrackLabels, objects: FrameObjects, points: NDArray[Any], parents: Mapping[int, int]
) -> FrameLinks:
    """Return which objects are the same by the points of tracks, such as those of a file.

    Objects without a point stay what they are.

    Parameters
    ----------
    objects : FrameObjects
        Those of `frame_objects`.
    points : (N, 1 + n_axes) ndarray
        The track of each point, its frame, and its place along the other axes, in pixels. A point
        belongs to the object that it lies in; only the first one in an object counts.
    parents : mapping of int to int
        From a track to the one that divided into it.
    """
    members: dict[int, dict[int, FrameObject]] = defaultdict(dict)
    taken: set[FrameObject] = set()
    shape = tracks.labels.shape
    for track_id, frame, *place in paced(points.tolist()):
        index = list(map(round, place))
        index.insert(tracks.axis, round(frame))
        if len(index) == len(shape) and all(map(range.__contains__, map(range, shape), index)):
            key = FrameObject(round(frame), label_at(tracks.labels, tuple(index)))
            is_new = key not in taken and key.frame not in members[round(track_id)]
            if key.label_id > 0 and is_new:
                members[round(track_id)][key.frame] = key
                taken.add(key)
    unlinked: dict[int, list[FrameObject]] = defaultdict(list)
    for key in objects.keys:
        if key not in taken:
            unlinked[key.label_id].append(key)
    track_ids = sorted((n for n in members if members[n]), key=lambda n: (min(members[n]), n))
    numbers = {track_id: number for number, track_id in enumerate(track_ids)}
    linked = [[members[n][frame] for frame in sorted(members[n])] for n in track_ids]
    linked_parents = {
        numbers[child]: numbers[parent]
        for child, parent in parents.items()
        if child in numbers and parent in numbers
    }
    return FrameLinks([*linked, *unlinked.values()], parents=linked_parents)
