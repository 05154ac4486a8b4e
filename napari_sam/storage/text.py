"""Text for files and messages."""

from typing import Final

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


def single_line(text: str) -> str:
    r"""Return a text on one line, stripped, without characters that UTF-8 cannot encode.

    Examples
    --------
    >>> single_line(" a\nb ")
    'a b'
    """
    joined = " ".join(text.splitlines()).strip()
    return joined.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")


def is_encodable(text: str) -> bool:
    """Whether UTF-8 can encode a text; a lone surrogate cannot be written to any file."""
    return text == text.encode(errors="ignore").decode()


def duration(seconds: float) -> str:
    """Return about how long something takes, such as "3 min"."""
    if seconds < 1.5 * _MINUTE_S:
        return f"{max(1, round(seconds))} s"
    if seconds < 1.5 * _HOUR_S:
        return f"{round(seconds / _MINUTE_S)} min"
    return f"{seconds / _HOUR_S:.1f} h"
