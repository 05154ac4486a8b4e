"""The image embeddings of SAM and SAM 2, on the device of their predictor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_sam.engine.embeddings import EmbeddingArrays, ImageEmbedding, check_arrays
from napari_sam.engine.spec import ArraySpec, ModelSpec, Size
from napari_sam.model.sam.base import IMAGE_EMBEDDING, SegmentAnything

_ARRAY_TYPES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "uint16"}


@dataclass(frozen=True, eq=False)
class SamEmbedding:
    """An image as the decoder needs it, on the predictor's device.

    Attributes
    ----------
    maps : mapping of str to Tensor
        What the encoder gave, (C, H, W) each by name, in the predictor's precision; the image
        embedding (C, e, e) is the first.
    original_size, input_size : tuple of int
        (H, W) of the image and of its resized version inside the square input.
    """

    maps: Mapping[str, Tensor]
    original_size: Size
    input_size: Size

    @property
    def image_embedding(self) -> Tensor:
        """The image embedding, (C, e, e)."""
        return self.maps[IMAGE_EMBEDDING]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(part.nbytes for part in self.maps.values())

    def numpy(self) -> npt.NDArray[np.float32]:
        """Return a copy of the plain embedding, (C, e, e) float32."""
        return self.image_embedding.float().cpu().numpy().copy()

    def to_arrays(self) -> EmbeddingArrays:
        """Return the maps of the image in the predictor's precision; bfloat16 as its bits."""
        return {name: _array(part) for name, part in self.maps.items()}


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(np.uint16)
    array: npt.NDArray[Any] = tensor.numpy()
    return array


def embedding_spec(model: SegmentAnything, dtype: torch.dtype) -> tuple[ArraySpec, ...]:
    """Return the arrays of an embedding of a model in a precision."""
    parts = zip(model.map_names, model.map_shapes, strict=True)
    return tuple(ArraySpec(name, shape, _ARRAY_TYPES[dtype]) for name, shape in parts)


def maps_of(arrays: EmbeddingArrays, spec: ModelSpec, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Return the maps of an image in arrays as tensors on the CPU.

    Raises
    ------
    ValueError
        If they are of another model or precision; float32 fits any precision.
    """
    check_arrays(arrays, spec)
    return tuple(_tensor(np.array(arrays[part.name]), dtype) for part in spec.arrays)


def _tensor(array: npt.NDArray[Any], dtype: torch.dtype) -> Tensor:
    if array.dtype == np.float32:
        return torch.from_numpy(array).to(dtype)
    if array.dtype != np.dtype(_ARRAY_TYPES[dtype]):
        raise ValueError(
            f"The image embedding is {array.dtype}, and this predictor computes in {dtype}. "
            "Encode the image again."
        )
    return torch.from_numpy(array.view(np.int16)).view(dtype)


def checked(embedding: ImageEmbedding, dtype: torch.dtype, device: str) -> SamEmbedding:
    """Return an embedding if it is of a precision and device, else raise ValueError."""
    if not isinstance(embedding, SamEmbedding):
        name = type(embedding).__name__
        raise ValueError(f"The image embedding is a {name}; pass its arrays to from_arrays.")
    given = embedding.image_embedding
    if given.dtype != dtype or given.device.type != torch.device(device).type:
        raise ValueError(
            f"The image embedding is {given.dtype} on {given.device}, this predictor is "
            f"{dtype} on {device}; encode the image again with this predictor."
        )
    return embedding
