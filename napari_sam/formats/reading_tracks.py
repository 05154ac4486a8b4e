"""Read the points of tracks from a file of any format that holds them."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from napari_sam.formats.ctc import TRACK_TABLES, read_ctc
from napari_sam.formats.files import FileError
from napari_sam.formats.geff import read_geff
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.track_tables import read_tracks_csv
from napari_sam.formats.trackmate import read_trackmate
from napari_sam.formats.tracks import Tracks, tracks_of

_READERS: Final[dict[str, Callable[[Path, ImageInfo], Tracks]]] = {
    ".csv": lambda path, _: read_tracks_csv(path),
    ".xml": lambda path, image: tracks_of(read_trackmate(path, image)),
    ".txt": lambda path, image: tracks_of(read_ctc(path, image.shape)),
    ".geff": read_geff,
    ".zarr": read_geff,
}
TRACK_SUFFIXES: Final = tuple(_READERS)
"""How files end that `read_tracks` reads."""
POINTS_SUFFIXES: Final = (".csv", ".geff", ".zarr")
"""How those of them end that hold no objects."""
GEFF_FILE: Final = "zarr.json"
"""The file in the folder of a graph that stands for the folder where only files can be chosen."""


def read_tracks(path: str | Path, image: ImageInfo) -> Tracks:
    """Read the points of the tracks of a film.

    Parameters
    ----------
    path : str or Path
        A table of points (``.csv``), a file of TrackMate (``.xml``), a graph (``.geff`` or
        ``.zarr``), or the table of the Cell Tracking Challenge (``res_track.txt`` or
        ``man_track.txt``) or its folder.
    image : ImageInfo
        The film.

    Returns
    -------
    Tracks
        The points in pixels.

    Raises
    ------
    FileError
        If the file cannot be read, or holds no tracks.
    """
    path = Path(path)
    for name in TRACK_TABLES:
        if (path / name).is_file():
            path /= name
    read = _READERS.get(path.suffix.lower())
    if read is None or (path.suffix == ".txt" and path.name.lower() not in TRACK_TABLES):
        raise FileError(
            f"Choose tracks that end in {', '.join(_READERS)}, such as {TRACK_TABLES[0]}, not "
            f"{path.name}."
        )
    return read(path, image)
