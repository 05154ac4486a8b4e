"""Maps that are computed some rows at a time: large ones would be written to memory and read again.

A large part of the time would go into fetching fresh memory for maps of hundreds of megabytes;
strips that fit into the cache of a processor use the same memory over and over.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

_STRIP: Final = 2**22
"""Values of a strip, about, on a processor; an accelerator takes all rows at once."""
_EPSILON: Final = 1e-5
"""Added to variances."""
_TENT: Final = 0.25, 0.75, 0.75, 0.25
"""Interpolation enlarges maps twofold by zeros in between and this filter."""


class Maps(ABC):
    """Maps (1, C, H, W) of which any rows can be computed.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W).
    device : torch.device
        Where they are.
    """

    def __init__(self, shape: tuple[int, int, int], device: torch.device) -> None:
        self.shape, self.device = shape, device

    @abstractmethod
    def rows(self, begin: int, end: int) -> Tensor:
        """Return the rows from one to another, the last excluded, (1, C, n, W)."""

    def convolved_rows(self, begin: int, end: int, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return rows of the result of a convolution of 3 x 3 pixels."""
        first, last = max(0, begin - 1), min(self.shape[1], end + 1)
        given = self.rows(first, last).contiguous(memory_format=torch.channels_last)
        result = F.conv2d(given, weight, bias, padding=1)
        return result[:, :, begin - first : end - first]

    def strips(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges of rows to compute at a time."""
        channels, height, width = self.shape
        step = height
        if self.device.type == "cpu":
            step = min(height, max(8, _STRIP // (channels * width)))
        for begin in range(0, height, step):
            yield begin, min(begin + step, height)

    def normalized(self) -> Maps:
        """Return each map brought to mean 0 and variance 1."""
        _, height, width = self.shape
        mean = self.mean()
        squares = [
            (self.rows(*strip) - mean).square_().sum((2, 3), keepdim=True)
            for strip in self.strips()
        ]
        factor = torch.rsqrt(torch.stack(squares).sum(dim=0) / (height * width) + _EPSILON)
        return self.scaled(-mean * factor, factor)

    def mean(self) -> Tensor:
        """Return the mean of each map, (1, C, 1, 1)."""
        sums = [self.rows(*strip).sum((2, 3), keepdim=True) for strip in self.strips()]
        return torch.stack(sums).sum(dim=0) / (self.shape[1] * self.shape[2])

    def scaled(self, offset: Tensor, factor: Tensor) -> Maps:
        """Return each map times a factor, plus an offset; both (1, C, 1, 1)."""
        return _Scaled(self, offset, factor)

    def convolved_strips(
        self, weight: Tensor, bias: Tensor | None
    ) -> Iterator[tuple[int, int, Tensor]]:
        """Yield the maps after a convolution of 3 x 3 pixels, without what is negative.

        When a strip is yielded, all that the next one needs has been read.
        """
        made: tuple[int, int, Tensor] | None = None
        for begin, end in self.strips():
            result = self.convolved_rows(begin, end, weight, bias).relu_()
            if made is not None:
                yield made
            made = begin, end, result
        if made is not None:
            yield made

    def convolved(self, weight: Tensor, bias: Tensor | None, into: Tensor | None = None) -> Tensor:
        """Return the result of `convolved_strips` as a whole.

        `into` is written over; these maps may be computed from it.
        """
        if into is None:
            into = torch.empty(
                *(1, len(weight), *self.shape[1:]),
                device=self.device,
                memory_format=torch.channels_last,
            )
        for begin, end, strip in self.convolved_strips(weight, bias):
            into[:, :, begin:end] = strip
        return into


class StoredMaps(Maps):
    """Maps that are there already, (1, C, H, W)."""

    def __init__(self, x: Tensor) -> None:
        super().__init__((x.shape[1], x.shape[2], x.shape[3]), x.device)
        self._x = x

    def rows(self, begin: int, end: int) -> Tensor:
        """Return what is there."""
        return self._x[:, :, begin:end]

    def middle(self, count: int) -> StoredMaps:
        """Return as many channels as asked for, without the outermost."""
        first = (self.shape[0] - count) // 2
        return StoredMaps(self._x[:, first : first + count])


class _Scaled(Maps):
    def __init__(self, maps: Maps, offset: Tensor, factor: Tensor) -> None:
        super().__init__(maps.shape, maps.device)
        self._maps, self._offset, self._factor = maps, offset, factor

    def rows(self, begin: int, end: int) -> Tensor:
        return torch.addcmul(self._offset, self._maps.rows(begin, end), self._factor)


class JoinedMaps(Maps):
    """Maps beside others of the same size."""

    def __init__(self, maps: Maps, others: Maps) -> None:
        channels, height, width = maps.shape
        super().__init__((channels + others.shape[0], height, width), maps.device)
        self._maps, self._others = maps, others

    def rows(self, begin: int, end: int) -> Tensor:
        """Return those of both."""
        return torch.cat([self._maps.rows(begin, end), self._others.rows(begin, end)], dim=1)

    def convolved_rows(self, begin: int, end: int, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve both on their own: the sum is the same, and the first may have a short way."""
        channels = self._maps.shape[0]
        result = self._maps.convolved_rows(begin, end, weight[:, :channels], None)
        return result.add_(self._others.convolved_rows(begin, end, weight[:, channels:], bias))


class InterpolatedMaps(Maps):
    """Maps (1, C, h, w) enlarged twofold.

    A convolution of enlarged maps takes a fourth of the multiplications here. Interpolation is a
    filter, `_TENT` along both axes, of maps with zeros between their pixels; filters commute, and
    to convolve before is to multiply no zeros. Only at the edges of the maps, outside of which
    the convolution finds zeros and the filter does not, the result differs: there, it is computed
    from enlarged maps.
    """

    def __init__(self, x: Tensor) -> None:
        _, channels, height, width = x.shape
        super().__init__((channels, 2 * height, 2 * width), x.device)
        self._x = x

    def rows(self, begin: int, end: int) -> Tensor:
        """Interpolate between as few rows as needed."""
        # With a row more at both ends, so that no row is made of what is not there.
        first, last = max(0, begin // 2 - 1), min(self._x.shape[2], (end + 1) // 2 + 1)
        part = F.interpolate(
            self._x[:, :, first:last], scale_factor=2, mode="bilinear", align_corners=False
        )
        return part[:, :, begin - 2 * first : end - 2 * first]

    def mean(self) -> Tensor:
        """Return that of the smaller maps, which is the same."""
        return self._x.mean((2, 3), keepdim=True)

    def scaled(self, offset: Tensor, factor: Tensor) -> Maps:
        """Scale the smaller maps."""
        return InterpolatedMaps(torch.addcmul(offset, self._x, factor))

    def convolved_rows(self, begin: int, end: int, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve, then interpolate."""
        height = self._x.shape[2]
        first, last = begin // 2 - 1, (end + 1) // 2 + 1
        part = self._x[:, :, max(0, first) : min(height, last)]
        padded = F.pad(part, (1, 1, max(0, -first), max(0, last - height)), mode="replicate")
        # A transposed convolution puts the zeros in between.
        kernel = weight.transpose(0, 1).flip(2, 3).contiguous()
        spread = F.conv_transpose2d(padded, kernel, stride=2, padding=1)
        tent = weight.new_tensor(_TENT)
        filters = (tent[:, None] * tent).repeat(len(weight), 1, 1, 1)
        result = F.conv2d(spread, filters, bias, groups=len(weight))
        result = result[:, :, begin - 2 * first - 2 : end - 2 * first - 2]
        self._take_edges(result, begin, end, weight, bias)
        return result

    def _take_edges(
        self, result: Tensor, begin: int, end: int, weight: Tensor, bias: Tensor | None
    ) -> None:
        """Write the outermost pixels of convolved maps into some rows of these."""
        height = self.shape[1]
        first, last = max(0, begin - 1), min(height, end + 1)
        for columns, kernel_columns, place in (
            (slice(2), slice(1, None), 0),
            (slice(-2, None), slice(-1), -1),
        ):
            given = InterpolatedMaps(self._x[..., columns]).rows(first, last)[..., columns]
            edge = F.conv2d(given, weight[..., kernel_columns], bias, padding=(1, 0))
            result[..., place] = edge[:, :, begin - first : end - first, 0]
        if begin == 0:
            result[:, :, :1] = F.conv2d(self.rows(0, 2), weight[:, :, 1:], bias, padding=(0, 1))
        if end == height:
            given = self.rows(height - 2, height)
            result[:, :, -1:] = F.conv2d(given, weight[:, :, :-1], bias, padding=(0, 1))


class TransposedMaps(Maps):
    """Maps (1, C, h, w) enlarged twofold by a transposed convolution."""

    def __init__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        _, _, height, width = x.shape
        super().__init__((weight.shape[1], 2 * height, 2 * width), x.device)
        self._x, self._weight, self._bias = x, weight, bias

    def rows(self, begin: int, end: int) -> Tensor:
        """Enlarge as few rows as needed."""
        first, last = begin // 2, (end + 1) // 2
        part = F.conv_transpose2d(self._x[:, :, first:last], self._weight, self._bias, stride=2)
        return part[:, :, begin - 2 * first : end - 2 * first]
