"""Read prompts from the files of detectors, annotation tools and napari itself.

The formats are

- CSV with a header, of boxes, points, or napari's shapes, see `prompt_tables`. A column ``class``,
  ``class_name``, ``category`` or ``label`` names classes;
- GeoJSON of points, lines and polygons, and labelme; a rectangular polygon is a box. All polygons
  of a feature are one prompt, and so are the shapes of a group of labelme;
- COCO and SAM: annotations with ``bbox``, or with a mask, whose box it is then; or a bare list of a
  detector's results;
- YOLO: boxes and polygons.

Boxes, GeoJSON, COCO and YOLO have their origin at the outer corner of the first pixel; points in
CSV, and napari's files, have it at the center of that pixel.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.coco import mask_in, read_categories
from napari_sam.formats.coco_layouts import as_coco
from napari_sam.formats.details import id_in, whole_number_in
from napari_sam.formats.files import FileError, file_reader, read_json, read_text
from napari_sam.formats.geojson import (
    UNLOCATED,
    as_feature,
    classification_in,
    described_image,
    features_in,
    parts_of,
    slice_index_in,
)
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.image_names import images_meant
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.outlines import fill_rings, joined_ring, trace_outlines, union_of
from napari_sam.formats.prompt_tables import prompts_in_table
from napari_sam.formats.prompts import FilePrompt, PromptKind, box_prompt, is_upright
from napari_sam.formats.yolo import classes_beside, lines_in, name_of_class

PROMPT_SUFFIXES: Final = (".csv", ".json", ".geojson", ".txt")
"""How files end that `read_prompts` reads."""
_Shape = tuple[PromptKind, tuple[tuple[float, float], ...]]
"""The meaning of vertices, and their x and y."""


@file_reader("prompts")
def read_prompts(
    path: str | Path,
    image: ImageInfo,
    names: Sequence[str] = (),
    *,
    left_out: LeftOut | None = None,
) -> list[FilePrompt]:
    """Read the prompts for one image.

    Parameters
    ----------
    path : str or Path
        A file that ends in one of `PROMPT_SUFFIXES`.
    image : ImageInfo
        The image. Its name or its size selects an image of a COCO file.
    names : sequence of str, optional
        Other names than `image.name` that the image may have in the file, such as its path.
    left_out : LeftOut, optional
        Gets what cannot be read, if something else can.

    Returns
    -------
    list of FilePrompt
        In the order of the file.

    Raises
    ------
    FileError
        If the file cannot be read, or has no prompts in a known form.
    """
    path, left_out = Path(path), LeftOut() if left_out is None else left_out
    suffix = path.suffix.lower()
    if suffix not in PROMPT_SUFFIXES:
        msg = f"{path} has no prompts; choose a file that ends in {', '.join(PROMPT_SUFFIXES)}."
        raise FileError(msg)
    if suffix == ".csv":
        prompts = list(prompts_in_table(read_text(path), image, names, left_out))
    elif suffix == ".txt":
        prompts = list(_from_yolo(path, image, left_out))
    else:
        content = read_json(path)
        coco = as_coco(content)
        if coco is None:
            prompts = list(_from_geojson(content, image, left_out))
        else:
            prompts = list(_from_coco(coco, image, names, left_out))
    left_out.require(prompts, "The file cannot be read as prompts", path.name)
    return prompts


# COCO and YOLO ---------------------------------------------------------------------------------


def _from_coco(
    content: dict[str, Any], image: ImageInfo, image_names: Sequence[str], left_out: LeftOut
) -> Iterator[FilePrompt]:
    names, _ = read_categories(content.get("categories"), left_out)
    image_id = _coco_image_id(content["images"], (image.name, *image_names), image)
    for number, entry in enumerate(content["annotations"], start=1):
        with left_out.unreadable(f"annotation {number}"):
            if image_id is not None and id_in(entry["image_id"]) != image_id:
                continue
            class_name = names.get(id_in(entry.get("category_id")))
            if entry.get("bbox"):
                x, y, width, height = (float(value) for value in entry["bbox"])
                yield box_prompt(x, y, x + width, y + height, class_name)
            else:
                crop = mask_in(entry["segmentation"], image.plane_shape)
                if crop is None:
                    raise FileError("its mask is empty")
                x0, y0, x1, y1 = crop.edges_xyxy
                yield FilePrompt(PromptKind.BOX, ((x0, y0), (x1, y1)), (), class_name)


def _coco_image_id(
    entries: Sequence[dict[str, Any]], names: Sequence[str], image: ImageInfo
) -> str | None:
    """Return the id of the image that is meant; None if the file has at most one."""
    if len(entries) < 2:
        for entry in entries:
            _check_size((entry.get("height"), entry.get("width")), image)
        return None
    file_names = [str(entry.get("file_name", "")) for entry in entries]
    fitting = [entries[n] for n in images_meant(file_names, names)] or [
        entry for entry in entries if (entry.get("height"), entry.get("width")) == image.plane_shape
    ]
    if len(fitting) != 1:
        raise FileError(
            "Prompts for several images; rename the image layer to one of their names: "
            f"{', '.join(file_names[:5])}."
        )
    _check_size((fitting[0].get("height"), fitting[0].get("width")), image)
    return id_in(fitting[0]["id"])


def _check_size(shape: Any, image: ImageInfo) -> None:
    """Refuse prompts for an image of another size, which lie elsewhere in this one."""
    sides = shape[-2:] if isinstance(shape, list | tuple) else ()
    size = tuple(whole_number_in(side) for side in sides)
    if len(size) == 2 and None not in size and size != image.plane_shape:
        raise FileError(
            f"The file belongs to an image of shape {size}, not {image.plane_shape}; choose that "
            "image."
        )


def _from_yolo(path: Path, image: ImageInfo, left_out: LeftOut) -> Iterator[FilePrompt]:
    classes = classes_beside(path, left_out)
    for line in lines_in(path, image, left_out):
        with left_out.unreadable(f"line {line.number}"):
            class_name = name_of_class(line.class_number, classes)
            corners = line.corners_xy.tolist()
            if line.is_box:
                (x0, y0), _, (x1, y1), _ = corners
                yield box_prompt(x0, y0, x1, y1, class_name)
            else:
                yield FilePrompt(PromptKind.POLYGON, _centered(corners), (), class_name)


# GeoJSON ---------------------------------------------------------------------------------------


def _from_geojson(content: Any, image: ImageInfo, left_out: LeftOut) -> Iterator[FilePrompt]:
    features = features_in(content)
    _check_size(described_image(content).get("shape"), image)
    for number, entry in enumerate(features, start=1):
        with left_out.unreadable(f"feature {number}"):
            feature = as_feature(entry)
            geometry = feature["geometry"]
            if geometry is None:
                left_out.add(UNLOCATED, f"feature {number} has no geometry")
                continue
            slice_index = slice_index_in(geometry, image) if geometry.get("plane") else ()
            shapes = list(_shapes(geometry, image.plane_shape))
            if len(entry.get("shapes", ())) > 1:
                shapes = _of_one_object(shapes)
            for kind, vertices in shapes:
                yield FilePrompt(kind, vertices, slice_index, classification_in(feature))


def _shapes(geometry: dict[str, Any], plane_shape: tuple[int, int]) -> Iterator[_Shape]:
    """Yield the points and lines of a feature, and all of its polygons as one area."""
    polygons: list[Any] = []
    for kind, coordinates in parts_of(geometry):
        if kind in ("Point", "MultiPoint"):
            for position in [coordinates] if kind == "Point" else coordinates:
                yield PromptKind.POINT, _centered([position])
        elif kind in ("LineString", "MultiLineString"):
            for line in [coordinates] if kind == "LineString" else coordinates:
                yield PromptKind.LINE, _centered(line)
        elif kind in ("Polygon", "MultiPolygon"):
            polygons.extend([coordinates] if kind == "Polygon" else coordinates)
        else:
            raise FileError(f"A {kind} is not a prompt; keep only points, lines and polygons.")
    if polygons:
        ring = polygons[0][0] if len(polygons) == 1 else _outline_of(polygons, plane_shape)
        vertices = _centered(ring)
        if vertices[0] == vertices[-1]:
            vertices = vertices[:-1]
        is_box = len(vertices) == 4 and is_upright(vertices)
        yield (PromptKind.BOX if is_box else PromptKind.POLYGON), vertices


def _outline_of(polygons: list[Any], plane_shape: tuple[int, int]) -> NDArray[Any]:
    """Return one ring around all pixels that are in at least one polygon."""
    masks = (
        fill_rings([np.array([xyz[:2] for xyz in ring], float) for ring in rings], plane_shape)
        for rings in polygons
    )
    union = union_of(mask for mask in masks if mask is not None)
    if union is None:
        raise FileError("it has no pixel in the image")
    return joined_ring([piece.shell_xy for piece in trace_outlines(*union)])


def _of_one_object(shapes: list[_Shape]) -> list[_Shape]:
    """Return the area of an object, else its points, including the vertices of lines."""
    areas = [shape for shape in shapes if shape[0] in (PromptKind.BOX, PromptKind.POLYGON)]
    points = tuple(vertex for _, vertices in shapes for vertex in vertices)
    return areas or [(PromptKind.POINT, points)]


def _centered(positions: Iterable[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    """Move the origin from the outer corner of the first pixel to its center."""
    return tuple((float(position[0]) - 0.5, float(position[1]) - 0.5) for position in positions)
