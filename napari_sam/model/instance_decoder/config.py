"""The shape of an instance decoder, and how to tell it from the weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from torch import Tensor

MAP_COUNT: Final = 3
"""The maps that a decoder gives; see `InstanceMaps`."""
_FIRST: Final = "base.block.1.weight"
_LAST: Final = "out_conv.weight"
_SAMPLERS: Final = "decoder.samplers."
_TRANSPOSED: Final = ".block."


@dataclass(frozen=True)
class InstanceDecoderConfig:
    """The shape of an instance decoder.

    Parameters
    ----------
    embed_dim : int
        Channels of the image embedding.
    width : int
        Channels at the finest of the four levels; each coarser one has twice as many.
    is_transposed : bool
        Whether maps are enlarged by transposed convolutions, in place of interpolation followed by
        a convolution of single pixels.
    """

    embed_dim: int = 256
    width: int = 64
    is_transposed: bool = False

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Channels of the four levels, the coarsest first."""
        return self.width * 8, self.width * 4, self.width * 2, self.width


def is_instance_decoder(state: Mapping[str, object]) -> bool:
    """Tell the weights of an instance decoder from those of a whole model, by their names."""
    return _FIRST in state and _LAST in state


def detect_config(state: Mapping[str, Tensor]) -> InstanceDecoderConfig:
    """Return the shape that weights have; whether all of them fit it remains to be checked."""
    first, last = state[_FIRST], state[_LAST]
    return InstanceDecoderConfig(
        embed_dim=first.shape[1] if first.ndim == 4 else InstanceDecoderConfig.embed_dim,
        width=last.shape[1] if last.ndim == 4 else InstanceDecoderConfig.width,
        is_transposed=any(key.startswith(_SAMPLERS) and _TRANSPOSED in key for key in state),
    )
