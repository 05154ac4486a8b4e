"""What a journal or a session file says of its image and its labels, in the first line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
import xxhash

from napari_sam.session.journal import checks
from napari_sam.session.journal.checks import JournalError
from napari_sam.session.objects.packed import Start

_LARGEST_PIXEL: Final = 1e30


@dataclass(frozen=True)
class ImageReference:
    """What identifies an image in another program."""

    name: str  # its layer's name
    source: str | None  # the path that it was read from
    shape: tuple[int, ...]  # its shape
    dtype: str  # the type of its pixels
    scale: tuple[float, ...] = ()  # the size of its pixels along each axis
    axes: tuple[str, ...] = ()  # the names of its axes
    fingerprint: str | None = None  # of some of its pixels; see `image_fingerprint`

    @property
    def key(self) -> str:
        """What the names of its journals begin with.

        An image may get another scale, other axes and another name; only one that is neither from
        a file nor in memory is identified by its name. Several images of one file have one key:
        see `is_other_scene`.
        """
        content = {"shape": self.shape, "dtype": self.dtype, "source": self.source}
        if self.source is None and self.fingerprint is None:
            content["name"] = self.name
        elif self.source is None:
            content["fingerprint"] = self.fingerprint
        return xxhash.xxh64(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def is_other_scene(self, image: ImageReference) -> bool:
        """Whether the image in the header of a journal is another one in the same file.

        An image that was only renamed has the same pixels, one that only changed the same name.
        """
        is_known = image.fingerprint is not None and self.fingerprint is not None
        return is_known and image.fingerprint != self.fingerprint and image.name != self.name


@dataclass(frozen=True)
class JournalHeader:
    """What the first line of a journal or a session file says."""

    image: ImageReference
    shape: Start  # of the labels
    dtype: np.dtype[Any]  # of the labels
    labels_name: str = ""  # of their layer; empty if unknown

    def fits(self, image: ImageReference) -> bool:
        """Whether the labels may be of an image: they have some or all of its axes."""
        return prod(self.shape) <= prod(image.shape)


def header_from_json(content: dict[str, Any]) -> JournalHeader:
    """Return the header of a journal or session file; raise `JournalError` if it is invalid."""
    with checks.naming("line 1"):
        image = _reference_from_json(checks.members(content["image"], "the image"))
        labels = checks.members(content["labels"], "the labels")
        shape = checks.shape_of(labels["shape"], "the labels")
        dtype = np.dtype(checks.text(labels["dtype"], "the type of the labels"))
        if dtype.kind not in "iu":
            raise JournalError(f"labels must be integers, not {dtype}")
        name = checks.text(labels.get("name", ""), "the name of the labels")
        return JournalHeader(image, shape, dtype, name)


def _reference_from_json(content: dict[str, Any]) -> ImageReference:
    source, fingerprint = content.get("source"), content.get("fingerprint")
    shape = checks.shape_of(content["shape"], "the image")
    scale, axes = (checks.items(content.get(name, []), name) for name in ("scale", "axes"))
    return ImageReference(
        checks.text(content["name"], "the name of the image"),
        None if source is None else checks.text(source, "the path of the image"),
        shape,
        checks.text(content["dtype"], "the type of the image"),
        tuple(map(_pixel_size, scale)),
        tuple(checks.text(axis, "the name of an axis") for axis in axes),
        None if fingerprint is None else checks.text(fingerprint, "the fingerprint"),
    )


def _pixel_size(value: Any) -> float:
    """Return the size of a pixel along an axis, which napari must be able to square and invert."""
    size = checks.number(value, "a pixel size", _LARGEST_PIXEL)
    if abs(size) < 1 / _LARGEST_PIXEL:
        raise JournalError(f"{size} is not a plausible pixel size")
    return size
