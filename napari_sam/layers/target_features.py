"""Details of objects in the features table of a Labels layer.

napari's own save dialog writes them and the status bar shows them; a layer that is read from a
file has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from napari.layers import Labels

from napari_sam.formats.classes import ClassError, ObjectClass
from napari_sam.formats.details import number_in
from napari_sam.session.classes.classes import ClassTable, classes_from_json, classes_to_json
from napari_sam.session.jobs import Defer, DeferredCall
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry

if TYPE_CHECKING:
    import pandas as pd

CLASSES_KEY: Final = "napari-sam-live classes"
"""The key of the classes with their colors in a layer's metadata."""
CURRENT_CLASS_KEY: Final = "napari-sam-live current class"
"""Likewise, of the name of the class that new objects get; None for none."""
_INDEX: Final = "index"
_USERS_SUFFIX: Final = " as it was"
_Cells = dict[str, set[int]]
_FILLED_CELLS: Final[WeakKeyDictionary[Labels, _Cells]] = WeakKeyDictionary()
"""By column, the label_ids of cells that we have read or written."""


def features_of(table: pd.DataFrame) -> dict[int, dict[str, Any]]:
    """Return what a layer's features say of objects, by label_id, for `details_from`."""
    table = _indexed(table)
    columns = [name for name in _COLUMNS if name in table]
    if not columns:
        return {}
    cells = {name: table[name].tolist() for name in columns}
    rows: dict[int, dict[str, Any]] = {}
    for row, cell in enumerate(table[_INDEX]):
        label_id = number_in(cell)
        if label_id is not None and label_id.is_integer() and label_id > 0:
            rows[int(label_id)] = {
                name: _text(cells[name][row]) if name in _TEXTS else cells[name][row]
                for name in columns
            }
    return rows


def _indexed(features: pd.DataFrame) -> pd.DataFrame:
    """Return features with a column of label_ids; without one, napari takes the row."""
    if _INDEX in features or not len(features.columns):
        return features
    return features.rename_axis(_INDEX).reset_index()


def _text(cell: Any) -> str | None:
    import pandas as pd  # late, as it takes long

    is_filled = isinstance(cell, str) or (pd.api.types.is_scalar(cell) and not pd.isna(cell))
    return str(cell) if is_filled else None


_TEXTS: Final = frozenset({"class", "note"})
_EMPTY: Final = {"class": "", "score": None, "reviewed": False, "note": "", "parent_id": None}
_COLUMNS: Final = tuple(_EMPTY)
FEATURES: Final = (_INDEX, *_COLUMNS)
"""Our columns of a layer's features."""


def classes_in(metadata: Mapping[str, Any]) -> tuple[ObjectClass, ...]:
    """Return the classes in a layer's metadata; none if they are invalid."""
    try:
        return classes_from_json(metadata.get(CLASSES_KEY, []))
    except ClassError:
        return ()


class FeatureWriter:
    """Keeps the features of a layer up to date with the records of its objects.

    Other columns stay, and so do cells in ours that other programs wrote and we cannot read.
    """

    def __init__(
        self, layer: Labels, registry: ObjectRegistry, table: ClassTable, defer: Defer
    ) -> None:
        self._layer, self._registry, self._table = layer, registry, table
        self._write_soon = DeferredCall(defer, self._write)
        self._written: pd.DataFrame | None = None  # what it wrote last, if nothing else is in it
        self._filled_cells = _FILLED_CELLS.setdefault(layer, {name: set() for name in _COLUMNS})
        self._changed = {record.label_id for record in registry}
        self._note_filled_cells()
        registry.changed.connect(self._on_records_changed)
        table.changed.connect(self._write_soon.request)

    def close(self) -> None:
        """Write pending changes, and stop following the records."""
        self._registry.changed.disconnect(self._on_records_changed)
        self._table.changed.disconnect(self._write_soon.request)
        self._write_soon.make()

    def _note_filled_cells(self) -> None:
        for label_id in self._changed:
            record = self._registry.get(label_id)
            if record is None:
                continue
            if record.class_name:
                self._filled_cells["class"].add(label_id)
            if record.score is not None:
                self._filled_cells["score"].add(label_id)
            if record.reviewed:
                self._filled_cells["reviewed"].add(label_id)
            if record.note:
                self._filled_cells["note"].add(label_id)
            if record.parent_id:
                self._filled_cells["parent_id"].add(label_id)
        self._changed.clear()

    def _on_records_changed(self, label_ids: frozenset[int]) -> None:
        self._changed |= label_ids
        self._write_soon.request()

    def _write(self) -> None:
        self._note_filled_cells()
        layer, filled = self._layer, self._filled_cells
        is_untouched = self._written is not None and self._written.equals(layer.features)
        features = None if is_untouched else layer.features
        layer.features = _merged(features, self._registry, filled)
        is_ours = is_untouched or _is_ours(layer.features, filled)
        self._written = layer.features.copy() if is_ours else None
        self._layer.metadata[CLASSES_KEY] = classes_to_json(self._table.classes)
        self._layer.metadata[CURRENT_CLASS_KEY] = self._table.current


def _is_ours(features: pd.DataFrame, filled: _Cells) -> bool:
    """Return whether no cell is of another program."""
    if set(features.columns) != {_INDEX, *_COLUMNS}:
        return False
    for name, empty in _EMPTY.items():
        others = features[name][~features[_INDEX].isin(filled[name])]
        if not (others.isna() | (others == empty)).all():
            return False
    return True


def _merged(
    features: pd.DataFrame | None, records: Iterable[ObjectRecord], filled: _Cells
) -> pd.DataFrame:
    """Return features with a row for each object that has details."""
    import pandas as pd

    of_ours = set[int]().union(*filled.values())
    detailed = sorted(
        (record for record in records if record.label_id in of_ours),
        key=lambda record: record.label_id,
    )
    label_ids = pd.Index([record.label_id for record in detailed], name=_INDEX)
    ours = pd.DataFrame(
        {
            "class": [record.class_name or "" for record in detailed],
            "score": [record.score for record in detailed],
            "reviewed": [record.reviewed for record in detailed],
            "note": [record.note for record in detailed],
            "parent_id": [record.parent_id or None for record in detailed],
        },
        label_ids,
    )
    if features is None or set(features.columns) <= {_INDEX}:
        return ours.reset_index()
    theirs = _indexed(features)
    shared = {name: name + _USERS_SUFFIX for name in _COLUMNS if name in theirs}
    joined = theirs.rename(columns=shared).set_index(_INDEX).join(ours, how="outer")
    for name, kept in shared.items():
        is_ours = joined.index.isin(filled[name])
        cells = joined[name].astype(object).where(is_ours, joined[kept].astype(object))
        joined[name] = cells.infer_objects()
    return joined.drop(columns=list(shared.values())).reset_index()
