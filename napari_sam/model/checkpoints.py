"""Reading checkpoints safely, and loading them strictly."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_sam.model.formats import POSITION_KEYS, to_published

SHOWN_KEYS = 5  # enough to recognise the wrong model, few enough to read
FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")
"""What Hugging Face calls the weights in a folder; the first that there is, is read."""
DOWNLOAD_AGAIN = "Download the checkpoint again."


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file holds.

    Attributes
    ----------
    state_dict : dict of str to Tensor
        The model's weights under their published names, on the CPU.
    decoder_state : dict of str to Tensor
        Weights of micro-sam's instance decoder, kept aside; usually empty.
    """

    state_dict: dict[str, Tensor]
    decoder_state: dict[str, Tensor] = field(default_factory=dict)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read the tensors of a checkpoint without running any code it may contain.

    Parameters
    ----------
    path : str or Path
        A ``.safetensors`` file, a PyTorch file of any other name, or a folder saved by Hugging
        Face's ``SamModel``. The names may be those of Meta, Hugging Face, or micro-sam.

    Returns
    -------
    Checkpoint
        Under published names, whatever the layout.

    Raises
    ------
    CheckpointError
        If the file is missing, unreadable, truncated, no state dict, or wants to run code.
    """
    path = _weights_file(Path(path))
    reader = _read_safetensors if path.suffix == ".safetensors" else _read_torch
    content = reader(path)
    decoder: object = {}
    if isinstance(content, Mapping) and "model_state" in content:  # as micro-sam saves them
        decoder = content.get("decoder_state") or {}
        content = content["model_state"]
    state_dict = _checked_tensors(content, path)
    _check_positions(state_dict, path)
    return Checkpoint(to_published(state_dict), _checked_tensors(decoder, path) if decoder else {})


def _check_positions(state_dict: Mapping[str, Tensor], path: Path) -> None:
    """Refuse two different positional encodings where Hugging Face stores one of them twice."""
    first, second = (state_dict.get(key) for key in POSITION_KEYS)
    if first is not None and second is not None and not torch.equal(first, second):
        raise CheckpointError(
            f"{path} holds two different positional encodings, {' and '.join(POSITION_KEYS)}, of "
            "which SAM has one. Choose a checkpoint of SAM itself."
        )


def _weights_file(path: Path) -> Path:
    if path.is_file():
        return path
    candidates = [path / name for name in FOLDER_FILES]
    if found := next(filter(Path.is_file, candidates), None):
        return found
    if path.is_dir():
        raise CheckpointError(
            f"There is no checkpoint file in the folder {path}: none of "
            f"{', '.join(FOLDER_FILES)}. Choose the file itself, or a folder saved by SamModel."
        )
    raise CheckpointError(f"There is no checkpoint file {path}. Check the path.")


def _checked_tensors(state_dict: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(state_dict, Mapping) or not state_dict:
        raise CheckpointError(
            f"{path} holds no state dict but {_describe(state_dict)}. "
            "Choose a file that maps names to tensors, as the published checkpoints do."
        )
    for key, value in state_dict.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path} is no state dict: entry {key!r} is {_describe(value)}, not a tensor. "
                "If it is a training checkpoint, save the model's state dict alone."
            )
    return dict(state_dict)


def _describe(value: object) -> str:
    if isinstance(value, Mapping) and not value:
        return "an empty mapping"
    return f"an object of type {type(value).__name__}"


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is no valid safetensors file, or is truncated ({error}). {DOWNLOAD_AGAIN}"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error}).") from error


def _read_torch(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        code = f" ({wanted[1]})" if wanted else ""
        raise CheckpointError(
            f"{path} is damaged, or holds more than tensors and would have to run code{code} to "
            f"be read, which is refused. {DOWNLOAD_AGAIN} If you trust it, save the model's state "
            "dict alone where it was made, then `napari-sam convert` it to safetensors."
        ) from error
    except PermissionError as error:
        raise CheckpointError(f"{path} cannot be read: permission denied.") from error
    # Damaged files surface as almost any exception of the unpickler or the archive reader.
    except Exception as error:
        raise CheckpointError(
            f"{path} is no PyTorch checkpoint, or is truncated ({error}). {DOWNLOAD_AGAIN}"
        ) from error


def load_strictly(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    source: str | Path,
    ignored_prefixes: tuple[str, ...] = (),
) -> None:
    """Copy a state dict into a model; every key and every shape must match.

    The parameters are those of `check_keys`; the model is unchanged if an error is raised.

    Raises
    ------
    CheckpointError
        If keys are missing, surplus, or of another shape.
    """
    check_keys(model, state_dict, source, ignored_prefixes)
    given = {k: v for k, v in state_dict.items() if not k.startswith(ignored_prefixes)}
    model.load_state_dict(given, strict=True)


def check_keys(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    source: str | Path,
    ignored_prefixes: tuple[str, ...] = (),
) -> None:
    """Compare a state dict with a model; every key and every shape must match.

    Parameters
    ----------
    model : nn.Module
        Only its names and shapes count; it may be on the meta device.
    state_dict : mapping of str to Tensor
        Published key names.
    source : str or Path
        Named in messages.
    ignored_prefixes : tuple of str
        Surplus keys that begin so are left aside.

    Raises
    ------
    CheckpointError
        If keys are missing, surplus, or of another shape.
    """
    given = {k: v for k, v in state_dict.items() if not k.startswith(ignored_prefixes)}
    expected = model.state_dict()
    missing = [key for key in expected if key not in given]
    surplus = [key for key in given if key not in expected]
    misshapen = [
        f"{key} {tuple(given[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in given and not _fits(given[key], tensor)
    ]
    problems = [
        f"{len(keys)} {kind}: {', '.join(keys[:SHOWN_KEYS])}{', ...' * (len(keys) > SHOWN_KEYS)}"
        for kind, keys in (
            ("missing keys", missing),
            ("surplus keys", surplus),
            ("keys of another shape", misshapen),
        )
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"{source} does not belong to this model variant ({'; '.join(problems)}). "
            "It may be a modified model, such as HQ-SAM or one with adapters, which does not work "
            "here; choose a checkpoint of SAM itself."
        )


def _fits(given: Tensor, expected: Tensor) -> bool:
    # Published files hold batch-norm counters with one element more dimension than torch's.
    return given.shape == expected.shape or (expected.ndim == 0 and given.shape == (1,))
