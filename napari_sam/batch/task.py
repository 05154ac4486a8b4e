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
    """What is to be done with every image.

    Parameters
    ----------
    folder : Path
        Where results go; absolute.
    settings : AutomaticSettings
        How masks are found.
    max_share : float
        Masks that cover a larger share of the image are left out.
    formats : tuple of str
        Keys of `napari_sam.batch.outputs.FORMATS`.
    overlap : str
        A key of `napari_sam.batch.outputs.OVERLAPS`.
    proposals, edges : bool
        Whether these are written as well.
    model : ModelChoice
        What finds the masks.
    weights : str
        Digest of the model's file, from `digest`.
    reader : str, optional
        The napari plugin that reads the images.
    overwrite : bool
        Whether results of another task, and files of others, may be replaced.
    """

    folder: Path
    settings: AutomaticSettings
    max_share: float
    formats: tuple[str, ...]
    overlap: str
    proposals: bool
    edges: bool
    model: ModelChoice
    weights: str
    reader: str | None = None
    overwrite: bool = False

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
    """What came of an image.

    Parameters
    ----------
    path : str
        The image.
    status : str
        "done", "skipped" because it was complete already, or "failed".
    masks : int
        How many there are.
    files : tuple of str
        Names of the results in their folder.
    error : str
        Why it failed.
    """

    path: str
    status: Literal["done", "skipped", "failed"]
    masks: int = 0
    files: tuple[str, ...] = ()
    error: str = ""


def digest(path: str | Path) -> str:
    """Return what tells the content of a file, or of all files in a folder, from another.

    Raises
    ------
    OSError
        If it cannot be read.
    """
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
