"""Link the objects of each frame by the package Trackastra, where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.objects.labels import TargetError
from napari_sam.session.tracks.frame_links import FrameLinks, FrameObject, FrameObjects, linked_by
from napari_sam.session.tracks.planning import TrackLabels

_MODEL: Final = "general_2d"


def is_trackastra_installed() -> bool:
    """Whether `link_by_trackastra` can work; nothing is imported."""
    return find_spec("trackastra") is not None


def link_by_trackastra(
    tracks: TrackLabels,
    objects: FrameObjects,
    images: NDArray[Any],
    check: Callable[[], None] = lambda: None,
) -> FrameLinks:
    """Link the objects of the frames to tracks by how they look and move.

    Trackastra downloads its model, `general_2d`, to its own cache when it is first used.

    Parameters
    ----------
    objects : FrameObjects
        Those of `frame_objects`.
    images : (T, Y, X) ndarray
        The frames.
    check : callable
        Called again and again; may raise to stop.

    Raises
    ------
    TargetError
        If the frames are no gray images as large as the labels, there are no objects to link, or
        the model cannot be loaded.
    """
    labels = tracks.labels
    masks = np.moveaxis(labels.read(tuple(map(slice, labels.shape))), tracks.axis, 0)
    if masks.ndim != 3 or images.shape != masks.shape:
        raise TargetError(
            "Trackastra links objects in films of two dimensions: press Link frames instead."
        )
    if len({key.frame for key in objects.keys}) < 2:
        raise TargetError("There is nothing to link: segment objects in two frames or more first.")
    from trackastra.model import Trackastra

    try:
        model = Trackastra.from_pretrained(_MODEL, device="automatic")
    except (OSError, BadZipFile) as error:
        raise TargetError(f"Trackastra could not load its model ({error}): try again.") from error

    class Checked:
        """What Trackastra goes through; it calls it as a progress bar."""

        def __init__(self, iterable: Iterable[Any], *_: Any, **__: Any) -> None:
            self._iterable = iterable

        def __iter__(self) -> Iterator[Any]:
            for item in self._iterable:
                check()
                yield item

    graph, _ = model.track(images, masks, mode="greedy", progbar_class=Checked)
    place_of = {key: place for place, key in enumerate(objects.keys)}

    def place(node: Any) -> int:
        about = graph.nodes[node]
        return place_of[FrameObject(int(about["time"]), int(about["label"]))]

    return linked_by(objects, [(place(first), place(last)) for first, last in graph.edges])
