"""Images that another file names: the name is data, which anybody may have written."""

from pathlib import Path, PureWindowsPath
from typing import Final

IMAGE_SUFFIXES: Final = frozenset(
    {
        *(".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".webp"),
        *(".czi", ".lif", ".lsm", ".nd2", ".ndpi", ".stk", ".svs", ".tif", ".tiff", ".vsi"),
        *(".dcm", ".exr", ".mha", ".mhd", ".mrc", ".nii", ".npy", ".nrrd", ".zarr"),
    }
)
"""Endings of images."""
_FOLDERS: Final = frozenset({".zarr"})
_LEADING_ELSEWHERE: Final = frozenset({".mhd", ".nrrd"})
"""Endings of headers that name the file of the pixels, which may be any."""
_POSTSCRIPT: Final = (b"%!PS", b"\xc5\xd0\xd3\xc6")
"""How programs begin that a reader of images would have another program run."""


def is_local(name: str) -> bool:
    """Whether a name is that of a file on this computer, rather than an address or a share."""
    return "://" not in name and not name.replace("\\", "/").startswith("//")


def is_beside(name: str) -> bool:
    """Whether a name, put after that of a folder, is that of a file right in it; see `is_below`."""
    return name not in ("", "..") and PureWindowsPath(name).name == name


def is_below(name: str) -> bool:
    """Whether a name, put after that of a folder, leads nowhere else; with Windows' rules, too."""
    path = PureWindowsPath(name)
    return not path.anchor and ".." not in path.parts and path.name != ""


def is_image(path: Path) -> bool:
    """Whether there is a plain image at a path: no script, no device, no pipe, no mere folder."""
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES - _LEADING_ELSEWHERE:
        return False
    try:
        # Readers take whatever lies in a .zarr for a part of it.
        if suffix in _FOLDERS or any(part.lower().endswith(".zarr") for part in path.parts[:-1]):
            return suffix in _FOLDERS and path.is_dir()
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return not file.read(4).startswith(_POSTSCRIPT)
    except (OSError, ValueError):  # names that no file can have
        return False


def is_within(path: Path, folder: Path) -> bool:
    """Whether a file lies in a folder or below it, links followed."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # among them links in a circle
        return False
