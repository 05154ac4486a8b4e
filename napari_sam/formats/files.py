"""Write files whole or not at all, and read them with clear errors."""

import codecs
import csv
import io
import json
import logging
import re
import secrets
import shutil
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
import psutil
import yaml

from napari_sam.storage.atomic import PARTIAL_SUFFIX, atomic_write, rename, scratch_folder
from napari_sam.storage.json_text import compact_json
from napari_sam.storage.regular_files import require_regular_file

_GZIP: Final = b"\x1f\x8b"
_LITTLE_BYTES: Final = 2**26
"""Memory that is taken without a look at how much is free."""
MAX_YAML_BYTES: Final = 2**17
"""YAML takes seconds for more."""
_OF_ANOTHER_FORM: Final = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    zlib.error,
)
"""What content of another form raises."""
_LOGGER = logging.getLogger(__name__)


class _Unchecked(threading.local):
    size_bytes = 0


_UNCHECKED: Final = _Unchecked()
"""What each thread has taken since it last looked at how much is free."""
_Reader = TypeVar("_Reader", bound=Callable[..., Any])


class FileError(ValueError):
    """Annotations cannot be written or read; the message says what to do.

    It begins with the reason and ends with the file's name, because its end may be cut off on the
    screen.
    """

    file_name = ""
    """Of the file that the message names."""


def reason(error: BaseException) -> str:
    """Return why something failed, without the path that an OSError repeats."""
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return f"{package} is missing; run: pip install {package}"
    if isinstance(error, KeyError):
        return f"it has no {error}"
    text = getattr(error, "strerror", None) or str(error)
    kind = type(error).__name__
    if not text:
        return kind
    if "'imagecodecs'" in text:  # of tifffile
        text += "; run: pip install imagecodecs"
    # Pillow raises a SyntaxError for a file that is something else.
    return text if isinstance(error, OSError | SyntaxError | ValueError) else f"{kind}: {text}"


@contextmanager
def reading(path: str | Path, kind: str = "", *, is_folder: bool = False) -> Iterator[None]:
    """Turn whatever is raised for a file or folder, by us or by a decoder, into an `FileError`.

    Decoders raise anything for a damaged file. What may be our own fault is logged with its
    traceback; a NameError can be nothing else.
    """
    try:
        for file in _files_in(Path(path)) if is_folder else [path]:
            require_regular_file(file)
        # Numbers that are too large become infinite, which is refused where it matters.
        with np.errstate(all="ignore"):
            yield
    except NameError:
        raise
    except FileError as error:
        if not error.file_name:
            error.file_name = Path(path).name
            message = str(error)
            if error.file_name not in message:
                error.args = (f"{message.removesuffix('.')}: {error.file_name}",)
        raise
    except Exception as error:
        if not isinstance(error, OSError | ValueError | MemoryError):
            _LOGGER.info("%s cannot be read", path, exc_info=error)
        as_kind = f" as {kind}" if kind else ""
        msg = f"The file cannot be read{as_kind} ({reason(error)}): {Path(path).name}"
        raise FileError(msg) from error


def _files_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.is_dir())


def file_reader(kind: str = "", *, is_folder: bool = False) -> Callable[[_Reader], _Reader]:
    """Let nothing but `FileError` leave a function whose first argument is what it reads."""

    def decorate(read: _Reader) -> _Reader:
        @wraps(read)
        def read_or_refuse(path: str | Path, *args: Any, **kwargs: Any) -> Any:
            with reading(path, kind, is_folder=is_folder):
                return read(path, *args, **kwargs)

        return cast(_Reader, read_or_refuse)

    return decorate


def require_memory(size_bytes: int, content: str) -> None:
    """Raise `FileError` before something is made that does not fit into the free memory.

    Small things are only counted: there may be many of them.
    """
    _UNCHECKED.size_bytes += size_bytes
    if _UNCHECKED.size_bytes < _LITTLE_BYTES:
        return
    _UNCHECKED.size_bytes = 0
    free_bytes = psutil.virtual_memory().available
    if size_bytes + _LITTLE_BYTES > free_bytes:
        raise FileError(
            f"{content} needs {min(size_bytes, 2**60) / 2**30:,.1f} GiB, {free_bytes / 2**30:.1f} "
            "GiB are free; close programs or use a smaller image."
        )


@contextmanager
def naming_errors(part: str = "", error_type: type[ValueError] = FileError) -> Iterator[None]:
    """Turn the errors of malformed content into errors that name the part of the file."""
    try:
        yield
    except (error_type, FileError) as error:
        message = str(error).removesuffix(".")
        raise error_type(f"{part}: {message}" if part else message) from error
    except KeyError as error:
        raise error_type(f"{part or 'the content'} has no {error}") from error
    except RecursionError as error:
        raise error_type(f"{part or 'the content'} is nested too deeply") from error
    except _OF_ANOTHER_FORM as error:
        raise error_type(
            f"{part or 'the content'} contains a value of an unexpected type or form"
        ) from error


@contextmanager
def export_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path, and rename it to `path` once the block has succeeded."""
    path = Path(path)
    try:
        with atomic_write(path) as partial:
            yield partial
    except OSError as error:
        raise FileError(
            f"The file cannot be written ({reason(error)}); choose another folder or name: {path}"
        ) from error


@contextmanager
def export_folder(path: str | Path, own: re.Pattern[str]) -> Iterator[Path]:
    """Yield a temporary folder, and rename it to `path` once the block has succeeded.

    A folder of this name is replaced if all names in it match `own`.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}-{secrets.token_hex(6)}{PARTIAL_SUFFIX}")
    former = partial.with_name(f"{partial.name}-former")
    try:
        others = (
            [file.name for file in path.iterdir() if not own.fullmatch(file.name)]
            if (path.exists())
            else []
        )
        if others:
            raise FileError(
                f"The folder has other files, such as {others[0]}; choose another name: {path.name}"
            )
        with scratch_folder(partial):
            yield partial
            if path.exists():
                rename(path, former)
            try:
                rename(partial, path)
            except OSError:
                if former.exists():
                    rename(former, path)
                raise
        shutil.rmtree(former, ignore_errors=True)
    except OSError as error:
        raise FileError(
            f"The folder cannot be written ({reason(error)}); choose another one: {path}"
        ) from error


def write_text(path: str | Path, text: str, encoding: str = "utf-8") -> None:
    """Write text with its own line ends; halves of characters become question marks."""
    with export_file(path) as partial:
        partial.write_text(text, encoding=encoding, errors="replace", newline="")


def write_table(path: str | Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write CSV in UTF-8, with a byte order mark only if Excel needs it to show a name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:  # all at once, they would keep other threads waiting
        writer.writerow(row)
    content = text.getvalue()
    write_text(path, content, "utf-8" if content.isascii() else "utf-8-sig")


def write_json(path: str | Path, content: Any) -> None:
    """Write compact JSON in UTF-8, with names in any script left readable."""
    write_text(path, compact_json(content, ensure_ascii=False))


@file_reader()
def read_text(path: str | Path) -> str:
    """Return the content of a text file in UTF-8, UTF-16 with a byte order mark, or cp1252."""
    content = Path(path).read_bytes()
    if content.startswith(_GZIP):
        raise FileError(f"The file is compressed (gzip); unpack it first: {Path(path).name}")
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        if is_utf_16 or b"\0" in content:
            raise
        text = content.decode("cp1252", "replace")  # as Excel writes CSV
    return text.replace("\r\n", "\n").replace("\r", "\n")


@file_reader()
def read_json(path: str | Path) -> Any:
    """Return the content of a JSON file."""
    text = read_text(path)
    if not text.strip():
        raise FileError(f"The file is empty: {Path(path).name}")
    try:
        # A function is called for each object, so that other threads need not wait for the last.
        return json.loads(text, object_hook=lambda entry: entry)
    except RecursionError as error:
        raise FileError(f"The file is nested too deeply: {Path(path).name}") from error
    except ValueError as error:  # also a number with thousands of digits
        raise FileError(f"The file is not JSON ({error}): {Path(path).name}") from error


class _PlainYaml(yaml.SafeLoader):  # type: ignore[misc]
    """Loads YAML without references to lists, by which a few lines can mean billions of names."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        is_reference = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if is_reference and not isinstance(node, yaml.ScalarNode):
            raise yaml.YAMLError("it uses references (*) to lists; write them out")
        return node


def compose_yaml(text: str) -> yaml.Node | None:
    """Return YAML as nodes, which know where in the text they are, or raise a YAMLError."""
    return yaml.compose(text, _PlainYaml)


@file_reader()
def read_yaml_text(path: str | Path) -> str:
    """Return the content of a YAML file that is short enough to be parsed."""
    size_bytes = Path(path).stat().st_size
    if size_bytes > MAX_YAML_BYTES:
        raise FileError(
            f"The YAML file has {size_bytes // 1024:,} KiB, {MAX_YAML_BYTES // 1024} at most; "
            f"remove what is not needed: {Path(path).name}"
        )
    return read_text(path)


@file_reader()
def read_yaml(path: str | Path) -> Any:
    """Return the content of a YAML file."""
    try:
        return yaml.load(read_yaml_text(path), _PlainYaml)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise FileError(f"The file is not YAML ({problem}): {Path(path).name}") from error
