"""Read the objects of an image from a file of any format."""

import mmap
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.coco import coco_in
from napari_sam.formats.coco_layouts import as_coco
from napari_sam.formats.ctc import TRACK_TABLES, read_ctc
from napari_sam.formats.files import FileError, file_reader, read_json
from napari_sam.formats.geojson import described_image, geojson_in
from napari_sam.formats.image import ImageInfo, plane_name
from napari_sam.formats.image_names import images_meant
from napari_sam.formats.imagej_rois import read_imagej_rois, rois_in
from napari_sam.formats.label_images import objects_from_labels
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.numpy_files import read_label_npy, read_npz
from napari_sam.formats.png import read_label_png, read_png_details
from napari_sam.formats.semantic import objects_in
from napari_sam.formats.slice_files import plane_of, read_png_slices, read_slices, slice_files
from napari_sam.formats.tiff import read_label_tiff, read_overlay, read_tiff_details
from napari_sam.formats.trackmate import read_trackmate
from napari_sam.formats.yolo import classes_beside, read_yolo

_KEYS: Final = (
    (b'"annotations"', b'"image'),
    (b'"segmentation"', b'"counts"'),
    (b'"shapes"', b'"imageHeight"'),
    (b'"FeatureCollection"', b'"image"', b'"shape"'),
)
"""Keys in COCO, SAM's and labelme's files, and in GeoJSON that gives the size of its image."""


def _read_tiff(path: Path, image: ImageInfo) -> Annotations:
    """Read a label image, or the ROIs that ImageJ keeps in the file of the image below them."""
    overlay, plane_shape = read_overlay(path)
    rois = [
        (f"{number} of the overlay", partial(bytes, roi)) for number, roi in enumerate(overlay, 1)
    ]
    with suppress(FileError):  # notes without an area may lie on a label image
        if rois and plane_shape == image.plane_shape:
            annotations = rois_in(rois, image, path.name)
            if annotations.objects:
                return annotations
    labels, file_image = read_label_tiff(path, image.shape)
    return objects_in(file_image, labels, read_tiff_details(path), path)


def _read_png(path: Path, image: ImageInfo) -> Annotations:
    labels = read_label_png(path, image.shape)
    details, palette = read_png_details(path)
    return objects_in(_image_of(labels, path, image), labels, details, path, palette)


def _read_npy(path: Path, image: ImageInfo) -> Annotations:
    labels = read_label_npy(path, image.shape)
    return Annotations(_image_of(labels, path, image), objects_from_labels(labels))


def _read_txt(path: Path, image: ImageInfo) -> Annotations:
    """Read YOLO, or the table of a film and the label images beside it."""
    if path.name.lower() in TRACK_TABLES:
        return read_ctc(path, image.shape)
    return _read_yolo(path, image)


def _read_yolo(path: Path, image: ImageInfo) -> Annotations:
    """Read the objects of a plane, with the names of their classes if these lie beside them."""
    left_out = LeftOut()
    classes = classes_beside(path, left_out)
    annotations = read_yolo(path, ImageInfo(image.plane_shape, image.name), classes)
    annotations.left_out.include(left_out)
    return annotations


def _read_json(path: Path, image: ImageInfo) -> list[Annotations]:
    return _objects_in(read_json(path), path.name, image)


def _objects_in(content: Any, name: str, image: ImageInfo | None = None) -> list[Annotations]:
    """Return the objects of each image in the content of a JSON file.

    GeoJSON belongs to the given image unless it describes its own.
    """
    coco = as_coco(content)
    if coco is not None:
        return coco_in(coco, name, image)
    return [geojson_in(content, name, None if described_image(content) else image)]


def _image_of(labels: NDArray[Any], path: Path, image: ImageInfo) -> ImageInfo:
    return image if labels.shape == image.shape else ImageInfo(labels.shape, path.name)


_Reader = Callable[[Path, ImageInfo], Annotations | list[Annotations]]
_READERS: Final[dict[str, _Reader]] = {
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
    ".png": _read_png,
    ".npy": _read_npy,
    ".npz": lambda path, image: read_npz(path, image.shape),
    ".json": _read_json,
    ".geojson": _read_json,
    ".zip": read_imagej_rois,
    ".roi": read_imagej_rois,
    ".txt": _read_txt,
    ".xml": read_trackmate,
}
_SLICE_SUFFIXES: Final = (".png", ".txt", ".json")
"""Of PNG, YOLO and labelme, which hold one slice of a stack."""
READ_SUFFIXES: Final = tuple(_READERS)
"""How files end that `read_objects` reads."""


def read_objects(path: str | Path, image: ImageInfo, names: Sequence[str] = ()) -> Annotations:
    """Read the objects of one image from a file of any format that can be read.

    Parameters
    ----------
    path : str or Path
        The file; its suffix tells the format.
    image : ImageInfo
        The image that the objects belong to.
    names : sequence of str, optional
        Other names than `image.name` that the image may have in the file, such as its path.

    Returns
    -------
    Annotations
        Those of `image`. Axes of length one before height and width may be more or fewer in the
        file, and axes may have another order.

    Raises
    ------
    FileError
        If the file cannot be read, belongs to an image of another size, or to several images of
        this size, and none or more than one of them has the name of the image.
    """
    choices = read_choices(path, image, names)
    if len(choices) > 1:
        files = ", ".join(name for name, _ in choices[:5])
        raise FileError(
            f"The file has {len(choices)} images of this shape; give the name of one ({files}): "
            f"{Path(path).name}"
        )
    return choices[0][1]


@file_reader()
def read_choices(
    path: str | Path,
    image: ImageInfo,
    names: Sequence[str] = (),
    shown_slice: tuple[int, ...] | None = None,
) -> list[tuple[str, Annotations]]:
    """Read the objects of all images in a file that may be the one that is meant.

    Errors are those of `read_objects`, except for files with several images.

    Parameters
    ----------
    path, image, names
        As for `read_objects`.
    shown_slice : tuple of int, optional
        Where the objects of a single slice belong in a stack if nothing tells it.

    Returns
    -------
    list of (str, Annotations)
        The image's name in the file, and its objects. Several only if neither sizes nor names
        tell which one is meant.
    """
    contents = _read(Path(path), image)
    if not contents:
        raise FileError(f"The file contains no images and no objects: {Path(path).name}")
    file_names = [annotations.image.name for annotations in contents]
    choices = {
        index: (file_names[index], aligned)
        for index, annotations in enumerate(contents)
        if (aligned := _aligned(annotations, image)) is not None
    }
    if not choices and (of_slices := _read_slice_files(Path(path), image)) is not None:
        return [(of_slices.image.name, of_slices)]
    if not choices and shown_slice is not None:
        choices = {
            index: (file_names[index], _on_slice(annotations, image, shown_slice))
            for index, annotations in enumerate(contents)
            if _aligned(annotations, plane_of(image)) is not None
        }
    meant = images_meant(file_names, (image.name, *names)) if len(contents) > 1 else []
    if not choices or (meant and choices.keys().isdisjoint(meant)):
        shapes = dict.fromkeys(str(contents[n].image.shape) for n in meant or range(len(contents)))
        advice = "choose that image"
        if image.stack_shape and any(entry.image.shape == image.plane_shape for entry in contents):
            example = plane_name(ImageInfo(image.shape, Path(path).name, image.axes), _first(image))
            advice = f"name it like {example}, so that it tells its slice"
        if any(entry.image.plane_shape == image.plane_shape[::-1] for entry in contents):
            advice = (
                "if other programs show the photograph rotated (EXIF orientation), save it rotated"
            )
        msg = f"The file belongs to an image of shape {', '.join([*shapes][:5])}, not {image.shape}"
        raise FileError(f"{msg}; {advice}: {Path(path).name}")
    return [choices[n] for n in meant if n in choices] or list(choices.values())


def _read(path: Path, image: ImageInfo) -> Sequence[Annotations]:
    read = _READERS.get(path.suffix.lower())
    if read is None:
        msg = f"Choose a file that ends in {', '.join(READ_SUFFIXES)}, not {path.name}."
        raise FileError(msg)
    content = read(path, image)
    return [content] if isinstance(content, Annotations) else content


def _read_slice_files(path: Path, image: ImageInfo) -> Annotations | None:
    """Return the objects in all files of a stack's slices, of which one is given; else None."""
    suffix = path.suffix.lower()
    files = slice_files(path, image) if suffix in _SLICE_SUFFIXES else {}
    if not files:
        return None
    if suffix == ".png":
        annotations = read_png_slices(files, image)
    else:
        annotations = read_slices(files, image, read_objects)
    return replace(annotations, n_files=len(files))


def _first(image: ImageInfo) -> tuple[int, ...]:
    return (0,) * len(image.stack_shape)


def _on_slice(
    annotations: Annotations, image: ImageInfo, slice_index: tuple[int, ...]
) -> Annotations:
    """Return the objects of a plane as those of a slice of a stack."""
    objects = [replace(obj, slice_index=slice_index) for obj in annotations.objects]
    return replace(annotations, image=image, objects=objects, at_slice=slice_index)


def _aligned(annotations: Annotations, image: ImageInfo) -> Annotations | None:
    """Return annotations with the axes of an image; None if its size is another one."""
    in_file = annotations.image
    if in_file.shape == image.shape:
        return replace(annotations, image=image)
    file_axes, axes = _long_axes(in_file), _long_axes(image)
    if [in_file.shape[n] for n in file_axes] != [image.shape[n] for n in axes]:
        file_axes.sort(key=lambda n: image.axes.find(in_file.axes[n]))
        if [(in_file.axes[n], in_file.shape[n]) for n in file_axes] != [
            (image.axes[n], image.shape[n]) for n in axes
        ]:
            return None
    if in_file.plane_shape != image.plane_shape:
        return None
    axis_in_file = dict(zip(axes, file_axes, strict=True))
    objects = [
        replace(
            obj,
            slice_index=tuple(
                obj.slice_index[axis_in_file[n]] if n in axis_in_file else 0
                for n in range(len(image.stack_shape))
            ),
        )
        for obj in annotations.objects
    ]
    return replace(annotations, image=image, objects=objects)


def _long_axes(image: ImageInfo) -> list[int]:
    return [n for n, length in enumerate(image.stack_shape) if length > 1]


def json_reader(path: str | Path) -> Callable[[], list[Annotations]] | None:
    """Return the reader of a COCO, SAM or labelme file, or of GeoJSON with the size of its image.

    Parameters
    ----------
    path : str or Path
        Any file.

    Returns
    -------
    callable
        Returns the objects of each image, or raises an FileError. None if the file is something
        else; most such files are not parsed for that.

    Raises
    ------
    FileError
        If there is no such file.
    """
    if not _may_describe_images(path):
        return None
    try:
        content = read_json(path)
    except FileError:
        # Let the reader raise the reason, so that napari does not show "no plugin was found".
        return partial(_described_in, path)
    if as_coco(content) is not None or described_image(content):
        return partial(_described_in, path, content)
    return None


@file_reader()
def _described_in(path: str | Path, content: Any = None) -> list[Annotations]:
    """Return the objects of each image that a JSON file, with this content, describes."""
    return _objects_in(read_json(path) if content is None else content, Path(path).name)


@file_reader()
def _may_describe_images(path: str | Path) -> bool:
    with Path(path).open("rb") as file:
        if not file.seek(0, 2):
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(all(content.find(key) >= 0 for key in keys) for keys in _KEYS)
