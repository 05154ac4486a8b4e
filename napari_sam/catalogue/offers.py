"""The models that a user can choose: published ones, and files of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from napari_sam.catalogue.local_files import candidates, own_files
from napari_sam.catalogue.table import MODELS, PublishedModel


@dataclass(frozen=True)
class Offer:
    """A model that can be chosen."""

    name: str  # of the published model, or of the file with as many folders as make it unique
    model: PublishedModel | None  # None for a user's own file
    path: Path | None  # None if the model has to be downloaded

    def is_same(self, other: Offer) -> bool:
        """Whether both are the same published model, or the same file."""
        if self.model is None or other.model is None:
            return self.model is other.model and self.path == other.path
        return self.model.name == other.model.name

    @property
    def size_text(self) -> str:
        """Size of the file, for example ``375 MB``."""
        with suppress(OSError):
            if self.path is not None and (size_bytes := self.path.stat().st_size):
                return _megabytes(size_bytes)
        if self.model is None:
            return ""
        if self.model.size_bytes:
            return _megabytes(self.model.size_bytes)
        # Where the size is not published, four bytes per weight come close.
        return f"~{_megabytes(4 * self.model.parameters)}"

    @property
    def license(self) -> str:
        """License of the weights; empty for a user's own file."""
        return "" if self.model is None else self.model.license

    @property
    def good_for(self) -> str:
        """The kind of images the model is good for, or the path of a user's own file."""
        return f"your own file: {self.path}" if self.model is None else self.model.good_for

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """Texts for a table: name, size, whether it is on this computer, license and use."""
        where = "no" if self.path is None else "yes"
        return self.name, self.size_text, where, self.license, self.good_for


def list_offers(opened: Sequence[Path] = ()) -> list[Offer]:
    """Return all models of the catalogue, then the user's own files.

    This is quick: files are recognized by their names and sizes.
    """
    published = [Offer(model.name, model, next(iter(candidates(model)), None)) for model in MODELS]
    published_paths = {offer.path for offer in published}
    other_paths = [path for path in own_files() if path not in published_paths]
    paths = list(dict.fromkeys([*other_paths, *opened]))
    names = _distinct_names(paths, {model.name for model in MODELS})
    return published + [Offer(name, None, path) for name, path in zip(names, paths, strict=True)]


def _distinct_names(paths: Sequence[Path], taken: set[str]) -> list[str]:
    """Return file names, with as many folders before them as make them unique."""
    names = [path.name for path in paths]
    for parts in range(2, max((len(path.parts) for path in paths), default=1) + 1):
        count = Counter(names)
        names = [
            str(Path(*path.parts[-parts:])) if name in taken or count[name] > 1 else name
            for name, path in zip(names, paths, strict=True)
        ]
    return names


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"
