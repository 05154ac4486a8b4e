"""What is known of objects in the table of features that napari keeps with a Labels layer.

So napari's own save dialog writes it, the status bar shows it, and a layer that comes from a file
brings it along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import pandas as pd
from napari.layers import Labels

from napari_sam.session import (
    ClassError,
    Classes,
    ClassTable,
    ObjectBook,
    ObjectRecord,
    classes_from_json,
    classes_to_json,
)

CLASSES_KEY: Final = "napari-sam-live classes"
"""Under which the classes with their colours are in a layer's metadata."""
_INDEX: Final = "index"
_COLUMNS: Final = ("class", "score", "reviewed", "note")


def with_features(record: ObjectRecord, features: dict[int, dict[str, Any]]) -> ObjectRecord:
    """Return a record with what a layer's features say of it, as `features_of` gives them."""
    known = features.get(record.label_id)
    if known is None:
        return record
    score = known.get("score")
    return replace(
        record,
        class_name=" ".join(str(known.get("class", "")).splitlines()).strip() or None,
        score=None if score is None else float(score),
        reviewed=bool(known.get("reviewed", False)),
        note=str(known.get("note", "")),
    )


def features_of(layer: Labels) -> dict[int, dict[str, Any]]:
    """Return what a layer's features say of classes, scores and the like, by label_id."""
    table = layer.features
    columns = [name for name in _COLUMNS if name in table]
    if _INDEX not in table or not columns:
        return {}
    known = table[[_INDEX, *columns]].copy()
    for name in {_INDEX, "score"} & set(known):  # whatever somebody else calls so
        known[name] = pd.to_numeric(known[name], errors="coerce")
    rows = known.dropna(subset=[_INDEX]).to_dict("records")
    return {
        int(row[_INDEX]): {name: row[name] for name in columns if not pd.isna(row[name])}
        for row in rows
    }


def classes_in(metadata: Mapping[str, Any]) -> Classes:
    """Return the classes that a layer's metadata name; none if they are no classes."""
    try:
        return classes_from_json(metadata.get(CLASSES_KEY, []))
    except ClassError:
        return ()


class FeatureWriter:
    """Keeps a layer's features true to the records of its objects; other columns stay.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer.
    book : ObjectBook
        The records.
    table : ClassTable
        The classes.
    defer : callable
        Has a callback called soon: many changes at once are written as one.
    """

    def __init__(
        self,
        layer: Labels,
        book: ObjectBook,
        table: ClassTable,
        defer: Callable[[Callable[[], None]], None],
    ) -> None:
        self._layer, self._book, self._table, self._defer = layer, book, table, defer
        self._is_due = False
        book.changed.connect(self._on_changed)
        table.changed.connect(self._on_changed)

    def close(self) -> None:
        """Write what is still to be written, and let the layer go."""
        self._book.changed.disconnect(self._on_changed)
        self._table.changed.disconnect(self._on_changed)
        self._write()

    def _on_changed(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._defer(self._write)

    def _write(self) -> None:
        if not self._is_due:
            return
        self._is_due = False
        self._layer.features = _merged(self._layer.features, self._book)
        self._layer.metadata[CLASSES_KEY] = classes_to_json(self._table.classes)


def _merged(features: pd.DataFrame, records: Iterable[ObjectRecord]) -> pd.DataFrame:
    """Return features with a row for each object that something is known of."""
    known = [one for one in records if one.class_name or one.score or one.reviewed or one.note]
    ours = pd.DataFrame(
        {
            "class": [one.class_name or "" for one in known],
            "score": [one.score for one in known],
            "reviewed": [one.reviewed for one in known],
            "note": [one.note for one in known],
        },
        index=pd.Index([one.label_id for one in known], name=_INDEX),
    )
    theirs = features.drop(columns=[name for name in _COLUMNS if name in features])
    if _INDEX not in theirs and len(theirs.columns):
        theirs = theirs.rename_axis(_INDEX).reset_index()  # the row is the number, to napari
    if set(theirs.columns) <= {_INDEX}:
        return ours.reset_index()
    return theirs.set_index(_INDEX).join(ours, how="outer").reset_index()
