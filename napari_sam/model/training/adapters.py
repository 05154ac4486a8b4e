"""Low-rank adapters of an image encoder, which become part of its weights in the end.

Source: E. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (ICLR 2022,
arXiv:2106.09685), section 4.1.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

_ADAPTED: Final = "qkv"
"""The layers that get an adapter: those of queries, keys and values of all attentions."""


class LowRank(nn.Module):
    """What an adapter adds to a weight (m, n): a product of (m, rank) and (rank, n)."""

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        m, n = weight.shape
        down = torch.randn(rank, n, generator=generator) * n**-0.5
        self.down = nn.Parameter(down.to(weight.device))
        self.up = nn.Parameter(torch.zeros(m, rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the adapted weight."""
        return weight + self.up @ self.down


def add_adapters(encoder: nn.Module, rank: int, seed: int) -> dict[str, nn.Parameter]:
    """Add adapters, which change nothing yet; return their parameters by name."""
    generator = torch.Generator().manual_seed(seed)
    added: dict[str, nn.Parameter] = {}
    for name, layer in list(encoder.named_modules()):
        if isinstance(layer, nn.Linear) and name.rpartition(".")[2] == _ADAPTED:
            adapter = LowRank(layer.weight, rank, generator)
            parametrize.register_parametrization(layer, "weight", adapter)
            added |= {f"{name}.{part}": value for part, value in adapter.named_parameters()}
    return added


def adapted_weights(encoder: nn.Module) -> dict[str, Tensor]:
    """Return the weights of all layers with adapters as they are with them, by name."""
    return {
        f"{name}.weight": layer.weight.detach().cpu().clone()
        for name, layer in encoder.named_modules()
        if isinstance(layer, nn.Linear) and parametrize.is_parametrized(layer, "weight")
    }
