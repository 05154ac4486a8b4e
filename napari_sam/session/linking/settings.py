"""How masks of separate slices are linked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from napari_sam.engine.automatic_settings import Setting, check_number, offered_settings


class Splits(StrEnum):
    """What becomes of an object that splits from one slice to the next, or of two that meet."""

    ONE = "one"
    """All parts are one object."""
    TWO = "two"
    """The largest part carries the object on; the others are objects of their own."""


@dataclass(frozen=True)
class LinkSettings:
    """Which masks of neighboring slices are one object, and which objects are kept.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    least_iou: Annotated[
        float,
        Setting(
            *(0.05, 1, 0.05),
            "Masks on neighboring slices are one object if they overlap with at least this IoU.",
        ),
    ] = 0.3
    max_gap: Annotated[
        int,
        Setting(
            *(0, 20, 1),
            "Slices without a mask that an object may have between two with one; they are filled "
            "by interpolation.",
        ),
    ] = 2
    min_slices: Annotated[
        int, Setting(1, 1000, 1, "Drop objects that extend through fewer slices.")
    ] = 2
    splits: Splits = Splits.TWO

    def __post_init__(self) -> None:
        for name, (kind, setting) in offered_settings(LinkSettings).items():
            check_number(name, getattr(self, name), kind, setting.lowest)
