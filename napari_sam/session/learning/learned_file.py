"""What was learned in a small file, which other images and computers can go on from.

A learned file, `<name>.sam-learned.safetensors`, is a safetensors file. Its metadata are strings:
`kind` ("napari-sam-live learned") and `format` (1), and `program`, the version that wrote it;
`model`, a name, and `weights`, the hash of its file; `image`, the one that was annotated last,
`n_objects`, how many objects taught, and `at`, when it was written, in seconds since the epoch; and
`lessons`, JSON as `learning.kept` writes it, but for the samples. Those of lesson N, counted from
0, are its tensor `samples.N`, (places, numbers) int32, in hundredths.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from napari_sam import __version__
from napari_sam.formats.files import FileError, export_file, file_reader
from napari_sam.session.learning.kept import lessons_from_json
from napari_sam.session.models.model_choice import ModelChoice
from napari_sam.session.objects.records import counted
from napari_sam.storage.digests import digest
from napari_sam.storage.json_text import compact_json
from napari_sam.storage.text import single_line

FORMAT: Final = "1"
KIND: Final = "napari-sam-live learned"
LEARNED_SUFFIX: Final = ".sam-learned.safetensors"
_MAX_BYTES: Final = 2**20
_SAMPLES: Final = "samples.{}"
_DAMAGED: Final = "The file is damaged; use another copy of it"


@dataclass(frozen=True)
class LearnedFile:
    """What a file holds for the model in use."""

    lessons: dict[str, Any]  # as JSON, for `Learning.keep`
    n_objects: int  # that they are of
    source: str  # where they come from, in words


def write_learned(path: Path, lessons: dict[str, Any], choice: ModelChoice, image: str) -> None:
    """Write what `Learning.to_json` returned; for a background thread.

    Parameters
    ----------
    path : Path
        The file to write or to replace.
    lessons : dict
        From `Learning.to_json`; not empty.
    choice : ModelChoice
        The model that made the masks.
    image : str
        The name of the image that was annotated last.

    Raises
    ------
    FileError
        If there is nothing to save, or it cannot be written; a former file is kept.
    """
    if not lessons:
        raise FileError("Nothing was learned yet: accept five objects, then save it.")
    about = {
        "format": FORMAT,
        "kind": KIND,
        "program": __version__,
        "weights": _fingerprint(choice),
        "image": image,
        "n_objects": len(lessons["lessons"]),
        "at": round(time.time()),
        "model": lessons["model"],
        "lessons": compact_json([others for *others, _ in lessons["lessons"]]),
    }
    samples = {
        _SAMPLES.format(number): np.array(rows, np.int32)
        for number, (*_, rows) in enumerate(lessons["lessons"])
        if rows
    }
    content = save(samples, {name: single_line(str(value)) for name, value in about.items()})
    # If safetensors wrote the file, a full disk would be no OSError.
    with export_file(path) as partial:
        partial.write_bytes(content)


@file_reader()
def read_learned(path: Path, choice: ModelChoice) -> LearnedFile:
    """Read what was learned with a model; for a background thread.

    Raises
    ------
    FileError
        If it cannot be read, is something else, or is of another model.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise FileError("The file is too large to be of what was learned")
    about, samples = _parts_of(path)
    if about.get("kind") != KIND:
        raise FileError(f"The file has nothing learned; choose one that ends in {LEARNED_SUFFIX}")
    if not about.keys() >= {"format", "weights", "model"}:
        raise FileError(_DAMAGED)
    if about["format"] != FORMAT:
        raise FileError("The file is of a newer version; update napari-sam-live to open it")
    if about["weights"] != _fingerprint(choice):
        model = single_line(about["model"])
        name = f"other weights of {model}" if model == choice.name else model
        raise FileError(f"It was learned with {name}; choose that model, then open it again")
    lessons = {"model": choice.name, "lessons": _entries(about, samples)}
    count = len(lessons_from_json(lessons, choice.name))
    if not count:
        raise FileError(_DAMAGED)
    return LearnedFile(lessons, count, _source_of(about, count))


def _parts_of(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Return the metadata of a safetensors file, and its tensors if it is of what was learned."""
    try:
        with safe_open(path, "numpy") as file:
            about = file.metadata() or {}
            names = file.keys() if about.get("kind") == KIND else ()
            return about, {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise FileError(
            f"The file has nothing learned or is damaged; choose one that ends in {LEARNED_SUFFIX}"
        ) from error


def _entries(about: dict[str, str], samples: dict[str, NDArray[Any]]) -> list[Any]:
    """Return the lessons of a file as JSON; none if they are damaged."""
    none = np.zeros((0, 0), np.int32)
    try:
        return [
            [*others, samples.get(_SAMPLES.format(number), none).tolist()]
            for number, others in enumerate(json.loads(about["lessons"]))
        ]
    except (KeyError, TypeError, ValueError, RecursionError):
        return []


def _fingerprint(choice: ModelChoice) -> str:
    try:
        return digest(choice.file)
    except (OSError, ValueError) as error:
        raise FileError(f"The model's file cannot be read ({error}).") from error


def _source_of(about: dict[str, str], count: int) -> str:
    """Return where lessons come from, in words."""
    text = f"{counted(count)} of {single_line(str(about.get('image')))}"
    try:
        return f"{text}, {time.strftime('%Y-%m-%d', time.localtime(float(about['at'])))}"
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return text
