"""The network of an instance decoder: an image embedding in, three maps out.

Source: A. Archit et al., "Segment Anything for Microscopy" (Nature Methods 2025,
doi:10.1038/s41592-024-02580-4), after A. Hatamizadeh et al., "UNETR" (WACV 2022,
arXiv:2103.10504). The decoder sees the embedding alone, nothing of the layers of the encoder.

The names of the parts are those of the published weights. What is written here computes the same
in another order: convolutions of single pixels go before the interpolation, which commutes with
them, and the halves of a concatenation are convolved apart.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_sam.model.instance_decoder.config import MAP_COUNT, InstanceDecoderConfig

_EPSILON = 1e-5


class _Interpolation(nn.Module):
    """Enlarges maps twofold, and mixes their channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.conv(x), scale_factor=2, mode="bilinear", align_corners=False)


class _TransposedConvolution(nn.Module):
    """Enlarges maps twofold by a learned kernel."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.block = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
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

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self.block(x)
        return convolved


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
        deconvolved: Tensor = self.block(x)
        return deconvolved.relu_()

    def fold(self) -> None:
        """Make one convolution of the second and the batch normalization after it."""
        _, convolution, norm = self.block
        if isinstance(convolution, _Convolution) and isinstance(norm, nn.BatchNorm2d):
            convolution.block = fuse_conv_bn_eval(convolution.block, norm)
            self.block[2] = nn.Identity()


class _ConvBlock(nn.Module):
    """Normalizes each map by itself and convolves, twice."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        first = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        second = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)
        # The published names count normalizations and activations, which have no weights.
        self.block = nn.ModuleDict({"1": first, "4": second})

    def forward(self, *parts: Tensor) -> Tensor:
        """Take maps as if they were concatenated."""
        first, second = _convolution(self.block["1"]), _convolution(self.block["4"])
        weights = torch.split(first.weight, [part.shape[1] for part in parts], dim=1)
        x = F.conv2d(_normalized(parts[0]), weights[0], first.bias, padding=1)
        for part, weight in zip(parts[1:], weights[1:], strict=True):
            x += F.conv2d(_normalized(part), weight, padding=1)
        convolved: Tensor = second(_normalized(x.relu_()))
        return convolved.relu_()


def _convolution(module: nn.Module) -> nn.Conv2d:
    assert isinstance(module, nn.Conv2d)
    return module


def _normalized(x: Tensor) -> Tensor:
    """Bring each map (1, C, H, W) to mean 0 and variance 1."""
    return F.instance_norm(x, eps=_EPSILON)


def _middle_channels(x: Tensor, count: int) -> Tensor:
    """Return as many channels as asked for: the published network leaves out the outermost."""
    return x.narrow(1, (x.shape[1] - count) // 2, count)


class _Stages(nn.Module):
    """Enlarges maps three times, and joins those of a `_Deconvolution` each time."""

    def __init__(self, config: InstanceDecoderConfig) -> None:
        super().__init__()
        pairs = list(zip(config.widths[:-1], config.widths[1:], strict=True))
        self.samplers = nn.ModuleList(_upsampler(config, *pair) for pair in pairs)
        self.blocks = nn.ModuleList(_ConvBlock(*pair) for pair in pairs)


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

    def forward(self, embedding: Tensor) -> Tensor:
        """Compute the maps of an image.

        Parameters
        ----------
        embedding : Tensor
            (C, e, e) float32.

        Returns
        -------
        Tensor
            (3, 16 e, 16 e) from 0 to 1: foreground, distance to the center and to the boundary of
            an object, which are low inside it.
        """
        x = finer = embedding[None]
        joined = []
        for deconvolution in (self.deconv1, self.deconv2, self.deconv3, self.deconv4):
            finer = deconvolution(finer)
            joined.append(finer)
        x = self.base(x)
        samplers = [*self.decoder.samplers, self.deconv_out]
        blocks = [*self.decoder.blocks, self.decoder_head]
        for sampler, block, part in zip(samplers, blocks, joined, strict=True):
            x = sampler(x)
            x = block(x, _middle_channels(part, x.shape[1]))
        maps: Tensor = self.out_conv(x)
        return maps[0].sigmoid_()

    def fold(self) -> None:
        """Compute once what depends on the weights alone; they are not to be saved after that."""
        self.eval()
        for deconvolution in (self.deconv1, self.deconv2, self.deconv3, self.deconv4):
            deconvolution.fold()
