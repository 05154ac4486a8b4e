"""Points of tracks as CSV, with the columns that napari's Tracks layers have."""

import csv
from pathlib import Path
from typing import Any, Final

import numpy as np

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.files import FileError, file_reader, read_text, write_table
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.track_graphs import tracks_of_points
from napari_sam.formats.tracks import Tracks, tracks_of

_COLUMNS: Final = {
    "track_id": ("track_id", "trackid", "id", "axis-0"),
    "t": ("t", "frame", "time", "axis-1"),
    "z": ("z",),
    "y": ("y",),
    "x": ("x",),
    "parent": ("parent_track_id", "parent", "parent_id"),
}
"""What other programs call the columns; a table of napari itself numbers its axes."""


def write_tracks_csv(path: str | Path, annotations: Annotations) -> None:
    """Write a table with one row for each object and frame: its center, in pixels.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` file.
    annotations : Annotations
        The objects of a film.

    Raises
    ------
    FileError
        If the image is no film, a division is not possible, or the file cannot be written.

    Notes
    -----
    The first columns, ``track_id``, ``t``, maybe ``z``, ``y`` and ``x``, are the data of a Tracks
    layer of napari; ``parent_track_id`` is empty for a track without a parent.
    """
    tracks = tracks_of(annotations)
    names = ["track_id", "t", *"zyx"[-(tracks.points.shape[1] - 2) :], "parent_track_id"]
    rows = (
        [int(track_id), int(frame), *place, tracks.parents.get(int(track_id))]
        for track_id, frame, *place in tracks.points.tolist()
    )
    write_table(path, [names, *rows])


@file_reader("a table of tracks")
def read_tracks_csv(path: str | Path) -> Tracks:
    """Read a table of points, such as `write_tracks_csv` or napari writes it.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` file with the columns of a Tracks layer of napari, in any order.

    Returns
    -------
    Tracks
        The points in pixels. Rows without a whole track_id and frame are left out.

    Raises
    ------
    FileError
        If the file cannot be read, or a column is missing.
    """
    text, left_out = read_text(path), LeftOut()
    lines = text.splitlines()
    reader = csv.DictReader(lines, delimiter=max(",;\t", key=(lines or [""])[0].count))
    columns = _columns(list(reader.fieldnames or ()), path)
    places_of = [columns[axis] for axis in "zyx" if axis in columns]
    track_ids, frames, places, parents = [], [], [], {}
    for number, row in enumerate(reader, 1):
        with left_out.unreadable(f"row {number}"):
            track_id, frame = _whole(row[columns["track_id"]]), _whole(row[columns["t"]])
            place = [float(row[name]) for name in places_of]
            if not np.isfinite(place).all():
                raise FileError("a coordinate is not finite")
            parent = row.get(columns.get("parent", ""), "") or "0"
            if _whole(parent) > 0 and _whole(parent) != track_id:
                parents[track_id] = _whole(parent)
            track_ids.append(track_id)
            frames.append(frame)
            places.append(place)
    left_out.require(track_ids, "No row is a point of a track", Path(path).name)
    array = np.array(places, np.float64).reshape(-1, len(places_of))
    return tracks_of_points(track_ids, frames, array, parents, left_out)


def _columns(names: list[str], path: str | Path) -> dict[str, str]:
    """Return the column of each value."""
    by_name = {name.strip().lower(): name for name in names if name}
    columns: dict[str, str] = {}
    for column, aliases in _COLUMNS.items():
        name = next((by_name[alias] for alias in aliases if alias in by_name), None)
        if name is not None:
            columns[column] = name
    numbered = [by_name[f"axis-{n}"] for n in range(2, 5) if f"axis-{n}" in by_name]
    if "y" not in columns and numbered:
        columns |= dict(zip("zyx"[-len(numbered) :], numbered, strict=True))
    missing = [column for column in ("track_id", "t", "y", "x") if column not in columns]
    if missing:
        raise FileError(
            f"No column {', '.join(missing)}; a table of tracks needs track_id, t, y and x: "
            f"{Path(path).name}"
        )
    return columns


def _whole(text: Any) -> int:
    number = float(text)
    if number != round(number):
        raise FileError(f"{text} is not a whole number")
    return round(number)
