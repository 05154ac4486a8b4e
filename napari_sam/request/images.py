"""The image of a row: base64, a path, a data URL or an address."""

import base64
import binascii
import io
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from napari_sam.formats.tiff import check_segments
from napari_sam.request.rows import RequestError
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.storage.folders import expand_user
from napari_sam.storage.named_files import is_local

# Formats that are read without starting another program.
_FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000")
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_GRAY_MODES: Final = ("I", "F")
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LONGEST_PATH: Final = 4096


@dataclass(frozen=True)
class Rules:
    """Which images a request may use."""

    # open addresses, through which a request could reach into your network
    allow_urls: bool = False
    allow_paths: bool = True  # read files on this computer
    max_image_bytes: int = 2**28  # size of the file
    max_image_px: int = 2**26  # a small file may hold many pixels


def read_image(image: str, rules: Rules) -> NDArray[np.uint8]:
    """Load an image as the model reads it."""
    content = _content(image, rules)
    try:
        pixels = _decoded(content, rules)
    except RequestError:
        raise
    except UnidentifiedImageError as error:
        raise RequestError(_unknown(image, rules)) from error
    # Decoders raise all kinds of errors for damaged files.
    except Exception as error:
        kind = type(error).__name__
        msg = f"The image {_named(image)} cannot be decoded ({error or kind})."
        raise RequestError(msg) from error
    if 0 in pixels.shape:
        raise RequestError(f"The image {_named(image)} has no pixels.")
    return pixels


def _content(image: str, rules: Rules) -> bytes:
    if image.startswith("data:"):
        head, comma, data = image.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise RequestError("A data URL must have the form data:image/png;base64,...")
        return _from_base64(data, rules)
    if _ADDRESS.match(image):
        return _from_address(image, rules)
    if rules.allow_paths and (path := _existing(image)) is not None:
        return _from_path(path, rules)
    return _from_base64(image, rules)


def _unknown(image: str, rules: Rules) -> str:
    is_file = image.startswith("data:") or _ADDRESS.match(image)
    if is_file or (rules.allow_paths and _existing(image)):
        return f"The image {_named(image)} has an unsupported format."
    if rules.allow_paths:
        return f"The image {_named(image)} is neither a file on this computer nor a base64 image."
    return f"The image {_named(image)} is not a base64 image, and paths are not allowed here."


def _existing(image: str) -> Path | None:
    if len(image) > _LONGEST_PATH or "\0" in image or not is_local(image):
        return None
    path = expand_user(image)
    try:
        return path if path.exists() else None
    except OSError:  # names that no file can have
        return None


def _from_path(path: Path, rules: Rules) -> bytes:
    if not path.is_file():  # devices and pipes may never end
        raise RequestError(f"{path} is a folder, a pipe or a device, not a file.")
    try:
        size_bytes = path.stat().st_size
        if not size_bytes:  # the kernel's files may never end, either
            raise RequestError(f"{path} is empty.")
        _check_bytes(size_bytes, rules)
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror}).") from error


def _from_base64(text: str, rules: Rules) -> bytes:
    text = "".join(text.split())
    _check_bytes(len(text) * 3 // 4, rules)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""  # not an image, either


def _from_address(url: str, rules: Rules) -> bytes:
    if not rules.allow_urls:
        raise RequestError(f"The image {_named(url)} is an address, which needs --allow-urls.")
    if not url.lower().startswith(("http://", "https://")):
        raise RequestError(f"The image {_named(url)} is neither an http nor an https address.")
    from napari_sam.request.addresses import read_address

    return read_address(url, _named(url), lambda count: _check_bytes(count, rules))


def _decoded(content: bytes, rules: Rules) -> NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sizes that are checked here, and metadata
        try:
            image = Image.open(io.BytesIO(content), formats=_FORMATS)
        except Image.DecompressionBombError as error:
            raise RequestError(_too_many_pixels(rules)) from error
        except UnidentifiedImageError:
            if content.startswith(_TIFF):  # Pillow reads only the common kinds
                return _from_tiff(content, rules)
            raise
        with image:
            _check_px(image.width * image.height, rules)
            with suppress(Exception):  # of damaged metadata; pixels are looked at below
                ImageOps.exif_transpose(image, in_place=True)
            if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
                raise RequestError(_ONE_PLANE)
            if image.mode in _GRAY_MODES or image.mode.startswith("I;"):
                return ImagePlane(np.asarray(image)).read_whole()
            if image.mode in ("P", "PA"):  # palette colors may be transparent
                return np.array(image.convert("RGBA").convert("RGB"))
            return np.array(image.convert("RGB"))


_ONE_PLANE: Final = "The image is a stack or has channels: give one plane, gray or RGB."


def _from_tiff(content: bytes, rules: Rules) -> NDArray[np.uint8]:
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        series = tiff.series[0]
        if series.axes not in ("YX", "YXS", "SYX"):
            raise RequestError(_ONE_PLANE)
        lengths = dict(zip(series.axes, series.shape, strict=True))
        _check_px(lengths["Y"] * lengths["X"], rules)
        if lengths.get("S", 3) not in (3, 4):
            raise RequestError(_ONE_PLANE)
        check_segments(tiff, series)
        pixels: NDArray[Any] = series.asarray()
    if series.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    return ImagePlane(pixels, is_rgb=pixels.ndim == 3).read_whole()


def _check_bytes(size_bytes: int, rules: Rules) -> None:
    if size_bytes > rules.max_image_bytes:
        limit = rules.max_image_bytes // 2**20
        raise RequestError(f"The image is larger than {limit} MiB: give a smaller one.")


def _check_px(count: int, rules: Rules) -> None:
    if count > rules.max_image_px:
        raise RequestError(_too_many_pixels(rules))


def _too_many_pixels(rules: Rules) -> str:
    millions = rules.max_image_px // 10**6
    return f"The image has more than {millions} million pixels: give a smaller one."


def _named(image: str) -> str:
    return repr(image if len(image) <= 80 else f"{image[:40]}...")
