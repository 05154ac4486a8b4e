"""Write files whole or not at all, and read them with clear errors."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_sam.storage.atomic import atomic_write


class ExportError(ValueError):
    """Annotations cannot be written or read; the message says what to do.

    It begins with the reason and ends with the file's name, because its end may be cut off on the
    screen.
    """


def reason(error: BaseException) -> str:
    """Return why something failed, without the path that an OSError repeats."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def unreadable(path: str | Path, error: BaseException, kind: str = "") -> ExportError:
    """Return the error for a file that cannot be read at all, or not as its kind."""
    as_kind = f" as {kind}" if kind else ""
    return ExportError(f"The file cannot be read{as_kind} ({reason(error)}): {Path(path).name}")


@contextmanager
def reading(path: str | Path, kind: str = "", *errors: type[Exception]) -> Iterator[None]:
    """Turn what a decoder raises for a damaged file, and what the system raises, into our error."""
    damages: tuple[type[Exception], ...] = (OSError, *errors)
    try:
        yield
    except damages as error:
        raise unreadable(path, error, kind) from error


@contextmanager
def naming_errors(part: str = "") -> Iterator[None]:
    """Turn what content of another form raises into errors that name the part of the file."""
    try:
        yield
    except ExportError as error:
        message = str(error).removesuffix(".")
        raise ExportError(f"{part}: {message}" if part else message) from error
    except KeyError as error:
        raise ExportError(f"{part or 'the content'} has no {error}") from error
    except RecursionError as error:
        raise ExportError(f"{part or 'the content'} is nested too deeply") from error
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise ExportError(
            f"{part or 'the content'} has a value of another form than the format's"
        ) from error


@contextmanager
def export_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path, and rename it to `path` once the block has succeeded."""
    path = Path(path)
    try:
        with atomic_write(path) as partial:
            yield partial
    except OSError as error:
        raise ExportError(
            f"The file cannot be written ({reason(error)}); choose another folder or name: "
            f"{path.name}"
        ) from error


def write_text(path: str | Path, text: str, encoding: str = "utf-8") -> None:
    """Write text with its own line ends; halves of characters become question marks."""
    with export_file(path) as partial:
        partial.write_text(text, encoding=encoding, errors="replace", newline="")


def write_table(path: str | Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write CSV in UTF-8, with a byte order mark only if Excel needs it to show a name."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    content = text.getvalue()
    write_text(path, content, "utf-8" if content.isascii() else "utf-8-sig")


def write_json(path: str | Path, content: Any) -> None:
    """Write compact JSON in UTF-8, with names in any script left readable."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    write_text(path, text)


def read_text(path: str | Path) -> str:
    """Return the content of a UTF-8 file, with or without a byte order mark."""
    with reading(path, "", UnicodeDecodeError):
        return Path(path).read_text(encoding="utf-8-sig")


def read_json(path: str | Path) -> Any:
    """Return the content of a JSON file."""
    text = read_text(path)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ExportError(f"The file is nested too deeply: {Path(path).name}") from error
    except ValueError as error:  # also a number with thousands of digits
        raise ExportError(f"The file is not JSON ({error}): {Path(path).name}") from error
