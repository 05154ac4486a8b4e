"""The objects that prompts mean in one plane of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam.batch.outputs import FORMATS_BY_SUFFIX, LABEL_FORMATS, write_objects
from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import ExportError
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.numpy_files import read_label_npy
from napari_sam.formats.png import read_label_png
from napari_sam.formats.tiff import read_label_tiff
from napari_sam.model.prediction import tight_crop
from napari_sam.session.objects.records import score_of

if TYPE_CHECKING:
    from napari_sam.model import MaskCrop, Predictor

Point = tuple[float, ...]
"""x, y in pixels."""

_LOW_RES: Final = 256
_CERTAIN: Final = 10.0
"""The logit of a place that lies in a mask to start from, or outside; about the model's own."""


@dataclass(frozen=True)
class ObjectPrompt:
    """What is known of one object."""

    points: tuple[Point, ...] = ()  # in the object, and not in it
    background: tuple[Point, ...] = ()  # in the object, and not in it
    box_xyxy: tuple[float, ...] | None = None  # around it


@dataclass(frozen=True, eq=False)
class PromptedMask:
    """A mask of an object, which may be empty."""

    number: int  # of the object, from 1
    candidate: int  # 1 for the best mask of the object, and so on
    iou_score: float  # how good the model takes it to be, at most 1
    crop: MaskCrop  # the mask

    @property
    def box_xyxy(self) -> list[int] | None:
        """First and last column and row; None if the mask is empty."""
        height, width = self.crop.mask.shape
        left, top = int(self.crop.left), int(self.crop.top)
        return [left, top, left + width - 1, top + height - 1] if height else None

    @property
    def area_px(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.crop.mask))


def find_prompted(
    predictor: Predictor,
    image: NDArray[np.uint8],
    prompts: Sequence[ObjectPrompt],
    mask_input: NDArray[np.float32] | None = None,
    multimask: str = "best",
) -> list[PromptedMask]:
    """Find the objects that prompts mean."""
    embedding = predictor.encode(image)
    found = []
    for number, prompt in enumerate(prompts, start=1):
        points = [*prompt.points, *prompt.background]
        prediction = predictor.decode(
            embedding,
            points or None,
            [1] * len(prompt.points) + [0] * len(prompt.background) if points else None,
            prompt.box_xyxy,
            mask_input,
            multimask_output=multimask != "off",
        )
        order = np.argsort(-prediction.iou_predictions, kind="stable").tolist()
        found += [
            PromptedMask(
                number, rank, score_of(prediction.iou_predictions[k]), prediction.mask_crop(k)
            )
            for rank, k in enumerate(order if multimask == "all" else order[:1], start=1)
        ]
    return found


class MaskPrompt(NamedTuple):
    """A mask to start from."""

    logits: NDArray[np.float32]
    box_xyxy: tuple[float, ...] | None = None


def read_mask_prompt(path: Path, shape: tuple[int, int]) -> MaskPrompt:
    """Read a mask to start from."""
    suffix = path.suffix.lower()
    if suffix == ".npy" and (logits := _logits_in(path)) is not None:
        return MaskPrompt(logits)
    readers: dict[str, Any] = {".npy": read_label_npy, ".png": read_label_png}
    mask = readers[suffix](path) if suffix in readers else read_label_tiff(path)[0]
    if mask.shape != shape or not mask.any():
        what = "is empty" if mask.shape == shape else f"is of shape {mask.shape}"
        raise ExportError(f"The mask {path} {what}; give one of {shape} pixels with an object.")
    # The model's input is a square of which the image fills the longer side.
    square = np.zeros((max(shape), max(shape)), np.uint8)
    square[: shape[0], : shape[1]] = 255 * (mask != 0)
    small = Image.fromarray(square).resize((_LOW_RES, _LOW_RES), Image.Resampling.BOX)
    logits = ((np.asarray(small, np.float32) / 127.5 - 1) * _CERTAIN).astype(np.float32)
    crop = tight_crop(mask != 0)
    height, width = crop.mask.shape
    left, top = float(crop.left), float(crop.top)
    return MaskPrompt(logits, (left, top, left + width - 1, top + height - 1))


def _logits_in(path: Path) -> NDArray[np.float32] | None:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ExportError(f"{path} cannot be read as .npy ({error}).") from error
    is_logits = isinstance(values, np.ndarray) and values.dtype.kind == "f"
    if is_logits and values.squeeze().shape == (_LOW_RES, _LOW_RES):
        return np.asarray(values.squeeze(), np.float32)
    return None


def format_of(path: Path) -> str:
    """Return the format that the ending of a file means, a key of `FORMATS`."""
    return FORMATS_BY_SUFFIX[_ending(path).lower()]


def _ending(path: Path) -> str:
    known = [suffix for suffix in FORMATS_BY_SUFFIX if path.name.lower().endswith(suffix)]
    if not known:
        endings = ", ".join(FORMATS_BY_SUFFIX)
        raise ValueError(f"{path} has no ending that is known here; choose one of {endings}.")
    return path.name[-max(map(len, known)) :]


def write_prompted(
    path: Path, image: ImageInfo, found: Sequence[PromptedMask], overlap: str
) -> list[Path]:
    """Write masks; empty ones are left out."""
    name = format_of(path)
    candidates = sorted({one.candidate for one in found})
    if name not in LABEL_FORMATS or len(candidates) == 1:
        numbers = range(1, len(found) + 1)
        return write_objects(path, name, _annotations(image, found, numbers), overlap)
    files: list[Path] = []
    for candidate in candidates:
        some = [one for one in found if one.candidate == candidate]
        ending = _ending(path)
        beside = path.with_name(f"{path.name.removesuffix(ending)}_{candidate}{ending}")
        annotations = _annotations(image, some, [one.number for one in some])
        files += write_objects(beside, name, annotations, overlap)
    return files


def _annotations(
    image: ImageInfo, found: Sequence[PromptedMask], numbers: Sequence[int]
) -> Annotations:
    return Annotations(
        image,
        [
            ExportObject(number, one.crop.mask, one.crop.top, one.crop.left, score=one.iou_score)
            for number, one in zip(numbers, found, strict=True)
            if one.area_px
        ],
    )
