"""Tracks as graphs of points, in which many programs have them, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.tracks import Tracks
from napari_sam.storage.pacing import paced

EDGE: Final = "edge"
MERGE: Final = "merge of two tracks"


def edges_of(track_ids: Sequence[int], parents: Mapping[int, int]) -> list[tuple[int, int]]:
    """Return the edges between points: from each to the next of its track, and to daughters.

    Parameters
    ----------
    track_ids : sequence of int
        The track of each point; those of a track follow each other, by frames.
    parents : mapping of int to int
        From a track to the one that divided into it.

    Returns
    -------
    list of (int, int)
        The places of the points that each edge joins.
    """
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    edges = []
    for place, track_id in enumerate(track_ids):
        if track_id in last:
            edges.append((last[track_id], place))
        first.setdefault(track_id, place)
        last[track_id] = place
    edges += [
        (last[parent], first[child])
        for child, parent in parents.items()
        if child in first and parent in last
    ]
    return edges


def tracks_in_graph(
    frames: Sequence[int],
    edges: Iterable[tuple[int, int]],
    labels: Sequence[int | None],
    left_out: LeftOut,
) -> tuple[list[int], dict[int, int]]:
    """Return the track of each point of a graph, and which track divided into which.

    A track ends where its point has several followers, or where the labels of the points differ.
    Of several points before one, only the first counts: tracks that merge are left out.

    Parameters
    ----------
    frames : sequence of int
        The frame of each point.
    edges : iterable of (int, int)
        The places of two points, in either order.
    labels : sequence of int or None
        The label_id that the file gives each point, if it does.

    Returns
    -------
    track_ids : list of int
        One for each point: its label, unless several tracks have that.
    parents : dict of int to int
        From a track to the one that divided into it.
    """
    followers: dict[int, list[int]] = defaultdict(list)
    predecessor: dict[int, int] = {}
    for pair in sorted(edges, key=lambda edge: sorted((frames[edge[0]], frames[edge[1]]))):
        source, target = sorted(pair, key=lambda place: frames[place])
        if frames[source] == frames[target]:
            left_out.add(EDGE)
        elif target in predecessor:
            left_out.add(MERGE)
        else:
            predecessor[target] = source
            followers[source].append(target)
    beginning: dict[int, int] = {}  # of the track of each point
    for place in paced(sorted(range(len(frames)), key=lambda n: (frames[n], n))):
        source = predecessor.get(place, -1)
        goes_on = len(followers.get(source, ())) == 1 and labels[source] == labels[place]
        beginning[place] = beginning[source] if goes_on else place
    ids = _track_ids(list(dict.fromkeys(beginning.values())), labels)
    parents = {
        ids[place]: ids[beginning[predecessor[place]]] for place in ids if place in predecessor
    }
    return [ids[beginning[place]] for place in range(len(frames))], parents


def _track_ids(beginnings: Sequence[int], labels: Sequence[int | None]) -> dict[int, int]:
    """Return the id of each track, by its first point."""
    used: set[int] = set()
    ids: dict[int, int] = {}
    for place in beginnings:
        label = labels[place]
        if label is not None and label > 0 and label not in used:
            ids[place] = label
            used.add(label)
    free = max(used, default=0)
    for place in beginnings:
        if place not in ids:
            free += 1
            ids[place] = free
    return ids


def tracks_of_points(
    track_ids: Sequence[int],
    frames: Sequence[int],
    places: NDArray[np.float64],
    parents: Mapping[int, int],
    left_out: LeftOut,
) -> Tracks:
    """Return points as `Tracks`, in their order; parents without a point are left out."""
    columns = np.asarray(track_ids, float), np.asarray(frames, float), places
    points = np.column_stack(columns).reshape(-1, 2 + places.shape[1])
    present = set(track_ids)
    kept = {child: parent for child, parent in parents.items() if {child, parent} <= present}
    return Tracks(points[np.lexsort((points[:, 1], points[:, 0]))], kept, left_out)
