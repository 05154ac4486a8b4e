"""Image embeddings: what an encoder computes from an image, in memory and as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_sam.engine.spec import ModelSpec, Size

EmbeddingArrays = Mapping[str, npt.NDArray[Any]]
"""The arrays of an image embedding by their names in `ModelSpec.arrays`."""


class ImageEmbedding(Protocol):
    """Everything a mask decoder needs to know about one image.

    It belongs to whatever made it, which may keep it on a device, with more than its arrays.
    """

    @property
    def original_size(self) -> Size:
        """(H, W) of the image."""

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""

    def to_arrays(self) -> EmbeddingArrays:
        """Return the arrays to store, cache or send; `MaskDecoder.from_arrays` takes them back."""


@dataclass(frozen=True, eq=False)
class ArrayEmbedding:
    """An image embedding that is nothing but its arrays.

    Attributes
    ----------
    arrays : mapping of str to ndarray
        By name.
    original_size : tuple of int
        (H, W) of the image.
    """

    arrays: EmbeddingArrays
    original_size: Size

    @classmethod
    def from_arrays(
        cls, arrays: EmbeddingArrays, original_size: Size, spec: ModelSpec
    ) -> ArrayEmbedding:
        """Make an embedding of arrays that were stored or sent.

        Raises
        ------
        ValueError
            If they are not those of the model.
        """
        check_arrays(arrays, spec)
        return cls(dict(arrays), original_size)

    def to_arrays(self) -> EmbeddingArrays:
        """Return the arrays."""
        return self.arrays

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(array.nbytes for array in self.arrays.values())


def check_arrays(arrays: EmbeddingArrays, spec: ModelSpec) -> None:
    """Raise ValueError if arrays have other names or shapes than a model's.

    Their types may differ: a decoder knows itself which of them it can convert.
    """
    given = {name: array.shape for name, array in arrays.items()}
    expected = {array.name: array.shape for array in spec.arrays}
    if given != expected:
        raise ValueError(
            f"The image embedding consists of {given}, that of this model of {expected}. Encode "
            "the image again."
        )


def as_float32(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return an array of an embedding as float32, exactly."""
    if array.dtype == np.uint16:  # the bits of bfloat16, the upper half of float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32, copy=False)
