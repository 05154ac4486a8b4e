"""What a user can choose from: published models, and files of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_sam.catalogue.places import candidates, own_files
from napari_sam.catalogue.table import MODELS, PublishedModel


@dataclass(frozen=True)
class Offer:
    """One model to choose."""

    name: str  # of the published model, or of the file, as far as it tells the file from all others
    model: PublishedModel | None  # none for a file of the user's own
    # where it seems to lie on this computer; None if it would have to be downloaded
    path: Path | None

    def is_same(self, other: Offer) -> bool:
        """Whether both are of one published model, or of one file of the user's own."""
        if self.model is None or other.model is None:
            return self.model is other.model and self.path == other.path
        return self.model.name == other.model.name

    @property
    def size_text(self) -> str:
        """How large the file is, for example ``375 MB``."""
        if self.path is not None and (size_bytes := _file_size_bytes(self.path)):
            return _megabytes(size_bytes)
        if self.model is None:
            return ""
        known = self.model.size_bytes
        # Where nobody tells the size of the file, four bytes per weight come close.
        return _megabytes(known) if known else f"~{_megabytes(4 * self.model.parameters)}"

    @property
    def licence(self) -> str:
        """Under what terms it may be used."""
        return "" if self.model is None else self.model.licence

    @property
    def good_for(self) -> str:
        """What it is good for."""
        return f"your own: {self.path}" if self.model is None else self.model.good_for

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """Name, size, whether it is on this computer, licence, and what it is good for."""
        where = "no" if self.path is None else "yes"
        return self.name, self.size_text, where, self.licence, self.good_for


def list_offers(opened: Sequence[Path] = ()) -> list[Offer]:
    """Return all models of the catalogue, and the files of a user.

    This is quick: files are told by their names and sizes.
    """
    published = [_published(model) for model in MODELS]
    known = {offer.path for offer in published}
    found = [path for path in own_files() if path not in known]
    own = list(dict.fromkeys([*found, *opened]))
    names = _distinct_names(own, {model.name for model in MODELS})
    return published + [Offer(name, None, path) for name, path in zip(names, own, strict=True)]


def _distinct_names(paths: Sequence[Path], taken: set[str]) -> list[str]:
    """Name files by as many of their folders as it takes to tell them apart."""
    names = [path.name for path in paths]
    for parts in range(2, max((len(path.parts) for path in paths), default=1) + 1):
        count = Counter(names)
        names = [
            str(Path(*path.parts[-parts:])) if name in taken or count[name] > 1 else name
            for name, path in zip(names, paths, strict=True)
        ]
    return names


def _published(model: PublishedModel) -> Offer:
    return Offer(model.name, model, next(iter(candidates(model)), None))


def _file_size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"
