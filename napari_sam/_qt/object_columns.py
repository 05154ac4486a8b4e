"""The columns of the table of objects."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from napari_sam.session.objects.records import ObjectRecord


@dataclass(frozen=True)
class PlaneAxes:
    """The axes of the target that are shown, as far as its objects are described by them."""

    # the axes that are not shown, along which there are several slices
    sliced: tuple[int, ...] = ()
    pixel_area: float = 1.0  # area of a pixel along the shown axes, in square units
    unit: str = ""  # the unit of length; "" for pixels

    def area_of(self, record: ObjectRecord) -> float | int:
        """Return an object's area in square units; in pixels, a whole number."""
        return record.area_px * self.pixel_area if self.unit else record.area_px

    def slice_of(self, record: ObjectRecord) -> tuple[int, ...]:
        """Return the first slice in which an object has pixels."""
        return tuple(record.start[axis] for axis in self.sliced)


@dataclass(frozen=True)
class Column:
    """A column: its title and tooltip, and the value of a record that it shows and sorts by."""

    title: str
    tooltip: str
    value: Callable[[ObjectRecord, PlaneAxes], Any]
    is_number: bool = True
    field: str = ""  # the field of a record that is edited in it; "" if it cannot be edited

    def text(self, record: ObjectRecord, axes: PlaneAxes) -> str:
        """Return the value as text."""
        value = self.value(record, axes)
        if value is None:
            return ""
        if isinstance(value, tuple):
            return ", ".join(map(str, value))
        return f"{value:.2f}" if isinstance(value, float) else str(value)

    def sort_key(self, record: ObjectRecord, axes: PlaneAxes) -> Any:
        """Return what rows are sorted by; missing values come first."""
        value = self.value(record, axes)
        return value.casefold() if isinstance(value, str) else -1.0 if value is None else value


COLUMNS: Final = (
    Column("id", "Label value of the object", lambda r, _: r.label_id),
    Column("class", "Class of the object", lambda r, _: r.class_name or "", False, "class_name"),
    Column("✓", "Whether you have reviewed the object", lambda r, _: r.reviewed, False),
    Column("area", "Area in pixels, or in square units of the layer", lambda r, a: a.area_of(r)),
    Column("score", "How well the mask fits, as the model estimates", lambda r, _: r.score),
    Column("stability", "How little the mask depends on its threshold", lambda r, _: r.stability),
    Column("slice", "First slice of the object", lambda r, axes: axes.slice_of(r)),
    Column("note", "Your note on the object", lambda r, _: r.note, False, "note"),
)
CLASS, REVIEWED, AREA, NOTE = (
    [column.title for column in COLUMNS].index(title) for title in ("class", "✓", "area", "note")
)
