"""What to do with every image of a run, and the result for one image."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from napari_sam.engine.methods import Method

if TYPE_CHECKING:
    from napari_sam.batch.images import ImageFile
    from napari_sam.engine.automatic_settings import AutomaticSettings
    from napari_sam.engine.instance_settings import InstanceSettings
    from napari_sam.formats.annotations import ExportObject
    from napari_sam.session.decoding.learnt import Learnt
    from napari_sam.session.linking.settings import LinkSettings
    from napari_sam.session.models.model_choice import ModelChoice

OVERLAPS: Final[dict[str, Callable[[ExportObject, int], float]]] = {
    "smaller": lambda _, area_px: -area_px,
    "larger": lambda _, area_px: area_px,
    "better": lambda obj, _: 0.0 if obj.score is None else obj.score,
    "first": lambda obj, _: -obj.label_id,
}
"""Which mask wins where two overlap in a label image: the one with the larger key, which is made
of a mask and the pixels of its object on all slices."""

WITHOUT_EFFECT: Final = ("points_per_batch", "output_mode")
"""Settings that do not change the masks."""


@dataclass(frozen=True)
class ExampleFiles:
    """Images with examples."""

    pairs: tuple[tuple[ImageFile, Path], ...]  # images, and the labels of their examples
    content: str  # digest of all these files


@dataclass(frozen=True)
class BatchJob:
    """What to do with every image of a run."""

    folder: Path  # where the results go; absolute
    settings: AutomaticSettings
    max_share: float  # masks that cover a larger share of the image are dropped
    formats: tuple[str, ...]  # keys of `napari_sam.batch.outputs.FORMAT_KEYS`
    overlap: str  # a key of `OVERLAPS`
    proposals: bool  # also write proposals
    edges: bool  # also write edges
    model: ModelChoice
    weights: str  # digest of the model's file, from `digest`
    reader: str | None = None  # the napari plugin that reads the images
    intensities: str = "as shown"  # how values map to what the model sees
    overwrite: bool = False  # replace results of other jobs, and unrelated files
    channels: int | None = None  # the axis that holds them
    through: str | None = None  # the axis along which masks of slices are linked
    links: LinkSettings | None = None  # how they are linked
    is_preset_by_image: bool = False  # no settings were given: those that suit each image
    method: Method = Method.GRID  # how masks are found
    instances: InstanceSettings | None = None  # of the other methods
    tile_px: int | None = None  # side of the tiles whose maps are stitched; None: no tiles
    like: ExampleFiles | None = None  # what masks have to be like
    least_likeness: float = 0.0  # how much, 0 to 1
    classes_from: ExampleFiles | None = None  # what tells the classes of masks
    least_confidence: float = 0.0  # how surely, 0 to 1
    learnt: Learnt | None = None  # what makes the masks, in place of the model alone
    learned_from: str = ""  # digest of its file

    @property
    def conditions(self) -> dict[str, Any]:
        """Everything that the pixels of the results depend on, as JSON has it."""
        settings = {k: v for k, v in asdict(self.settings).items() if k not in WITHOUT_EFFECT}
        rest = {name: getattr(self, name) for name in ("max_share", "overlap", "reader", "weights")}
        later = ("intensities", "channels", "through", "is_preset_by_image", "method", "tile_px")
        for name in (*later, "learned_from"):
            if getattr(self, name) != getattr(BatchJob, name):  # earlier versions lack them
                rest[name] = getattr(self, name)
        for part in (self.links, self.instances):
            if part is not None:
                rest |= asdict(part)
        if self.like is not None:
            rest |= {"like": self.like.content, "least_likeness": self.least_likeness}
        if self.classes_from is not None:
            rest["classes_from"] = self.classes_from.content
            rest["least_confidence"] = self.least_confidence
        return dict(json.loads(json.dumps({**settings, **rest})))

    @property
    def outputs(self) -> list[str]:
        """The names of everything written for an image."""
        renamed = {"sam": f"sam {self.settings.output_mode}"}
        formats = [renamed.get(name, name) for name in self.formats]
        return sorted([*formats, *(name for name in ("proposals", "edges") if getattr(self, name))])


@dataclass(frozen=True)
class ImageResult:
    """The result for one image."""

    path: str  # the image
    # "done", "skipped" because it was already complete, or "failed"
    status: Literal["done", "skipped", "failed"]
    masks: int = 0  # their count
    files: tuple[str, ...] = ()  # names in the folder of results
    error: str = ""  # why it failed
    warning: str = ""  # what makes the masks doubtful
    objects: tuple[dict[str, Any], ...] = ()  # what is known of each, if slices were linked
