"""Find model files on this computer: in our folder, and in those of other tools."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Final

import xxhash
from safetensors import SafetensorError, safe_open

from napari_sam.catalogue.table import PublishedModel
from napari_sam.storage.decoder_files import without_decoders
from napari_sam.storage.folders import models_folder, shared_model_folders

_HUGGING_FACE_FILES: Final = ("model.safetensors", "pytorch_model.bin")
SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".bin")
_DIGESTS: Final[dict[tuple[str, str, int, int], str]] = {}
"""Checksums, by the state of the file that they were computed from."""


def own_files() -> list[Path]:
    """Return the model files in the models folder, by name; without decoders beside them."""
    with suppress(OSError):  # missing or not readable, which `doctor` reports
        paths = sorted(path for path in models_folder().iterdir() if path.suffix in SUFFIXES)
        return list(without_decoders(paths))
    return []


def candidates(model: PublishedModel) -> list[Path]:
    """Return the files that have a model's name, and its size if that is known.

    This is quick, because no checksum is computed: `locate` does that. Files that failed it are
    left out from then on, until they change.
    """
    if model.bundled is not None:
        return [model.bundled]
    shared = shared_model_folders()
    shared.pop("Hugging Face")
    folders = [models_folder(), *shared.values()]
    paths = [folder / name for folder in folders for name in model.file_names]
    fitting = [path for path in paths if _may_be(path, model)]
    return list(dict.fromkeys(fitting)) + list(_in_hugging_face(model))


def locate(model: PublishedModel) -> Path | None:
    """Find a model on this computer, and verify its checksum."""
    for path in candidates(model):
        if path == model.bundled or path.name in _HUGGING_FACE_FILES:
            return path
        with suppress(OSError):
            if model.known_hash is not None and has_hash(path, model.known_hash):
                return path
    return None


def has_hash(path: Path, known_hash: str) -> bool:
    """Compare a file with a checksum ``algorithm:digits``, computed once until the file changes."""
    algorithm, digits = known_hash.split(":")
    key = _state_of(path, algorithm)
    if key not in _DIGESTS:
        digest = getattr(xxhash, algorithm, algorithm)
        with path.open("rb") as file:
            _DIGESTS[key] = hashlib.file_digest(file, digest).hexdigest()
    return _DIGESTS[key] == digits


def _state_of(path: Path, algorithm: str) -> tuple[str, str, int, int]:
    """Return a key that changes with the file's content."""
    status = path.stat()
    return str(path), algorithm, status.st_size, status.st_mtime_ns


def _may_be(path: Path, model: PublishedModel) -> bool:
    """Return whether nothing known so far speaks against a file being the model."""
    try:
        if not path.is_file() or model.size_bytes not in (None, path.stat().st_size):
            return False
        if model.known_hash is None:
            return True
        algorithm, digits = model.known_hash.split(":")
        return _DIGESTS.get(_state_of(path, algorithm), digits) == digits
    except OSError:  # not readable, so of no use
        return False


def _in_hugging_face(model: PublishedModel) -> Iterator[Path]:
    if model.hugging_face is None:
        return
    repository = "models--" + model.hugging_face.replace("/", "--")
    snapshots = shared_model_folders()["Hugging Face"] / repository / "snapshots"
    with suppress(OSError):
        for path in sorted(snapshots.glob(f"*/{_HUGGING_FACE_FILES[0]}")):
            if path.is_file() and safetensors_elements(path) >= model.parameters:
                yield path
        for path in sorted(snapshots.glob(f"*/{_HUGGING_FACE_FILES[1]}")):
            if path.is_file() and path.stat().st_size >= 4 * model.parameters:
                yield path


def safetensors_elements(path: Path) -> int:
    """Count the weights of a safetensors file by its header; 0 if it is damaged or another file."""
    try:
        with safe_open(path, framework="numpy") as file:
            tensors = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118 - no mapping
            # float32, as all published ones are
            return sum(prod(part.get_shape()) for part in tensors if part.get_dtype() == "F32")
    except (OSError, SafetensorError):
        return 0
