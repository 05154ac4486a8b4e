"""How far masks and scores are from the truth.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix A, "Losses":
focal and dice loss in a ratio of 20 to 1 for the best of several masks, squared error of scores.
"""

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

_FOCAL_WEIGHT: Final = 20.0
_FOCUS: Final = 2
_FOREGROUND: Final = 0.25
"""Weight of the object's pixels in the focal loss; the others have the rest."""


class Losses(NamedTuple):
    """The losses of one prompt, scalars."""

    mask: Tensor  # focal and dice, of the best of its masks
    score: Tensor  # of all its masks

    @property
    def total(self) -> Tensor:
        """What is minimized."""
        return self.mask + self.score


def losses(logits: Tensor, scores: Tensor, target: Tensor, valid: Tensor) -> Losses:
    """Compare the masks of one prompt with the truth.

    Parameters
    ----------
    logits : Tensor
        (K, s, s), the low-resolution logits of the masks.
    scores : Tensor
        (K,), their predicted IoU.
    target, valid : Tensor
        (s, s) float32, the truth, and where there is an image rather than padding: 0 or 1.

    Returns
    -------
    Losses
        With gradients.
    """
    logits = logits.float()
    masks = _FOCAL_WEIGHT * _focal(logits, target, valid) + _dice(logits, target, valid)
    is_inside = (logits.detach() > 0) * valid
    shared = (is_inside * target).sum(dim=(1, 2))
    overlaps = shared / (torch.maximum(is_inside, target).sum(dim=(1, 2))).clamp(min=1)
    return Losses(masks.min(), F.mse_loss(scores.float(), overlaps))


def _focal(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the focal loss of each mask (K,)."""
    targets = target.expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    surprise = 1 - torch.exp(-entropy)
    weight = _FOREGROUND * target + (1 - _FOREGROUND) * (1 - target)
    return (weight * surprise**_FOCUS * entropy * valid).sum(dim=(1, 2)) / valid.sum()


def _dice(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the dice loss of each mask (K,)."""
    shares = torch.sigmoid(logits) * valid
    shared = (shares * target).sum(dim=(1, 2))
    return 1 - (2 * shared + 1) / (shares.sum(dim=(1, 2)) + target.sum() + 1)
