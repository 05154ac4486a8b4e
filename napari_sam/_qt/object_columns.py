"""The columns of the table of objects."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from napari_sam._qt.slice_columns import slice_text
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.predicted_classes.classifier import PredictedClass

_EXPONENTS: Final = {2: "²", 3: "³"}


@dataclass(frozen=True)
class PlaneAxes:
    """The axes of the target that are shown, as far as its objects are described by them."""

    # the axes that are not shown, along which there are several slices
    sliced: tuple[int, ...] = ()
    pixel_area: float = 1.0  # area of a pixel along the shown axes, in square units
    unit: str = ""  # the unit of length; "" for pixels
    # between slices along the last of `sliced`, in the same unit; None through time
    slice_distance: float | None = 1.0
    frame_axis: int | None = None  # along which objects are tracks
    # from an object to the first one of its lineage
    founder_of: Callable[[int], int] = field(default=int, compare=False)
    # from an object to its predicted class; None while classes are not predicted
    predicted_of: Callable[[int], PredictedClass | None] | None = None

    @property
    def has_slices(self) -> bool:
        """Whether objects may be on several slices other than frames."""
        return len(self.sliced) > int(self.has_frames)

    @property
    def has_frames(self) -> bool:
        """Whether objects are tracks."""
        return self.frame_axis is not None

    @property
    def has_predictions(self) -> bool:
        """Whether classes are predicted."""
        return self.predicted_of is not None

    def frames_of(self, record: ObjectRecord) -> range | None:
        """Return the frames that a track extends through; None without frames."""
        axis = self.frame_axis
        return None if axis is None else range(record.start[axis], record.stop[axis])

    def prediction_of(self, record: ObjectRecord) -> PredictedClass | None:
        """Return the predicted class of an object; None if there is none."""
        return None if self.predicted_of is None else self.predicted_of(record.label_id)

    def area_of(self, record: ObjectRecord) -> float | int:
        """Return an object's area in square units; in pixels, a whole number."""
        return record.area_px * self.pixel_area if self.unit else record.area_px

    def slice_of(self, record: ObjectRecord) -> tuple[int, ...]:
        """Return the first slice in which an object has pixels."""
        return tuple(record.start[axis] for axis in self.sliced)

    def slices_of(self, record: ObjectRecord) -> str:
        """Return from which slice to which an object goes, along each axis."""
        spans = [(record.start[axis], record.stop[axis] - 1) for axis in self.sliced]
        return ", ".join(
            str(first) if first == last else f"{first}-{last}" for first, last in spans
        )

    def volume_of(self, record: ObjectRecord) -> float | int | None:
        """Return an object's volume in cubic units, or in voxels; None if it is flat."""
        depths = [record.stop[axis] - record.start[axis] for axis in self.sliced]
        if (
            self.slice_distance is None
            or not depths
            or depths[-1] < 2
            or max(depths[:-1], default=1) > 1
        ):
            return None
        return self.area_of(record) * self.slice_distance if self.unit else record.area_px


@dataclass(frozen=True)
class Column:
    """A column: its title and tooltip, and the value of a record that it shows and sorts by."""

    title: str
    tooltip: str
    value: Callable[[ObjectRecord, PlaneAxes], Any]
    is_number: bool = True
    field: str = ""  # the field of a record that is edited in it; "" if it cannot be edited
    describe: Callable[[ObjectRecord, PlaneAxes], str] | None = None  # in other words than `value`
    cell_tooltip: Callable[[ObjectRecord], str] | None = None
    exponent: int = 0  # of the unit that is named in the title; 0 for none

    def text(self, record: ObjectRecord, axes: PlaneAxes) -> str:
        """Return the value as text."""
        if self.describe is not None:
            return self.describe(record, axes)
        value = self.value(record, axes)
        if value is None:
            return ""
        return f"{value:.2f}" if isinstance(value, float) else str(value)

    def sort_key(self, record: ObjectRecord, axes: PlaneAxes) -> Any:
        """Return what rows are sorted by; missing values come first."""
        value = self.value(record, axes)
        return value.casefold() if isinstance(value, str) else -1.0 if value is None else value

    def header(self, axes: PlaneAxes) -> str:
        """Return the title with its unit."""
        is_bare = not (self.exponent and axes.unit)
        return self.title if is_bare else f"{self.title} ({axes.unit}{_EXPONENTS[self.exponent]})"


def _weakest(record: ObjectRecord) -> str:
    """Return in words on which slice an object is least sure."""
    weakest = None if record.slices is None else record.slices.weakest
    return "" if weakest is None else f"Weakest: slice {slice_text(weakest)}"


def _first(record: ObjectRecord, axes: PlaneAxes) -> int | None:
    frames = axes.frames_of(record)
    return None if frames is None else frames.start


def _last(record: ObjectRecord, axes: PlaneAxes) -> int | None:
    frames = axes.frames_of(record)
    return None if frames is None else frames.stop - 1


def _parent(record: ObjectRecord, axes: PlaneAxes) -> int | None:
    return None if axes.frame_axis is None else record.parent_id or None


def _founder(record: ObjectRecord, axes: PlaneAxes) -> int | None:
    return None if axes.frame_axis is None else axes.founder_of(record.label_id)


def _predicted(record: ObjectRecord, axes: PlaneAxes) -> str:
    prediction = axes.prediction_of(record)
    return "" if prediction is None else prediction.name


def _confidence(record: ObjectRecord, axes: PlaneAxes) -> float | None:
    prediction = axes.prediction_of(record)
    return None if prediction is None else prediction.confidence


COLUMNS: Final = (
    Column("id", "Label value of the object", lambda r, _: r.label_id),
    Column(
        "class",
        "Class of the object",
        lambda r, _: r.class_name or "",
        False,
        "class_name",
        cell_tooltip=lambda r: r.class_name or "",
    ),
    Column("✓", "Whether you have reviewed the object", lambda r, _: r.reviewed, False),
    Column("first", "First frame of the object", _first),
    Column("last", "Last frame of the object", _last),
    Column("parent", "The object that divided into this one: double-click to go there", _parent),
    Column("lineage", "The object from which this one descends, or itself", _founder),
    Column(
        "area",
        "Area in pixels, or in square units of the layer; of all slices together",
        lambda r, a: a.area_of(r),
        exponent=2,
    ),
    Column("predicted", "Class that the object probably has, as examples tell", _predicted, False),
    Column("confidence", "How sure the predicted class is, 0 to 1", _confidence),
    Column(
        "slice",
        "Slices of the object, from the first to the last",
        lambda r, axes: axes.slice_of(r),
        describe=lambda r, axes: axes.slices_of(r),
        cell_tooltip=_weakest,
    ),
    Column("score", "How well the mask fits, as the model estimates", lambda r, _: r.score),
    Column("stability", "How little the mask depends on its threshold", lambda r, _: r.stability),
    Column(
        "volume",
        "Volume of an object on several slices, in voxels or in cubic units of the layer",
        lambda r, axes: axes.volume_of(r),
        exponent=3,
    ),
    Column(
        "note",
        "Your note on the object",
        lambda r, _: r.note,
        False,
        "note",
        cell_tooltip=lambda r: r.note,
    ),
)
(
    CLASS,
    REVIEWED,
    AREA,
    PREDICTED,
    CONFIDENCE,
    SLICE,
    FIRST,
    LAST,
    PARENT,
    LINEAGE,
    STABILITY,
    VOLUME,
    NOTE,
) = (
    [column.title for column in COLUMNS].index(title)
    for title in (
        *(
            "class",
            "✓",
            "area",
            "predicted",
            "confidence",
            "slice",
            "first",
            "last",
            "parent",
            "lineage",
        ),
        *("stability", "volume", "note"),
    )
)
