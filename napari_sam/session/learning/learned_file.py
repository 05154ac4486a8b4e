"""What was learned in a small file, which other images and computers can go on from.

A learned file, `<name>.sam-learned.json`, is JSON: `format` (1) and `kind` ("napari-sam-live
learned"), and `program`, the version that wrote it; `model`, a name, and `weights`, the hash of its
file; `image`, the one that was annotated last, `n_objects`, how many objects taught, and `at`, when
it was written, in seconds since the epoch; and `lessons`, as `learning.kept` writes them.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from napari_sam import __version__
from napari_sam.formats.files import FileError, file_reader, read_json, write_json
from napari_sam.session.learning.kept import lessons_from_json
from napari_sam.session.models.model_choice import ModelChoice
from napari_sam.session.objects.records import counted
from napari_sam.storage.digests import digest
from napari_sam.storage.text import single_line

FORMAT: Final = 1
KIND: Final = "napari-sam-live learned"
LEARNED_SUFFIX: Final = ".sam-learned.json"
_MAX_BYTES: Final = 2**20


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
    }
    write_json(path, about | lessons)


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
    content = read_json(path)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise FileError(f"The file has nothing learned; choose one that ends in {LEARNED_SUFFIX}")
    if content.get("format") != FORMAT:
        raise FileError("The file is of a newer version; update napari-sam-live to open it")
    if content.get("weights") != _fingerprint(choice):
        model = single_line(str(content.get("model")))
        name = f"other weights of {model}" if model == choice.name else model
        raise FileError(f"It was learned with {name}; choose that model, then open it again")
    lessons = {"model": choice.name, "lessons": content.get("lessons")}
    count = len(lessons_from_json(lessons, choice.name))
    if not count:
        raise FileError("The file is damaged; use another copy of it")
    return LearnedFile(lessons, count, _source_of(content, count))


def _fingerprint(choice: ModelChoice) -> str:
    try:
        return digest(choice.file)
    except (OSError, ValueError) as error:
        raise FileError(f"The model's file cannot be read ({error}).") from error


def _source_of(content: dict[str, Any], count: int) -> str:
    """Return where lessons come from, in words."""
    text = f"{counted(count)} of {single_line(str(content.get('image')))}"
    try:
        return f"{text}, {time.strftime('%Y-%m-%d', time.localtime(float(content['at'])))}"
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return text
