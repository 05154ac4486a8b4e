"""Text from other sources, in a form that every file can hold."""

from __future__ import annotations


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
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
