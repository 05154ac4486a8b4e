"""Films of labels as the Cell Tracking Challenge has them: one TIFF a frame, and a table of tracks.

Source of the format: "Cell Tracking Challenge: submission of results" (naming and file content
conventions), https://public.celltrackingchallenge.net/documents/. A line "L B E P" of the table is
a track: its label in the images, the first and the last frame, both from 0, and the label of the
track that it comes from, 0 for none. A track has its label in every frame from B to E.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.files import FileError, export_folder, file_reader, read_text
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.label_images import check_size, labels_from_objects, objects_from_labels
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.tiff import read_label_tiff
from napari_sam.formats.tracks import Frames, frames_of
from napari_sam.storage.pacing import paced

TRACK_TABLES: Final = ("res_track.txt", "man_track.txt")
"""The names of the table: of results, and of what was annotated by hand."""
_PREFIXES: Final = {"res_track.txt": "mask", "man_track.txt": "man_track"}
_FRAME: Final = re.compile(r"(?:mask|man_track)(\d{3,})\.tif")
_OWN: Final = re.compile(r"(?:res|man)_track\.txt|(?:mask|man_track)\d{3,}\.tif")
_LARGEST: Final = 2**16 - 1
_TRACK: Final = "track without pixels"


class TrackLine(NamedTuple):
    """A line of the table."""

    label: int
    first: int
    last: int
    parent: int


@dataclass(frozen=True)
class _Segment:
    """A track of the format: an object through frames without a gap."""

    label_id: int  # the object
    line: TrackLine


def write_ctc(path: str | Path, annotations: Annotations, *, by_hand: bool = False) -> list[Path]:
    """Write a folder with one label image for each frame and the table of tracks.

    Parameters
    ----------
    path : str or Path
        The folder, such as ``01_RES``. One that is there is replaced if it has nothing else.
    annotations : Annotations
        The objects of a film. One that is missing in some frames becomes several tracks, of which
        each comes from the one before, as the format asks for; reading joins them again.
    by_hand : bool
        Whether the files are named as annotations by hand are, instead of results.

    Returns
    -------
    list of Path
        The table, then the images.

    Raises
    ------
    FileError
        If the image is no film, objects overlap, a division is not possible, there are more than
        65535 tracks, or the folder cannot be written.
    """
    path, frames = Path(path), frames_of(annotations)
    segments = _segments(frames)
    table = TRACK_TABLES[by_hand]
    n_frames = annotations.image.shape[frames.axis]
    width = max(3, len(str(n_frames - 1)))
    labels_in = _labels_by_frame(segments)
    names = [f"{_PREFIXES[table]}{frame:0{width}}.tif" for frame in range(n_frames)]
    with export_folder(path, _OWN) as folder:
        lines = (" ".join(map(str, segment.line)) for segment in segments)
        (folder / table).write_text("".join(f"{line}\n" for line in lines), "ascii", newline="\n")
        for frame, name in enumerate(paced(names)):
            image = _frame_image(annotations, frames, frame, labels_in.get(frame, {}))
            tifffile.imwrite(
                folder / name, image, photometric="minisblack", compression="zlib", metadata=None
            )
    return [path / name for name in (table, *names)]


def _segments(frames: Frames) -> list[_Segment]:
    """Return the tracks of the format, by their labels."""
    spans = frames.frames_of()
    new_label = max(spans, default=0)
    last_label: dict[int, int] = {}
    segments = []
    for label_id, present in spans.items():
        label, parent = label_id, 0
        for run in np.split(present, np.flatnonzero(np.diff(present) > 1) + 1):
            if parent:
                new_label += 1
                label = new_label
            segments.append(_Segment(label_id, TrackLine(label, int(run[0]), int(run[-1]), parent)))
            parent = label
        last_label[label_id] = label
    if new_label > _LARGEST:
        raise FileError(
            f"Label {new_label} is above {_LARGEST}, the limit here; renumber the objects from 1."
        )
    return sorted(
        (_with_parent(segment, frames, last_label) for segment in segments),
        key=lambda segment: segment.line.label,
    )


def _with_parent(segment: _Segment, frames: Frames, last_label: Mapping[int, int]) -> _Segment:
    parent_id = frames.parents.get(segment.label_id)
    if parent_id is None or segment.line.parent:
        return segment
    return replace(segment, line=segment.line._replace(parent=last_label[parent_id]))


def _labels_by_frame(segments: Sequence[_Segment]) -> dict[int, dict[int, int]]:
    """Return the label of each object in each frame."""
    labels: dict[int, dict[int, int]] = {}
    for segment in segments:
        for frame in range(segment.line.first, segment.line.last + 1):
            labels.setdefault(frame, {})[segment.label_id] = segment.line.label
    return labels


def _frame_image(
    annotations: Annotations, frames: Frames, frame: int, labels: Mapping[int, int]
) -> NDArray[np.uint16]:
    """Return the label image of a frame."""
    image, axis = annotations.image, frames.axis
    shape = (*image.shape[:axis], *image.shape[axis + 1 :])
    objects = [
        replace(
            part,
            label_id=label,
            slice_index=(*part.slice_index[:axis], *part.slice_index[axis + 1 :]),
        )
        for label_id, label in labels.items()
        for part in frames.parts[label_id, frame]
    ]
    return labels_from_objects(Annotations(ImageInfo(shape), objects)).astype(np.uint16)


@file_reader("a film of the Cell Tracking Challenge")
def read_ctc(path: str | Path, shape: Sequence[int] | None = None) -> Annotations:
    """Read a folder of label images with its table of tracks.

    Parameters
    ----------
    path : str or Path
        The table, ``res_track.txt`` or ``man_track.txt``.
    shape : tuple of int, optional
        That of the image that the labels belong to; larger labels are refused unread.

    Returns
    -------
    Annotations
        The objects with the label_ids of the images. A track that comes from another one alone,
        after a gap, is the same object.

    Raises
    ------
    FileError
        If the table or an image cannot be read, or images have different sizes.
    """
    path, left_out = Path(path), LeftOut()
    lines = {line.label: line for line in _lines_in(path, left_out)}
    files = _frame_files(path)
    if not files:
        raise FileError(f"There are no images such as mask000.tif beside the table: {path.name}")
    n_frames = max(files) + 1
    first, _ = read_label_tiff(files[min(files)])
    film_shape = (n_frames, *first.shape)
    check_size(path, film_shape, 4, shape)
    labels = np.zeros(film_shape, np.uint32)
    for frame, file in paced(files.items()):
        image, _ = read_label_tiff(file, first.shape)
        if image.shape != first.shape:
            raise FileError(f"The image {file.name} has another size than the others: {path.name}")
        labels[frame] = image
    owners = _owners(lines)
    objects = [
        replace(
            obj,
            label_id=owners.get(obj.label_id, obj.label_id),
            parent_id=_parent_of(owners.get(obj.label_id, obj.label_id), lines, owners),
        )
        for obj in objects_from_labels(labels)
    ]
    left_out.counts[_TRACK] += len(lines.keys() - set(np.unique(labels).tolist()))
    left_out.counts += Counter()  # without zeros
    axes = "TZYX" if labels.ndim == 4 else "TYX"
    return Annotations(ImageInfo(film_shape, path.parent.name, axes), objects, left_out=left_out)


def _lines_in(path: Path, left_out: LeftOut) -> Iterator[TrackLine]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            with left_out.unreadable(f"line {number}"):
                yield TrackLine(*map(int, line.split()))


def _frame_files(path: Path) -> dict[int, Path]:
    """Return the images that belong to a table, by their frames."""
    prefix = _PREFIXES.get(path.name.lower(), "mask")
    files = sorted(file for file in path.parent.iterdir() if file.name.startswith(prefix))
    return {int(match[1]): file for file in files if (match := _FRAME.fullmatch(file.name))}


def _owners(lines: Mapping[int, TrackLine]) -> dict[int, int]:
    """Return the label of the object that each track belongs to: that of its first one."""
    n_children = Counter(line.parent for line in lines.values())
    owners: dict[int, int] = {}
    for line in sorted(lines.values(), key=lambda entry: entry.first):
        parent = lines.get(line.parent)
        is_only = parent is not None and n_children[line.parent] == 1
        if parent is not None and is_only and line.first > parent.last + 1:
            owners[line.label] = owners.get(line.parent, line.parent)
        else:
            owners[line.label] = line.label
    return owners


def _parent_of(label: int, lines: Mapping[int, TrackLine], owners: Mapping[int, int]) -> int:
    """Return the label of the object that an object comes from, 0 for none."""
    line = lines.get(label)
    parent = None if line is None else lines.get(line.parent)
    if line is None or parent is None or parent.first >= line.first:
        return 0
    return owners[parent.label]


def check_ctc(folder: str | Path) -> list[str]:
    """Check that a folder follows the format, as it is published.

    Parameters
    ----------
    folder : str or Path
        The folder of the images and the table.

    Returns
    -------
    list of str
        What is wrong, one sentence each; empty if nothing is.

    Raises
    ------
    FileError
        If there is no table.
    """
    folder = Path(folder)
    tables = [folder / name for name in TRACK_TABLES if (folder / name).exists()]
    if not tables:
        raise FileError(f"There is no {' or '.join(TRACK_TABLES)} in the folder: {folder.name}")
    left_out = LeftOut()
    lines = list(_lines_in(tables[0], left_out))
    problems = [f"The table has {left_out}."] if left_out else []
    problems += _check_lines(lines)
    return [*problems, *_check_frames(_frame_files(tables[0]), lines)]


def _check_lines(lines: Sequence[TrackLine]) -> Iterator[str]:
    """Yield what is wrong with the table by itself."""
    counts = Counter(line.label for line in lines)
    yield from (f"Label {label} has {n} lines." for label, n in counts.items() if n > 1)
    by_label = {line.label: line for line in lines}
    for line in lines:
        if not 1 <= line.label <= _LARGEST:
            yield f"Label {line.label} is not from 1 to {_LARGEST}."
        if not 0 <= line.first <= line.last:
            yield f"Track {line.label} lasts from frame {line.first} to {line.last}."
        parent = by_label.get(line.parent)
        if line.parent and parent is None:
            yield f"The parent {line.parent} of track {line.label} has no line."
        elif parent is not None and parent.last >= line.first:
            yield f"Track {line.label} begins before its parent {line.parent} has ended."


def _check_frames(files: Mapping[int, Path], lines: Sequence[TrackLine]) -> Iterator[str]:
    """Yield what is wrong with the images: all labels of a frame, and no others, are in each."""
    shapes = set()
    if sorted(files) != list(range(len(files))):
        yield "The images are not numbered from 0 without a gap."
    for line in lines:
        if line.last >= len(files):
            yield f"Track {line.label} ends in frame {line.last}, which has no image."
    for frame, file in sorted(files.items()):
        image = tifffile.imread(file)
        shapes.add(image.shape)
        if image.dtype != np.uint16:
            yield f"{file.name} has {image.dtype} pixels, not 16 bits."
        labels = set(np.unique(image).tolist()) - {0}
        expected = {line.label for line in lines if line.first <= frame <= line.last}
        for label in sorted(labels ^ expected):
            where = "is not in" if label in expected else "should not be in"
            yield f"Track {label} {where} frame {frame}."
    if len(shapes) > 1:
        yield f"The images have {len(shapes)} sizes."
