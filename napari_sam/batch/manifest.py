"""The manifest of a folder of results: settings, image and files of each result.

Results are written into a folder of their own, recorded, moved to their names, and then recorded
as complete. Whenever a run is stopped, every file that has its name is whole, and unfinished
results are recognized and replaced by the next run.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from napari_sam.batch.images import ImageFile
from napari_sam.batch.job import BatchJob
from napari_sam.formats.files import FileError, read_json, reason, write_json
from napari_sam.storage.atomic import PARTIAL_SUFFIX, publish, scratch_folder
from napari_sam.storage.named_files import is_below

FOLDER: Final = ".napari-sam"
"""Within the folder of results."""
_UNFINISHED: Final = re.compile(rf".+\.[0-9a-f]{{8}}{re.escape(PARTIAL_SUFFIX)}")
_LITTLE_BYTES: Final = 2**26


class RunError(ValueError):
    """A run, or the work on one image, cannot go on; the message says what to do."""


class RunManifest:
    """The records of a folder of results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._records = folder / FOLDER

    def of(self, image: ImageFile) -> dict[str, Any] | None:
        """Return the record of an image's results; None if there is no usable one."""
        try:
            record = read_json(self._path(image))
        except FileError:
            return None
        is_whole = (
            isinstance(record, dict)
            and all(isinstance(record.get(name), kind) for name, kind in _MEMBERS.items())
            and all(isinstance(output, str) for output in record["outputs"])
            # These files are removed when others replace them.
            and all(is_below(name) for name in record["files"])
        )
        if is_whole:
            record.setdefault("objects", [])  # earlier versions did not link any
        return record if is_whole else None

    def _path(self, image: ImageFile) -> Path:
        return self._records / f"{image.name}.json"

    def clear_up(self) -> None:
        """Remove leftovers of stopped runs; no run may be under way."""
        for folder in list(self._records.rglob(f"*{PARTIAL_SUFFIX}")):
            if _UNFINISHED.fullmatch(folder.name):
                shutil.rmtree(folder, ignore_errors=True)

    def check(self, images: Sequence[ImageFile], job: BatchJob) -> None:
        """Raise `RunError` if results of other settings are in the way."""
        if job.overwrite:
            return
        for image in images:
            record = self.of(image)
            if record is not None and record["conditions"] != job.conditions:
                difference = _difference(record["conditions"], job.conditions)
                raise RunError(
                    f"{self.folder} holds results with another {difference}: choose another "
                    "folder, or --overwrite to replace them."
                )

    def complete(self, image: ImageFile, job: BatchJob, content: str) -> dict[str, Any] | None:
        """Return the record of an image that needs no more work, else None."""
        record = self.of(image)
        if record is None or not record["is_complete"]:
            return None
        is_same = record["conditions"] == job.conditions and record["content"] == content
        has_all = set(job.outputs) <= set(record["outputs"])
        sizes = {self.folder / name: size_bytes for name, size_bytes in record["files"].items()}
        are_there = (path.is_file() and path.stat().st_size == sizes[path] for path in sizes)
        return record if is_same and has_all and all(are_there) else None

    @contextmanager
    def writing(self, image: ImageFile, job: BatchJob, content: str) -> Iterator[PartialResults]:
        """Yield a folder to write an image's results into; rename them once they are complete."""
        part = self._records / f"{image.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
        results = PartialResults(part)
        try:
            with scratch_folder(part), self._naming_the_folder(part):
                yield results
                self._publish(results, image, job, content)
        except OSError as error:
            raise FileError(self._unwritten(error)) from error

    def _publish(
        self, results: PartialResults, image: ImageFile, job: BatchJob, content: str
    ) -> None:
        """Rename all results, and record them."""
        parent = Path(image.name).parent
        sizes = {
            (parent / file.name).as_posix(): file.stat().st_size
            for file in sorted(results.folder.iterdir())
        }
        record = self.of(image)
        old_sizes = {} if record is None else record["files"]
        self._check_free(set(sizes) - set(old_sizes), image, job)
        record = {
            "image": Path(image.path).name,
            "content": content,
            "conditions": job.conditions,
            "outputs": job.outputs,
            "masks": results.masks,
            "objects": results.objects,
            "files": sizes,
            "is_complete": False,
        }
        # Files of an earlier run stay recorded until they are replaced or removed.
        write_json(self._path(image), {**record, "files": {**old_sizes, **sizes}})
        for name in sizes:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            publish(results.folder / Path(name).name, self.folder / name)
        for name in set(old_sizes) - set(sizes):
            path = self.folder / name
            # Unless one of the user's files has taken the place of the result.
            if path.is_file() and path.lstat().st_size == old_sizes[name]:
                path.unlink()
        write_json(self._path(image), {**record, "is_complete": True})

    @contextmanager
    def _naming_the_folder(self, part: Path) -> Iterator[None]:
        """Let errors name the folder of results rather than the hidden one inside it.

        A full disk has to be noticed before the unfinished files are removed.
        """
        try:
            yield
        except FileError as error:
            cause = error.__cause__
            # A full disk names no file.
            if not isinstance(cause, OSError) or str(part) not in str(cause.filename or part):
                raise
            raise FileError(self._unwritten(cause)) from error
        except OSError as error:
            raise FileError(self._unwritten(error)) from error

    def _unwritten(self, error: OSError) -> str:
        msg = f"Results cannot be written to {self.folder} ({reason(error)})"
        with suppress(OSError):
            free_bytes = shutil.disk_usage(self.folder).free
            if free_bytes < _LITTLE_BYTES:
                msg += f"; only {free_bytes // 2**20} MiB are free there: make room"
        return f"{msg}."

    def _check_free(self, names: set[str], image: ImageFile, job: BatchJob) -> None:
        for name in sorted(names):
            path = self.folder / name
            if path.exists() and path.resolve() == Path(image.path).resolve():
                raise RunError(f"The result would replace the image {path}: choose another folder.")
            if path.exists() and not job.overwrite:
                msg = f"{path} exists and is not a result of this image: choose another folder, or "
                raise RunError(f"{msg}--overwrite.")


class PartialResults:
    """The folder that an image's results are written into, and what is recorded of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.masks = 0
        self.objects: list[dict[str, Any]] = []

    def count(self, masks: int) -> None:
        """Add to the number of masks."""
        self.masks += masks

    def describe(self, objects: Sequence[dict[str, Any]]) -> None:
        """Add objects that were linked, and what is known of each."""
        self.objects += objects
        self.masks += len(objects)


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
