"""Points of tracks as GEFF, the graph exchange file format: a graph in a Zarr store.

Source of the format: https://live-image-tracking-tools.github.io/geff/latest/specification/.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.files import FileError, export_folder, file_reader, require_memory
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.track_graphs import edges_of, tracks_in_graph, tracks_of_points
from napari_sam.formats.tracks import Tracks, time_axis, tracks_of
from napari_sam.formats.units import converted, unit_name

_VERSION: Final = "1.0"
_OWN: Final = re.compile(r"nodes|edges|\.zgroup|\.zattrs|\.zmetadata|zarr\.json")
_TRACK_ID: Final = "track_id"


def write_geff(path: str | Path, annotations: Annotations) -> list[Path]:
    """Write a graph with a node for each object and frame: its center, in pixels.

    Parameters
    ----------
    path : str or Path
        A ``.geff`` folder.
    annotations : Annotations
        The objects of a film. Its sizes and units are the scales of the axes.

    Returns
    -------
    list of Path
        The folder.

    Raises
    ------
    FileError
        If the image is no film, a division is not possible, or the folder cannot be written.
    """
    import zarr

    path, tracks = Path(path), tracks_of(annotations)
    track_ids = tracks.points[:, 0].astype(np.int64)
    edges = edges_of(track_ids.tolist(), tracks.parents)
    names = ["t", *"zyx"[-(tracks.points.shape[1] - 2) :]]
    columns: dict[str, Any] = {_TRACK_ID: track_ids, "t": tracks.points[:, 1].astype(np.int64)}
    columns |= {name: tracks.points[:, n] for n, name in enumerate(names[1:], 2)}
    with export_folder(path, _OWN) as folder:
        group = zarr.open_group(folder, mode="w", zarr_format=2)
        nodes, links = group.create_group("nodes"), group.create_group("edges")
        nodes.create_array("ids", data=np.arange(len(track_ids), dtype=np.uint64))
        links.create_array("ids", data=np.array(edges, np.uint64).reshape(-1, 2))
        links.create_group("props")
        props = nodes.create_group("props")
        for name, values in columns.items():
            props.create_group(name).create_array("values", data=values)
        about: dict[str, Any] = {
            "geff_version": _VERSION,
            "directed": True,
            "axes": _axes(annotations.image, names),
            "node_props_metadata": {
                name: {"identifier": name, "dtype": str(values.dtype)}
                for name, values in columns.items()
            },
            "edge_props_metadata": {},
        }
        if not _has_only_child(tracks.parents):
            about["track_node_props"] = {"tracklet": _TRACK_ID}
        group.attrs["geff"] = about
    return [path]


def _has_only_child(parents: Mapping[int, int]) -> bool:
    """Whether a track goes on as a single other one, which the format counts as one tracklet."""
    return 1 in Counter(parents.values()).values()


def _axes(image: ImageInfo, names: Sequence[str]) -> list[dict[str, Any]]:
    """Describe the axes: coordinates are in pixels, and a scale tells the size of these."""
    time = time_axis(image)
    depth = [axis for axis in range(len(image.stack_shape)) if axis != time]
    order = [time, *depth[: len(names) - 3], -2, -1]
    axes: list[dict[str, Any]] = []
    for name, axis in zip(names, order, strict=True):
        kind, unit = ("time", "frame") if name == "t" else ("space", "pixel")
        axes.append({"name": name, "type": kind, "unit": unit})
        if image.units[axis] != "pixel":
            axes[-1] |= {"scale": image.pixel_size[axis], "scaled_unit": image.units[axis]}
    return axes


@file_reader("GEFF", is_folder=True)
def read_geff(path: str | Path, image: ImageInfo | None = None) -> Tracks:
    """Read a graph of points.

    Parameters
    ----------
    path : str or Path
        The ``.geff`` or ``.zarr`` folder of the graph.
    image : ImageInfo, optional
        The film, whose pixel size converts coordinates in a unit of length.

    Returns
    -------
    Tracks
        The points in pixels. The ids are those of the file's tracklets, where it has some.

    Raises
    ------
    FileError
        If the folder cannot be read, holds no graph, or has no axis of time.
    """
    import zarr

    group, left_out = zarr.open_group(Path(path), mode="r"), LeftOut()
    about = group.attrs["geff"]
    if not isinstance(about, dict) or not about.get("axes"):
        raise FileError(f"The graph does not say which properties are its axes: {Path(path).name}")
    axes = {str(axis["name"]): axis for axis in about["axes"]}
    times = [name for name, axis in axes.items() if axis.get("type") == "time"]
    spaces = [name for name, axis in axes.items() if axis.get("type") == "space"]
    if len(times) != 1 or len(spaces) not in (2, 3):
        raise FileError(
            f"Tracks need one axis of time and two or three of space, not {', '.join(axes)}: "
            f"{Path(path).name}"
        )
    ids = _values(group, "nodes/ids")
    props = {name: _values(group, f"nodes/props/{name}/values") for name in (*times, *spaces)}
    own = _TRACK_ID if _TRACK_ID in (about.get("node_props_metadata") or {}) else None
    tracklets = (about.get("track_node_props") or {}).get("tracklet", own)
    labels = None if tracklets is None else _values(group, f"nodes/props/{tracklets}/values")
    number_of = {node: number for number, node in enumerate(ids.tolist())}
    frames = np.rint(props[times[0]].astype(np.float64)).astype(np.int64).tolist()
    pairs = []
    for source, target in _values(group, "edges/ids").reshape(-1, 2).tolist():
        if source in number_of and target in number_of:
            pairs.append((number_of[source], number_of[target]))
        else:
            left_out.add("edge")
    wanted = [None] * len(frames) if labels is None else [int(n) for n in labels.tolist()]
    track_ids, parents = tracks_in_graph(frames, pairs, wanted, left_out)
    columns = [
        props[name].astype(np.float64) / _pixel(axes[name], image, n - len(spaces))
        for n, name in enumerate(spaces)
    ]
    return tracks_of_points(track_ids, frames, np.column_stack(columns), parents, left_out)


def _values(group: Any, name: str) -> Any:
    array = group[name]
    require_memory(array.nbytes, f"The property {name}")
    return array[:]


def _pixel(axis: dict[str, Any], image: ImageInfo | None, place: int) -> float:
    """Return the size of a pixel in the unit of the coordinates along an axis."""
    unit = str(axis.get("unit") or "pixel")
    if image is None or unit == "pixel" or len(image.shape) < -place:
        return 1.0
    return converted(image.pixel_size[place], image.units[place], unit_name(unit)) or 1.0
