"""What a folder of results remembers: how each was made, of what, and which files belong to it.

The results of an image are written into a folder of their own, then noted, then moved to their
names, then noted as complete. So whatever is stopped, and whenever, what has a name is whole, and
what was begun is known to be ours and is replaced by the next run.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from napari_sam.batch.images import ImageFile
from napari_sam.batch.task import Task
from napari_sam.formats.files import ExportError, read_json, reason, write_json
from napari_sam.storage.atomic import PARTIAL_SUFFIX, scratch_folder

FOLDER: Final = ".napari-sam"
"""Within the folder of the results."""
_LITTLE_BYTES: Final = 2**26


class RunError(ValueError):
    """A run, or the work on one image, cannot go on; the message says what to do."""


class RunManifest:
    """The records of a folder of results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = folder / FOLDER

    def of(self, image: ImageFile) -> dict[str, Any] | None:
        """Return what is noted about an image's results; None if there is nothing of use."""
        try:
            record = read_json(self._path(image))
        except ExportError:
            return None
        is_whole = isinstance(record, dict) and all(
            isinstance(record.get(name), kind) for name, kind in _MEMBERS.items()
        )
        return record if is_whole else None

    def _path(self, image: ImageFile) -> Path:
        return self._own / f"{image.name}.json"

    def clear_up(self) -> None:
        """Remove what runs have left behind that were stopped; none may be under way."""
        for left in list(self._own.rglob(f"*{PARTIAL_SUFFIX}")):
            shutil.rmtree(left, ignore_errors=True)

    def check(self, images: Sequence[ImageFile], task: Task) -> None:
        """Find out whether results of other settings are in the way."""
        if task.overwrite:
            return
        for image in images:
            record = self.of(image)
            if record is not None and record["conditions"] != task.conditions:
                difference = _difference(record["conditions"], task.conditions)
                msg = (
                    f"{self.folder} has results of another {difference}: choose another folder, or "
                    "--overwrite to find these masks again."
                )
                raise RunError(msg)

    def complete(self, image: ImageFile, task: Task, content: str) -> dict[str, Any] | None:
        """Return the record of an image that needs no more work, else None."""
        record = self.of(image)
        if record is None or not record["is_complete"]:
            return None
        is_same = record["conditions"] == task.conditions and record["content"] == content
        has_all = set(task.outputs) <= set(record["outputs"])
        if is_same and has_all and all(map(self._is_there, record["files"].items())):
            return record
        return None

    def _is_there(self, file: tuple[str, int]) -> bool:
        name, size_bytes = file
        path = self.folder / name
        return path.is_file() and path.stat().st_size == size_bytes

    @contextmanager
    def writing(self, image: ImageFile, task: Task, content: str) -> Iterator[_Results]:
        """Yield a folder to write an image's results into; rename them once they are complete."""
        part = self._own / f"{image.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
        results = _Results(part)
        try:
            with scratch_folder(part), self._naming_the_folder(part):
                yield results
                self._publish(results, image, task, content)
        except OSError as error:
            raise ExportError(self._unwritten(error)) from error

    def _publish(self, results: _Results, image: ImageFile, task: Task, content: str) -> None:
        part, parent = results.folder, Path(image.name).parent
        sizes = {
            (parent / path.name).as_posix(): path.stat().st_size for path in sorted(part.iterdir())
        }
        old = self.of(image)
        old_files = {} if old is None else old["files"]
        self._check_free(set(sizes) - set(old_files), image, task)
        record = {
            "image": Path(image.path).name,
            "content": content,
            "conditions": task.conditions,
            "outputs": task.outputs,
            "masks": results.masks,
            "files": sizes,
            "is_complete": False,
        }
        # What an earlier run has written stays known until it is replaced or gone.
        write_json(self._path(image), {**record, "files": {**old_files, **sizes}})
        for name in sizes:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (part / Path(name).name).replace(self.folder / name)
        for name in set(old_files) - set(sizes):
            (self.folder / name).unlink(missing_ok=True)
        write_json(self._path(image), {**record, "is_complete": True})

    @contextmanager
    def _naming_the_folder(self, part: Path) -> Iterator[None]:
        """Let errors name the folder of the results rather than the hidden one inside it.

        A full disk has to be noticed before the unfinished files are removed.
        """
        try:
            yield
        except ExportError as error:
            cause = error.__cause__
            # A full disk names no file.
            if not isinstance(cause, OSError) or str(part) not in str(cause.filename or part):
                raise
            raise ExportError(self._unwritten(cause)) from error
        except OSError as error:
            raise ExportError(self._unwritten(error)) from error

    def _unwritten(self, error: OSError) -> str:
        msg = f"Results cannot be written to {self.folder} ({reason(error)})"
        with suppress(OSError):
            free_bytes = shutil.disk_usage(self.folder).free
            if free_bytes < _LITTLE_BYTES:
                msg += f"; there are only {free_bytes // 2**20} MiB free: remove something there"
        return f"{msg}."

    def _check_free(self, names: set[str], image: ImageFile, task: Task) -> None:
        for name in sorted(names):
            path = self.folder / name
            if path.exists() and path.resolve() == Path(image.path).resolve():
                raise RunError(f"The result would replace the image {path}: choose another folder.")
            if path.exists() and not task.overwrite:
                msg = f"{path} exists and is no result of this image: choose another folder, or "
                raise RunError(f"{msg}--overwrite.")


class _Results:
    """Where an image's results are written to, and how many masks they have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.masks = 0


_MEMBERS: Final = {
    "content": str,
    "conditions": dict,
    "outputs": list,
    "masks": int,
    "files": dict,
    "is_complete": bool,
}


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    name = next(name for name in sorted({*old, *new}) if old.get(name) != new.get(name))
    if name == "weights":
        return "model"
    return f"{name} ({json.dumps(old.get(name))}, not {json.dumps(new.get(name))})"
