"""Which way an entry of the journal came about."""

from enum import StrEnum


class Direction(StrEnum):
    """How an entry of the journal came about."""

    FOUND = "found"
    """An object that was in the labels before the journal began."""
    MADE = "made"
    UNDONE = "undone"
    REDONE = "redone"
    PAINTED = "painted"
    """The user painted in the labels with a brush of the viewer."""
    CLASSES = "classes"
    """No object changed, but the classes did."""
    SAVED = "saved"
    """Nothing changed: the user has saved all objects to a file."""
    CLOSED = "closed"
    """Nothing changed: the program was closed, rather than ended by a crash."""
