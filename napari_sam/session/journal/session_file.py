"""A whole session in one file: somebody else goes on with it, on another computer.

A session file, `<name>.sam-session.jsonl`, is written as a journal is (see `journal.format`): lines
of JSON with a checksum each. Its first line, the header, has

- `format` (1) and `kind` ("napari-sam-live session"), and `program`, the version that wrote it;
- `image`: an `ImageReference`, and `beside`, its path as seen from the folder of the file, null
  where there is none;
- `labels`: `name`, `shape` and `dtype` of the Labels layer;
- `classes`: a list of `{"name": ..., "color": "#rrggbb"}`, in the order of their numbers;
- `being_made`: null, or the object that is not accepted yet: `state` (its prompts, as in a record),
  `index` (the position along each axis of the image, where it is made), `axes` (those of the image
  that are rows and columns there) and `label_id` (that of the object that it will replace, or
  null);
- `at`: when it was written, in seconds since the epoch.

Then comes one entry of direction `found` for each object, with its pixels and its record (prompts,
class, note, scores, whether it is reviewed, the mask as it was accepted), and in the end one of
direction `saved`, whose `n_objects` says how many there are: a file without it is not whole.
The pixels of the image are not in the file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
import xxhash

from napari_sam import __version__
from napari_sam.session.classes.classes import Classes, classes_from_json, classes_to_json
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.journal.entries import (
    entry,
    from_line,
    patches_of,
    state_from_json,
    state_to_json,
    to_line,
)
from napari_sam.session.journal.files import ImageReference
from napari_sam.session.journal.replaying import JournalContent, read_lines
from napari_sam.session.objects.direction import Direction
from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.packed import Start
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.storage.atomic import atomic_write

FORMAT: Final = 1
KIND: Final = "napari-sam-live session"
SESSION_SUFFIX: Final = ".sam-session.jsonl"

_FINGERPRINT_PX: Final = 256
_REPORT_EVERY: Final = 200


class SessionFileError(ValueError):
    """A session cannot be written or read; the message says what to do."""


@dataclass(frozen=True)
class BeingMade:
    """An object that is not accepted yet."""

    state: ObjectState  # its prompts
    index: Start  # the plane it is made on: the position along each axis of the image
    axes: tuple[int, int]  # the axes of the image that are the plane's rows and columns
    label_id: int | None = None  # the object of the labels that it will replace


@dataclass(frozen=True)
class SessionInfo:
    """All of a session but its objects."""

    image: ImageReference  # the image
    labels_name: str  # the name of the Labels layer
    classes: Classes = ()  # the classes, in the order of their numbers
    being_made: BeingMade | None = None  # the object that is not accepted yet


@dataclass(frozen=True, eq=False)
class SavedSession:
    """What a session file says."""

    path: Path  # the file
    info: SessionInfo  # the image and whatever else there is
    shape: Start  # of the labels
    dtype: np.dtype[Any]  # of the labels
    n_objects: int  # how many objects there are
    content: JournalContent  # their pixels and records

    @property
    def image_paths(self) -> tuple[Path, ...]:
        """Where the image may be, the likeliest place first."""
        folder, source = self.path.absolute().parent, self.info.image.source
        beside = self.content.header["image"].get("beside")
        places = [] if beside is None else [folder / beside]
        if source is not None:
            # A name from another system has another separator.
            places += [folder / source.replace("\\", "/").rsplit("/", 1)[-1], Path(source)]
        return tuple(dict.fromkeys(Path(os.path.normpath(place)) for place in places))


def write_session(
    path: Path,
    info: SessionInfo,
    labels: Labels,
    records: Sequence[ObjectRecord],
    report: Callable[[float], None] = lambda _: None,
) -> None:
    """Write a session; the file has its name when it is complete.

    Parameters
    ----------
    path : Path
        The file to write or to replace.
    info : SessionInfo
        The image and whatever else there is.
    labels : Labels
        The pixels of the objects; read on this thread, which may be any.
    records : sequence of ObjectRecord
        The objects.
    report : callable
        Told now and then how much is done (0 to 1).

    Raises
    ------
    SessionFileError
        If it cannot be written; what was there before stays.
    """
    try:
        with atomic_write(path) as partial, partial.open("wb") as file:
            file.write(to_line(_header(path, info, labels)))
            for number, record in enumerate(records, start=1):
                found = entry(Direction.FOUND, patches_of(labels, record), (record,), (), number)
                file.write(to_line(found))
                if number % _REPORT_EVERY == 0:
                    report(number / len(records))
            file.write(to_line(entry(Direction.SAVED, (), (), (), len(records))))
    except OSError as error:
        msg = f"{path} cannot be written ({error}): choose another folder or name."
        raise SessionFileError(msg) from error


def _header(path: Path, info: SessionInfo, labels: Labels) -> dict[str, Any]:
    beside = None
    if info.image.source is not None and Path(info.image.source).exists():
        with suppress(ValueError):  # on another drive
            beside = Path(os.path.relpath(info.image.source, path.absolute().parent)).as_posix()
    made = info.being_made
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
        "being_made": None
        if made is None
        else {
            "state": state_to_json(made.state),
            "index": list(made.index),
            "axes": list(made.axes),
            "label_id": made.label_id,
        },
        "at": time.time(),
    }


def read_session(path: Path) -> SavedSession:
    """Read a session file, and make sure that it is whole.

    Raises
    ------
    SessionFileError
        If it cannot be read, is none, is damaged, or was written by a newer version.
    """
    try:
        content = read_lines(path)
    except OSError as error:
        msg = f"{path} cannot be read ({error})."
        raise SessionFileError(msg) from error
    header = content.header
    if header.get("kind") != KIND:
        msg = f"{path} is no session file: choose one that ends in {SESSION_SUFFIX}."
        raise SessionFileError(msg)
    if header.get("format") != FORMAT:
        msg = (
            f"{path} was written by a newer version ({header.get('program')}) of napari-sam-live: "
            "update to open it."
        )
        raise SessionFileError(msg)
    if not _is_whole(path, content):
        msg = f"{path} is damaged or not whole: get it again from where it was saved."
        raise SessionFileError(msg)
    try:
        return _understood(path, content)
    except SessionFileError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"{path} says something that cannot be understood ({error!r})."
        raise SessionFileError(msg) from error


def _is_whole(path: Path, content: JournalContent) -> bool:
    """Whether all lines are sound, and as many as the last one says."""
    last = (from_line(content.lines[-1]) if content.lines else None) or {}
    return (
        path.stat().st_size == content.sound_bytes
        and last.get("direction") == Direction.SAVED
        and last.get("n_objects") == len(content.lines) - 1
    )


def _understood(path: Path, content: JournalContent) -> SavedSession:
    header = content.header
    known = {one.name for one in fields(ImageReference)}
    image: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in header["image"].items()
        if name in known
    }
    made, reference = header["being_made"], ImageReference(**image)
    info = SessionInfo(
        reference,
        header["labels"]["name"],
        classes_from_json(header["classes"]),
        None if made is None else _being_made(made),
    )
    shape, dtype = tuple(header["labels"]["shape"]), np.dtype(header["labels"]["dtype"])
    if not _are_labels(shape, dtype, reference):
        msg = (
            f"{path} cannot be opened: no labels of an image of shape {reference.shape} are of "
            f"shape {shape} and type {dtype}."
        )
        raise SessionFileError(msg)
    places = reference.source, header["image"].get("beside")
    if not all(place is None or isinstance(place, str) for place in places):
        msg = f"{path} cannot be opened: the paths of its image are {places}."
        raise SessionFileError(msg)
    return SavedSession(path, info, shape, dtype, len(content.lines) - 1, content)


def _are_labels(shape: Start, dtype: np.dtype[Any], image: ImageReference) -> bool:
    """Whether there can be such labels of an image: they have some or all of its axes."""
    return (
        dtype.kind in "bui"
        and len(shape) >= 2
        and all(type(length) is int and length > 0 for length in shape)
        and prod(shape) <= prod(image.shape)
    )


def _being_made(content: dict[str, Any]) -> BeingMade:
    row_axis, column_axis = content["axes"]
    return BeingMade(
        state_from_json(content["state"]),
        tuple(content["index"]),
        (row_axis, column_axis),
        content["label_id"],
    )


def fingerprint_of(array: Any) -> str | None:
    """Return by what the pixels of an image are known again; None if they cannot be read."""
    region = []
    for axis, length in enumerate(array.shape):
        n = min(_FINGERPRINT_PX if axis >= len(array.shape) - 2 else 1, length)
        start = (length - n) // 2
        region.append(slice(start, start + n))
    try:
        pixels = np.asarray(array[tuple(region)])
    except Exception:  # a lazily read image raises whatever its reader raises
        return None
    little = pixels.astype(pixels.dtype.newbyteorder("<"))
    return xxhash.xxh64(np.ascontiguousarray(little).tobytes()).hexdigest()
