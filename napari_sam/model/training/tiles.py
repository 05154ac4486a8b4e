"""The tiles that a model is trained on, and the objects in them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_sam.engine.embeddings import EmbeddingArrays

BEYOND = -1
"""Label of the cells where there is no image."""


@dataclass(frozen=True, eq=False)
class TrainingTile:
    """A part of an image that the model sees at once, with its objects.

    Parameters
    ----------
    labels : (s, s) int16 ndarray
        The object at each cell of the low-resolution logits; 0 is background, `BEYOND` padding.
    label_ids : tuple of int
        The objects to learn from.
    read : callable
        Returns the pixels as the model sees them, (h, w, 3) uint8.
    embed : callable
        Returns the image embedding as arrays in float32.
    """

    labels: npt.NDArray[np.int16]
    label_ids: tuple[int, ...]
    read: Callable[[], npt.NDArray[np.uint8]]
    embed: Callable[[], EmbeddingArrays]

    def some(self, label_ids: Sequence[int]) -> "TrainingTile":
        """Return the tile with some of its objects."""
        return TrainingTile(self.labels, tuple(label_ids), self.read, self.embed)


def visits_of(
    tiles: Sequence[TrainingTile], count: int, at_once: int, rng: np.random.Generator
) -> Iterator[TrainingTile]:
    """Yield tiles with a few objects each, in random order, until so many objects were visited.

    Every object comes once before any comes again.
    """
    left = count
    while left > 0:
        parts = [part for tile in tiles for part in _parts(tile, at_once, rng)]
        for number in rng.permutation(len(parts)):
            part = parts[number].some(parts[number].label_ids[:left])
            yield part
            left -= len(part.label_ids)
            if left <= 0:
                return


def _parts(tile: TrainingTile, at_once: int, rng: np.random.Generator) -> Iterator[TrainingTile]:
    label_ids = [int(label_id) for label_id in rng.permutation(tile.label_ids)]
    for first in range(0, len(label_ids), at_once):
        yield tile.some(label_ids[first : first + at_once])
