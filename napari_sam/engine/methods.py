"""How automatic masks are found, for the window and for the command line; imports nothing heavy."""

from enum import StrEnum


class Method(StrEnum):
    """How automatic masks are found."""

    GRID = "grid"
    """From a grid of clicks, with any model."""
    AIS = "ais"
    """Automatic instance segmentation: from the maps of an instance decoder alone."""
    APG = "apg"
    """Automatic prompt generation: a click into each object that the maps show."""
