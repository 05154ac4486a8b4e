"""Labels for training Ultralytics' YOLO, and what its models predict.

Source of the format: https://docs.ultralytics.com/datasets/segment/, and detect/ and obb/ there. An
image has a text file with one line per object: the number of its class, from 0, and the corners of
a polygon, x and y in turn, or center, width and height of a box, as fractions of the image's width
and height. Predictions end with a score.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations, ExportObject, annotations_read
from napari_sam.formats.classes import ObjectClass, classes_of
from napari_sam.formats.details import number_in
from napari_sam.formats.files import (
    FileError,
    compose_yaml,
    file_reader,
    read_text,
    read_yaml,
    read_yaml_text,
    write_text,
)
from napari_sam.formats.image import ImageInfo, stack_stem
from napari_sam.formats.left_out import OUTSIDE, LeftOut
from napari_sam.formats.outlines import fill_rings, joined_ring, trace_outlines
from napari_sam.storage.pacing import paced
from napari_sam.storage.text import single_line

# A data set needs at least one class, also if objects have none.
_UNCLASSIFIED: Final = '  0: "object"  # without class\n'
_MAX_FRACTION: Final = 2
"""Polygons may extend beyond their image; pixels are far larger numbers."""
_NOT_IN_YAML: Final = re.compile("[^ -~\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def write_yolo(path: str | Path, annotations: Annotations) -> None:
    """Write the objects of one 2-D image.

    Parameters
    ----------
    path : str or Path
        A ``.txt`` file, named like the image.
    annotations : Annotations
        The objects. Without any classes, all of them have class 0.

    Raises
    ------
    FileError
        If this is a stack, only some objects have a class, or the file cannot be written.

    Notes
    -----
    The format has neither holes nor several pieces. Rings are joined by slits of no width, as by
    Ultralytics' own converter, so the even-odd rule loses no pixel. Programs that also draw the
    outline of a polygon, such as OpenCV's ``fillPoly``, fill the slits, one pixel wide. The format
    has no label_ids and no scores.
    """
    if annotations.image.stack_shape:
        msg = (
            "YOLO holds 2-D images; choose another format, or write slice by slice "
            "(Annotations.plane)."
        )
        raise FileError(msg)
    numbers = yolo_class_numbers(annotations)
    lines = [
        f"{numbers[obj.class_name]} {_polygon(obj, annotations.image)}\n"
        for obj in paced(annotations.objects)
    ]
    write_text(path, "".join(lines))


def yolo_class_numbers(annotations: Annotations) -> dict[str | None, int]:
    """Return the number of each class; a `FileError` is raised if only some objects have one."""
    names: list[str | None] = [entry.name for entry in annotations.classes] or [None]
    numbers = {name: number for number, name in enumerate(names)}
    if any(obj.class_name not in numbers for obj in annotations.objects):
        raise FileError("In YOLO either all objects have a class or none; give the others a class.")
    return numbers


def _polygon(obj: ExportObject, image: ImageInfo) -> str:
    pieces = trace_outlines(obj.mask, obj.top, obj.left)
    ring = joined_ring([ring for piece in pieces for ring in (piece.shell_xy, *piece.holes_xy)])
    fractions = (ring / image.plane_shape[::-1]).ravel().tolist()
    # Eight digits keep a corner within a thousandth of a pixel in images of 100,000 pixels.
    return " ".join(f"{fraction:.8f}".rstrip("0").rstrip(".") for fraction in fractions)


@file_reader()
def read_yolo(
    path: str | Path, image: ImageInfo, classes: Sequence[ObjectClass] = ()
) -> Annotations:
    """Read the objects of one 2-D image.

    Parameters
    ----------
    path : str or Path
        A ``.txt`` file.
    image : ImageInfo
        The image that it belongs to.
    classes : sequence of ObjectClass, optional
        In the order of their numbers, as from `read_yolo_classes`. Objects of other classes have
        no class.

    Returns
    -------
    Annotations
        The line of an object is its label_id. A box is an object that fills it. Objects without a
        pixel, and lines that cannot be read, are left out and counted.

    Raises
    ------
    FileError
        If the file cannot be read, or no line in it can.
    """
    left_out, objects = LeftOut(), []
    for line in paced(lines_in(path, image, left_out)):
        with left_out.unreadable(f"line {line.number}"):
            mask = fill_rings([line.corners_xy], image.plane_shape)
            if mask is None:
                left_out.add(OUTSIDE)
                continue
            class_name = name_of_class(line.class_number, classes)
            obj = ExportObject(line.number, *mask, class_name=class_name, score=line.score)
            objects.append(obj)
    left_out.require(objects, "No object can be read", Path(path).name)
    return annotations_read(image, objects, classes, left_out)


class YoloLine(NamedTuple):
    """An object, with corners in pixels from the outer corner of the first pixel."""

    number: int  # of the line, from 1
    class_number: int
    corners_xy: NDArray[np.float64]  # (N, 2)
    is_box: bool
    score: float | None


def lines_in(path: str | Path, image: ImageInfo, left_out: LeftOut) -> Iterator[YoloLine]:
    """Yield what the lines of a file mean."""
    lines = [line.replace(",", " ").split() for line in read_text(path).splitlines()]
    # A point of a pose that is marked 2 is visible; a corner of a polygon lies in the image.
    pose_lengths = {
        len(words) for words in paced(lines) if _has_marks(words) and 2 in _marks(words)
    }
    for number, words in enumerate(lines, start=1):
        if words:
            is_pose = len(words) in pose_lengths and _has_marks(words)
            with left_out.unreadable(f"line {number}"):
                yield _parsed(number, words[:5] if is_pose else words, image.plane_shape)


def _has_marks(words: Sequence[str]) -> bool:
    """Return whether a line may be of a pose: a box, and points with a mark each."""
    return _marks(words) <= {0, 1, 2}


def _marks(words: Sequence[str]) -> set[float | None]:
    return {number_in(word) for word in words[7::3]}


def name_of_class(number: int, classes: Sequence[ObjectClass]) -> str | None:
    """Return the name of a class; None if it has none."""
    return classes[number].name if number < len(classes) else None


def _parsed(number: int, words: Sequence[str], shape: tuple[int, int]) -> YoloLine:
    first, *rest = words
    class_number = number_in(first)
    if class_number is None or class_number < 0 or not class_number.is_integer():
        raise FileError(f"it begins with {first!r} instead of the number of a class")
    values = [value for value in map(number_in, rest) if value is not None]
    if len(values) < len(rest):
        raise FileError("it has a coordinate that is not a number")
    # Predictions have a score at the end.
    score = values.pop() if len(values) > 4 and len(values) % 2 else None
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise FileError(f"it has {len(values)} coordinates, too few for a polygon or a box")
    if max(map(abs, values)) > _MAX_FRACTION:
        raise FileError("its coordinates are not fractions of the image's width and height")
    is_box = len(values) == 4
    if is_box:
        x, y, width, height = values
        x0, y0, x1, y1 = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        values = [x0, y0, x1, y0, x1, y1, x0, y1]
    corners_xy = np.reshape(values, (-1, 2)) * shape[::-1]
    return YoloLine(number, int(class_number), corners_xy, is_box, score)


def write_yolo_classes(path: str | Path, classes: Sequence[ObjectClass]) -> None:
    """Write the part of a data set's ``data.yaml`` that names the classes.

    Parameters
    ----------
    path : str or Path
        A ``.yaml`` file. Other entries of an existing file, such as image folders, are kept.
    classes : sequence of ObjectClass
        In the order of their numbers. Without any, a class "object" is written.

    Raises
    ------
    FileError
        If the file cannot be written, or an existing file is not a ``data.yaml``.
    """
    rest, has_count = _without_names(path) if Path(path).exists() else ("", False)
    count = f"nc: {max(len(classes), 1)}\n" if has_count else ""
    names = "".join(f"  {number}: {_quoted(entry.name)}\n" for number, entry in enumerate(classes))
    write_text(path, f"{rest}{count}names:\n{names or _UNCLASSIFIED}")


def _quoted(name: str) -> str:
    """Return a YAML string in quotes, so that no name is taken for a number or for "no"."""
    # As in JSON, but YAML wants more characters escaped.
    text = json.dumps(name, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _without_names(path: str | Path) -> tuple[str, bool]:
    """Return a data set's text without its classes, and whether it also had their count."""
    try:
        text = read_yaml_text(path)
        root = compose_yaml(text)
    except (FileError, yaml.YAMLError) as error:
        raise _no_data_set(path) from error
    if root is None:
        return text, False
    # A mapping in braces cannot be cut line by line.
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise _no_data_set(path)
    entries = [(key, value) for key, value in root.value if key.value in ("names", "nc")]
    for key, value in reversed(entries):
        text = text[: key.start_mark.index] + text[value.end_mark.index :].removeprefix("\n")
    has_count = any(key.value == "nc" for key, _ in entries)
    return text if not text or text.endswith("\n") else f"{text}\n", has_count


def _no_data_set(path: str | Path) -> FileError:
    return FileError(
        f"This YAML file is not a YOLO data.yaml; choose another name than {Path(path).name}"
    )


@file_reader("a YOLO data.yaml")
def read_yolo_classes(path: str | Path) -> tuple[ObjectClass, ...]:
    """Read the classes of a data set.

    Parameters
    ----------
    path : str or Path
        A ``data.yaml`` file, with a list or a numbered mapping of names.

    Returns
    -------
    tuple of ObjectClass
        In the order of their numbers, with colors of the palette; empty if the file was written
        without classes.

    Raises
    ------
    FileError
        If the file cannot be read or has no names.
    """
    if read_text(path).endswith(_UNCLASSIFIED):
        return ()
    names = read_yaml(path)["names"]
    if isinstance(names, dict):
        names = [names[number] for number in range(len(names))]
    return classes_of(single_line(str(name)) for name in names)


def classes_beside(path: Path, left_out: LeftOut) -> tuple[ObjectClass, ...]:
    """Return the classes that are named in a ``.yaml`` file beside the text file of an image."""
    files = (path.with_suffix(".yaml"), path.with_name(f"{stack_stem(path.stem)}.yaml"))
    for file in dict.fromkeys(files):
        with left_out.unreadable():  # the error names the file
            if file.exists():
                return read_yolo_classes(file)
    return ()
