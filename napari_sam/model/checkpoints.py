"""Reading checkpoints safely, and loading them strictly."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

SHOWN_KEYS = 5  # enough to recognise the wrong model, few enough to read
DOWNLOAD_AGAIN = "Download the checkpoint again."


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says why and what to do."""


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint without running any code it may contain.

    Parameters
    ----------
    path : str or Path
        A ``.safetensors`` file, or a PyTorch file of any other name.

    Returns
    -------
    dict of str to Tensor
        On the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing, unreadable, truncated, no state dict, or wants to run code.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint file {path}. Check the path.")
    reader = _read_safetensors if path.suffix == ".safetensors" else _read_torch
    state_dict = reader(path)
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
        raise CheckpointError(
            f"{path} is damaged, or holds more than tensors and would have to run code to be "
            f"read, which is refused. {DOWNLOAD_AGAIN} If it is your own file, save only the "
            "model's state dict."
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

    Parameters
    ----------
    model : nn.Module
        Changed in place; unchanged if an error is raised.
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
            "Choose the variant that the checkpoint was made for."
        )
    model.load_state_dict(given, strict=True)


def _fits(given: Tensor, expected: Tensor) -> bool:
    # Published files hold batch-norm counters with one element more dimension than torch's.
    return given.shape == expected.shape or (expected.ndim == 0 and given.shape == (1,))
