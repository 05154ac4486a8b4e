"""The files of a training: its state, to go on from, and the checkpoint that comes of it."""

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from napari_sam.model.build import DEFAULT_VARIANT
from napari_sam.model.checkpoints.files import CheckpointError
from napari_sam.model.checkpoints.state_dicts import read_checkpoint
from napari_sam.model.checkpoints.variants import VARIANTS, detect_variant
from napari_sam.model.conversion import write_weights
from napari_sam.model.sam.tiny_vit import TinyViTConfig
from napari_sam.storage.atomic import atomic_write
from napari_sam.storage.decoder_files import decoder_path

_ENCODER: Final = "image_encoder."
_CLASSES: Final = 1000
"""Of the classifier that MobileSAM's own code builds, and asks for, without using it."""


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    try:
        with atomic_write(path) as partial:
            torch.save(state, partial)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"The state of the training cannot be written ({error}): free some space, then run the "
            f"command again to go on from the last epoch that is in {path}."
        ) from error


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote, without running any code in it.

    Raises
    ------
    CheckpointError
        If the file is damaged, or cannot be read.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise TypeError("it is something else")
    except Exception as error:  # damaged files raise almost anything
        raise CheckpointError(
            f"{path} is no state of a training, or is damaged ({error}): begin anew with "
            "--overwrite."
        ) from error
    return state


def write_trained(
    path: Path,
    base: Path | None,
    weights: dict[str, Tensor],
    instance_decoder: dict[str, Tensor] | None = None,
) -> str:
    """Write a model of which some weights were trained; return its variant.

    An instance decoder that was not trained is that of the base, if it has one, unless it was made
    for other image embeddings than those of the new model.

    Parameters
    ----------
    path : Path
        The new checkpoint, in Meta's layout, ``.pt`` or ``.safetensors``.
    base : Path, optional
        The checkpoint that training began with; by default the bundled one.
    weights : dict of str to Tensor
        The trained weights under their published names.
    instance_decoder : dict of str to Tensor, optional
        The weights of a trained one. A ``.pt`` holds both, as micro-sam reads them; beside a
        ``.safetensors`` lies a file of its own.

    Raises
    ------
    CheckpointError
        If the base cannot be read any more, or the file cannot be written.
    """
    source = base or VARIANTS[DEFAULT_VARIANT].bundled_checkpoint
    assert source is not None
    found = read_checkpoint(source)
    state = found.state_dict
    variant, config = detect_variant(state, source)
    missing = [name for name in weights if name not in state]
    if missing:
        raise CheckpointError(f"{source} is another model by now: it has no {missing[0]}.")
    state |= {name: value.to(state[name].dtype) for name, value in weights.items()}
    if isinstance(config.image_encoder, TinyViTConfig):
        state = _classifier(config.image_encoder.dims[-1]) | state
    has_same_encoder = not any(name.startswith(_ENCODER) for name in weights)
    kept = found.decoder_state if has_same_encoder else None
    is_together = instance_decoder is not None and path.suffix == ".pt"
    write_weights(state, path, variant, instance_decoder if is_together else None)
    beside = None if is_together else instance_decoder or kept
    if beside:
        write_weights(beside, decoder_path(path, ".safetensors"), variant)
    return variant


def _classifier(dim: int) -> dict[str, Tensor]:
    """Return weights that MobileSAM's own code does not load a checkpoint without."""
    return {
        "image_encoder.norm_head.weight": torch.ones(dim),
        "image_encoder.norm_head.bias": torch.zeros(dim),
        "image_encoder.head.weight": torch.zeros(_CLASSES, dim),
        "image_encoder.head.bias": torch.zeros(_CLASSES),
    }
