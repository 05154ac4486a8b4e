"""Decode the embedding of an image to the maps of its objects, on the predictor's device."""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.instances import InstanceMaps
from napari_sam.engine.protocols import ProgressCallback
from napari_sam.engine.spec import Size
from napari_sam.model.embedding import SamEmbedding
from napari_sam.model.instance_decoder.unetr import Unetr
from napari_sam.model.runtime.streams import Streams


class InstancePredictor:
    """Runs the network of an instance decoder: an `InstanceDecoder`.

    Parameters
    ----------
    network : Unetr
        On the device.
    input_side : int
        Side of the model's square input.
    streams : Streams
        Of the predictor.
    check : callable
        Returns an embedding if it is of the predictor's device and precision.
    """

    def __init__(
        self,
        network: Unetr,
        input_side: int,
        streams: Streams,
        check: Callable[[ImageEmbedding], SamEmbedding],
    ) -> None:
        self._network, self._input_side = network, input_side
        self._streams, self._check = streams, check

    def decode(
        self,
        embedding: ImageEmbedding,
        size: Size | None = None,
        on_block: ProgressCallback | None = None,
    ) -> InstanceMaps:
        """Compute the maps of an image; see `InstanceDecoder.decode`.

        Raises
        ------
        ValueError
            If the embedding is not of the predictor's device and precision.
        """
        checked = self._check(embedding)
        with torch.inference_mode(), self._streams.own():
            maps = self._network(checked.image_embedding.float(), on_block)
            # As published: to the square input, whose padding is cut off, then to the image.
            square = _resized(maps, (self._input_side, self._input_side))
            height, width = checked.input_size
            resized = _resized(square[:, :height, :width], size or checked.original_size)
            return InstanceMaps(*self._streams.receive(resized))


def _resized(maps: Tensor, size: Size) -> Tensor:
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps[None], size, mode="bilinear", align_corners=False)[0]
