"""Matrix products by whichever of torch's libraries is fast on this processor."""

import time
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from napari_sam.model.sam.common import EXPORTING

_ROWS, _IN, _OUT = 1024, 320, 640  # as in the middle of an encoder
_ROUNDS = 3
_MANY = 16
_WORTH_IT = 0.8


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply a linear layer to (..., C): the same as `torch.nn.functional.linear`.

    torch has two libraries for it on a processor, and asks one for linear layers, the other for
    convolutions. Which is faster depends on the processor, in both directions by a factor of two.
    """
    is_float32_on_cpu = x.device.type == "cpu" and x.dtype == torch.float32
    if is_float32_on_cpu and not EXPORTING.get() and convolutions_are_faster():
        return _as_convolution(x, weight, bias)
    return F.linear(x, weight, bias)


def _as_convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply a linear layer as a 1 x 1 convolution of images with one token per row."""
    rows = x.numel() // x.shape[-1]
    # On a single core torch asks the library for convolutions only if there are many images.
    count = _MANY if rows % _MANY == 0 else 1
    images = x.reshape(count, rows // count, 1, x.shape[-1]).permute(0, 3, 1, 2)  # channels last
    result = F.conv2d(images, weight[:, :, None, None], bias)
    return result.permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)


@cache
def convolutions_are_faster() -> bool:
    """Tell, by trying once, whether linear layers are faster as convolutions here."""
    with torch.inference_mode():
        x, weight, bias = torch.rand(_ROWS, _IN), torch.rand(_OUT, _IN), torch.rand(_OUT)
        times = [
            (_time(F.linear, x, weight, bias), _time(_as_convolution, x, weight, bias))
            for _ in range(1 + _ROUNDS)
        ]
    plain_s, convolution_s = (min(column) for column in zip(*times[1:], strict=True))
    return bool(convolution_s < _WORTH_IT * plain_s)


def _time(
    function: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, weight: Tensor, bias: Tensor
) -> float:
    start_s = time.perf_counter()
    function(x, weight, bias)
    return time.perf_counter() - start_s


class Linear(nn.Linear):
    """A linear layer that takes the faster way on this processor."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        return linear(x, self.weight, self.bias)
