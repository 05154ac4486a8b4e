"""Segment the prompted objects in one plane of an image, and write them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.batch.outputs import FORMATS_BY_SUFFIX, LABEL_FORMATS, write_objects
from napari_sam.engine.detection import Detection
from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import FileError, file_reader
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.numpy_files import npy_header, read_label_npy
from napari_sam.formats.png import read_label_png
from napari_sam.formats.tiff import read_label_tiff
from napari_sam.session.decoding.learnt import Learnt
from napari_sam.session.decoding.mask_prompts import logits_of_region
from napari_sam.session.decoding.segment import segment, whole_crop
from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder
from napari_sam.session.image.image_plane import ImageError, ImagePlane
from napari_sam.session.image.tiles import Box, Tile, TilePyramid
from napari_sam.session.journal.session_file import SESSION_SUFFIX, SessionFileError, read_session
from napari_sam.session.learning.kept import learnt_from_json
from napari_sam.session.learning.learned_file import read_learned
from napari_sam.session.models.model_choice import ModelChoice
from napari_sam.session.objects.records import score_of
from napari_sam.session.prompts.prompts import Prompts


@dataclass(frozen=True, eq=False)
class MaskStart:
    """A mask to start from."""

    logits: NDArray[np.float32] | None = None  # of the whole plane, in the model's low resolution
    mask: NDArray[np.bool_] | None = None  # of the plane's size

    @property
    def box_xyxy(self) -> Box | None:
        """The edges of the mask's pixels; None for logits."""
        if self.mask is None:
            return None
        return tight_crop(self.mask).edges_xyxy

    def on_tile(self, tile: Tile, low_res_side: int) -> NDArray[np.float32]:
        """Return the low-res logits of a tile; there are logits only of the whole plane."""
        if self.mask is None:
            assert self.logits is not None
            return self.logits
        return logits_of_region(MaskCrop(self.mask, 0, 0), tile, low_res_side)


@dataclass(frozen=True, eq=False)
class PromptedMask:
    """A mask of an object, which may be empty."""

    label_id: int  # of the object, from 1
    candidate: int  # 1 for the mask that the widget preselects, and so on
    iou_score: float  # the predicted IoU, at most 1
    crop: MaskCrop
    detection: Detection | None = None  # what a word named, if it was found by one

    @property
    def class_name(self) -> str | None:
        """The word that it was found by."""
        return None if self.detection is None else self.detection.word

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


def segment_prompts(
    embedder: Embedder,
    plane: ImagePlane,
    prompts: Sequence[Prompts],
    start: MaskStart | None = None,
    multimask: str = "best",
    clean_strength: float = 0.0,
    learnt: Learnt | None = None,
    warn: Callable[[str], None] = lambda message: None,
) -> list[PromptedMask]:
    """Segment one object for each of the prompts, with the masks that the widget preselects.

    Outlines are cleaned with `clean_strength`, 0 to 1; `learnt` is what accepted objects told of
    clicks. `warn` is called with what makes the masks
    doubtful.

    Raises
    ------
    ImageError
        If all pixels of the plane look the same to the model.
    """
    pyramid = plane.pyramid(embedder.load().encoder.spec)

    embed = _embedding_of(embedder, plane, pyramid, warn)
    masks = []
    for label_id, prompt in enumerate(prompts, start=1):
        candidates = segment(
            embed,
            pyramid,
            prompt,
            start=None if start is None else start.on_tile,
            multimask=multimask != "off",
            may_move=start is None or start.logits is None,
            clean_strength=clean_strength,
            learnt=learnt,
        )
        order = [candidates.best] if candidates.ranking is None else candidates.ranking.order
        masks += [
            PromptedMask(
                label_id,
                rank,
                score_of(candidates.iou_predictions[index]),
                whole_crop(candidates, index),
            )
            for rank, index in enumerate(order if multimask == "all" else order[:1], start=1)
        ]
    return masks


def _embedding_of(
    embedder: Embedder, plane: ImagePlane, pyramid: TilePyramid, warn: Callable[[str], None]
) -> Callable[[Tile], EmbeddedTile]:
    """Return a function that embeds each tile of a plane once."""

    @cache
    def embed(tile: Tile) -> EmbeddedTile:
        embedded = embedder.embed(plane, tile)
        if embedded.content.uniform_reason and tile == pyramid.whole:
            raise ImageError(embedded.content.uniform_reason)
        if embedded.content.uniform_reason:
            embed(pyramid.whole)
        if embedded.content.contrast_warning:
            warn(embedded.content.contrast_warning)
        return embedded

    return embed


def read_learnt(path: Path, choice: ModelChoice) -> Learnt:
    """Return what a session file, or one of what was learned, tells of clicks on a model.

    Raises
    ------
    FileError
        If the file cannot be read, or tells nothing better than the model's own masks.
    """
    try:
        is_session = path.name.endswith(SESSION_SUFFIX)
        lessons = (
            read_session(path).info.learned if is_session else read_learned(path, choice).lessons
        )
    except SessionFileError as error:
        raise FileError(str(error)) from error
    learnt = learnt_from_json(lessons, choice.name)
    if learnt is None:
        raise FileError(
            f"Nothing was learned in {path} that is better than the masks of {choice.name}: accept "
            "ten objects or more with it, then save it again."
        )
    return learnt


def read_start(path: Path, shape: tuple[int, int], low_res_side: int) -> MaskStart:
    """Read a mask to start from, or low-res logits of that side."""
    suffix = path.suffix.lower()
    if suffix == ".npy" and (logits := _logits_in(path, low_res_side)) is not None:
        return MaskStart(logits)
    readers: dict[str, Any] = {".npy": read_label_npy, ".png": read_label_png}
    read = readers.get(suffix, lambda *args: read_label_tiff(*args)[0])
    mask = read(path, shape)
    if mask.shape != shape or not mask.any():
        fault = "is empty" if mask.shape == shape else f"is of shape {mask.shape}"
        raise FileError(f"The mask {path} {fault}; give one of {shape} pixels with an object.")
    return MaskStart(mask=mask != 0)


@file_reader(".npy")
def _logits_in(path: Path, low_res_side: int) -> NDArray[np.float32] | None:
    with path.open("rb") as file:
        shape, dtype = npy_header(file, path.stat().st_size)
        if dtype.kind != "f" or [side for side in shape if side > 1] != [low_res_side] * 2:
            return None
        file.seek(0)
        logits = np.lib.format.read_array(file, allow_pickle=False).squeeze()
    if not np.isfinite(logits).all():
        raise ValueError("its logits must be finite")
    return np.asarray(logits, np.float32)


def format_of(path: Path) -> str:
    """Return the format that the ending of a file means, one of `FORMAT_KEYS`."""
    return FORMATS_BY_SUFFIX[_ending(path).lower()]


def _ending(path: Path) -> str:
    suffixes = [suffix for suffix in FORMATS_BY_SUFFIX if path.name.lower().endswith(suffix)]
    if not suffixes:
        endings = ", ".join(FORMATS_BY_SUFFIX)
        raise ValueError(f"The ending of {path} is not a known format; choose one of {endings}.")
    return path.name[-max(map(len, suffixes)) :]


def write_prompted(
    path: Path, image: ImageInfo, masks: Sequence[PromptedMask], overlap: str
) -> list[Path]:
    """Write masks, without empty ones; a label image for each candidate."""
    name = format_of(path)
    candidates = sorted({mask.candidate for mask in masks})
    if name not in LABEL_FORMATS or len(candidates) == 1:
        label_ids = range(1, len(masks) + 1)
        return write_objects(path, name, _annotations(image, masks, label_ids), overlap)
    files: list[Path] = []
    for candidate in candidates:
        chosen = [mask for mask in masks if mask.candidate == candidate]
        file = _of_candidate(path, candidate)
        annotations = _annotations(image, chosen, [mask.label_id for mask in chosen])
        files += write_objects(file, name, annotations, overlap)
    return files


def _of_candidate(path: Path, candidate: int | str) -> Path:
    ending = _ending(path)
    return path.with_name(f"{path.name.removesuffix(ending)}_{candidate}{ending}")


def is_of_candidate(file: Path, path: Path) -> bool:
    """Whether `write_prompted` might write a file of this name for one of several candidates."""
    number = file.name.removesuffix(_ending(path)).rpartition("_")[2]
    return number.isdecimal() and file.name == _of_candidate(path, number).name


def _annotations(
    image: ImageInfo, masks: Sequence[PromptedMask], label_ids: Sequence[int]
) -> Annotations:
    return Annotations(
        image,
        [
            ExportObject(label_id, *mask.crop, class_name=mask.class_name, score=mask.iou_score)
            for label_id, mask in zip(label_ids, masks, strict=True)
            if mask.area_px
        ],
    )
