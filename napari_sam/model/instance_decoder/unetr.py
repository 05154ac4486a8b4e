"""The network of an instance decoder: an image embedding in, three maps out.

Source: A. Archit et al., "Segment Anything for Microscopy" (Nature Methods 2025,
doi:10.1038/s41592-024-02580-4), after A. Hatamizadeh et al., "UNETR" (WACV 2022,
arXiv:2103.10504). The decoder sees the embedding alone, nothing of the layers of the encoder.

The names of the parts are those of the published weights. What is written here computes the same
in another order: convolutions go before the interpolation, which commutes with them, and large
maps are computed in strips.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_sam.engine.protocols import ProgressCallback
from napari_sam.model.instance_decoder.config import MAP_COUNT, InstanceDecoderConfig
from napari_sam.model.instance_decoder.strips import (
    InterpolatedMaps,
    JoinedMaps,
    Maps,
    StoredMaps,
    TransposedMaps,
)


class _Interpolation(nn.Module):
    """Enlarges maps twofold, and mixes their channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Maps:
        return InterpolatedMaps(self.conv(x))

    def whole(self, x: Tensor) -> Tensor:
        """Return all rows, with gradients."""
        mixed = self.conv(x)
        return F.interpolate(mixed, scale_factor=2, mode="bilinear", align_corners=False)


class _TransposedConvolution(nn.Module):
    """Enlarges maps twofold by a learned kernel."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.block = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)

    def forward(self, x: Tensor) -> Maps:
        return TransposedMaps(x, self.block.weight, self.block.bias)

    def whole(self, x: Tensor) -> Tensor:
        """Return all rows, with gradients."""
        enlarged: Tensor = self.block(x)
        return enlarged


def _upsampler(config: InstanceDecoderConfig, in_channels: int, out_channels: int) -> nn.Module:
    kind = _TransposedConvolution if config.is_transposed else _Interpolation
    return kind(in_channels, out_channels)


class _Convolution(nn.Module):
    """A convolution under the name that the published weights have for it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, x: Maps) -> Tensor:
        return x.convolved(self.block.weight, self.block.bias)


class _Deconvolution(nn.Module):
    """Enlarges maps twofold and convolves them."""

    def __init__(self, config: InstanceDecoderConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            _upsampler(config, in_channels, out_channels),
            _Convolution(out_channels),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Only after `fold`."""
        deconvolved: Tensor = self.block(x)
        return deconvolved

    def whole(self, x: Tensor) -> Tensor:
        """Return all rows, with gradients; only before `fold`."""
        sampler, convolution, norm = list[Any](self.block)
        return F.relu(norm(convolution.block(sampler.whole(x))))

    def fold(self) -> None:
        """Make one convolution of the second and the batch normalization after it."""
        _, convolution, norm = self.block
        if isinstance(convolution, _Convolution) and isinstance(norm, nn.BatchNorm2d):
            convolution.block = fuse_conv_bn_eval(convolution.block, norm)
            self.block[2] = nn.Identity()


class _ConvBlock(nn.Module):
    """Convolves twice; each map is normalized by itself before."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        first = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        second = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)
        # The published names count normalizations and activations, which have no weights.
        self.block = nn.ModuleDict({"1": first, "4": second})

    @property
    def _both(self) -> Iterator[nn.Conv2d]:
        for convolution in self.block.values():
            assert isinstance(convolution, nn.Conv2d)
            yield convolution

    def forward(self, x: Maps) -> Tensor:
        """Take maps that are normalized."""
        first, second = self._both
        middle = StoredMaps(x.convolved(first.weight, first.bias))
        return middle.normalized().convolved(second.weight, second.bias)

    def whole(self, x: Tensor) -> Tensor:
        """Return all rows, with gradients; of maps as they are."""
        for convolution in self._both:
            x = F.relu(convolution(F.instance_norm(x)))
        return x

    def strips(self, x: Maps, spent: Tensor) -> Iterator[Tensor]:
        """Yield the result some rows at a time, and write over maps that are needed no longer.

        For maps that are hundreds of megabytes large.
        """
        first, second = self._both
        middle = StoredMaps(x.convolved(first.weight, first.bias, spent))
        for _, _, strip in middle.normalized().convolved_strips(second.weight, second.bias):
            yield strip


class _Stages(nn.Module):
    """Enlarges maps three times, and joins those of a `_Deconvolution` each time."""

    def __init__(self, config: InstanceDecoderConfig) -> None:
        super().__init__()
        pairs = list(pairwise(config.widths))
        self.samplers = nn.ModuleList(_upsampler(config, *pair) for pair in pairs)
        self.blocks = nn.ModuleList(_ConvBlock(*pair) for pair in pairs)


def _joined(larger: Maps, part: StoredMaps) -> Maps:
    """Put maps beside others, of which the published network leaves out the outermost."""
    return JoinedMaps(larger.normalized(), part.middle(larger.shape[0]).normalized())


class Unetr(nn.Module):
    """Computes foreground and distances from an image embedding.

    Parameters
    ----------
    config : InstanceDecoderConfig
        Its shape.
    """

    def __init__(self, config: InstanceDecoderConfig) -> None:
        super().__init__()
        self.config = config
        widest, wide, narrow, narrowest = config.widths
        self.deconv1 = _Deconvolution(config, config.embed_dim, widest)
        self.deconv2 = _Deconvolution(config, widest, wide)
        self.deconv3 = _Deconvolution(config, wide, narrow)
        self.deconv4 = _Deconvolution(config, narrow, narrowest)
        self.base = _ConvBlock(config.embed_dim, widest)
        self.decoder = _Stages(config)
        self.deconv_out = _upsampler(config, narrowest, narrowest)
        self.decoder_head = _ConvBlock(2 * narrowest, narrowest)
        self.out_conv = nn.Conv2d(narrowest, MAP_COUNT, kernel_size=1)

    def forward(self, embedding: Tensor, on_block: ProgressCallback | None = None) -> Tensor:
        """Compute the maps of an image.

        Parameters
        ----------
        embedding : Tensor
            (C, e, e) float32.
        on_block : callable, optional
            Called as ``on_block(done, total)`` after each part; what it raises ends the work.

        Returns
        -------
        Tensor
            (3, 16 e, 16 e) from 0 to 1: foreground, distance to the center and to the boundary of
            an object, which are low inside it.
        """
        steps = self._steps(embedding[None].contiguous(memory_format=torch.channels_last))
        strips = []
        for done, (total, strip) in enumerate(steps, start=1):
            if on_block is not None:
                on_block(done, total)
            strips += [] if strip is None else [strip]
        maps = torch.cat(strips, dim=2)[0]
        return maps.sigmoid_()

    def with_gradients(self, embedding: Tensor) -> Tensor:
        """Return the same maps of (C, e, e), before `fold`, so that the weights can be learned."""
        finer, skipped = embedding[None], []
        for part in (self.deconv1, self.deconv2, self.deconv3, self.deconv4):
            finer = part.whole(finer)
            skipped.append(finer)
        x = self.base.whole(embedding[None])
        samplers = *self.decoder.samplers, self.deconv_out
        blocks = *self.decoder.blocks, self.decoder_head
        for sampler, block, skip in zip(samplers, blocks, skipped, strict=True):
            larger = sampler.whole(x)
            count = larger.shape[1]
            first = (skip.shape[1] - count) // 2
            x = block.whole(torch.cat([larger, skip[:, first : first + count]], dim=1))
        maps: Tensor = self.out_conv(x)[0].sigmoid()
        return maps

    def _steps(self, x: Tensor) -> Iterator[tuple[int, Tensor | None]]:
        """Yield the number of steps and, in the last ones, some rows of the maps."""
        deconvolutions = self.deconv1, self.deconv2, self.deconv3, self.deconv4
        stages = zip(self.decoder.samplers, self.decoder.blocks, strict=True)
        e = x.shape[-1]
        widest = StoredMaps(x.new_empty(1).expand(1, self.config.widths[-1], 16 * e, 16 * e))
        total = len(deconvolutions) + 1 + len(self.decoder.blocks) + len([*widest.strips()])
        finer, joined = x, []
        for deconvolution in deconvolutions:
            finer = deconvolution(finer)
            joined.append(StoredMaps(finer))
            yield total, None
        x = self.base(StoredMaps(x).normalized())
        yield total, None
        for (sampler, block), part in zip(stages, joined[:-1], strict=True):
            x = block(_joined(sampler(x), part))
            yield total, None
        last = _joined(self.deconv_out(x), joined[-1])
        for strip in self.decoder_head.strips(last, finer):
            yield total, self.out_conv(strip)

    def fold(self) -> None:
        """Compute once what depends on the weights alone; they are not to be saved after that."""
        self.eval()
        for deconvolution in (self.deconv1, self.deconv2, self.deconv3, self.deconv4):
            deconvolution.fold()
        for weights in self.parameters():
            if weights.ndim == 4:
                weights.data = weights.contiguous(memory_format=torch.channels_last)
