"""What is to be done with every image, and what came of one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import xxhash

from napari_sam.engine.automatic_settings import AutomaticSettings
from napari_sam.session.models.model_choice import ModelChoice

_BLOCK_BYTES: Final = 2**22
_WITHOUT_EFFECT: Final = ("points_per_batch", "output_mode")
"""Settings with which the same masks come out."""


@dataclass(frozen=True)
class Task:
    """What is to be done with every image."""

    folder: Path  # where results go; absolute
    settings: AutomaticSettings  # how masks are found
    max_share: float  # masks that cover a larger share of the image are left out
    formats: tuple[str, ...]  # keys of `napari_sam.batch.outputs.FORMATS`
    overlap: str  # A key of `napari_sam.batch.outputs.OVERLAPS`
    proposals: bool  # whether these are written as well
    edges: bool  # whether these are written as well
    model: ModelChoice  # what finds the masks
    weights: str  # digest of the model's file, from `digest`
    reader: str | None = None  # the napari plugin that reads the images
    overwrite: bool = False  # whether results of another task, and files of others, may be replaced

    @property
    def conditions(self) -> dict[str, Any]:
        """All that decides what the results look like, as JSON has it."""
        settings = {k: v for k, v in asdict(self.settings).items() if k not in _WITHOUT_EFFECT}
        others = {
            "max_share": self.max_share,
            "overlap": self.overlap,
            "reader": self.reader,
            "weights": self.weights,
        }
        return dict(json.loads(json.dumps({**settings, **others})))

    @property
    def outputs(self) -> list[str]:
        """What is written for each image."""
        flags = {"proposals": self.proposals, "edges": self.edges}
        named = {"sam": f"sam {self.settings.output_mode}"}
        formats = [named.get(name, name) for name in self.formats]
        return sorted([*formats, *(name for name, is_wanted in flags.items() if is_wanted)])


@dataclass(frozen=True)
class ImageResult:
    """What came of an image."""

    path: str  # the image
    # "done", "skipped" because it was complete already, or "failed"
    status: Literal["done", "skipped", "failed"]
    masks: int = 0  # how many there are
    files: tuple[str, ...] = ()  # names of the results in their folder
    error: str = ""  # why it failed


def digest(path: str | Path) -> str:
    """Return what tells the content of a file, or of all files in a folder, from another."""
    path = Path(path)
    hasher = xxhash.xxh128()
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    for one in files:
        if one != path:
            hasher.update(one.relative_to(path).as_posix().encode())
        with one.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                hasher.update(block)
    return hasher.hexdigest()
