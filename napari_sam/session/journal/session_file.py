"""A whole session in one file, which can be continued on another computer.

A session file, `<name>.sam-session.jsonl`, is written as a journal is (see `journal.entries`):
lines of JSON with a checksum each. Its first line, the header, has

- `format` (1) and `kind` ("napari-sam-live session"), and `program`, the version that wrote it;
- `image`: an `ImageReference`, and `beside`, its path relative to the folder of the file, or null;
- `labels`: `name`, `shape` and `dtype` of the Labels layer;
- `classes`: a list of `{"name": ..., "color": "#rrggbb"}`, in the order of their numbers;
- `being_made`: null, or the object in progress, as in the entries of a journal;
- `learned`, maybe: what was learned from the objects, as `learning.kept` writes it;
- `at`: when it was written, in seconds since the epoch.

Then comes one entry of direction `found` for each object, with its pixels and its record (prompts,
class, note, scores, whether it is reviewed, the mask as accepted), and in the end one of direction
`saved`, whose `n_objects` is their number: a file without it is incomplete.
The pixels of the image are not in the file. Others may have written it: `journal.checks` judges
what it says before it is used, and its paths are only opened as `storage.named_files` allows.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import xxhash

from napari_sam import __version__
from napari_sam.session.classes.classes import Classes, classes_from_json, classes_to_json
from napari_sam.session.journal.checks import (
    JournalError,
    check_unfinished,
    naming,
    text,
)
from napari_sam.session.journal.entries import (
    entry,
    from_line,
    patches_of,
    to_line,
)
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.replaying import JournalContent, read_lines
from napari_sam.session.journal.unfinished import (
    UnfinishedObject,
    unfinished_from_json,
    unfinished_to_json,
)
from napari_sam.session.objects.edits import Direction
from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.packed import Start
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.storage.atomic import atomic_write
from napari_sam.storage.named_files import is_local
from napari_sam.storage.pacing import paced

FORMAT: Final = 1
KIND: Final = "napari-sam-live session"
SESSION_SUFFIX: Final = ".sam-session.jsonl"

_FINGERPRINT_PX: Final = 256
_REPORT_EVERY: Final = 200


class SessionFileError(ValueError):
    """A session file cannot be written or read; the message says what to do."""


@dataclass(frozen=True)
class SessionInfo:
    """A session, without its objects."""

    image: ImageReference  # the image
    labels_name: str  # the name of the Labels layer
    classes: Classes = ()  # the classes, in the order of their numbers
    unfinished: UnfinishedObject | None = None  # the object in progress
    learned: Any = None  # what was learned from the objects, as JSON; whoever reads it judges it


@dataclass(frozen=True, eq=False)
class SavedSession:
    """The content of a session file."""

    path: Path  # the file
    info: SessionInfo  # everything but the objects
    shape: Start  # of the labels
    dtype: np.dtype[Any]  # of the labels
    n_objects: int  # number of objects
    # where the file says that the image is, the most likely path first; nothing was looked for yet
    image_paths: tuple[Path, ...]
    content: JournalContent  # their pixels and records


def write_session(
    path: Path,
    info: SessionInfo,
    labels: Labels,
    records: Sequence[ObjectRecord],
    report: Callable[[float], None] = lambda _: None,
) -> None:
    """Write a session; the file gets its name when it is complete.

    Parameters
    ----------
    path : Path
        The file to write or to replace.
    info : SessionInfo
        Everything but the objects.
    labels : Labels
        The pixels of the objects, which are read on this thread, which may be any.
    records : sequence of ObjectRecord
        The objects.
    report : callable
        Called now and then with the progress (0 to 1).

    Raises
    ------
    SessionFileError
        If it cannot be written; a former file is kept.
    """
    try:
        with atomic_write(path) as partial, partial.open("wb") as file:
            file.write(to_line(_header(path, info, labels)))
            for number, record in enumerate(paced(records), start=1):
                content = entry(Direction.FOUND, patches_of(labels, record), (record,), (), number)
                file.write(to_line(content))
                if number % _REPORT_EVERY == 0:
                    report(number / len(records))
            file.write(to_line(entry(Direction.SAVED, (), (), (), len(records))))
    except OSError as error:
        msg = f"{path.name} cannot be written ({error}): choose another folder or name."
        raise SessionFileError(msg) from error


def _header(path: Path, info: SessionInfo, labels: Labels) -> dict[str, Any]:
    beside = None
    if info.image.source is not None and Path(info.image.source).exists():
        with suppress(ValueError):  # on another drive
            beside = Path(os.path.relpath(info.image.source, path.absolute().parent)).as_posix()
    unfinished = info.unfinished
    return {
        "format": FORMAT,
        "kind": KIND,
        "program": __version__,
        "image": {**asdict(info.image), "beside": beside},
        "labels": {
            "name": info.labels_name,
            "shape": list(labels.shape),
            "dtype": str(labels.dtype),
        },
        "classes": classes_to_json(info.classes),
        "being_made": unfinished and unfinished_to_json(unfinished),
        **({"learned": info.learned} if info.learned else {}),
        "at": time.time(),
    }


def read_session(path: Path) -> SavedSession:
    """Read a session file, and check that it is complete.

    Raises
    ------
    SessionFileError
        If it cannot be read, is not a session file, is damaged, or was written by a newer version.
    """
    try:
        content = read_lines(path)
    except OSError as error:
        raise SessionFileError(f"{path.name} cannot be read ({error}).") from error
    header = content.raw_header
    if header.get("kind") != KIND:
        msg = f"{path.name} is not a session file: choose one that ends in {SESSION_SUFFIX}."
        raise SessionFileError(msg)
    if header.get("format") != FORMAT:
        raise SessionFileError(
            f"{path.name} is of a newer version ({header.get('program')}): update napari-sam-live "
            "to open it."
        )
    if not _is_complete(path, content):
        msg = f"{path.name} is damaged or incomplete: copy it again from where it was saved."
        raise SessionFileError(msg)
    try:
        return _parsed(path, content)
    except JournalError as error:
        raise SessionFileError(
            f"{path.name} has invalid content ({error}): use another copy of it, or save it again."
        ) from error


def _is_complete(path: Path, content: JournalContent) -> bool:
    """Whether all lines are sound, and as many as the last one states."""
    last = (from_line(content.lines[-1]) if content.lines else None) or {}
    return (
        path.stat().st_size == content.sound_bytes
        and last.get("direction") == Direction.SAVED
        and last.get("n_objects") == len(content.lines) - 1
    )


def _parsed(path: Path, content: JournalContent) -> SavedSession:
    header, raw = content.header, content.raw_header
    with naming("line 1"):
        unfinished = raw["being_made"]
        if unfinished is not None:
            check_unfinished(unfinished, header.image.shape)
        info = SessionInfo(
            header.image,
            header.labels_name,
            classes_from_json(raw["classes"]),
            None if unfinished is None else unfinished_from_json(unfinished),
            raw.get("learned"),
        )
        paths = _image_paths(path, header.image.source, raw["image"].get("beside"))
    if not header.fits(header.image):
        raise JournalError(
            f"labels of shape {header.shape} do not match an image of shape {header.image.shape}"
        )
    fault = content.check()
    if fault is not None:
        raise fault[1]
    n_objects = len(content.lines) - 1
    return SavedSession(path, info, header.shape, header.dtype, n_objects, paths, content)


def _image_paths(path: Path, source: str | None, beside: Any) -> tuple[Path, ...]:
    folder = path.absolute().parent
    names = [] if beside is None else [text(beside, "the path of the image beside the file")]
    if source is not None:
        # A path from another system has another separator.
        names += [source.replace("\\", "/").rsplit("/", 1)[-1], source]
    paths = (Path(os.path.normpath(folder / name)) for name in names if is_local(name))
    return tuple(dict.fromkeys(paths))


def image_fingerprint(array: Any) -> str | None:
    """Return what identifies the pixels of an image; None if they cannot be read."""
    region = []
    for axis, length in enumerate(array.shape):
        n = min(_FINGERPRINT_PX if axis >= len(array.shape) - 2 else 1, length)
        start = (length - n) // 2
        region.append(slice(start, start + n))
    try:
        pixels = np.asarray(array[tuple(region)])
    except Exception:  # a lazily read image raises what its reader raises
        return None
    little = pixels.astype(pixels.dtype.newbyteorder("<"))
    return xxhash.xxh64(np.ascontiguousarray(little).tobytes()).hexdigest()
