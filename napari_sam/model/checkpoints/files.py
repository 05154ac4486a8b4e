"""Reading the files of a checkpoint without running any code that they may contain."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

SHOWN_KEYS = 5  # enough to recognise the wrong model, few enough to read
FOLDER_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""What Hugging Face calls the weights in a folder, or their index; the first there is, is read."""
DOWNLOAD_AGAIN = "Download the checkpoint again."
_CALL = re.compile(r"reduce|instantiate|Can only|operand 14[679]\b")
"""What torch says of calls, and of pickles newer than its own: NEWOBJ_EX, STACK_GLOBAL, FRAME."""


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says why and what to do."""


def find_weights(path: Path) -> Path:
    """Return the file to read: the path itself, or that of the weights in a folder.

    Raises
    ------
    CheckpointError
        If there is none.
    """
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


def read_content(path: Path, lazily: bool = False) -> object:
    """Read whatever a file holds.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file; the index of several files, ``.json``, as Hugging Face writes it;
        or a PyTorch file of any other name.
    lazily : bool
        Leave the tensors in the file until they are looked at, where the format allows it.

    Returns
    -------
    object
        A state dict, if the file is what it should be; of an index, the tensors of all its files.

    Raises
    ------
    CheckpointError
        If a file is missing, unreadable, truncated, wants to run code, or does not hold what the
        index says.
    """
    return _read_shards(path, lazily) if path.suffix == ".json" else _read_file(path, lazily)


def name_some(keys: Iterable[object]) -> str:
    """Return the first few keys for a message."""
    shown = [str(key) for key in keys]
    return ", ".join(shown[:SHOWN_KEYS]) + ", ..." * (len(shown) > SHOWN_KEYS)


def _read_shards(index: Path, lazily: bool) -> dict[str, Any]:
    weight_map = _weight_map(index)
    tensors: dict[str, Any] = {}
    for name in dict.fromkeys(weight_map.values()):
        shard = _shard(index, name)
        content = _read_file(shard, lazily)
        if not isinstance(content, Mapping):
            raise CheckpointError(f"{shard} holds no state dict. {DOWNLOAD_AGAIN}")
        _check_shard(shard, content, [key for key, file in weight_map.items() if file == name])
        tensors |= content
    return tensors


def _weight_map(index: Path) -> dict[str, str]:
    """Read which tensor is in which file."""
    try:
        content = json.loads(index.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{index} cannot be read ({error}).") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{index} is no JSON file ({error}). {DOWNLOAD_AGAIN}") from error
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if (
        not isinstance(weight_map, dict)
        or not weight_map
        or not all(isinstance(name, str) for name in weight_map.values())
    ):
        raise CheckpointError(
            f"{index} is no index of a checkpoint: it has no 'weight_map' from the names of "
            "tensors to the names of files. Choose the file that holds the weights, or the folder."
        )
    return weight_map


def _shard(index: Path, name: str) -> Path:
    # Windows' rules know both separators, and drives.
    if name in ("", "..") or PureWindowsPath(name).name != name:
        raise CheckpointError(
            f"{index} points to {name!r}, which is not a file beside it. Do not use this "
            "checkpoint unless you know where it comes from."
        )
    shard = index.with_name(name)
    if not shard.is_file():
        raise CheckpointError(
            f"{shard} is missing, one of the files that {index.name} names. Put it there, or "
            "download the whole checkpoint again."
        )
    return shard


def _check_shard(shard: Path, content: Mapping[str, Any], listed: list[str]) -> None:
    known = set(listed)
    missing = [key for key in listed if key not in content]
    surplus = [key for key in content if key not in known]
    problems = [
        f"{len(keys)} {kind}: {name_some(keys)}"
        for kind, keys in (("missing", missing), ("not listed", surplus))
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"{shard} does not hold the tensors that the index lists ({'; '.join(problems)}). The "
            "files do not belong together; download the whole checkpoint again."
        )


def _read_file(path: Path, lazily: bool) -> object:
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path, lazily)


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is no valid safetensors file, or is truncated or damaged. {DOWNLOAD_AGAIN}"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error}).") from error


def _read_torch(path: Path, lazily: bool) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of what is refused below
            mapped = lazily and is_zipfile(path)  # what torch wrote before 1.6 is none
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except PermissionError as error:
        raise CheckpointError(f"{path} cannot be read: permission denied.") from error
    # Damaged files surface as almost any exception of the unpickler or the archive reader.
    except Exception as error:
        if wanted := _code_wanted(error):
            raise CheckpointError(
                f"{path} holds more than tensors and would have to run code ({wanted}) to be "
                "read, which is refused. If you trust it, save the model's state dict alone where "
                "it was made, then `napari-sam convert` it to safetensors."
            ) from error
        raise CheckpointError(
            f"{path} is no PyTorch checkpoint, or is truncated or damaged. {DOWNLOAD_AGAIN}"
        ) from error


def _code_wanted(error: Exception) -> str:
    """Name what torch refused to run; nothing if the file is no checkpoint at all."""
    if "TorchScript" in str(error):
        return "a TorchScript program"
    if not isinstance(error, pickle.UnpicklingError):
        return ""
    reason = str(error).rpartition("WeightsUnpickler error: ")[2]
    if wanted := re.search(r"GLOBAL (\S+)", reason):
        return wanted[1]
    return "of unknown name" if _CALL.search(reason) else ""
