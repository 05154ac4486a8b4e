"""What the session has to know about a model before it uses one."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

Size = tuple[int, int]
"""(H, W) in pixels."""


class Capability(StrEnum):
    """What a model can do beside answering points and boxes."""

    MASK_PROMPT = "mask_prompt"
    """`MaskDecoder.decode` takes a `mask_input`."""
    SINGLE_PROMPT = "single_prompt"
    """`MaskDecoder.decode` takes `is_only`."""
    MEMORY = "memory"
    """It segments a slice or frame given the masks of others."""
    INSTANCE_DECODER = "instance_decoder"
    """It segments all objects of an image without a prompt."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of an image embedding.

    Attributes
    ----------
    name : str
        Its key in `ImageEmbedding.to_arrays`.
    shape : tuple of int
        The same for all images.
    dtype : str
        A NumPy type; "uint16" holds the bits of bfloat16, which NumPy lacks.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class ModelSpec:
    """The sizes and capabilities of a model.

    Attributes
    ----------
    input_side : int
        Side of the square input, in pixels. An image fills its longer side, from the top left.
    low_res_side : int
        Side of the low-resolution logits, which cover the square input.
    arrays : tuple of ArraySpec
        What an image embedding consists of.
    candidate_count : int
        Masks that `decode` returns for an ambiguous prompt.
    capabilities : frozenset of Capability
        What the model can do beside answering points and boxes.

    Examples
    --------
    >>> SAM_SPEC.input_size((1200, 1800))
    (683, 1024)
    >>> Capability.MASK_PROMPT in SAM_SPEC.capabilities
    True
    """

    input_side: int
    low_res_side: int
    arrays: tuple[ArraySpec, ...]
    candidate_count: int
    capabilities: frozenset[Capability] = frozenset()

    def input_size(self, original_size: Size) -> Size:
        """Return the (H, W) to which an image is resized inside the square input."""
        return resized_size(original_size, self.input_side)

    @property
    def embedding_nbytes(self) -> int:
        """Size of an image embedding as arrays, in bytes."""
        return sum(array.nbytes for array in self.arrays)


SAM_SPEC = ModelSpec(
    input_side=1024,
    low_res_side=256,
    arrays=(ArraySpec("image_embedding", (256, 64, 64)),),
    candidate_count=3,
    capabilities=frozenset({Capability.MASK_PROMPT, Capability.SINGLE_PROMPT}),
)
"""That of all published variants of SAM, in float32."""

SAM2_SPEC = ModelSpec(
    input_side=1024,
    low_res_side=256,
    arrays=(
        ArraySpec("image_embedding", (256, 64, 64)),
        ArraySpec("high_res_1", (64, 128, 128)),
        ArraySpec("high_res_0", (32, 256, 256)),
    ),
    candidate_count=3,
    capabilities=frozenset({Capability.MASK_PROMPT, Capability.SINGLE_PROMPT, Capability.MEMORY}),
)
"""That of all published variants of SAM 2.1, in float32."""


def resized_size(original_size: Size, input_side: int) -> Size:
    """Return the size whose longest side is `input_side`, both (H, W) in pixels.

    Examples
    --------
    >>> resized_size((1200, 1800), 1024)
    (683, 1024)
    >>> resized_size((1, 5000), 1024)
    (1, 1024)
    """
    scale = input_side / max(original_size)
    # A very thin image must not vanish.
    height, width = (max(1, int(side * scale + 0.5)) for side in original_size)
    return height, width
