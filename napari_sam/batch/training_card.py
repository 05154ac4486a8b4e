"""The card of a fine-tuned model: what it was made of, and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from napari_sam import __version__
from napari_sam.batch.labeled import LabeledImage
from napari_sam.catalogue.table import find_model

if TYPE_CHECKING:
    from napari_sam.batch.training_instances import InstanceResult
    from napari_sam.engine.training_settings import TrainingSettings

_CHANCE: Final = 0.005
"""By how much a model may be worse with boxes and count as good: other images differ by more."""


@dataclass(frozen=True)
class Epoch:
    """What came of an epoch; number 0 is the model before training."""

    number: int
    mask_loss: float
    score_loss: float
    one_click_iou: float  # mean over objects of the validation images
    box_iou: float  # the same with boxes around them
    seconds: float

    @property
    def quality(self) -> float:
        """What epochs are compared by."""
        return (self.one_click_iou + self.box_iou) / 2

    def beats(self, before: Epoch) -> bool:
        """Whether it is better after a click than the model before, and not worse with a box."""
        is_as_good = self.box_iou >= before.box_iou - _CHANCE
        return is_as_good and self.one_click_iou > before.one_click_iou


def refusal(epochs: Sequence[Epoch]) -> str:
    """Return why no epoch is better than the model before, which is the first, and what to do."""
    before, *after = epochs
    clicked = max(after, key=lambda epoch: epoch.one_click_iou, default=before)
    better = [epoch for epoch in after if epoch.one_click_iou > before.one_click_iou]
    if not better:
        return (
            f"after one click, the IoU was {before.one_click_iou:.3f} before, and is at best "
            f"{clicked.one_click_iou:.3f} now. Check that all objects are labeled, then add images "
            "or epochs."
        )
    boxed = max(better, key=lambda epoch: epoch.box_iou)
    click = f"the IoU came from {before.one_click_iou:.3f} to {boxed.one_click_iou:.3f} after one"
    box = f"from {before.box_iou:.3f} to {boxed.box_iou:.3f} with a box"
    if boxed.beats(before):
        return f"{click} click, and {box}: too little to count. Add images or epochs."
    return f"{click} click, but {box}. Boxes often recover in later epochs: add some."


@dataclass(frozen=True)
class TrainingCard:
    """What is known of a fine-tuned model."""

    name: str  # of the checkpoint
    base: str  # name of the model that training began with
    variant: str
    learned: Sequence[LabeledImage]
    validated: Sequence[LabeledImage]
    settings: TrainingSettings
    before: Epoch
    after: Epoch  # the one that was kept
    instances: InstanceResult | None = None  # of the instance decoder, if that was trained

    @property
    def text(self) -> str:
        """The card as markdown."""
        settings = asdict(self.settings).items()
        return "\n".join(
            [
                f"# {self.name}",
                "",
                f"{self.base} ({self.variant}), fine-tuned with napari-sam-live {__version__}: "
                f"{self._parts}, on labeled images. Masks are learned with simulated clicks, boxes "
                "and corrections.",
                "",
                f"## Quality: mean IoU on {_counted(self.validated)} that it did not learn from",
                "",
                "| prompt | before | after |",
                "|---|---|---|",
                *self._quality,
                "",
                "The best epoch was chosen by these images: expect a little less on others.",
                "",
                f"## Data: learned from {_counted(self.learned)}",
                "",
                f"- learned from: {_names(self.learned)}",
                f"- validated on: {_names(self.validated)}",
                "",
                "## Settings",
                "",
                f"- epoch kept: {self.after.number}",
                *(f"- {name.replace('_', ' ')}: {value}" for name, value in settings),
                "",
                "## License",
                "",
                *_license(self.base),
                "",
            ]
        )

    @property
    def _quality(self) -> list[str]:
        """The rows of the table, and what comes after it."""
        rows = [
            ("one click", self.before.one_click_iou, self.after.one_click_iou),
            ("a box", self.before.box_iou, self.after.box_iou),
        ]
        lines = [f"| {name} | {old:.3f} | {new:.3f} |" for name, old, new in rows]
        if self.instances is None:
            return lines
        before, after = (self.instances.epochs[n].f1 for n in (0, self.instances.best))
        return [
            *lines,
            "",
            f"F1 of all objects at IoU 0.5, found by the instance decoder (AIS): {before:.3f} "
            f"before, {after:.3f} after.",
        ]

    @property
    def _parts(self) -> str:
        rank, parts = self.settings.adapters, []
        if self.after.number:
            parts.append("the mask decoder")
        if self.after.number and rank:
            parts.append(f"the image encoder (adapters of rank {rank})")
        if self.instances is not None and self.instances.best:
            parts.append("the instance decoder")
        return " and ".join(parts)


def _counted(images: Sequence[LabeledImage]) -> str:
    count = sum(image.object_count for image in images)
    nouns = "image" if len(images) == 1 else "images", "object" if count == 1 else "objects"
    return f"{len(images)} {nouns[0]} with {count} {nouns[1]}"


def _names(images: Sequence[LabeledImage]) -> str:
    return ", ".join(image.name for image in images)


def _license(base: str) -> list[str]:
    try:
        model = find_model(base)
    except ValueError:
        return [
            f"That of the base, {base}, which is a file of your own: see where it comes from. The "
            "license of your images may add to it."
        ]
    return [
        f"That of the base, {model.license} ({model.page}): name its authors, {model.citation}. "
        "The license of your images may add to it."
    ]
