"""Writing files so that no name ever belongs to half of one, and reading them with clear errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_sam.storage.atomic import atomic_write


class ExportError(ValueError):
    """Annotations cannot be written or read; the message says what to do.

    It begins with the reason and ends with the file's name, because what shows it may cut it off.
    """


def reason(error: BaseException) -> str:
    """Return why something failed, without the path that an OSError repeats."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def unreadable(path: str | Path, error: BaseException, kind: str = "") -> ExportError:
    """Return what to raise where a file cannot be read at all, or not as its kind."""
    wanted = f" as {kind}" if kind else ""
    return ExportError(f"The file cannot be read{wanted} ({reason(error)}): {Path(path).name}")


@contextmanager
def reading(what: str = "") -> Iterator[None]:
    """Tell which part of a file is wrong, and what is missing, where Python names only the key.

    Parameters
    ----------
    what : str
        The part and its number, such as "annotation 3"; by default all of the content.

    Raises
    ------
    ExportError
        If the block raises what content of another form raises.
    """
    try:
        yield
    except ExportError as error:
        reason_given = str(error).removesuffix(".")
        raise ExportError(f"{what}: {reason_given}" if what else reason_given) from error
    except KeyError as error:
        raise ExportError(f"{what or 'the content'} has no {error}") from error
    except RecursionError as error:
        raise ExportError(f"{what or 'the content'} is nested too deeply") from error
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise ExportError(
            f"{what or 'the content'} has a value of another form than the format's"
        ) from error


@contextmanager
def written_beside(path: str | Path) -> Iterator[Path]:
    """Give a temporary file in the same folder, and rename it once it is complete.

    Parameters
    ----------
    path : str or Path
        The file to write or to replace.

    Yields
    ------
    Path
        Where to write. If the block fails, it is removed and `path` is as it was.

    Raises
    ------
    ExportError
        If the file cannot be written.
    """
    path = Path(path)
    try:
        with atomic_write(path) as partial:
            yield partial
    except OSError as error:
        msg = f"It cannot be written ({reason(error)}); choose another folder or name: {path.name}"
        raise ExportError(msg) from error


def write_text(path: str | Path, text: str, encoding: str = "utf-8") -> None:
    """Write a text file whose lines end as they are given.

    Parameters
    ----------
    path : str or Path
        The file to write or to replace.
    text : str
        Its content. Halves of characters, which no encoding has, become question marks.
    encoding : str
        Any name that Python knows.

    Raises
    ------
    ExportError
        If the file cannot be written.
    """
    with written_beside(path) as partial:
        partial.write_text(text, encoding=encoding, errors="replace", newline="")


def write_json(path: str | Path, content: Any) -> None:
    """Write compact JSON in UTF-8, names in any script staying readable.

    Parameters
    ----------
    path : str or Path
        The file to write or to replace.
    content : Any
        Whatever JSON can hold; NaN and infinities are refused.

    Raises
    ------
    ExportError
        If the file cannot be written.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    write_text(path, text)


def read_text(path: str | Path) -> str:
    """Return the content of a UTF-8 file, with or without a byte order mark.

    Raises
    ------
    ExportError
        If the file cannot be read or is not text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def read_json(path: str | Path) -> Any:
    """Return the content of a JSON file.

    Raises
    ------
    ExportError
        If the file cannot be read or is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except RecursionError as error:
        raise ExportError(f"The file is nested too deeply: {Path(path).name}") from error
    except ExportError:
        raise
    except ValueError as error:  # also a number with thousands of digits
        raise ExportError(f"The file is not JSON ({error}): {Path(path).name}") from error
