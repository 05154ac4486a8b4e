"""Read the files of a checkpoint without running any code in them."""

import json
import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import torch
from safetensors.torch import load_file

from napari_sam.storage.named_files import is_beside
from napari_sam.storage.regular_files import require_regular_file
from napari_sam.storage.text import single_line

SHOWN_KEYS = 5  # enough to recognize the wrong model, few enough to read
FOLDER_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""Hugging Face's names for the weights in a folder, or their index; the first one found is read."""
DOWNLOAD_AGAIN = "Download the checkpoint again."
_KEY_LENGTH = 160
_CALL = re.compile(r"reduce|instantiate|Can only|operand 14[679]\b")
"""Messages of torch about calls, and opcodes of newer pickles: NEWOBJ_EX, STACK_GLOBAL, FRAME."""


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says why, and what to do."""


def find_weights(path: Path) -> Path:
    """Return the file to read: the path itself, or the weights in a folder.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    try:
        if path.is_file():
            return path
        candidates = [path / name for name in FOLDER_FILES]
        if weights := next(filter(Path.is_file, candidates), None):
            return weights
        if path.is_dir():
            raise CheckpointError(
                f"There is no checkpoint file in the folder {path}, that is, none of "
                f"{', '.join(FOLDER_FILES)}. Choose the file itself, or a folder saved by SamModel "
                "or Sam2Model."
            )
        if path.exists():
            require_regular_file(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    raise CheckpointError(f"There is no checkpoint file {path}. Check the path.")


def read_content(path: Path, lazily: bool = False) -> object:
    """Read the content of a file.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file, an index of several files (``.json``) by Hugging Face, or a PyTorch
        file of any other name.
    lazily : bool
        Read tensors only when they are accessed, where the format allows it.

    Returns
    -------
    object
        A state dict, if the file is valid; for an index, the tensors of all its files.

    Raises
    ------
    CheckpointError
        If a file is missing, unreadable, truncated, would run code, or does not match its index.
    """
    return _read_shards(path, lazily) if path.suffix == ".json" else _read_file(path, lazily)


def name_some(keys: Iterable[object]) -> str:
    """Return the first few keys for a message."""
    shown = [single_line(str(key)) for key in islice(keys, SHOWN_KEYS + 1)]
    shown = [f"{key[:_KEY_LENGTH]}..." if len(key) > _KEY_LENGTH else key for key in shown]
    return ", ".join(shown[:SHOWN_KEYS]) + ", ..." * (len(shown) > SHOWN_KEYS)


def _read_shards(index: Path, lazily: bool) -> dict[str, Any]:
    weight_map = _weight_map(index)
    tensors: dict[str, Any] = {}
    for name in dict.fromkeys(weight_map.values()):
        shard = _shard(index, name)
        content = _read_file(shard, lazily)
        if not isinstance(content, Mapping):
            raise CheckpointError(f"{shard} contains no state dict. {DOWNLOAD_AGAIN}")
        _check_shard(shard, content, [key for key, file in weight_map.items() if file == name])
        tensors |= content
    return tensors


def _weight_map(index: Path) -> dict[str, str]:
    """Read the index of the tensors and their files."""
    try:
        content = json.loads(index.read_bytes())
    except (OSError, MemoryError) as error:
        raise _unreadable(index, error) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{index} is not valid JSON ({error}). {DOWNLOAD_AGAIN}") from error
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if (
        not isinstance(weight_map, dict)
        or not weight_map
        or not all(isinstance(name, str) for name in weight_map.values())
    ):
        raise CheckpointError(
            f"{index} is not the index of a checkpoint: it has no 'weight_map' from the names of "
            "tensors to the names of files. Choose the file with the weights, or the folder."
        )
    return weight_map


def _shard(index: Path, name: str) -> Path:
    if not is_beside(name):
        raise CheckpointError(
            f"{index} points to {name!r}, outside its folder. Do not use this checkpoint unless "
            "you trust its source."
        )
    shard = index.with_name(name)
    try:
        if shard.is_file():
            return shard
    except OSError as error:
        raise _unreadable(shard, error) from error
    raise CheckpointError(
        f"{shard}, which {index.name} lists, is missing. Add it, or download the whole "
        "checkpoint again."
    )


def _check_shard(shard: Path, content: Mapping[str, Any], listed: list[str]) -> None:
    expected = set(listed)
    missing = [key for key in listed if key not in content]
    surplus = [key for key in content if key not in expected]
    problems = [
        f"{len(keys)} {kind}: {name_some(keys)}"
        for kind, keys in (("missing", missing), ("not listed", surplus))
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"{shard} does not match its index ({'; '.join(problems)}). Download the whole "
            "checkpoint again."
        )


def _read_file(path: Path, lazily: bool) -> object:
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path, lazily)


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (OSError, MemoryError) as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # for unknown types of numbers, others than its own
        raise CheckpointError(
            f"{path} is not a valid safetensors file, or is truncated or damaged. {DOWNLOAD_AGAIN}"
        ) from error


def _read_torch(path: Path, lazily: bool) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about files that are refused below
            is_archive = is_zipfile(path)  # unlike files of torch before 1.6
            if is_archive:
                _check_archive(path)
            return torch.load(
                path, map_location="cpu", weights_only=True, mmap=lazily and is_archive
            )
    except CheckpointError:
        raise
    except (PermissionError, MemoryError) as error:
        raise _unreadable(path, error) from error
    # Damaged files raise almost any exception of the unpickler or the archive reader.
    except Exception as error:
        if "allocate memory" in str(error):
            raise _unreadable(path, MemoryError()) from error
        if wanted := _code_wanted(error):
            raise CheckpointError(
                f"{path} contains more than tensors, and reading it would run code ({wanted}), "
                "which is refused. If you trust it, save only the model's state dict where the "
                "file was made, then run 'napari-sam convert' on it."
            ) from error
        raise CheckpointError(
            f"{path} is not a PyTorch checkpoint, or is truncated or damaged. {DOWNLOAD_AGAIN}"
        ) from error


def _check_archive(path: Path) -> None:
    """Reject an archive that would take more memory than its size, which PyTorch never writes."""
    with ZipFile(path) as archive:
        unpacked_bytes = sum(entry.file_size for entry in archive.infolist())
    if unpacked_bytes > path.stat().st_size:
        raise CheckpointError(
            f"{path} is compressed: it would take {unpacked_bytes / 2**30:.1f} GiB of memory. Do "
            "not use this checkpoint unless you trust its source; if you do, load it in PyTorch "
            "and save it again."
        )


def _unreadable(path: Path, error: OSError | MemoryError) -> CheckpointError:
    if isinstance(error, MemoryError):
        return CheckpointError(f"There is not enough memory for {path}. Close other programs.")
    return CheckpointError(f"{path} cannot be read ({error.strerror or error}).")


def _code_wanted(error: Exception) -> str:
    """Return the code that torch refused to run; empty if the file is not a checkpoint at all."""
    if "TorchScript" in str(error):
        return "a TorchScript program"
    if not isinstance(error, pickle.UnpicklingError):
        return ""
    reason = str(error).rpartition("WeightsUnpickler error: ")[2]
    if wanted := re.search(r"GLOBAL (\S+)", reason):
        return wanted[1]
    return "of unknown name" if _CALL.search(reason) else ""
