"""Small building blocks shared by the networks."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from itertools import pairwise
from typing import Final, Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - the name everyone knows it by
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from napari_sam.engine.protocols import ProgressCallback

EXPORTING: Final = ContextVar("EXPORTING", default=False)
"""Whether this thread makes a graph of the model, for other software to run."""


class ImageEncoder(Protocol):
    """What `Sam` asks of an image encoder, whatever its architecture."""

    def __call__(self, image: Tensor, on_block: ProgressCallback | None = None) -> Tensor:
        """Encode a normalized, padded image (1, 3, S, S) as (1, C, S / 16, S / 16)."""
        ...


def gelu_(x: Tensor) -> Tensor:
    """Apply GELU in place, and return `x`: a second buffer would crowd the processor's cache."""
    result: Tensor = torch.ops.aten.gelu_.default(x)
    return result


def learned_tokens(count: int, dim: int) -> nn.Embedding:
    """Return tokens (count, C) with random values.

    Those that torch itself gives to an embedding import its compiler, for seconds, on the meta
    device, where checkpoints are checked.
    """
    return nn.Embedding(count, dim, _weight=torch.randn(count, dim))


def ceil_div(number: int, divisor: int) -> int:
    """Divide and round up, without a negative number: graphs round those the other way."""
    return (number + divisor - 1) // divisor


def goes_by_pieces(x: Tensor) -> bool:
    """Tell whether `x` had better be worked on piece by piece, each staying in cache.

    Processors want that. Accelerators hide their memory's latency themselves, so that more calls
    only cost time; and a graph would hold every piece as nodes of its own.
    """
    return x.device.type == "cpu" and not EXPORTING.get()


def pad_bottom_right(x: Tensor, height: int, width: int, fill: Tensor) -> Tensor:
    """Pad (1, h, w, C) to (1, height, width, C) with the same `fill` (C,) everywhere."""
    rows, columns = x.shape[1:3]
    if EXPORTING.get():  # graphs have no assignment to a part of a tensor
        return F.pad(x - fill, (0, 0, 0, width - columns, 0, height - rows)) + fill
    padded = x.new_empty(1, height, width, x.shape[-1])
    padded[:, :rows, :columns] = x
    padded[:, rows:] = padded[:, :, columns:] = fill
    return padded


class LayerNorm2d(nn.Module):
    """Layer normalization over the channels of a (B, C, H, W) tensor.

    Parameters
    ----------
    channels : int
        Number of channels C.
    eps : float
        Added to the variance.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalize `x` (B, C, H, W); the result lies in channels-last memory."""
        channels_last = x.permute(0, 2, 3, 1)
        normalized = F.layer_norm(
            channels_last, self.weight.shape, self.weight, self.bias, self.eps
        )
        return normalized.permute(0, 3, 1, 2)


class MLP(nn.Module):
    """Linear layers with a ReLU between each two.

    Parameters
    ----------
    input_dim, hidden_dim, output_dim : int
        Widths.
    depth : int
        Number of linear layers.
    """

    def __init__(self, input_dim: int, hidden_dim: int, output_dim: int, depth: int) -> None:
        super().__init__()
        widths = [input_dim, *[hidden_dim] * (depth - 1), output_dim]
        self.layers = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., input_dim) to (..., output_dim)."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        result: Tensor = self.layers[-1](x)
        return result


class ConvNorm(nn.Module):
    """A convolution without bias and the batch normalization that follows it.

    It exists in this form only between construction and `fold_batch_norms`: checkpoints store
    the two parts, inference wants them as one convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.c = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=kernel_size // 2,
            groups=groups,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and normalize (B, C, H, W)."""
        result: Tensor = self.bn(self.c(x))
        return result

    def folded(self) -> nn.Conv2d:
        """Return the one convolution that equals both parts at inference."""
        mean, variance = self.bn.running_mean, self.bn.running_var
        if mean is None or variance is None:
            raise ValueError("A batch-norm without running statistics cannot be folded.")
        scale = self.bn.weight / torch.sqrt(variance + self.bn.eps)
        conv = nn.Conv2d(
            self.c.in_channels,
            self.c.out_channels,
            self.c.kernel_size,  # type: ignore[arg-type]  # a pair, typed as any tuple
            self.c.stride,  # type: ignore[arg-type]
            self.c.padding,  # type: ignore[arg-type]
            groups=self.c.groups,
            device="meta",
        )
        conv.weight = nn.Parameter((self.c.weight * scale[:, None, None, None]).detach())
        conv.bias = nn.Parameter((self.bn.bias - mean * scale).detach())
        return conv


def fold_batch_norms(module: nn.Module) -> None:
    """Replace every `ConvNorm` inside `module` by the one convolution it amounts to."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ConvNorm):
                setattr(parent, name, child.folded())


def make_neck(in_channels: int, out_channels: int) -> nn.Sequential:
    """Build the neck that ends every SAM image encoder (Kirillov et al. 2023, appendix A)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False),
        LayerNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
        LayerNorm2d(out_channels),
    )


def run_steps(
    x: Tensor, steps: Sequence[Callable[[Tensor], Tensor]], on_block: ProgressCallback | None
) -> Tensor:
    """Put `x` through the steps of an encoder, reporting ``(done, total)`` after each of them."""
    for done, step in enumerate(steps, start=1):
        # In training, the activations inside a step would take gigabytes until the way back.
        x = checkpoint(step, x, use_reentrant=False) if x.requires_grad else step(x)
        if on_block is not None:
            on_block(done, len(steps))
    return x
