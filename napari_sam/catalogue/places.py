"""Where the files of models may lie: our folder, and those of the tools that people have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pooch

from napari_sam.catalogue.table import PublishedModel
from napari_sam.storage.folders import models_folder, shared_model_folders

_HUGGING_FACE_FILES: Final = ("model.safetensors", "pytorch_model.bin")
SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".bin")
_MAX_HEADER_BYTES: Final = 10_000_000  # a hundred times that of the largest SAM
_DIGESTS: Final[dict[tuple[str, str, int, int], str]] = {}
"""Checksums by the state of the file that they were computed from."""


def own_files() -> list[Path]:
    """Return the models that a user put into the folder of models, by name."""
    with suppress(OSError):  # it is not there, or may not be read, which `doctor` tells
        return sorted(path for path in models_folder().iterdir() if path.suffix in SUFFIXES)
    return []


def candidates(model: PublishedModel) -> list[Path]:
    """Return the files that have a model's name, and its size if that is known.

    This is quick. Whether a file is what its name says, `locate` tells; those that it found to be
    something else are left out from then on, until they change.
    """
    if model.embedded is not None:
        return [model.embedded]
    shared = shared_model_folders()
    shared.pop("Hugging Face")
    places = [models_folder(), *shared.values()]
    files = [folder / name for folder in places for name in model.file_names]
    found = [path for path in files if _may_be(path, model)]
    return list(dict.fromkeys(found)) + list(_in_hugging_face(model))


def locate(model: PublishedModel) -> Path | None:
    """Find a model on this computer, and make sure that it is what it is called."""
    for path in candidates(model):
        if path == model.embedded or path.name in _HUGGING_FACE_FILES:
            return path
        with suppress(OSError):
            if model.known_hash is not None and has_hash(path, model.known_hash):
                return path
    return None


def has_hash(path: Path, known_hash: str) -> bool:
    """Compare a file with a checksum ``algorithm:digits``; remembered until the file changes."""
    algorithm, digits = known_hash.split(":")
    key = _state_of(path, algorithm)
    if key not in _DIGESTS:
        _DIGESTS[key] = str(pooch.file_hash(str(path), alg=algorithm))
    return _DIGESTS[key] == digits


def _state_of(path: Path, algorithm: str) -> tuple[str, str, int, int]:
    """Return what tells one state of a file from another."""
    status = path.stat()
    return str(path), algorithm, status.st_size, status.st_mtime_ns


def _may_be(path: Path, model: PublishedModel) -> bool:
    """Tell whether a file is not known to be something else than a model."""
    try:
        if not path.is_file() or model.size_bytes not in (None, path.stat().st_size):
            return False
        if model.known_hash is None:
            return True
        algorithm, digits = model.known_hash.split(":")
        return _DIGESTS.get(_state_of(path, algorithm), digits) == digits
    except OSError:  # nothing that cannot be read can be used
        return False


def _in_hugging_face(model: PublishedModel) -> Iterator[Path]:
    if model.hugging_face is None:
        return
    repository = "models--" + model.hugging_face.replace("/", "--")
    snapshots = shared_model_folders()["Hugging Face"] / repository / "snapshots"
    with suppress(OSError):
        for path in sorted(snapshots.glob(f"*/{_HUGGING_FACE_FILES[0]}")):
            if safetensors_elements(path) >= model.parameters:
                yield path
        for path in sorted(snapshots.glob(f"*/{_HUGGING_FACE_FILES[1]}")):
            if path.is_file() and path.stat().st_size >= 4 * model.parameters:
                yield path


def safetensors_elements(path: Path) -> int:
    """Count the numbers in a safetensors file by its header; 0 if it is none, or incomplete."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= _MAX_HEADER_BYTES:
                return 0
            header = json.loads(file.read(length))
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        end = max(entry["data_offsets"][1] for entry in tensors)
        complete = path.stat().st_size == 8 + length + end
        return end // 4 if complete else 0  # float32, as all published ones are
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return 0
