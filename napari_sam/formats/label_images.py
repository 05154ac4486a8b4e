"""Convert objects, which may overlap, to an array with one integer per pixel, and back."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import FileError, require_memory
from napari_sam.storage.pacing import paced

_MAX_COLORS: Final = 256
_ROWS_AT_ONCE: Final = 64
"""Colors become labels in parts, for the memory that a number for each pixel takes."""
_GRAY: Final = 0x010101
"""Times a gray value, it is the packed color."""


def smallest_dtype(max_label_id: int) -> np.dtype[Any]:
    """Return the smallest unsigned type for labels, of at most 32 bits."""
    for dtype in (np.uint8, np.uint16, np.uint32):
        if max_label_id <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    raise FileError(f"Label {max_label_id} does not fit into 32 bits; renumber the objects from 1.")


def as_small_labels(labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels, whole numbers or bool, in the smallest unsigned type that holds them."""
    if labels.dtype.kind == "f":
        labels = _whole_numbers(labels)
    if labels.dtype.kind not in "iub":
        raise FileError(f"Labels must be integers, not {labels.dtype}; convert them first.")
    if labels.size and labels.min() < 0:
        msg = f"Labels must not be negative, but one is {labels.min()}; renumber them from 1."
        raise FileError(msg)
    return labels.astype(smallest_dtype(int(labels.max(initial=0))), copy=False)


def _whole_numbers(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return labels that were written as fractions, as in 32-bit images of ImageJ."""
    exact = 2.0 ** (np.finfo(labels.dtype).nmant + 1)
    if not ((labels == np.rint(labels)) & (np.abs(labels) <= exact)).all():
        raise FileError(f"Not all values ({labels.dtype}) are whole numbers; choose a label image.")
    return labels.astype(np.int64)


def check_size(
    path: str | Path, shape: Sequence[int], itemsize: int, expected: Sequence[int] | None
) -> None:
    """Raise `FileError` for an unread label image too large for its image or the memory."""
    if expected is not None and prod(shape) > prod(expected):
        raise FileError(
            f"The file belongs to an image of shape {tuple(shape)}, not {tuple(expected)}; choose "
            f"that image: {Path(path).name}"
        )
    require_memory(prod(shape) * itemsize, f"The label image {Path(path).name}")


def labels_of_colors(pixels: NDArray[np.uint8], path: str | Path) -> NDArray[np.uint8]:
    """Return one label for each color of a mask, 0 for black and for what is transparent."""
    blocks = [slice(top, top + _ROWS_AT_ONCE) for top in range(0, len(pixels), _ROWS_AT_ONCE)]
    values: NDArray[Any] = np.zeros(1, np.uint32)
    for rows in paced(blocks):
        values = np.union1d(values, _packed_colors(pixels[rows]))
        if len(values) > _MAX_COLORS:
            raise FileError(
                f"Over {_MAX_COLORS - 1} colors; choose one of gray values or a color per class: "
                f"{Path(path).name}"
            )
    grays = values & 255
    is_gray = pixels.shape[-1] < 3 or (values == grays * _GRAY).all()
    label_ids = (grays if is_gray else np.arange(len(values))).astype(np.uint8)
    labels = np.zeros(pixels.shape[:-1], np.uint8)
    for rows in paced(blocks):
        labels[rows] = label_ids[np.searchsorted(values, _packed_colors(pixels[rows]))]
    return labels


def _packed_colors(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return a number for the color of each pixel, 0 for a transparent one."""
    has_opacity = pixels.shape[-1] in (2, 4)
    packed = pixels[..., 0].astype(np.uint32)
    for channel in range(1, pixels.shape[-1] - has_opacity):
        packed <<= 8
        packed |= pixels[..., channel]
    if has_opacity:
        packed[pixels[..., -1] == 0] = 0
    return packed


def objects_from_labels(
    labels: NDArray[Any],
    class_names: Mapping[int, str] | None = None,
    scores: Mapping[int, float] | None = None,
) -> tuple[ExportObject, ...]:
    """Return the objects of a label image or stack.

    Parameters
    ----------
    labels : (..., H, W) integer array
        0 is background. Pixels of one value in one slice are one object, in one piece or not. Of
        dask and zarr arrays, one slice is in memory at a time.
    class_names : mapping of int to str, optional
        From label_id to the object's class.
    scores : mapping of int to float, optional
        From label_id to the object's score.

    Returns
    -------
    tuple of ExportObject
        By slice, then by label_id; each with the smallest mask that holds it.

    Raises
    ------
    FileError
        If the array is not of integers in 2 or more dimensions, or has negative ones.

    Examples
    --------
    >>> [(obj.label_id, obj.area_px) for obj in objects_from_labels(np.array([[0, 7, 7]]))]
    [(7, 2)]
    """
    if labels.ndim < 2:
        raise FileError(f"Labels must have rows and columns, not the shape {labels.shape}.")
    planes = ((index, np.asarray(labels[index])) for index in np.ndindex(labels.shape[:-2]))
    return tuple(
        ExportObject(
            label_id,
            plane[region] == label_id,
            region[0].start,
            region[1].start,
            slice_index,
            (class_names or {}).get(label_id),
            (scores or {}).get(label_id),
        )
        for slice_index, plane in planes
        for label_id, region in paced(_boxes(plane))
    )


def _boxes(plane: NDArray[Any]) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Yield each label_id of a plane with the rows and columns that it spans."""
    if plane.dtype.kind not in "iub" or plane.min(initial=0) < 0:
        raise FileError(f"Labels must be non-negative integers, not {plane.dtype}.")
    # Sorting the foreground only, and no table indexed by label_id, which may be in the billions.
    rows, columns = np.nonzero(plane)
    if not rows.size:
        return
    label_ids = plane[rows, columns].astype(np.uint64)
    order = np.argsort(label_ids, kind="stable")
    label_ids, rows, columns = label_ids[order], rows[order], columns[order]
    firsts = np.flatnonzero(np.r_[True, label_ids[1:] != label_ids[:-1]])
    spans = [
        extreme.reduceat(pixels, firsts).tolist()
        for pixels in (rows, columns)
        for extreme in (np.minimum, np.maximum)
    ]
    for label_id, top, bottom, left, right in zip(label_ids[firsts].tolist(), *spans, strict=True):
        yield label_id, (slice(top, bottom + 1), slice(left, right + 1))


def labels_from_objects(
    annotations: Annotations, overlap: Literal["refuse", "last_wins"] = "refuse"
) -> NDArray[Any]:
    """Write objects into one array, with a label_id for each pixel.

    Parameters
    ----------
    annotations : Annotations
        The objects. Those that share a label_id, in one slice or in several, become one object.
    overlap : {"refuse", "last_wins"}
        What becomes of pixels that belong to several objects: an error, or to the last of them.

    Returns
    -------
    (..., H, W) uint8, uint16 or uint32 ndarray
        0 is background.

    Raises
    ------
    FileError
        If objects overlap and that is refused, or a label_id needs more than 32 bits.
    """
    dtype = smallest_dtype(_largest_label_id(annotations))
    require_memory(prod(annotations.image.shape) * dtype.itemsize, "The label image")
    labels = np.zeros(annotations.image.shape, dtype)
    for obj in paced(annotations.objects):
        _write(obj, labels[obj.slice_index], overlap)
    return labels


class LabelPlanes:
    """Objects as a label image or stack, of which one slice is in memory at a time.

    Parameters
    ----------
    annotations : Annotations
        The objects. Those that share a label_id, in one slice or in several, become one object.
    overlap : {"refuse", "last_wins"}
        What becomes of pixels that belong to several objects: an error, or to the last of them.

    Raises
    ------
    FileError
        If a label_id needs more than 32 bits; and by a slice on which objects overlap, if that is
        refused.

    Examples
    --------
    >>> from napari_sam.formats import ImageInfo
    >>> dots = [ExportObject(7, np.ones((1, 1), bool), 0, n, (n,)) for n in range(2)]
    >>> planes = LabelPlanes(Annotations(ImageInfo((2, 1, 2)), dots))
    >>> planes[1,].tolist()
    [[0, 7]]
    """

    def __init__(
        self, annotations: Annotations, overlap: Literal["refuse", "last_wins"] = "refuse"
    ) -> None:
        self.shape, self._overlap = annotations.image.shape, overlap
        self._largest = _largest_label_id(annotations)
        self.dtype = smallest_dtype(self._largest)
        self._objects: dict[tuple[int, ...], list[ExportObject]] = {}
        for obj in paced(annotations.objects):
            self._objects.setdefault(obj.slice_index, []).append(obj)

    def max(self) -> int:
        """Return the largest label_id."""
        return self._largest

    def __getitem__(self, slice_index: tuple[int, ...]) -> NDArray[Any]:
        """Return a slice."""
        require_memory(prod(self.shape[-2:]) * self.dtype.itemsize, "The label image")
        plane = np.zeros(self.shape[-2:], self.dtype)
        for obj in paced(self._objects.get(slice_index, [])):
            _write(obj, plane, self._overlap)
        return plane


def _largest_label_id(annotations: Annotations) -> int:
    return max((obj.label_id for obj in annotations.objects), default=0)


def _write(obj: ExportObject, plane: NDArray[Any], overlap: str) -> None:
    """Write an object into its slice."""
    region = plane[obj.region]
    taken = region[obj.mask] if overlap == "refuse" else np.zeros(0, plane.dtype)
    taken = taken[(taken != 0) & (taken != obj.label_id)]
    if taken.size:
        raise FileError(
            f"Object {obj.label_id} overlaps object {taken[0]}; choose COCO, GeoJSON, ImageJ ROIs "
            "or NPZ, or export the labels as they are."
        )
    region[obj.mask] = obj.label_id
