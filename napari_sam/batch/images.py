"""Resolve files, folders and patterns to images, and name their results."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_sam.storage.named_files import IMAGE_SUFFIXES


@dataclass(frozen=True)
class ImageFile:
    """An image, and the name of its results."""

    path: str  # absolute, because a worker may have another current folder
    name: str  # of its results in their folder, without a suffix; / separates subfolders


def find_images(inputs: Sequence[str], left_out: Path | None = None) -> list[ImageFile]:
    """Return the images that files, folders and patterns stand for, but for those in a folder."""
    names = dict(_paths_and_names(inputs, None if left_out is None else left_out.absolute()))
    count = Counter(_stem(name) for name in names.values())
    images = []
    for path, name in names.items():
        stem = _stem(name)
        if count[stem] > 1:
            stem = name.with_name(name.name.replace(".", "_")).as_posix()
        images.append(ImageFile(path, stem))
    return images


def paths_of_equal_names(images: Sequence[ImageFile]) -> list[str]:
    """Return the paths of images whose results would have the same names."""
    count = Counter(image.name.casefold() for image in images)
    return [image.path for image in images if count[image.name.casefold()] > 1]


def _stem(name: Path) -> str:
    stem = name.with_suffix("") if name.suffix else name
    if stem.suffix.lower() == ".ome":
        stem = stem.with_suffix("")
    return stem.as_posix()


def _paths_and_names(inputs: Sequence[str], left_out: Path | None) -> Iterator[tuple[str, Path]]:
    """Yield each image's path, and its name among the results."""
    for text in inputs:
        path = Path(text).absolute()
        is_pattern = glob.has_magic(text) and not path.exists()
        # Path.glob takes no absolute patterns.
        matches = sorted(glob.glob(text, recursive=True)) if is_pattern else []  # noqa: PTH207
        for match in [Path(name) for name in matches] or [path]:
            if match.is_dir() and match.suffix.lower() != ".zarr":
                for image in _images_below(match.absolute(), left_out):
                    yield str(image), image.relative_to(match.absolute())
            else:
                yield str(match.absolute()), Path(match.name)


def _images_below(folder: Path, left_out: Path | None) -> Iterator[Path]:
    for name_of_parent, folders, files in os.walk(folder):
        parent = Path(name_of_parent)
        stores = sorted(name for name in folders if name.lower().endswith(".zarr"))
        folders[:] = sorted(
            name
            for name in folders
            if name not in stores and not name.startswith(".") and parent / name != left_out
        )
        if parent == left_out:
            folders[:] = []
            continue
        for name in sorted([*files, *stores]):
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                yield parent / name
