"""What a reader leaves out of a file: one bad entry never refuses the others."""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from napari_sam.formats.files import FileError, naming_errors

ENTRY: Final = "entry"
"""Anything that cannot be read."""
OUTSIDE: Final = "object without a pixel in the image"


@dataclass
class LeftOut:
    """The entries of a file that a reader leaves out.

    As text, it is like ``1 line, 2 entries left out (feature 3 has no 'geometry')``; "" if there
    are none.

    Parameters
    ----------
    counts : Counter of str
        How many there are of each kind, which is a noun in the singular.
    reasons : dict of str to str
        Why the first one of a kind is left out.
    """

    counts: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, reason: str = "") -> None:
        """Count an entry."""
        self.counts[kind] += 1
        if reason:
            self.reasons.setdefault(kind, reason)

    @contextmanager
    def unreadable(self, part: str = "") -> Iterator[None]:
        """Count a part of the file if its content raises."""
        try:
            with naming_errors(part):
                yield
        except FileError as error:
            self.add(ENTRY, str(error).removesuffix("."))

    def include(self, others: "LeftOut") -> None:
        """Add what another reader left out."""
        self.counts.update(others.counts)
        self.reasons = {**others.reasons, **self.reasons}

    def require(self, entries: Collection[Any], intro: str, name: str) -> None:
        """Raise `FileError` if entries were left out and no other was read."""
        if not entries and self.reasons:
            raise FileError(f"{intro} ({next(iter(self.reasons.values()))}): {name}")

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        if not self.counts:
            return ""
        counts = ", ".join(_counted(kind, count) for kind, count in sorted(self.counts.items()))
        reason = f" ({self.reasons[ENTRY]})" if ENTRY in self.reasons else ""
        return f"{counts} left out{reason}"


def _counted(kind: str, count: int) -> str:
    """Return a count with its noun, which is the first word.

    Examples
    --------
    >>> _counted("entry", 2), _counted("box without a mask", 1), _counted("box", 2)
    ('2 entries', '1 box without a mask', '2 boxes')
    """
    noun, space, rest = kind.partition(" ")
    if count != 1:
        stem = noun[:-1] if noun.endswith("y") else noun
        noun = stem + ("ies" if stem != noun else "es" if noun.endswith("x") else "s")
    return f"{count:,} {noun}{space}{rest}"
