"""Which images a user means by files, folders and patterns, and what their results are called."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SUFFIXES: Final = frozenset(
    {
        *(".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".webp"),
        *(".czi", ".lif", ".lsm", ".nd2", ".ndpi", ".stk", ".svs", ".tif", ".tiff", ".vsi"),
        *(".dcm", ".exr", ".mha", ".mhd", ".mrc", ".nii", ".npy", ".nrrd", ".zarr"),
    }
)
"""What is taken for an image in a folder; a file that is named is tried whatever its name."""


@dataclass(frozen=True)
class ImageFile:
    """An image, and what its results are called."""

    path: str  # where the image is; absolute, because a worker may have another current folder
    name: str  # of its results in their folder, without an ending; with / for folders below it


def find_images(inputs: Sequence[str], results: Path) -> list[ImageFile]:
    """Find the images that are meant."""
    places = dict(_places(inputs, results.absolute()))
    count = Counter(_stem(place) for place in places.values())
    images = []
    for path, place in places.items():
        stem = _stem(place)
        if count[stem] > 1:
            stem = place.with_name(place.name.replace(".", "_")).as_posix()
        images.append(ImageFile(path, stem))
    return images


def names_given_twice(images: Sequence[ImageFile]) -> list[str]:
    """Return the paths of images whose results would have the same names."""
    count = Counter(image.name.casefold() for image in images)
    return [image.path for image in images if count[image.name.casefold()] > 1]


def _stem(place: Path) -> str:
    stem = place.with_suffix("") if place.suffix else place
    if stem.suffix.lower() == ".ome":
        stem = stem.with_suffix("")
    return stem.as_posix()


def _places(inputs: Sequence[str], results: Path) -> Iterator[tuple[str, Path]]:
    """Yield each image's path and where its results belong."""
    for given in inputs:
        path = Path(given).absolute()
        is_pattern = glob.has_magic(given) and not path.exists()
        # Path.glob takes no absolute patterns.
        found = sorted(glob.glob(given, recursive=True)) if is_pattern else []  # noqa: PTH207
        for one in [Path(name) for name in found] or [path]:
            if one.is_dir() and one.suffix.lower() != ".zarr":
                for below in _below(one.absolute(), results):
                    yield str(below), below.relative_to(one.absolute())
            else:
                yield str(one.absolute()), Path(one.name)


def _below(folder: Path, results: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        stores = sorted(name for name in folders if name.lower().endswith(".zarr"))
        folders[:] = sorted(
            name
            for name in folders
            if name not in stores and not name.startswith(".") and here / name != results
        )
        if here == results:
            folders[:] = []
            continue
        for name in sorted([*files, *stores]):
            if Path(name).suffix.lower() in _SUFFIXES and not name.startswith("."):
                yield here / name
