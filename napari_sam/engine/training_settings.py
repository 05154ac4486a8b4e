"""How a model is fine-tuned."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is fine-tuned.

    Parameters
    ----------
    epochs : int
        How many there are, unless training ends early.
    objects_per_epoch : int
        Objects that are visited in an epoch.
    patience : int
        Epochs without a better model after which training ends early.
    learning_rate : float
        The highest one; it falls to zero along half a cosine.
    validation_share : float
        Share of the images that the model is validated on, and does not learn from.
    seed : int
        Of all that is random.
    adapters : int
        Rank of the adapters of the image encoder; 0 leaves the encoder as it is.
    instance_decoder : bool
        Whether an instance decoder is trained, too, afterwards: that of the base, or a new one.
    """

    epochs: int = 10
    objects_per_epoch: int = 200
    patience: int = 4
    learning_rate: float = 2e-4
    validation_share: float = 0.2
    seed: int = 0
    adapters: int = 0
    instance_decoder: bool = False
