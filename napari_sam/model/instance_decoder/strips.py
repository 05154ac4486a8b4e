"""Maps that are computed some rows at a time: large ones would be written to memory and read again.

A large part of the time would go into fetching fresh memory for maps of hundreds of megabytes;
strips that fit into the cache of a processor use the same memory over and over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

_STRIP: Final = 2**22
"""Values of a strip, about, on a processor; an accelerator takes all rows at once."""
_EPSILON: Final = 1e-5
"""Added to variances."""


class Maps(NamedTuple):
    """Maps (1, C, H, W) of which any rows can be computed.

    Attributes
    ----------
    rows : callable
        Returns the rows from one to another, the last excluded, (1, C, n, W).
    shape : tuple of int
        (C, H, W).
    device : torch.device
        Where they are.
    """

    rows: Callable[[int, int], Tensor]
    shape: tuple[int, int, int]
    device: torch.device

    @classmethod
    def of(cls, x: Tensor) -> Maps:
        """Return maps that are there already, (1, C, H, W)."""
        _, channels, height, width = x.shape
        return cls(lambda begin, end: x[:, :, begin:end], (channels, height, width), x.device)

    def strips(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges of rows to compute at a time."""
        channels, height, width = self.shape
        step = height
        if self.device.type == "cpu":
            step = min(height, max(8, _STRIP // (channels * width)))
        for begin in range(0, height, step):
            yield begin, min(begin + step, height)

    def middle(self, count: int) -> Maps:
        """Return as many channels as asked for, without the outermost."""
        channels, height, width = self.shape
        first = (channels - count) // 2
        rows = self.rows
        return self._replace(
            rows=lambda begin, end: rows(begin, end)[:, first : first + count],
            shape=(count, height, width),
        )

    def normalized(self) -> Maps:
        """Return each map brought to mean 0 and variance 1."""
        _, height, width = self.shape
        sums = [self.rows(*strip).sum((2, 3), keepdim=True) for strip in self.strips()]
        mean = torch.stack(sums).sum(dim=0) / (height * width)
        squares = [
            (self.rows(*strip) - mean).square_().sum((2, 3), keepdim=True)
            for strip in self.strips()
        ]
        factor = torch.rsqrt(torch.stack(squares).sum(dim=0) / (height * width) + _EPSILON)
        offset, rows = -mean * factor, self.rows
        return self._replace(
            rows=lambda begin, end: torch.addcmul(offset, rows(begin, end), factor)
        )

    def beside(self, other: Maps) -> Maps:
        """Return these maps and others of the same size."""
        channels, height, width = self.shape
        mine, others = self.rows, other.rows
        return self._replace(
            rows=lambda begin, end: torch.cat([mine(begin, end), others(begin, end)], dim=1),
            shape=(channels + other.shape[0], height, width),
        )

    def convolved_strips(
        self, weight: Tensor, bias: Tensor | None
    ) -> Iterator[tuple[int, int, Tensor]]:
        """Yield the maps after a convolution of 3 x 3 pixels, without what is negative.

        When a strip is yielded, all that the next one needs has been read.
        """
        height = self.shape[1]
        made: tuple[int, int, Tensor] | None = None
        for begin, end in self.strips():
            first, last = max(0, begin - 1), min(height, end + 1)
            given = self.rows(first, last).contiguous(memory_format=torch.channels_last)
            if made is not None:
                yield made
            result = F.conv2d(given, weight, bias, padding=1)
            made = begin, end, result[:, :, begin - first : end - first].relu_()
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


def interpolated(x: Tensor) -> Maps:
    """Return maps (1, C, h, w) enlarged twofold."""
    _, channels, height, width = x.shape

    def rows(begin: int, end: int) -> Tensor:
        # With a row more at both ends, so that no row is made of what is not there.
        first, last = max(0, begin // 2 - 1), min(height, (end + 1) // 2 + 1)
        part = F.interpolate(
            x[:, :, first:last], scale_factor=2, mode="bilinear", align_corners=False
        )
        return part[:, :, begin - 2 * first : end - 2 * first]

    return Maps(rows, (channels, 2 * height, 2 * width), x.device)


def transposed(x: Tensor, weight: Tensor, bias: Tensor | None) -> Maps:
    """Return maps (1, C, h, w) enlarged twofold by a transposed convolution."""
    _, _, height, width = x.shape

    def rows(begin: int, end: int) -> Tensor:
        first, last = begin // 2, (end + 1) // 2
        part = F.conv_transpose2d(x[:, :, first:last], weight, bias, stride=2)
        return part[:, :, begin - 2 * first : end - 2 * first]

    return Maps(rows, (weight.shape[1], 2 * height, 2 * width), x.device)
