"""Build instance decoders from their weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from napari_sam.model.checkpoints.files import CheckpointError, name_some
from napari_sam.model.checkpoints.state_dicts import Checkpoint, check_keys, check_values
from napari_sam.model.instance_decoder.config import (
    InstanceDecoderConfig,
    detect_config,
    is_instance_decoder,
)
from napari_sam.model.instance_decoder.unetr import Unetr

_WHAT = "this instance decoder"
_ADVICE = (
    "To use the model without it, run 'napari-sam convert' on the model's file, and delete the "
    "decoder's file beside the new one."
)


def check_instance_decoder(checkpoint: Checkpoint, source: str | Path, embed_dim: int) -> None:
    """Check the names and shapes of the decoder of a checkpoint, if it has one.

    Raises
    ------
    CheckpointError
        If keys are missing, unexpected, or of another shape or type, or it is for embeddings of
        other than `embed_dim` channels.
    """
    if checkpoint.decoder_state:
        with torch.device("meta"):
            _checked(checkpoint.decoder_state, checkpoint.decoder_file or source, embed_dim)


def load_instance_decoder(
    checkpoint: Checkpoint, source: str | Path, embed_dim: int
) -> Unetr | None:
    """Build the instance decoder of a checkpoint, ready for inference; None if it has none.

    Raises
    ------
    CheckpointError
        As `check_instance_decoder`, or if there are NaN or infinite values.
    """
    if not checkpoint.decoder_state:
        return None
    network = build_instance_decoder(checkpoint, source, embed_dim)
    network.fold()
    return network.eval().requires_grad_(False)


def build_instance_decoder(checkpoint: Checkpoint, source: str | Path, embed_dim: int) -> Unetr:
    """Build the instance decoder of a checkpoint, to be trained; with new weights if it has none.

    Raises
    ------
    CheckpointError
        As `load_instance_decoder`.
    """
    if not checkpoint.decoder_state:
        return Unetr(InstanceDecoderConfig(embed_dim))
    source = checkpoint.decoder_file or source
    network, state = _checked(checkpoint.decoder_state, source, embed_dim)
    network.load_state_dict(state)
    check_values(network.state_dict(), source)
    return network


def _checked(
    state: Mapping[str, Tensor], source: str | Path, embed_dim: int
) -> tuple[Unetr, dict[str, Tensor]]:
    """Return a decoder of the shape that weights have, and the weights to load."""
    if not is_instance_decoder(state):
        raise CheckpointError(
            f"{source} has a decoder of another kind than micro-sam's (its first keys are "
            f"{name_some(state)}). {_ADVICE}"
        )
    config = detect_config(state)
    if config.embed_dim != embed_dim:
        raise CheckpointError(
            f"{source} has an instance decoder for embeddings of {config.embed_dim} channels; "
            f"those of the model have {embed_dim}. {_ADVICE}"
        )
    network = Unetr(config)
    return network, check_keys(network, state, source, what=_WHAT, advice=_ADVICE)
