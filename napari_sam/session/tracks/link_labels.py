"""Link the objects of a film to tracks, for scripts."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.objects.labels import ArrayLabels
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.tracks.divisions import ProposedDivision, plan_confirmed
from napari_sam.session.tracks.frame_links import frame_objects, link_frames, plan_links
from napari_sam.session.tracks.lineage import Lineages
from napari_sam.session.tracks.planning import TrackLabels


def link_labels(
    labels: NDArray[Any],
    axis: int = 0,
    *,
    scale: Sequence[float] | None = None,
    max_distance: float | None = None,
    max_gap: int = 1,
    confirm: Callable[[ProposedDivision], bool] = lambda division: False,
) -> tuple[NDArray[Any], Lineages]:
    """Link the objects of each frame of a film to tracks.

    Needs the package laptrack: ``pip install "napari-sam-live[tracks]"``.

    Parameters
    ----------
    labels : integer ndarray of 3 or 4 axes
        0 is background. The objects of each frame may be numbered by themselves.
    axis : int
        That of time.
    scale : sequence of float, optional
        The size of a pixel along each axis; 1 by default.
    max_distance : float, optional
        How far an object moves from frame to frame at the most, in the unit of `scale`; by default
        one and a half times the diameter of an object.
    max_gap : int
        In how many frames in a row an object may be missing.
    confirm : callable
        Decides which of the proposed divisions are true; by default none is.

    Returns
    -------
    linked : integer ndarray
        The labels, in which a track has one label_id in all its frames.
    lineages : Lineages
        The tracks, with their first and last frames and their parents.

    Raises
    ------
    TargetError
        If laptrack is not installed, there are no objects, or the type has not enough label_ids.
    """
    linked = ArrayLabels(np.array(labels))
    linked.registry.replace_all(find_objects(linked))
    tracks = TrackLabels(linked, axis)
    links = link_frames(frame_objects(linked, axis, scale), max_distance, max_gap)
    plan_links(tracks, links).write().apply_records()
    for division in links.divisions:
        if confirm(division):
            plan_confirmed(tracks, division).write().apply_records()
    return linked.array, Lineages(linked.registry, axis)
