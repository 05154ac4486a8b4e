"""Tracks as TrackMate, a plugin of Fiji, has them: spots and edges in an XML file.

Source of the format: https://imagej.net/plugins/trackmate/, "Technical documentation", and the
files that TrackMate saves. Positions are in the unit of the image, 0 being the center of the first
pixel; the outline of a spot is relative to its position.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.formats.annotations import Annotations, ExportObject, annotations_read
from napari_sam.formats.files import FileError, export_file, file_reader, require_memory
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.outlines import fill_rings, trace_outlines
from napari_sam.formats.track_graphs import edges_of, tracks_in_graph
from napari_sam.formats.tracks import Frames, center_of, frames_of
from napari_sam.formats.units import UNIT_SYMBOLS
from napari_sam.storage.pacing import paced

_VERSION: Final = "7.11.1"
_FEATURES: Final = {
    "QUALITY": ("Quality", "QUALITY", "false"),
    "POSITION_X": ("X", "POSITION", "false"),
    "POSITION_Y": ("Y", "POSITION", "false"),
    "POSITION_Z": ("Z", "POSITION", "false"),
    "POSITION_T": ("T", "TIME", "false"),
    "FRAME": ("Frame", "NONE", "true"),
    "RADIUS": ("Radius", "LENGTH", "false"),
    "VISIBILITY": ("Visibility", "NONE", "true"),
}
_Size = NDArray[np.float64]
"""Of a pixel, along z, y and x."""


def write_trackmate(path: str | Path, annotations: Annotations) -> None:
    """Write a spot for each object and frame, with its outline, and the edges between them.

    Parameters
    ----------
    path : str or Path
        A ``.xml`` file.
    annotations : Annotations
        The objects of a film. The outline is that of the largest piece, without holes; spots of
        films with slices have none, but the radius of a ball of the object's volume. The name of a
        spot is the label_id.

    Raises
    ------
    FileError
        If the image is no film, a division is not possible, or the file cannot be written.
    """
    image, frames = annotations.image, frames_of(annotations)
    size, keys = _pixel_size(image, frames.axis), sorted(frames.parts)
    root = ElementTree.Element("TrackMate", version=_VERSION)
    unit = UNIT_SYMBOLS[image.units[-1]].ascii
    time_unit = UNIT_SYMBOLS[image.units[frames.axis]].ascii
    time_unit = "frame" if time_unit == "pixel" else time_unit
    model = ElementTree.SubElement(root, "Model", spatialunits=unit, timeunits=time_unit)
    _add_features(model)
    spots = ElementTree.SubElement(model, "AllSpots", nspots=str(len(keys)))
    step = image.pixel_size[frames.axis]
    by_frame: dict[int, ElementTree.Element] = {}
    for frame in range(image.shape[frames.axis]):
        by_frame[frame] = ElementTree.SubElement(spots, "SpotsInFrame", frame=str(frame))
    for number, (label_id, frame) in enumerate(paced(keys)):
        spot = _spot(frames.parts[label_id, frame], frames, size, image)
        spot |= {"ID": str(number), "name": str(label_id), "FRAME": str(frame)}
        spot["POSITION_T"] = repr(frame * step)
        outline = spot.pop("outline", "")
        ElementTree.SubElement(by_frame[frame], "Spot", spot).text = outline
    _add_tracks(model, keys, frames)
    _add_image(root, image, frames.axis)
    ElementTree.SubElement(root, "GUIState", state="ConfigureViews")
    with export_file(path) as partial:
        ElementTree.ElementTree(root).write(partial, encoding="UTF-8", xml_declaration=True)


def _pixel_size(image: ImageInfo, axis: int) -> _Size:
    depth = [size for n, size in enumerate(image.pixel_size[:-2]) if n != axis]
    return np.array([*(depth[:1] or [1.0]), *image.pixel_size[-2:]])


def _add_features(model: ElementTree.Element) -> None:
    declarations = ElementTree.SubElement(model, "FeatureDeclarations")
    spots = ElementTree.SubElement(declarations, "SpotFeatures")
    for key, (name, dimension, is_whole) in _FEATURES.items():
        names = {"name": name, "shortname": name, "dimension": dimension, "isint": is_whole}
        ElementTree.SubElement(spots, "Feature", {"feature": key, **names})
    for kind in ("EdgeFeatures", "TrackFeatures"):
        ElementTree.SubElement(declarations, kind)


def _spot(
    parts: list[ExportObject], frames: Frames, size: _Size, image: ImageInfo
) -> dict[str, str]:
    """Return the attributes of a spot, and its outline."""
    center = center_of(parts, frames.axis)
    z, y, x = np.array([0.0, *center][-3:]) * size
    volume = sum(part.area_px for part in parts) * size[-2] * size[-1]
    spot = {"QUALITY": repr(float(parts[0].score or 1.0)), "VISIBILITY": "1"}
    spot |= {f"POSITION_{axis}": repr(float(n)) for axis, n in zip("ZYX", (z, y, x), strict=True)}
    if len(image.shape) > 3:
        spot["RADIUS"] = repr(float((0.75 * volume * size[0] / np.pi) ** (1 / 3)))
        return spot
    spot["RADIUS"] = repr(float((volume / np.pi) ** 0.5))
    (part,) = parts
    pieces = trace_outlines(part.mask, part.top, part.left)
    shell = max((piece.shell_xy for piece in pieces), key=_area)
    corners = (shell - 0.5) * size[:0:-1] - (x, y)
    spot["ROI_N_POINTS"] = str(len(corners))
    spot["outline"] = " ".join(map(repr, corners.ravel().tolist()))
    return spot


def _area(ring: NDArray[np.int64]) -> float:
    x, y = ring.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def _add_tracks(
    model: ElementTree.Element, keys: Sequence[tuple[int, int]], frames: Frames
) -> None:
    """Add the edges; what descends from one object is one track."""
    founders: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for source, target in edges_of([label_id for label_id, _ in keys], frames.parents):
        founder = keys[target][0]
        while founder in frames.parents:
            founder = frames.parents[founder]
        founders[founder].append((source, target))
    tracks = ElementTree.SubElement(model, "AllTracks")
    filtered = ElementTree.SubElement(model, "FilteredTracks")
    for number, founder in enumerate(sorted(founders)):
        ids = {"TRACK_ID": str(number), "TRACK_INDEX": str(number)}
        track = ElementTree.SubElement(tracks, "Track", {"name": f"Track_{founder}", **ids})
        for source, target in founders[founder]:
            ends = {"SPOT_SOURCE_ID": str(source), "SPOT_TARGET_ID": str(target)}
            ElementTree.SubElement(track, "Edge", ends)
        ElementTree.SubElement(filtered, "TrackID", TRACK_ID=str(number))


def _add_image(root: ElementTree.Element, image: ImageInfo, axis: int) -> None:
    depth = [n for n in range(len(image.stack_shape)) if n != axis]
    settings = ElementTree.SubElement(root, "Settings")
    values = {
        "filename": image.name,
        "folder": "",
        "width": image.shape[-1],
        "height": image.shape[-2],
        "nslices": image.shape[depth[0]] if depth else 1,
        "nframes": image.shape[axis],
        "pixelwidth": image.pixel_size[-1],
        "pixelheight": image.pixel_size[-2],
        "voxeldepth": image.pixel_size[depth[0]] if depth else 1.0,
        "timeinterval": image.pixel_size[axis],
    }
    content = {name: _text(value) for name, value in values.items()}
    ElementTree.SubElement(settings, "ImageData", content)


def _text(value: Any) -> str:
    """Return a value without characters that XML cannot hold."""
    text = str(value)
    return "".join(c if c.isprintable() else "?" for c in text)


# Reading ---------------------------------------------------------------------------------------


class _Spot(NamedTuple):
    """A spot of a file."""

    number: int  # its ID
    frame: int
    center: NDArray[np.float64]  # z, y and x in the unit of the image
    radius: float
    corners: NDArray[np.float64] | None  # (N, 2): x and y, from the center
    label: int | None


@dataclass(frozen=True)
class _Film:
    """The image of a file."""

    info: ImageInfo
    size: _Size


@file_reader("a file of TrackMate")
def read_trackmate(path: str | Path, image: ImageInfo | None = None) -> Annotations:
    """Read the spots of a file as objects, with the tracks that are shown.

    Parameters
    ----------
    path : str or Path
        A ``.xml`` file.
    image : ImageInfo, optional
        The film, for a file that does not tell its size.

    Returns
    -------
    Annotations
        A spot with an outline has its pixels, another one those of a disc or ball of its radius.
        Hidden spots are left out, and so are edges of hidden tracks and of tracks that merge.

    Raises
    ------
    FileError
        If the file cannot be read, or the size of the film is unknown.
    """
    path, left_out = Path(path), LeftOut()
    root = ElementTree.parse(path).getroot()
    if root.tag != "TrackMate":
        raise FileError(f"The file is XML, but not of TrackMate: {path.name}")
    film = _film_in(root, path, image)
    spots = list(_spots_in(root, left_out))
    places = {spot.number: place for place, spot in enumerate(spots)}
    track_ids, parents = tracks_in_graph(
        [spot.frame for spot in spots],
        list(_edges_in(root, places, left_out)),
        [spot.label for spot in spots],
        left_out,
    )
    objects = [
        ExportObject(track_id, *crop, index, parent_id=parents.get(track_id, 0))
        for spot, track_id in paced(list(zip(spots, track_ids, strict=True)))
        for index, crop in _crops(spot, film)
    ]
    return annotations_read(film.info, objects, (), left_out)


def _film_in(root: ElementTree.Element, path: Path, image: ImageInfo | None) -> _Film:
    data = root.find("Settings/ImageData")
    if data is None or not int(data.get("width", 0)):
        if image is None:
            raise FileError(f"The file does not tell the size of its film: {path.name}")
        axis = image.axes.find("T") if "T" in image.axes else 0
        return _Film(image, _pixel_size(image, axis))
    get = data.get
    lengths = [int(get(name, 1)) for name in ("nframes", "nslices", "height", "width")]
    steps = [
        float(get(name, 1)) for name in ("timeinterval", "voxeldepth", "pixelheight", "pixelwidth")
    ]
    steps = [step if step > 0 else 1.0 for step in steps]
    size = np.array(steps[1:])
    if lengths[1] == 1:
        del lengths[1], steps[1]
    axes = "TZYX" if len(lengths) == 4 else "TYX"
    name = get("filename") or path.name
    return _Film(ImageInfo(tuple(lengths), name, axes, tuple(steps)), size)


def _spots_in(root: ElementTree.Element, left_out: LeftOut) -> Iterator[_Spot]:
    for frame in root.iterfind("Model/AllSpots/SpotsInFrame"):
        for spot in paced(frame.iterfind("Spot")):
            if spot.get("VISIBILITY", "1") == "0":
                left_out.add("hidden spot")
                continue
            with left_out.unreadable(f"spot {spot.get('ID')}"):
                yield _spot_in(spot)


def _spot_in(spot: ElementTree.Element) -> _Spot:
    center = np.array([float(spot.attrib[f"POSITION_{axis}"]) for axis in "ZYX"])
    radius = float(spot.get("RADIUS", 0))
    if not np.isfinite([*center, radius]).all() or radius < 0:
        raise FileError("it has no finite position and radius")
    corners = None
    if int(spot.get("ROI_N_POINTS", 0)) > 2 and spot.text:
        corners = np.array([float(n) for n in spot.text.split()]).reshape(-1, 2)
    name = spot.get("name", "")
    label = int(name) if name.isascii() and name.isdecimal() and len(name) < 10 else None
    frame = round(float(spot.attrib["FRAME"]))
    return _Spot(int(spot.attrib["ID"]), frame, center, radius, corners, label)


def _edges_in(
    root: ElementTree.Element, places: dict[int, int], left_out: LeftOut
) -> Iterator[tuple[int, int]]:
    filtered = root.find("Model/FilteredTracks")
    shown = None if filtered is None else {entry.get("TRACK_ID") for entry in filtered}
    for track in root.iterfind("Model/AllTracks/Track"):
        if shown is not None and track.get("TRACK_ID") not in shown:
            left_out.add("hidden track")
            continue
        for edge in track.iterfind("Edge"):
            with left_out.unreadable("an edge"):
                ends = (int(edge.attrib[f"SPOT_{end}_ID"]) for end in ("SOURCE", "TARGET"))
                source, target = (places[number] for number in ends)
                yield source, target


def _crops(spot: _Spot, film: _Film) -> Iterator[tuple[tuple[int, ...], MaskCrop]]:
    """Yield the pixels of a spot, with the slice that they are in; outside the film, none."""
    shape, size = film.info.plane_shape, film.size
    time = film.info.axes.find("T") if "T" in film.info.axes else 0
    depth = [n for n in range(len(film.info.stack_shape)) if n != time]
    if spot.corners is not None and not depth:
        corners = (spot.corners + spot.center[:0:-1]) / size[:0:-1] + 0.5
        crop = fill_rings([corners], shape)
        if crop is not None:
            yield (spot.frame,), crop
        return
    center, reach = spot.center / size, spot.radius / size
    if not depth:
        crop = _disc(center[1:], spot.radius**2, size[1:], shape)
        if crop is not None:
            yield (spot.frame,), crop
        return
    n_slices, index = film.info.shape[depth[0]], [spot.frame, spot.frame]
    for z in range(max(0, int(center[0] - reach[0])), min(n_slices, int(center[0] + reach[0]) + 2)):
        away = float((z - center[0]) * size[0])
        crop = _disc(center[1:], spot.radius**2 - away**2, size[1:], shape)
        if crop is not None:
            index[depth[0]] = z
            yield tuple(index), crop


def _disc(
    center: NDArray[np.float64], squared_radius: float, size: _Size, shape: tuple[int, int]
) -> MaskCrop | None:
    """Return the pixels whose centers are within a distance; at least that of the center."""
    if squared_radius < 0:
        return None
    reach = squared_radius**0.5 / size
    low = np.clip(np.floor(center - reach), 0, shape).astype(int)
    high = np.clip(np.ceil(center + reach) + 1, 0, shape).astype(int)
    if (low >= high).any():
        return None
    require_memory(int(np.prod(high - low)), "The mask of a spot")
    rows, columns = (np.arange(a, b) for a, b in zip(low, high, strict=True))
    away = ((rows - center[0]) * size[0])[:, None] ** 2 + ((columns - center[1]) * size[1]) ** 2
    is_inside = away <= squared_radius
    middle = (np.rint(center) - low).astype(int)
    if (middle >= 0).all() and (middle < is_inside.shape).all():
        is_inside[tuple(middle)] = True
    crop = tight_crop(is_inside, int(low[0]), int(low[1]))
    return crop if crop.mask.size else None
