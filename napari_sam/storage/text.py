"""Names that come from elsewhere, as every file can hold them."""

from __future__ import annotations


def single_line(text: str) -> str:
    r"""Return a text on one line, without blanks around it, of characters that UTF-8 has.

    Examples
    --------
    >>> one_line(" a\nb ")
    'a b'
    """
    joined = " ".join(text.splitlines()).strip()
    return joined.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")
