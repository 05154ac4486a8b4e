"""Models that segment all objects of an image without a prompt."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.protocols import MaskDecoder, ProgressCallback
from napari_sam.engine.spec import Capability, Size


class InstanceMaps(NamedTuple):
    """What an instance decoder tells of each pixel, from 0 to 1.

    Attributes
    ----------
    foreground : ndarray
        (H, W) float32, how likely the pixel belongs to an object.
    center_distances, boundary_distances : ndarray
        (H, W) float32, low far inside an object: near its center, and far from its boundary.
    """

    foreground: npt.NDArray[np.float32]
    center_distances: npt.NDArray[np.float32]
    boundary_distances: npt.NDArray[np.float32]

    @property
    def size(self) -> Size:
        """(H, W) in pixels."""
        height, width = self.foreground.shape
        return height, width


class InstanceDecoder(Protocol):
    """Decodes the embedding of an image to maps of its objects; may be called on any thread."""

    def decode(
        self,
        embedding: ImageEmbedding,
        size: Size | None = None,
        on_block: ProgressCallback | None = None,
    ) -> InstanceMaps:
        """Compute the maps of an image.

        Parameters
        ----------
        embedding : ImageEmbedding
            As `MaskDecoder.decode` takes it.
        size : tuple of int, optional
            (H, W) of the maps, to which the image is scaled; by default its own.
        on_block : callable, optional
            Called as ``on_block(done, total)`` between parts of the network, on this thread; what
            it raises ends the work.

        Returns
        -------
        InstanceMaps
            Of this size.
        """


class DecodesInstances(Protocol):
    """A decoder whose model has `Capability.INSTANCE_DECODER`."""

    @property
    def instance_decoder(self) -> InstanceDecoder:
        """The decoder of all objects, of the same embeddings."""


def instance_decoder_of(decoder: MaskDecoder) -> InstanceDecoder | None:
    """Return the decoder of all objects that a model has; None if it has none."""
    if Capability.INSTANCE_DECODER not in decoder.spec.capabilities:
        return None
    found: InstanceDecoder = decoder.instance_decoder  # type: ignore[attr-defined]
    return found
