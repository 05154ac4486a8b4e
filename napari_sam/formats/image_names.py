"""Which image of a file is meant: its name, as other programs write it down."""

import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Final

_MANGLED: Final = (
    # Roboflow makes NAME_png.rf.HASH.jpg of NAME.png.
    (re.compile(r"(.+)_(\w{2,4})\.rf\.\w+(\.\w+)?"), r"\1.\2"),
    # Label Studio puts a part of a UUID before the name.
    (re.compile(r"[0-9a-f]{8}-(.+)"), r"\1"),
)


def stem_of(name: str) -> str:
    """Return a file's name without its suffix, or both of .ome.tif and the like.

    Examples
    --------
    >>> stem_of("cells.v2.ome.tif")
    'cells.v2'
    """
    return re.sub(r"(?i)(?<=.)(\.ome)?\.[a-z]\w{0,4}$", "", name)


def images_meant(file_names: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return which images in a file are the one that is open.

    Parameters
    ----------
    file_names : sequence of str
        The names of the images in the file, which may be paths of any system.
    names : sequence of str
        All names of the image that is open: its path, and those of its layer.

    Returns
    -------
    list of int
        Indices of `file_names`: those with the same name, else with the same stem, else with the
        name or stem that they had before a program changed it. Of several, those in the same
        folders. Empty if there are none at all.

    Examples
    --------
    >>> images_meant(["train/a_png.rf.81bc.jpg", "train/b_png.rf.93df.jpg"], ["/data/b.png"])
    [1]
    """
    # napari numbers layers of the same name.
    plain = [re.sub(r" \[\d+\]$", "", name) for name in names]
    paths = [_parts(name) for name in plain]
    for form in _FORMS:
        wanted = {form(name) for name in plain} - {""}
        meant = [index for index, name in enumerate(file_names) if form(name) in wanted]
        if meant:
            shared = [
                max(_shared_end(_parts(file_names[n]), path) for path in paths) for n in meant
            ]
            return [n for n, count in zip(meant, shared, strict=True) if count == max(shared)]
    return []


def _parts(path: str) -> list[str]:
    return [part for part in re.split(r"[\\/]+", path) if part not in ("", ".")]


def _shared_end(parts: Sequence[str], others: Sequence[str]) -> int:
    """Return how many parts at the end of two paths are the same."""
    pairs = zip(reversed(parts), reversed(others), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _base(path: str) -> str:
    return next(reversed(_parts(path)), "")


def _stem(path: str) -> str:
    return stem_of(_base(path)).casefold()


def _original(path: str) -> str:
    """Return the name that a program has changed; of other characters only where they are."""
    name = _base(path)
    for pattern, replacement in _MANGLED:
        if match := pattern.fullmatch(name):
            name = match.expand(replacement)
    return re.sub(r"[^\w.]+|_", "-", name.casefold())


def _original_stem(path: str) -> str:
    return stem_of(_original(path))


_FORMS: Final[tuple[Callable[[str], str], ...]] = (_base, _stem, _original, _original_stem)
"""What two names have in common if they mean one image, the surest first."""
